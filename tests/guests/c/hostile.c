/* What a filter does that wants to harm its host. A row's text may begin with:
 *
 *   CHATTER           calls the host 8,192 times in a straight line, with a name of 512 KiB
 *   LATE what         writes 2 GiB of memory, calls `log`, `count` or `lookup`, and says `still here`, all of it in a
 *                     straight line
 *   COUNT n           counts under n names
 *   SHOUT n           n lines in the log
 *   LOOKUP n          looks one key up n times in the table `t`, and wants its column `text`
 *   WANT n            looks one key up, and wants the column `text` n times
 *   NONSENSE again    takes the last row 4,096 times
 *   NONSENSE deep     a column whose path has 4,001 names
 *   NONSENSE long     a column whose name has 64 KiB
 *   NONSENSE nested   a json column 128 arrays deep, ten names below the record
 *   NONSENSE many     removes 5,000 fields
 */
#include <stdlib.h>
#include <string.h>

#include "hostile.h"

#define EIGHT(x) x x x x x x x x
#define STRAIGHT(x) EIGHT(EIGHT(EIGHT(EIGHT(x)))) EIGHT(EIGHT(EIGHT(EIGHT(x))))

#define HOST(name) __attribute__((__import_module__("flitch:filter/host@1.0.0"), __import_name__(name)))

HOST("log") extern void __wasm_import_flitch_filter_host_log(int32_t, uint8_t *, size_t);
HOST("count") extern void __wasm_import_flitch_filter_host_count(uint8_t *, size_t, int64_t);
HOST("lookup") extern void __wasm_import_flitch_filter_host_lookup(
    uint8_t *, size_t, uint8_t *, size_t, int32_t, uint8_t *, size_t, int32_t, uint8_t *, size_t, uint8_t *, size_t,
    uint8_t *, size_t, uint8_t *);

static void *get(size_t size) {
  void *memory = malloc(size ? size : 1);
  if (!memory) abort();
  return memory;
}

/* No loop and no call of a function of its own, so that the guest never comes to where it would be stopped. */
static void chatter(void) {
  size_t len = 512 << 10;
  uint8_t *name = get(len);
  memset(name, 'n', len);
  STRAIGHT(__wasm_import_flitch_filter_host_count(name, len, 1);)
  free(name);
}

/* An instruction writes 32 MiB; without the barrier all but the last one would write what nobody reads. */
#define FILL \
  __builtin_memset(memory, 1, len); \
  __asm__ volatile("" : : "r"(memory) : "memory");

/* As straight as `chatter`: what stops it is the host function that it calls, or nothing. */
__attribute__((noinline, target("bulk-memory"))) static void late(const char *what) {
  static uint8_t line[] = "still here", name[] = "n";
  size_t len = 32 << 20;
  uint8_t *memory = get(len);
  int does_log = strcmp(what, "log") == 0, does_count = strcmp(what, "count") == 0;
  EIGHT(EIGHT(FILL))
  if (does_log)
    __wasm_import_flitch_filter_host_log(FLITCH_FILTER_HOST_LEVEL_WARN, line, sizeof line - 1);
  else if (does_count)
    __wasm_import_flitch_filter_host_count(name, 1, 1);
  else
    __wasm_import_flitch_filter_host_lookup(name, 1, name, 1, 0, NULL, 0, FLITCH_FILTER_COLUMNS_VALUES_TEXT, memory, 0,
                                            memory, 0, memory, 0, memory);
  __wasm_import_flitch_filter_host_log(FLITCH_FILTER_HOST_LEVEL_WARN, line, sizeof line - 1);
  free(memory);
}

static void count(long n) {
  for (long i = 0; i < n; i++) {
    uint8_t name[8];
    for (int digit = 0; digit < 8; digit++) name[digit] = (uint8_t)('a' + (i >> (4 * digit) & 15));
    plugin_string_t counter = {name, sizeof name};
    flitch_filter_host_count(&counter, 1);
  }
}

static void shout(long n) {
  plugin_string_t line;
  plugin_string_set(&line, "again and again");
  for (long i = 0; i < n; i++) flitch_filter_host_log(FLITCH_FILTER_HOST_LEVEL_WARN, &line);
}

static void lookup(size_t keys, size_t wanted) {
  plugin_string_t table, err;
  plugin_string_set(&table, "t");
  flitch_filter_host_column_t key = {0};
  plugin_string_set(&key.name, "key");
  key.values.tag = FLITCH_FILTER_COLUMNS_VALUES_TEXT;
  flitch_filter_columns_blobs_t *values = &key.values.val.text;
  values->data.ptr = get(keys);
  values->data.len = keys;
  memset(values->data.ptr, 'a', keys);
  values->ends.ptr = get(keys * sizeof(uint32_t));
  values->ends.len = keys;
  for (size_t i = 0; i < keys; i++) values->ends.ptr[i] = (uint32_t)i + 1;
  plugin_list_string_t want = {get(wanted * sizeof(plugin_string_t)), wanted};
  for (size_t i = 0; i < wanted; i++) plugin_string_set(&want.ptr[i], "text");
  flitch_filter_host_list_column_t found;
  if (!flitch_filter_host_lookup(&table, &key, &want, &found, &err)) {
    flitch_filter_host_log(FLITCH_FILTER_HOST_LEVEL_ERROR, &err);
    abort();
  }
  flitch_filter_host_list_column_free(&found);
  free(values->data.ptr);
  free(values->ends.ptr);
  free(want.ptr);
}

bool hostile(const uint8_t *text, size_t len) {
  char words[64] = "";
  memcpy(words, text, len < sizeof words ? len : sizeof words - 1);
  char *number = strchr(words, ' ');
  if (number) *number++ = 0;
  long n = number ? atol(number) : 0;
  if (strcmp(words, "CHATTER") == 0) chatter();
  else if (strcmp(words, "LATE") == 0) late(number);
  else if (strcmp(words, "COUNT") == 0) count(n);
  else if (strcmp(words, "SHOUT") == 0) shout(n);
  else if (strcmp(words, "LOOKUP") == 0) lookup((size_t)n, 1);
  else if (strcmp(words, "WANT") == 0) lookup(1, (size_t)n);
  else return false;
  return true;
}

/* A name of `len` bytes, of which each one that stands at an odd place is `odd`. */
static void rename_to(plugin_string_t *name, size_t len, uint8_t odd) {
  name->ptr = get(len);
  name->len = len;
  for (size_t i = 0; i < len; i++) name->ptr[i] = i % 2 ? odd : 'a';
}

static void nested(flitch_filter_columns_column_t *column, uint32_t rows) {
  flitch_filter_columns_blobs_t *values = &column->values.val.text;
  column->values.tag = FLITCH_FILTER_COLUMNS_VALUES_JSON;
  column->present.is_some = false;
  values->data.len = 256 * rows;
  values->data.ptr = get(values->data.len);
  for (uint32_t row = 0; row < rows; row++) {
    memset(values->data.ptr + 256 * row, '[', 128);
    memset(values->data.ptr + 256 * row + 128, ']', 128);
    values->ends.ptr[row] = 256 * (row + 1);
  }
  rename_to(&column->name, 19, '.');
}

bool spoil(exports_flitch_filter_filter_changes_t *ret, const char *how, uint32_t kept) {
  flitch_filter_columns_column_t *upper = &ret->set.ptr[0];
  if (strcmp(how, "again") == 0) {
    ret->take.is_some = true;
    ret->take.val.len = 4096;
    ret->take.val.ptr = get(4096 * sizeof(uint32_t));
    for (size_t i = 0; i < 4096; i++) ret->take.val.ptr[i] = kept - 1;
    ret->set.len = 0;
  } else if (strcmp(how, "deep") == 0) {
    rename_to(&upper->name, 8001, '.');
  } else if (strcmp(how, "long") == 0) {
    rename_to(&upper->name, 64 << 10, 'b');
  } else if (strcmp(how, "nested") == 0) {
    nested(upper, kept);
  } else if (strcmp(how, "many") == 0) {
    ret->remove.len = 5000;
    ret->remove.ptr = calloc(5000, sizeof *ret->remove.ptr);
    if (!ret->remove.ptr) abort();
    for (size_t i = 0; i < 5000; i++) plugin_string_dup(&ret->remove.ptr[i].name, "no-such-field");
  } else {
    return false;
  }
  return true;
}
