/* Texts that nobody checked, through all that reads texts: nothing of it may read past their end. Each text is a block
 * of its own, so that the address sanitizer sees the first byte too many. */
#include <stdio.h>
#include <stdlib.h>

#include "../testing/internal.h"

static bool configure(flitch_setup *setup) { return setup != NULL; }

static void record(flitch_record *record) {
  size_t at = 0;
  flitch_str path;
  for (flitch_value value; flitch_next_field(record, &at, &path, &value);)
    flitch_set_json_at(record, path, flitch_to_json(value));
}

const flitch_filter flitch_plugin = {.configure = configure, .record = record};

static uint64_t state = 88172645463325252u;

/* Marsaglia's xorshift: the same texts in each run. */
static uint32_t next(uint32_t below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state >> 32) % below;
}

static const char *const seeds[] = {
    "{\"a\":[1,2.50,\"x\\u00e9\\ud83d\\ude00\\n\"],\"b\":{\"c.d\":null},\"e\":true}",
    "  \"a\\udcff\\\"\\\\\\n\\u0001\\udcc3\"",
    " \"1970-01-01T00:00:00.123456789Z\"",
    "-123456789012345678.5e-300",
    "2026-11-20T13:55:36,25+0100",
    "kubernetes.labels.app\\.kubernetes\\.io/name\\ud800\\",
    "\xf0\x9f\x98\x80\xe2\x82\xac\xed\xa0\x80\xff",
    "1.7976931348623157e308",
    "[[[[[[[[[[[[[[[[{\"\":[]}]]]]]]]]]]]]]]]]",
};

static flitch_str spoiled(void) {
  const char *seed = seeds[next(sizeof seeds / sizeof *seeds)];
  size_t len = strlen(seed);
  char *text = (char *)flitch_alloc(len);
  if (!text) abort();
  memcpy(text, seed, len);
  for (uint32_t changes = next(4); changes && len; changes--) {
    size_t at = next((uint32_t)len);
    switch (next(3)) {
    case 0: text[at] = (char)next(256); break;
    case 1: text[at] = "\"\\{}[]:,.eu-0"[next(13)]; break;
    default: memmove(text + at, text + at + 1, len - at - 1), len--;
    }
  }
  char *exact = (char *)malloc(len ? len : 1);
  if (!exact) abort();
  memcpy(exact, text, len);
  return flitch_strn(exact, len);
}

static void read(flitch_str text) {
  int64_t nanos;
  flitch_str name, value;
  flitch_parse_time(text, &nanos);
  flitch_parse_time_lenient(text, &nanos);
  flitch_path_names(text);
  flitch_path_above(text, &value);
  flitch_path_push(text, text);
  flitch_value found = flitch_json_value(text);
  mixed_text(found);
  flitch_to_json(found);
  buffer out = {0};
  write_canonical(&out, text);
  write_lossy(&out, text);
  for (flitch_json it = flitch_json_open(text); flitch_json_next(&it, &name, &value);) flitch_json_value(value);
  flitch_json_member(text, "a", &value);
}

/* The text in columns of each kind that has texts. */
static bool pass(flitch_str text) {
  flitch_batch batch = {1, NULL, 0};
  flitch_column columns[3];
  uint32_t end = (uint32_t)text.len;
  memset(columns, 0, sizeof columns);
  const uint8_t kinds[] = {FLITCH_TEXT, FLITCH_BYTES, FLITCH_JSON};
  for (int i = 0; i < 3; i++) {
    columns[i].name = flitch_s(i == 0 ? "text" : i == 1 ? "bytes" : "json");
    columns[i].kind = kinds[i];
    columns[i].values.blobs.data = text.ptr;
    columns[i].values.blobs.data_len = text.len;
    columns[i].values.blobs.ends = &end;
    columns[i].values.blobs.ends_len = 1;
  }
  batch.columns = columns;
  batch.len = 3;
  answer changes;
  fields *records;
  uint32_t len;
  flitch_str error;
  if (!guest_apply(&flitch_plugin, &batch, &changes, &error)) return false;
  flitch_batch none = {1, NULL, 0};
  return apply_answer(&none, &changes, &records, &len, &error);
}

int main(void) {
  int wrong = 0;
  for (int round = 0; round < 40000; round++) {
    begin_test();
    flitch_str text = spoiled();
    read(text);
    if (!pass(text)) wrong++, printf("wrong: %.*s\n", (int)text.len, text.ptr);
    free((void *)text.ptr);
  }
  begin_test();
  printf("hostile: %d failed\n", wrong);
  return wrong != 0;
}
