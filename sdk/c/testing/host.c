/* The stand-in for the host: it keeps what a filter logs and counts, and holds the tables that it looks into. */
#include <stdlib.h>

#include "internal.h"

enum { MOST = 64 };

static struct {
  char *name;
  char *rows;
} tables[MOST];
static uint32_t tables_len;

static struct {
  char name[64];
  uint64_t count;
} counters[MOST];
static uint32_t counters_len;

static char *lines;
static size_t lines_len;

static char *kept_copy(const char *text, size_t len) {
  char *copy = (char *)malloc(len + 1);
  if (!copy) abort();
  memcpy(copy, text, len);
  copy[len] = 0;
  return copy;
}

void begin_test(void) {
  free(lines);
  lines = NULL;
  lines_len = 0;
  counters_len = 0;
  flitch_free_all();
}

void drop_tables(void) {
  for (uint32_t i = 0; i < tables_len; i++) {
    free(tables[i].name);
    free(tables[i].rows);
  }
  tables_len = 0;
  forget_tables();
}

void flitch_give_table(const char *name, const char *ndjson) {
  uint32_t at = 0;
  while (at < tables_len && strcmp(tables[at].name, name) != 0) at++;
  if (at == MOST) abort();
  if (at == tables_len) {
    tables[tables_len++].name = kept_copy(name, strlen(name));
  } else {
    free(tables[at].rows);
  }
  tables[at].rows = kept_copy(ndjson, strlen(ndjson));
}

void host_log(int level, flitch_str line) {
  static const char *const levels[] = {"debug", "info", "warn", "error"};
  const char *name = levels[level & 3];
  size_t name_len = strlen(name), more = name_len + line.len + 2;
  lines = (char *)realloc(lines, lines_len + more + 1);
  if (!lines) abort();
  memcpy(lines + lines_len, name, name_len);
  lines[lines_len + name_len] = ' ';
  if (line.len) memcpy(lines + lines_len + name_len + 1, line.ptr, line.len);
  lines_len += more;
  /* A line of the log may have breaks of its own. */
  lines[lines_len - 1] = '\x1e';
  lines[lines_len] = 0;
}

void host_count(flitch_str counter, uint64_t delta) {
  uint32_t at = 0;
  while (at < counters_len && !flitch_is(counter, counters[at].name)) at++;
  if (at == counters_len) {
    if (at == MOST || counter.len >= sizeof counters->name) abort();
    memcpy(counters[at].name, counter.ptr, counter.len);
    counters[at].name[counter.len] = 0;
    counters[at].count = 0;
    counters_len++;
  }
  counters[at].count += delta;
}

flitch_str log_lines(void) { return flitch_strn(lines ? lines : "", lines_len); }

const char *flitch_logged(void) {
  for (size_t i = 0; i < lines_len; i++)
    if (lines[i] == '\x1e') lines[i] = '\n';
  return lines ? lines : "";
}

uint64_t flitch_counted(const char *counter) {
  for (uint32_t i = 0; i < counters_len; i++)
    if (strcmp(counters[i].name, counter) == 0) return counters[i].count;
  return 0;
}

flitch_str counter_lines(void) {
  fields all = {NULL, 0, 0};
  for (uint32_t i = 0; i < counters_len; i++)
    put_field(&all, flitch_s(counters[i].name),
              flitch_json_text(flitch_format("%llu", (unsigned long long)counters[i].count)));
  sort_fields(&all);
  return show_fields(&all, false);
}

/* The row of a table with this key. */
static bool find_row(const char *rows, flitch_str key, flitch_str *row) {
  flitch_str rest = flitch_s(rows), own;
  while (next_line(&rest, row)) {
    if (!flitch_json_member(*row, "key", &own)) continue;
    flitch_value value = flitch_json_value(own);
    if (flitch_same(value.kind == FLITCH_TEXT ? value.is.text : own, key)) return true;
  }
  return false;
}

bool host_lookup(flitch_str table, const flitch_column *keys, flitch_texts want, const flitch_column **found,
                 size_t *count, flitch_str *error) {
  uint32_t at = 0;
  while (at < tables_len && !flitch_is(table, tables[at].name)) at++;
  if (at == tables_len) {
    *error = flitch_s("there is no such table");
    return false;
  }
  bool is_text = keys->kind == FLITCH_TEXT;
  if (!is_text && keys->kind != FLITCH_INT) {
    *error = flitch_s("keys are text or whole numbers");
    return false;
  }
  uint32_t rows = (uint32_t)(is_text ? keys->values.blobs.ends_len : keys->values.ints.len);
  set columns = {0};
  columns.rows = rows;
  for (uint32_t row = 0; row < rows; row++) {
    flitch_value key = flitch_at(keys, row);
    flitch_str text, line, member;
    if (key.kind == FLITCH_ABSENT) continue;
    text = is_text ? key.is.text : flitch_to_json(key);
    if (!find_row(tables[at].rows, text, &line)) continue;
    for (size_t i = 0; i < want.len; i++) {
      if (!flitch_json_member(line, flitch_c_str(want.items[i]), &member)) continue;
      flitch_builder *column = set_find(&columns, want.items[i]);
      if (!column) column = set_add(&columns, want.items[i]);
      builder_set(column, row, flitch_json_value(member));
    }
  }
  return set_finish(&columns, rows, found, count, error);
}
