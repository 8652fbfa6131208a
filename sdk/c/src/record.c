/* One record at a time, over columns. */
#include "internal.h"

struct flitch_record {
  const flitch_batch *batch;
  /* Row of the batch handed in; row among those that go on, and where this record's rows began. */
  uint32_t row, out, start;
  set set;
  /* For each path, the rows from which it is removed. */
  flitch_builder **removed;
  uint32_t removed_len, removed_room;
  uint32_t *take;
  uint32_t take_room;
  rejection *rejected;
  uint32_t rejected_len, rejected_room;
  bool dropped, refused, reordered;
  flitch_str refusal;
  /* Whether something was set or removed in this row. */
  bool touched;
  bool splitting;
  uint32_t parts;
  /* What was changed before the split. */
  flitch_builder **base_set;
  flitch_value *base_values;
  flitch_str *base_removed;
  uint32_t base_len, base_removed_len;
  /* Where the next column is likely to be. */
  size_t next;
};

static bool is_removed_here(const flitch_record *r, const flitch_builder *removed) {
  return removed->rows == r->out + 1 && builder_get(removed, r->out).kind != FLITCH_ABSENT;
}

/* What was set in this row. */
static flitch_value set_here(const flitch_record *r, const flitch_builder *b) {
  flitch_value absent = {FLITCH_ABSENT, {{NULL, 0}}};
  if (b->table || b->rows != r->out + 1) return absent;
  flitch_value value = builder_get(b, r->out);
  return value.kind == FLITCH_JSON ? flitch_json_value(value.is.text) : value;
}

/* Whether what the record had under this path is gone. */
static bool is_replaced(const flitch_record *r, flitch_str path) {
  for (uint32_t i = 0; i < r->removed_len; i++) {
    flitch_str removed = r->removed[i]->name;
    if ((flitch_same(path, removed) || flitch_path_is_below(path, removed)) && is_removed_here(r, r->removed[i]))
      return true;
  }
  for (uint32_t i = 0; i < r->set.len; i++)
    if (flitch_path_overlap(r->set.builders[i]->name, path) && set_here(r, r->set.builders[i]).kind != FLITCH_ABSENT)
      return true;
  return false;
}

static const flitch_column *find_column(flitch_record *r, flitch_str path) {
  const flitch_batch *batch = r->batch;
  size_t at = r->next;
  if (at >= batch->len || !flitch_same(batch->columns[at].name, path)) {
    for (at = 0; at < batch->len; at++)
      if (flitch_same(batch->columns[at].name, path)) break;
    if (at == batch->len) return NULL;
  }
  r->next = at + 1;
  return &batch->columns[at];
}

/* The value at a path inside of an object of the record that has no columns for its members. */
static flitch_value inside(const flitch_record *r, flitch_str path) {
  flitch_value value = {FLITCH_ABSENT, {{NULL, 0}}};
  for (size_t at = 0; value.kind == FLITCH_ABSENT && at < r->batch->len; at++) {
    const flitch_column *column = &r->batch->columns[at];
    bool is_gone = false;
    for (uint32_t i = 0; flitch_is(column->name, "@rest") && i < r->removed_len; i++)
      is_gone |= flitch_same(r->removed[i]->name, column->name) && is_removed_here(r, r->removed[i]);
    if (!is_gone) value = value_within(column, r->row, path);
  }
  return value;
}

/* What the record has in the column of this path itself. */
static flitch_value own_value(flitch_record *r, flitch_str path, bool *is_replaced_here) {
  flitch_value absent = {FLITCH_ABSENT, {{NULL, 0}}};
  if (r->touched) {
    for (uint32_t i = 0; i < r->set.len; i++) {
      if (!flitch_same(r->set.builders[i]->name, path)) continue;
      flitch_value value = set_here(r, r->set.builders[i]);
      if (value.kind != FLITCH_ABSENT) return value;
    }
    if (is_replaced(r, path)) return *is_replaced_here = true, absent;
  }
  const flitch_column *column = find_column(r, path);
  if (!column) return absent;
  flitch_value value = flitch_at(column, r->row);
  return value.kind == FLITCH_JSON ? flitch_json_value(value.is.text) : value;
}

flitch_value flitch_get_at(flitch_record *r, flitch_str path) {
  bool is_replaced_here = false;
  flitch_value value = own_value(r, path, &is_replaced_here);
  return value.kind == FLITCH_ABSENT && sees_all && !is_replaced_here ? inside(r, path) : value;
}

#define GETTER(name, wanted, type, member) \
  bool name(flitch_record *record, const char *path, type *into) { \
    flitch_value value = flitch_get(record, path); \
    if (value.kind != wanted) return false; \
    *into = value.is.member; \
    return true; \
  }
GETTER(flitch_get_text, FLITCH_TEXT, flitch_str, text)
GETTER(flitch_get_bytes, FLITCH_BYTES, flitch_str, text)
GETTER(flitch_get_int, FLITCH_INT, int64_t, integer)
GETTER(flitch_get_bool, FLITCH_BOOL, bool, boolean)
GETTER(flitch_get_time, FLITCH_TIME, int64_t, integer)

bool flitch_get_float(flitch_record *record, const char *path, double *number) {
  flitch_value value = flitch_get(record, path);
  if (value.kind != FLITCH_FLOAT && value.kind != FLITCH_INT) return false;
  *number = value.kind == FLITCH_FLOAT ? value.is.number : (double)value.is.integer;
  return true;
}

bool flitch_get_json(flitch_record *record, const char *path, flitch_str *json) {
  flitch_value value = flitch_get(record, path);
  if (value.kind == FLITCH_ABSENT) return false;
  *json = flitch_to_json(value);
  return true;
}

bool flitch_need_text_at(flitch_record *record, flitch_str path, flitch_str *text) {
  flitch_value value = flitch_get_at(record, path);
  if (value.kind == FLITCH_TEXT) {
    *text = value.is.text;
    return true;
  }
  flitch_reject(record, "the field `%.*s` is %s", (int)path.len, path.ptr,
                value.kind == FLITCH_ABSENT ? "missing" : "not text");
  return false;
}

bool flitch_next_field(flitch_record *r, size_t *at, flitch_str *path, flitch_value *value) {
  size_t columns = r->batch->len;
  for (; *at < columns; ++*at) {
    *path = r->batch->columns[*at].name;
    bool is_replaced_here;
    *value = own_value(r, *path, &is_replaced_here);
    if (value->kind != FLITCH_ABSENT) return ++*at, true;
  }
  for (; *at - columns < r->set.len; ++*at) {
    flitch_builder *b = r->set.builders[*at - columns];
    *path = b->name;
    *value = set_here(r, b);
    if (value->kind != FLITCH_ABSENT && !find_column(r, *path)) return ++*at, true;
  }
  return false;
}

static bool is_path(flitch_record *r, flitch_str path) {
  if (flitch_is_utf8(path)) return true;
  flitch_reject(r, "the name of a field is not UTF-8: %.*s", (int)path.len, path.ptr);
  return false;
}

/* Whether a path does not lie below a name of the host. Where it does, the record is rejected. */
static bool is_above_nothing(flitch_record *r, flitch_str path) {
  static const char *const outer[] = {"@timestamp", "@tag", "@rest"};
  for (size_t i = 0; i < 3; i++) {
    if (!flitch_path_is_below(path, flitch_s(outer[i]))) continue;
    flitch_reject(r, "`%.*s` lies below a name of the host's", (int)path.len, path.ptr);
    return false;
  }
  return true;
}

/* Whether a value may have a name that begins with `@`. Where it may not, the record is rejected, and no other: the host would
 * take the whole answer for none. */
static bool has_right(flitch_record *r, flitch_str path, flitch_value value) {
  if (flitch_is(path, "@timestamp") && value.kind != FLITCH_TIME) flitch_reject(r, "`@timestamp` must be a time");
  else if (flitch_is(path, "@tag") && (value.kind != FLITCH_TEXT || !flitch_is_utf8(value.is.text)))
    flitch_reject(r, "`@tag` must be text");
  else if (flitch_is(path, "@rest") && (value.kind != FLITCH_JSON || value.is.text.ptr[0] != '{'))
    flitch_reject(r, "`@rest` must be a JSON object");
  else
    return is_above_nothing(r, path);
  return false;
}

static bool is_hosts(flitch_str path) { return path.len && path.ptr[0] == '@'; }

static void put(flitch_record *r, flitch_str path, flitch_value value) {
  if (is_hosts(path) && !has_right(r, path, value)) return;
  flitch_builder *builder = set_find(&r->set, path);
  if (!builder && (!is_path(r, path) || !(builder = set_add(&r->set, path)))) return;
  set_value(&r->set, builder, r->out, value);
  r->touched = true;
}

/* Whether a JSON text has no line break, and no white space around it. */
static bool is_one_line(flitch_str json) {
  const char *last = json.ptr + json.len - 1;
  return flitch_find(json, '\n') == json.len && flitch_find(json, '\r') == json.len &&
         skip_space(json.ptr, json.ptr + 1) == json.ptr && skip_space(last, last + 1) == last;
}

void flitch_set(flitch_record *r, flitch_str path, flitch_value value) {
  if (value.kind == FLITCH_ABSENT) return;
  if (value.kind == FLITCH_JSON) {
    if (!flitch_json_is_valid(value.is.text)) {
      flitch_reject(r, "what the filter sets as `%.*s` is no JSON", (int)path.len, path.ptr);
      return;
    }
    buffer text = {0};
    if (!is_one_line(value.is.text)) {
      write_canonical(&text, value.is.text);
      value.is.text = buffer_text(&text);
    }
  }
  put(r, path, value);
}

static void set_json(flitch_record *r, flitch_str path, flitch_str json) {
  flitch_value value = flitch_json_value(json);
  if (value.kind != FLITCH_JSON) {
    put(r, path, value);
    return;
  }
  flitch_json it = flitch_json_open(json);
  flitch_str name, member;
  bool has_members = false;
  /* What is set as `@rest` is one object; the other names of the host are never one. */
  bool is_one = flitch_is(path, "@rest") || flitch_is(path, "@timestamp") || flitch_is(path, "@tag");
  while (!is_one && it.kind == '{' && flitch_json_next(&it, &name, &member)) {
    if (!has_members) flitch_remove_at(r, path);
    has_members = true;
    set_json(r, flitch_path_push(path, name), member);
  }
  if (has_members) return;
  buffer text = {0};
  write_canonical(&text, json);
  put(r, path, flitch_json_text(buffer_text(&text)));
}

void flitch_set_json_at(flitch_record *r, flitch_str path, flitch_str json) {
  if (flitch_json_is_valid(json)) set_json(r, path, json);
  else flitch_reject(r, "what the filter sets as `%.*s` is no JSON", (int)path.len, path.ptr);
}

void flitch_remove_at(flitch_record *r, flitch_str path) {
  if (flitch_is(path, "@timestamp") || flitch_is(path, "@tag")) {
    flitch_reject(r, "`%.*s` cannot be removed", (int)path.len, path.ptr);
    return;
  }
  if (is_hosts(path) && !is_above_nothing(r, path)) return;
  for (uint32_t i = 0; i < r->set.len; i++) {
    flitch_builder *b = r->set.builders[i];
    if (flitch_same(b->name, path) || flitch_path_is_below(b->name, path)) builder_truncate(b, r->out);
  }
  uint32_t at = 0;
  while (at < r->removed_len && !flitch_same(r->removed[at]->name, path)) at++;
  if (at == r->removed_len) {
    if (!is_path(r, path)) return;
    char *name = (char *)flitch_alloc(path.len);
    if (!name || !grow_items((void **)&r->removed, at, &r->removed_room, sizeof *r->removed)) return;
    if (path.len) memcpy(name, path.ptr, path.len);
    if (!(r->removed[at] = builder_new(flitch_strn(name, path.len), r->batch->rows))) return;
    r->removed_len++;
  }
  builder_set(r->removed[at], r->out, flitch_bool(true));
  r->touched = true;
}

void flitch_drop(flitch_record *r) { r->dropped = true; }

void flitch_reject(flitch_record *r, const char *format, ...) {
  if (r->refused) return;
  va_list values;
  va_start(values, format);
  r->refusal = flitch_vformat(format, values);
  va_end(values);
  r->refused = true;
}

/* Sets a field by a look of its own. Not every value has a right to a name of the host, and a record whose value has none is
 * rejected by itself. */
static void enrich_now(flitch_record *r, const char *table, flitch_str key, const char *field, flitch_str path) {
  flitch_builder *keys = flitch_keys();
  flitch_push(keys, flitch_text(key));
  flitch_column column = flitch_built(keys);
  flitch_str error = {NULL, 0}, wanted = flitch_s(field);
  flitch_texts want = {&wanted, 1};
  const flitch_column *found = NULL;
  size_t count = 0;
  if (!flitch_lookup(table, &column, want, &found, &count, &error)) {
    if (!flitch_is_out_of_memory()) flitch_reject(r, "%.*s", (int)error.len, error.ptr);
    return;
  }
  for (size_t i = 0; i < count; i++) {
    flitch_value value = flitch_at(&found[i], 0);
    flitch_set(r, path, value.kind == FLITCH_JSON ? flitch_json_value(value.is.text) : value);
  }
}

void flitch_enrich(flitch_record *r, const char *table, flitch_str key, const char *field, const char *path) {
  flitch_str error = {NULL, 0};
  /* No table has a key that is not text; what was found for the others must not suffer from it. */
  if (!flitch_is_utf8(key) || !is_path(r, flitch_s(path))) return;
  if (is_hosts(flitch_s(path))) {
    enrich_now(r, table, key, field, flitch_s(path));
    return;
  }
  flitch_builder *keys = set_keys(&r->set, table, field, flitch_s(path), &error);
  if (keys) builder_set(keys, r->out, flitch_text(key));
  else if (!flitch_is_out_of_memory()) flitch_reject(r, "%.*s", (int)error.len, error.ptr);
}

static void forget_from(flitch_record *r, uint32_t out) {
  r->out = out;
  set_truncate(&r->set, out);
  for (uint32_t i = 0; i < r->removed_len; i++) builder_truncate(r->removed[i], out);
}

static void close_copy(flitch_record *r) {
  if (r->dropped) {
    r->dropped = false;
    r->reordered = true;
    forget_from(r, r->out);
  } else if (grow_items((void **)&r->take, r->out, &r->take_room, sizeof *r->take)) {
    r->take[r->out++] = r->row;
  }
}

static flitch_value copied(flitch_value value) {
  bool is_blob = value.kind == FLITCH_TEXT || value.kind == FLITCH_BYTES || value.kind == FLITCH_JSON;
  char *copy = is_blob ? (char *)flitch_alloc(value.is.text.len) : NULL;
  if (copy && value.is.text.len) memcpy(copy, value.is.text.ptr, value.is.text.len);
  if (is_blob) value.is.text = flitch_strn(copy, copy ? value.is.text.len : 0);
  return value;
}

void flitch_split(flitch_record *r) {
  if (r->splitting) return;
  r->splitting = true;
  r->parts = r->base_len = r->base_removed_len = 0;
  r->base_set = (flitch_builder **)flitch_alloc(r->set.len * sizeof *r->base_set);
  r->base_values = (flitch_value *)flitch_alloc(r->set.len * sizeof *r->base_values);
  r->base_removed = (flitch_str *)flitch_alloc(r->removed_len * sizeof *r->base_removed);
  if (!r->base_set || !r->base_values || !r->base_removed) return;
  for (uint32_t i = 0; i < r->set.len; i++) {
    flitch_value value = builder_get(r->set.builders[i], r->out);
    if (value.kind == FLITCH_ABSENT) continue;
    r->base_set[r->base_len] = r->set.builders[i];
    r->base_values[r->base_len++] = copied(value);
  }
  for (uint32_t i = 0; i < r->removed_len; i++)
    if (is_removed_here(r, r->removed[i])) r->base_removed[r->base_removed_len++] = r->removed[i]->name;
}

void flitch_part(flitch_record *r) {
  flitch_split(r);
  if (r->refused || flitch_is_out_of_memory()) return;
  if (r->parts++ == 0) return;
  close_copy(r);
  for (uint32_t i = 0; i < r->base_removed_len; i++) flitch_remove_at(r, r->base_removed[i]);
  for (uint32_t i = 0; i < r->base_len; i++) builder_set(r->base_set[i], r->out, r->base_values[i]);
  r->touched = true;
  r->reordered = true;
}

static void run(flitch_record *r, const flitch_filter *filter, uint32_t row) {
  r->row = row;
  r->start = r->out;
  r->set.next = 0;
  r->next = 0;
  r->touched = r->splitting = false;
  filter->record(r);
  if (r->refused) {
    r->refused = r->dropped = false;
    forget_from(r, r->start);
    if (!grow_items((void **)&r->rejected, r->rejected_len, &r->rejected_room, sizeof *r->rejected)) return;
    r->rejected[r->rejected_len].row = row;
    r->rejected[r->rejected_len++].reason = r->refusal;
    return;
  }
  if (r->splitting && !r->parts) r->dropped = true;
  close_copy(r);
}

bool apply_records(const flitch_filter *filter, const flitch_batch *batch, answer *answer, flitch_str *error) {
  flitch_record record;
  memset(&record, 0, sizeof record);
  record.batch = batch;
  record.set.rows = batch->rows;
  record.take = (uint32_t *)flitch_alloc(batch->rows * sizeof *record.take);
  record.take_room = record.take ? batch->rows : 0;
  for (uint32_t row = 0; row < batch->rows && !flitch_is_out_of_memory(); row++) run(&record, filter, row);
  removal *remove = (removal *)flitch_zeroed(record.removed_len * sizeof *remove);
  if (!remove) return true;
  for (uint32_t i = 0; i < record.removed_len; i++) {
    flitch_column rows;
    if (!builder_finish(record.removed[i], record.out, &rows)) continue;
    removal *one = &remove[answer->remove_len++];
    one->name = rows.name;
    one->has_rows = rows.has_present;
    one->rows = rows.present;
    one->len = rows.present_len;
  }
  answer->remove = remove;
  answer->has_take = record.reordered;
  answer->take = record.take;
  answer->take_len = record.out;
  answer->rejected = record.rejected;
  answer->rejected_len = record.rejected_len;
  return set_finish(&record.set, record.out, &answer->set, &answer->set_len, error);
}
