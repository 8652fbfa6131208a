/* The cases of wit/cases/batches: what a filter that follows the contract answers. */
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"

static flitch_value value_of(flitch_str kind, flitch_str json) {
  flitch_value value = flitch_json_value(json), absent = {FLITCH_ABSENT, {{NULL, 0}}};
  if (flitch_is(json, "null")) return absent;
  if (flitch_is(kind, "json")) return flitch_json_text(value.is.text);
  if (flitch_is(kind, "timestamp")) return flitch_time(value.is.integer);
  if (flitch_is(kind, "float64") && value.kind == FLITCH_INT) return flitch_float((double)value.is.integer);
  if (flitch_is(kind, "bytes")) {
    buffer bytes = {0};
    for (size_t i = 0; i + 1 < value.is.text.len; i += 2) {
      char hex[3] = {value.is.text.ptr[i], value.is.text.ptr[i + 1], 0};
      buffer_byte(&bytes, (char)strtol(hex, NULL, 16));
    }
    return flitch_bytes(buffer_text(&bytes));
  }
  return value;
}

static flitch_batch read_batch(flitch_str json) {
  flitch_str rows = {"0", 1}, columns = {"{}", 2}, name, column, kind, values, item;
  flitch_json_member(json, "rows", &rows);
  flitch_json_member(json, "columns", &columns);
  set all = {0};
  for (flitch_json it = flitch_json_open(columns); flitch_json_next(&it, &name, &column);) {
    flitch_json inner = flitch_json_open(column);
    flitch_builder *builder = set_add(&all, name);
    if (!builder || !flitch_json_next(&inner, &kind, &values)) abort();
    uint32_t row = 0;
    for (flitch_json list = flitch_json_open(values); flitch_json_next(&list, NULL, &item); row++) {
      flitch_value value = value_of(kind, item);
      if (value.kind != FLITCH_ABSENT) builder_set(builder, row, value);
    }
  }
  return batch_of(&all, (uint32_t)flitch_json_value(rows).is.integer);
}

static flitch_str canonical(flitch_str json) {
  buffer out = {0};
  write_canonical(&out, json);
  return buffer_text(&out);
}

static bool same(const char *name, const char *what, flitch_str found, flitch_str wanted) {
  if (flitch_same(found, wanted)) return true;
  printf("%s: %s is\n  %.*s\nand should be\n  %.*s\n", name, what, (int)found.len, found.ptr, (int)wanted.len,
         wanted.ptr);
  return false;
}

static flitch_str names_asked_for(const flitch_setup *setup) {
  if (!setup->only) return flitch_s("null");
  buffer out = {0};
  buffer_byte(&out, '[');
  for (uint32_t i = 0; i < setup->wanted_len; i++) {
    if (i) buffer_byte(&out, ',');
    write_string(&out, setup->wanted[i]);
  }
  buffer_byte(&out, ']');
  return buffer_text(&out);
}

static flitch_str rejections(const answer *answer) {
  buffer out = {0};
  buffer_byte(&out, '[');
  for (size_t i = 0; i < answer->rejected_len; i++) {
    flitch_str row = flitch_format("%s{\"row\":%u,\"reason\":", i ? "," : "", (unsigned)answer->rejected[i].row);
    buffer_add(&out, row.ptr, row.len);
    write_string(&out, answer->rejected[i].reason);
    buffer_byte(&out, '}');
  }
  buffer_byte(&out, ']');
  return buffer_text(&out);
}

static flitch_str logged(void) {
  flitch_str rest = log_lines();
  buffer out = {0};
  buffer_byte(&out, '[');
  while (rest.len) {
    size_t len = flitch_find(rest, '\x1e'), space = flitch_find(rest, ' ');
    if (out.len > 1) buffer_byte(&out, ',');
    buffer_byte(&out, '[');
    write_string(&out, flitch_strn(rest.ptr, space));
    buffer_byte(&out, ',');
    write_string(&out, flitch_strn(rest.ptr + space + 1, len - space - 1));
    buffer_byte(&out, ']');
    rest = flitch_strn(rest.ptr + len + 1, rest.len - len - 1);
  }
  buffer_byte(&out, ']');
  return buffer_text(&out);
}

/* A record of a case, its fields sorted. */
static flitch_str wanted_record(flitch_str json) {
  fields record = {NULL, 0, 0};
  flitch_str path, with_kind, kind, value;
  for (flitch_json it = flitch_json_open(json); flitch_json_next(&it, &path, &with_kind);) {
    flitch_json inner = flitch_json_open(with_kind);
    if (flitch_json_next(&inner, &kind, &value)) put_field(&record, path, value_of(kind, value));
  }
  sort_fields(&record);
  return show_fields(&record, true);
}

static bool run_batch(const char *folder, const char *name) {
  size_t len;
  const char *text = read_file(folder, name, &len);
  flitch_str json = flitch_strn(text, text ? len : 0), settings = {"{}", 2}, wanted, part, error;
  if (!text || !flitch_json_is_valid(json)) return printf("%s is no JSON\n", name), false;
  drop_tables();
  if (flitch_json_member(json, "tables", &part)) {
    flitch_str table, rows, row;
    for (flitch_json it = flitch_json_open(part); flitch_json_next(&it, &table, &rows);) {
      buffer lines = {0};
      for (flitch_json list = flitch_json_open(rows); flitch_json_next(&list, NULL, &row); buffer_byte(&lines, '\n'))
        buffer_add(&lines, row.ptr, row.len);
      flitch_give_table(flitch_c_str(table), flitch_c_str(buffer_text(&lines)));
    }
  }
  flitch_json_member(json, "settings", &settings);
  flitch_setup setup;
  memset(&setup, 0, sizeof setup);
  setup.settings = settings;
  bool taken = guest_configure(&flitch_plugin, &setup, &error);
  if (flitch_json_member(json, "refused", &part))
    return taken ? (printf("%s: the settings were taken\n", name), false)
                 : same(name, "refused", error, flitch_json_value(part).is.text);
  if (!taken) return printf("%s: %.*s\n", name, (int)error.len, error.ptr), false;
  if (flitch_json_member(json, "fields", &part) && !same(name, "fields", names_asked_for(&setup), canonical(part)))
    return false;
  if (!flitch_json_member(json, "batch", &part)) return printf("%s: no batch\n", name), false;
  flitch_batch batch = read_batch(part), seen = select_columns(&batch, &setup);
  answer answer;
  fields *records;
  uint32_t count;
  if (!guest_apply(&flitch_plugin, &seen, &answer, &error) || !apply_answer(&batch, &answer, &records, &count, &error))
    return printf("%s: %.*s\n", name, (int)error.len, error.ptr), false;
  wanted = flitch_json_member(json, "log", &part) ? canonical(part) : flitch_s("[]");
  bool good = same(name, "log", logged(), wanted);
  wanted = flitch_json_member(json, "counters", &part) ? canonical(part) : flitch_s("{}");
  good &= same(name, "counters", counter_lines(), wanted);
  wanted = flitch_json_member(json, "rejected", &part) ? canonical(part) : flitch_s("[]");
  good &= same(name, "rejected", rejections(&answer), wanted);
  if (!flitch_json_member(json, "out", &part)) return printf("%s: no out\n", name), false;
  uint32_t at = 0;
  for (flitch_json it = flitch_json_open(part); flitch_json_next(&it, NULL, &wanted); at++)
    good &= same(name, "a record", at < count ? show_fields(&records[at], true) : flitch_s("nothing"),
                 wanted_record(wanted));
  return good && same(name, "how many go on", flitch_format("%u", (unsigned)count), flitch_format("%u", (unsigned)at));
}

int flitch_run_batches(const char *folder) {
  begin_test();
  int failed = 0;
  size_t count = list_folder(folder, false).len;
  for (size_t i = 0; i < count; i++) {
    begin_test();
    flitch_texts names = list_folder(folder, false);
    failed += !run_batch(folder, names.items[i].ptr);
  }
  begin_test();
  drop_tables();
  printf("%s: %d of %zu cases failed\n", folder, failed, count);
  return count ? failed : 1;
}
