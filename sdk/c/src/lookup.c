/* Fields that come from a table: the keys of a batch are looked up at once. */
#include "internal.h"

/* Tables that the host is known to keep. It cannot lose one while the filter runs. */
enum { KNOWN = 16 };
static struct {
  char name[64];
} known[KNOWN];
static uint32_t known_len;

void forget_tables(void) { known_len = 0; }

static bool is_known(const char *table) {
  for (uint32_t i = 0; i < known_len; i++)
    if (strcmp(known[i].name, table) == 0) return true;
  return false;
}

bool flitch_lookup(const char *table, const flitch_column *keys, flitch_texts want, const flitch_column **found,
                   size_t *count, flitch_str *error) {
  return host_lookup(flitch_s(table), keys, want, found, count, error);
}

static bool is_there(const char *table, const char *field, flitch_str *error) {
  if (is_known(table)) return true;
  flitch_column none;
  memset(&none, 0, sizeof none);
  none.name = flitch_s("key");
  flitch_str wanted = flitch_s(field);
  flitch_texts want = {&wanted, 1};
  const flitch_column *found;
  size_t count;
  if (!flitch_lookup(table, &none, want, &found, &count, error)) return false;
  if (known_len < KNOWN && strlen(table) < sizeof known->name) strcpy(known[known_len++].name, table);
  return true;
}

flitch_builder *set_keys(set *set, const char *table, const char *field, flitch_str path, flitch_str *error) {
  for (uint32_t i = 0; i < set->len; i++) {
    flitch_builder *b = set->builders[i];
    if (b->table && flitch_same(b->name, path) && strcmp(b->table, table) == 0 && strcmp(b->field, field) == 0)
      return b;
  }
  if (!is_there(table, field, error)) return NULL;
  flitch_builder *added = set_add(set, path);
  flitch_str *names = (flitch_str *)flitch_alloc(2 * sizeof *names);
  if (!added || !names) return NULL;
  /* The caller's may be gone when the batch is done. */
  char *copy = (char *)flitch_alloc(strlen(table) + strlen(field) + 2);
  if (!copy) return NULL;
  added->table = strcpy(copy, table);
  added->field = strcpy(copy + strlen(table) + 1, field);
  return added;
}

/* What was found, and where nothing was, what the column had. */
static bool merge(const flitch_column *found, flitch_column *column, uint32_t rows) {
  flitch_builder *both = builder_new(column->name, rows);
  if (!both) return false;
  for (uint32_t row = 0; row < rows; row++) {
    flitch_value value = flitch_at(found, row);
    if (value.kind == FLITCH_ABSENT) value = flitch_at(column, row);
    if (value.kind != FLITCH_ABSENT) builder_set(both, row, value);
  }
  return builder_finish(both, rows, column);
}

/* Takes the value from those rows that have one in another column. */
static bool leave(flitch_column *column, const flitch_column *other, uint32_t rows) {
  size_t len = ((size_t)rows + 7) / 8;
  uint8_t *present = (uint8_t *)flitch_zeroed(len);
  if (!present) return false;
  for (uint32_t row = 0; row < rows; row++)
    if (flitch_present(column, row) && !flitch_present(other, row)) present[row / 8] |= (uint8_t)(1u << row % 8);
  column->has_present = 1;
  column->present = present;
  column->present_len = len;
  return true;
}

bool look_up(flitch_builder *keys, uint32_t rows, flitch_column *columns, size_t *len, flitch_str *error) {
  flitch_column column;
  flitch_str path = keys->name, wanted = flitch_s(keys->field);
  if (!builder_finish(keys, rows, &column)) return true;
  flitch_texts want = {&wanted, 1};
  const flitch_column *found;
  size_t count;
  column.name = flitch_s("key");
  if (!flitch_lookup(keys->table, &column, want, &found, &count, error)) return false;
  for (size_t i = 0; i < count; i++) {
    size_t place = 0;
    /* What stands above or below it makes room. */
    for (size_t j = 0; j < *len; j++)
      if (!flitch_same(columns[j].name, path) && flitch_path_overlap(columns[j].name, path))
        leave(&columns[j], &found[i], rows);
    while (place < *len && !flitch_same(columns[place].name, path)) place++;
    if (place < *len) {
      merge(&found[i], &columns[place], rows);
      continue;
    }
    columns[place] = found[i];
    columns[place].name = path;
    ++*len;
    break;
  }
  return true;
}
