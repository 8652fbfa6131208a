/* A lack of memory is an answer, at whatever allocation it comes; and a thousand batches need no more than ten. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "../testing/internal.h"

/* malloc of the library, which fails when this many calls were made. */
static long left = -1;
static size_t live, most;
void *test_malloc(size_t size);
void test_free(void *memory);

void *test_malloc(size_t size) {
  if (left == 0) return NULL;
  if (left > 0) left--;
  void *memory = malloc(size);
  if (memory) live += malloc_usable_size(memory);
  if (live > most) most = live;
  return memory;
}

void test_free(void *memory) {
  if (memory) live -= malloc_usable_size(memory);
  free(memory);
}

static bool configure(flitch_setup *setup) { return setup != NULL; }

static void record(flitch_record *record) {
  flitch_str text;
  if (!flitch_get_json(record, "j", &text)) return;
  flitch_set_json(record, "copy", text);
  flitch_remove(record, "j");
  flitch_set(record, flitch_format("%s.%d", "a", 1), flitch_float(0.1));
  for (int part = 0; part < 2; part++) {
    flitch_part(record);
    if (part) flitch_set_int(record, "mixed", part);
    else flitch_set_text(record, "mixed", flitch_s("text"));
  }
  flitch_enrich(record, "t", text, "owner", "owner");
}

const flitch_filter flitch_plugin = {.configure = configure, .record = record};

static const char in[] =
    "{\"j\":{\"a\":[1,2,{\"b\":\"\\n\"}],\"c\":\"x\\u00e4\"}}\n{\"j\":5.25}\n{\"k\":1}\n{\"j\":\"text\"}\n";

/* Whether the batch was answered. */
static bool answers(const flitch_batch *batch) {
  answer changes;
  flitch_str error;
  bool done = guest_apply(&flitch_plugin, batch, &changes, &error);
  if (!done && !flitch_is(error, "out of memory")) printf("rejected: %.*s\n", (int)error.len, error.ptr), exit(1);
  return done;
}

int main(void) {
  begin_test();
  flitch_give_table("t", "{\"key\":\"text\",\"owner\":\"A\"}\n");
  flitch_batch batch;
  flitch_str error;
  if (!read_records(flitch_s(in), &batch, &error)) return 1;
  flitch_keep();
  long failures = 0;
  /* Where each allocation is a block of its own, as under a sanitizer, each of them fails once. */
  for (left = 0;; left = failures) {
    bool done = answers(&batch);
    flitch_forget();
    if (done) break;
    failures++;
  }
  left = -1;
  for (int round = 0; round < 10; round++) {
    if (!answers(&batch)) return 1;
    flitch_forget();
  }
  size_t after_ten = most;
  for (int round = 0; round < 1000; round++) {
    if (!answers(&batch)) return 1;
    flitch_forget();
  }
  printf("memory: %ld lacks of it were answers; %zu bytes at most\n", failures, most);
  bool flat = most == after_ten;
  begin_test();
  drop_tables();
  return !flat || failures < 2 || live != 0;
}
