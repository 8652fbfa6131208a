/* Fields that have no column of their own: they stand inside of objects that have none for their members, as in `@rest`. */
#include "internal.h"

bool within(const flitch_column *column, flitch_str path, flitch_str *below) {
  if (column->kind != FLITCH_JSON) return false;
  *below = path;
  if (flitch_is(column->name, "@rest"))
    return !flitch_is(path, "@rest") && !flitch_is(path, "@timestamp") && !flitch_is(path, "@tag");
  if (!flitch_path_is_below(path, column->name)) return false;
  *below = flitch_strn(path.ptr + column->name.len + 1, path.len - column->name.len - 1);
  return true;
}

flitch_value value_within(const flitch_column *column, uint32_t row, flitch_str path) {
  flitch_value absent = {FLITCH_ABSENT, {{NULL, 0}}};
  flitch_str below, text, member;
  if (!within(column, path, &below)) return absent;
  if (!flitch_blob_at(column, row, &text) || !member_at(text, below, &member)) return absent;
  return flitch_json_value(member);
}

/* The value of a row by its own kind. */
static flitch_value own_value(const flitch_column *column, uint32_t row) {
  flitch_value absent = {FLITCH_ABSENT, {{NULL, 0}}};
  if (!column) return absent;
  flitch_value value = flitch_at(column, row);
  return value.kind == FLITCH_JSON ? flitch_json_value(value.is.text) : value;
}

const flitch_column *flitch_find_field(const flitch_batch *batch, const char *path) {
  const flitch_column *column = flitch_find_column(batch, path);
  flitch_str name = flitch_s(path), below;
  bool may_be_inside = false, is_inside = false;
  for (size_t i = 0; i < batch->len; i++) may_be_inside |= within(&batch->columns[i], name, &below);
  if (!may_be_inside) return column;
  flitch_builder *both = builder_new(name, batch->rows);
  for (uint32_t row = 0; both && row < batch->rows; row++) {
    flitch_value value = own_value(column, row);
    for (size_t i = 0; value.kind == FLITCH_ABSENT && i < batch->len; i++) {
      value = value_within(&batch->columns[i], row, name);
      is_inside |= value.kind != FLITCH_ABSENT;
    }
    builder_set(both, row, value);
  }
  flitch_column *lifted = (flitch_column *)flitch_alloc(sizeof *lifted);
  return is_inside && lifted && builder_finish(both, batch->rows, lifted) ? lifted : column;
}
