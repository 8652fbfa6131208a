/* A filter that sees whole columns. */
#include <stdio.h>

#include "flitch_testing.h"

static bool configure(flitch_setup *setup) {
  flitch_want(setup, flitch_s("message"));
  return true;
}

static bool batch(const flitch_batch *batch, flitch_changes *changes) {
  const flitch_column *messages = flitch_find_column(batch, "message");
  flitch_builder *lengths = flitch_build(changes, "length"), *mixed = flitch_build(changes, "mixed");
  for (uint32_t row = 0; row < batch->rows; row++) {
    flitch_str text;
    if (!messages || !flitch_blob_at(messages, row, &text)) {
      flitch_push_absent(lengths);
      flitch_push_absent(mixed);
      continue;
    }
    if (flitch_is(text, "fail")) return flitch_fail(changes, "a message says %s", "fail");
    if (flitch_is(text, "bad")) {
      flitch_reject_row(changes, row, "row %u is bad", (unsigned)row);
      flitch_reject_row(changes, row, "and once more");
      continue;
    }
    flitch_push(lengths, flitch_int((int64_t)text.len));
    flitch_push(mixed, row % 2 ? flitch_text(text) : flitch_time(-1));
  }
  /* There is no such row. */
  const flitch_column none = {0};
  if (messages && flitch_at(messages, batch->rows).kind != FLITCH_ABSENT)
    return flitch_fail(changes, "a row past the end");
  if (flitch_at(&none, 5).kind != FLITCH_ABSENT) return flitch_fail(changes, "a row of nothing");
  flitch_remove_column(changes, "message");
  return true;
}

const flitch_filter flitch_plugin = {.configure = configure, .batch = batch};

/* The values of a field, wherever the records of a batch have it. */
static flitch_str found(const char *path) {
  static const char last[] = "own", rest[] = "{\"last\":\"x\",\"p\":{\"q.r\":2.0}}{\"last\":1.5,\"last\":2}";
  static const char object[] = "{\"q.r\":1}[1]";
  static const uint8_t second = 2, first_and_third = 5, second_and_third = 6;
  static const uint32_t last_ends[] = {0, 3, 3, 3}, rest_ends[] = {28, 28, 49, 49}, object_ends[] = {0, 9, 12, 12};
  flitch_column columns[3] = {
      {.name = flitch_s("last"), .has_present = 1, .present = &second, .present_len = 1, .kind = FLITCH_TEXT,
       .values.blobs = {last, 3, last_ends, 4}},
      {.name = flitch_s("p"), .has_present = 1, .present = &second_and_third, .present_len = 1, .kind = FLITCH_JSON,
       .values.blobs = {object, 12, object_ends, 4}},
      {.name = flitch_s("@rest"), .has_present = 1, .present = &first_and_third, .present_len = 1,
       .kind = FLITCH_JSON, .values.blobs = {rest, 49, rest_ends, 4}},
  };
  flitch_batch batch = {.rows = 4, .columns = columns, .len = 3};
  const flitch_column *column = flitch_find_field(&batch, path);
  flitch_str text = flitch_s("");
  for (uint32_t row = 0; column && row < batch.rows; row++) {
    flitch_value value = flitch_at(column, row);
    flitch_str one = value.kind == FLITCH_ABSENT ? flitch_s("-") : flitch_to_json(value);
    text = flitch_format("%.*s%.*s ", (int)text.len, text.ptr, (int)one.len, one.ptr);
  }
  return text;
}

static int finds(const char *path, const char *wanted) {
  flitch_str text = found(path);
  if (flitch_is(text, wanted)) return 0;
  printf("%s: %.*s\n", path, (int)text.len, text.ptr);
  return 1;
}

int main(void) {
  int failed = 0;
  flitch_outcome outcome =
      flitch_try("{}", "{\"message\":\"abc\"}\n{\"message\":\"bad\"}\n{\"n\":1}\n{\"message\":\"\"}");
  const char *wanted =
      "{\"length\":3,\"mixed\":\"1969-12-31T23:59:59.999999999Z\"}\n{\"n\":1}\n{\"length\":0,\"mixed\":\"\"}\n";
  if (outcome.failed || strcmp(outcome.records, wanted) != 0)
    failed++, printf("%s%s", outcome.failed ? outcome.failed : "", outcome.records);
  if (strcmp(outcome.rejected, "{\"row\":1,\"reason\":\"row 1 is bad\"}\n") != 0)
    failed++, printf("%s", outcome.rejected);
  outcome = flitch_try("{}", "{\"message\":\"abc\"}\n{\"message\":\"fail\"}");
  if (!outcome.failed || strcmp(outcome.failed, "a message says fail") != 0)
    failed++, printf("%s\n", outcome.failed ? outcome.failed : "it went on");
  failed += finds("last", "\"x\" \"own\" 2 - ");
  failed += finds("p.q\\.r", "2.0 1 - - ");
  failed += finds("@rest", "{\"last\":\"x\",\"p\":{\"q.r\":2.0}} - {\"last\":1.5,\"last\":2} - ");
  failed += finds("missing", "");
  printf("columns: %d failed\n", failed);
  return failed != 0;
}
