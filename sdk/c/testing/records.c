/* Records as lists of fields, and as columns. */
#include <stdlib.h>

#include "internal.h"

static void add_column(set *columns, uint32_t row, flitch_str path, flitch_value value) {
  flitch_builder *column = set_find(columns, path);
  if (!column) column = set_add(columns, path);
  if (!column) abort();
  set_value(columns, column, row, value);
}

flitch_batch batch_of(set *columns, uint32_t rows) {
  flitch_batch batch = {rows, NULL, 0};
  flitch_str error;
  set_finish(columns, rows, &batch.columns, &batch.len, &error);
  return batch;
}

void put_json(fields *record, flitch_str path, flitch_str json) {
  flitch_value value = flitch_json_value(json);
  flitch_str name, member;
  bool has_members = false;
  if (value.kind == FLITCH_JSON)
    for (flitch_json it = flitch_json_open(json); it.kind == '{' && flitch_json_next(&it, &name, &member);
         has_members = true)
      put_json(record, flitch_path_push(path, name), member);
  if (has_members) return;
  if (value.kind == FLITCH_JSON) {
    buffer text = {0};
    write_canonical(&text, json);
    value.is.text = buffer_text(&text);
  }
  put_field(record, path, value);
}

bool read_records(flitch_str ndjson, flitch_batch *batch, flitch_str *error) {
  set columns = {0};
  flitch_str line;
  uint32_t rows = 0;
  for (; next_line(&ndjson, &line); rows++) {
    flitch_str none = {NULL, 0};
    fields record = {NULL, 0, 0};
    int64_t time = 0;
    bool has_tag = false;
    if (!flitch_json_is_valid(line) || flitch_json_open(line).kind != '{') {
      *error = flitch_format("%.*s is no JSON object", (int)line.len, line.ptr);
      return false;
    }
    columns.next = 0;
    flitch_str name, member;
    for (flitch_json it = flitch_json_open(line); flitch_json_next(&it, &name, &member);)
      put_json(&record, flitch_path_push(none, name), member);
    for (uint32_t i = 0; i < record.len; i++) {
      field *one = &record.items[i];
      if (flitch_is(one->path, "@timestamp")) {
        if (one->value.kind == FLITCH_TEXT && flitch_parse_time(one->value.is.text, &time)) continue;
        *error = flitch_format("@timestamp should be an RFC 3339 text: %.*s", (int)line.len, line.ptr);
        return false;
      }
      has_tag |= flitch_is(one->path, "@tag");
      add_column(&columns, rows, one->path, one->value);
    }
    add_column(&columns, rows, flitch_s("@timestamp"), flitch_time(time));
    if (!has_tag) add_column(&columns, rows, flitch_s("@tag"), flitch_text(flitch_s("test")));
  }
  *batch = batch_of(&columns, rows);
  return true;
}

flitch_batch select_columns(const flitch_batch *batch, const flitch_setup *setup) {
  flitch_batch seen = {batch->rows, batch->columns, batch->len};
  if (!setup->only) return seen;
  flitch_column *columns = (flitch_column *)flitch_alloc(batch->len * sizeof *columns);
  if (!columns) abort();
  seen.columns = columns;
  seen.len = 0;
  for (size_t i = 0; i < batch->len; i++) {
    bool wanted = false;
    for (uint32_t k = 0; k < setup->wanted_len; k++) {
      flitch_str name = batch->columns[i].name;
      wanted |= flitch_same(name, setup->wanted[k]) || flitch_path_is_below(name, setup->wanted[k]);
    }
    if (wanted) columns[seen.len++] = batch->columns[i];
  }
  return seen;
}

static void remove_where(fields *record, flitch_str path, bool above) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < record->len; i++) {
    flitch_str own = record->items[i].path;
    bool gone = flitch_same(own, path) || flitch_path_is_below(own, path) || (above && flitch_path_is_below(path, own));
    if (!gone) record->items[kept++] = record->items[i];
  }
  record->len = kept;
}

void put_field(fields *record, flitch_str path, flitch_value value) {
  remove_where(record, path, true);
  if (!grow_items((void **)&record->items, record->len, &record->room, sizeof *record->items)) abort();
  record->items[record->len].path = path;
  record->items[record->len++].value = value;
}

/* As the host checks a column of an answer. */
static bool check(const flitch_column *column, uint32_t rows, flitch_str *error) {
  size_t found = 0, bitmap = ((size_t)rows + 7) / 8;
  const char *wrong = NULL;
  switch (column->kind) {
  case FLITCH_TEXT:
  case FLITCH_BYTES:
  case FLITCH_JSON:
    found = column->values.blobs.ends_len;
    for (size_t i = 1; i < found; i++)
      if (column->values.blobs.ends[i] < column->values.blobs.ends[i - 1]) wrong = "its ends shrink";
    if ((found ? column->values.blobs.ends[found - 1] : 0) != column->values.blobs.data_len)
      wrong = "its last end is not that of its data";
    break;
  case FLITCH_BOOL: found = column->values.bits.len == bitmap ? rows : 0; break;
  default: found = column->values.ints.len;
  }
  if (found != rows) wrong = "it has not a place for each row";
  if (column->has_present && column->present_len != bitmap) wrong = "its bitmap has another length";
  for (uint32_t row = 0; !wrong && row < rows; row++) {
    flitch_value value = flitch_at(column, row);
    if (value.kind == FLITCH_TEXT && !flitch_is_utf8(value.is.text)) wrong = "a text is not UTF-8";
    if (value.kind == FLITCH_JSON && !flitch_json_is_valid(value.is.text)) wrong = "a text is no JSON";
  }
  if (wrong) *error = flitch_format("the column %.*s: %s", (int)column->name.len, column->name.ptr, wrong);
  return !wrong;
}

static flitch_value own_kind(flitch_value value) {
  return value.kind == FLITCH_JSON ? flitch_json_value(value.is.text) : value;
}

static void make_record(const flitch_batch *batch, const answer *answer, uint32_t from, uint32_t to, fields *record) {
  for (size_t i = 0; i < batch->len; i++) {
    flitch_value value = own_kind(flitch_at(&batch->columns[i], from));
    if (value.kind != FLITCH_ABSENT) put_field(record, batch->columns[i].name, value);
  }
  for (size_t i = 0; i < answer->remove_len; i++) {
    const removal *one = &answer->remove[i];
    if (!one->has_rows || flitch_bit(one->rows, one->len, to)) remove_where(record, one->name, false);
  }
  for (size_t i = 0; i < answer->set_len; i++) {
    flitch_value value = own_kind(flitch_at(&answer->set[i], to));
    if (value.kind != FLITCH_ABSENT) put_field(record, answer->set[i].name, value);
  }
  sort_fields(record);
}

bool apply_answer(const flitch_batch *batch, const answer *answer, fields **records, uint32_t *len, flitch_str *error) {
  uint32_t *take = (uint32_t *)flitch_alloc(((size_t)batch->rows + answer->take_len) * sizeof *take);
  bool *gone = (bool *)flitch_zeroed((size_t)batch->rows + 1);
  if (!take || !gone) abort();
  *len = 0;
  for (size_t i = 0; i < answer->rejected_len; i++) {
    uint32_t row = answer->rejected[i].row;
    if (row >= batch->rows || gone[row] || !flitch_is_utf8(answer->rejected[i].reason))
      return *error = flitch_s("a rejected row that there is not, or twice"), false;
    gone[row] = true;
  }
  for (size_t i = 0; answer->has_take && i < answer->take_len; i++) {
    uint32_t row = take[(*len)++] = answer->take[i];
    if (row >= batch->rows || gone[row])
      return *error = flitch_s("a row is taken that there is not, or that is rejected"), false;
  }
  for (uint32_t row = 0; !answer->has_take && row < batch->rows; row++)
    if (!gone[row]) take[(*len)++] = row;
  for (size_t i = 0; i < answer->set_len; i++) {
    if (!check(&answer->set[i], *len, error)) return false;
    for (size_t k = 0; k < i; k++)
      if (flitch_same(answer->set[i].name, answer->set[k].name))
        return *error = flitch_s("a column is set twice"), false;
  }
  if (!(*records = (fields *)flitch_zeroed(*len * sizeof **records))) abort();
  for (uint32_t to = 0; to < *len; to++) make_record(batch, answer, take[to], to, &(*records)[to]);
  return true;
}

static int by_path(const void *a, const void *b) {
  flitch_str one = ((const field *)a)->path, other = ((const field *)b)->path;
  size_t len = one.len < other.len ? one.len : other.len;
  int order = len ? memcmp(one.ptr, other.ptr, len) : 0;
  return order ? order : (one.len > other.len) - (one.len < other.len);
}

void sort_fields(fields *record) {
  if (record->len) qsort(record->items, record->len, sizeof *record->items, by_path);
}

void forget_defaults(fields *record) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < record->len; i++) {
    field *one = &record->items[i];
    bool is_default = (flitch_is(one->path, "@timestamp") && one->value.is.integer == 0) ||
                      (flitch_is(one->path, "@tag") && flitch_is(one->value.is.text, "test"));
    if (!is_default) record->items[kept++] = *one;
  }
  record->len = kept;
}

flitch_str show_fields(const fields *record, bool kinds) {
  static const char *const names[] = {"text", "bytes", "int64", "float64", "boolean", "timestamp", "json"};
  buffer out = {0};
  buffer_byte(&out, '{');
  for (uint32_t i = 0; i < record->len; i++) {
    flitch_value value = record->items[i].value;
    flitch_str json = flitch_to_json(value);
    if (i) buffer_byte(&out, ',');
    write_string(&out, record->items[i].path);
    buffer_byte(&out, ':');
    if (!kinds) {
      buffer_add(&out, json.ptr, json.len);
      continue;
    }
    flitch_str kind = flitch_format("{\"%s\":", names[value.kind]);
    buffer_add(&out, kind.ptr, kind.len);
    if (value.kind == FLITCH_TIME) {
      write_int(&out, value.is.integer);
    } else if (value.kind == FLITCH_BYTES) {
      buffer_byte(&out, '"');
      for (size_t k = 0; k < value.is.text.len; k++) {
        buffer_byte(&out, "0123456789abcdef"[(unsigned char)value.is.text.ptr[k] >> 4]);
        buffer_byte(&out, "0123456789abcdef"[value.is.text.ptr[k] & 15]);
      }
      buffer_byte(&out, '"');
    } else if (value.kind == FLITCH_JSON) {
      write_string(&out, json);
    } else {
      buffer_add(&out, json.ptr, json.len);
    }
    buffer_byte(&out, '}');
  }
  buffer_byte(&out, '}');
  return buffer_text(&out);
}
