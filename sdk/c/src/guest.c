/* What the exported functions call: the filter behind the contract. */
#include "internal.h"

static const char out_of_memory[] = "out of memory";

bool sees_all;

bool guest_configure(const flitch_filter *filter, flitch_setup *setup, flitch_str *error) {
  flitch_str text = setup->settings;
  const char *end = text.ptr + text.len, *start = text.len ? skip_space(text.ptr, end) : end;
  /* No settings at all are an empty object. */
  if (start == end || (end - start >= 4 && memcmp(start, "null", 4) == 0 && skip_space(start + 4, end) == end))
    setup->settings = flitch_s("{}");
  bool taken = filter->configure(setup) && !setup->refused;
  sees_all = !setup->only;
  if (flitch_is_out_of_memory()) {
    *error = flitch_s(out_of_memory);
    return false;
  }
  if (!taken) *error = setup->refused ? setup->reason : flitch_s("the settings are refused");
  return taken;
}

bool guest_apply(const flitch_filter *filter, const flitch_batch *batch, answer *answer, flitch_str *error) {
  memset(answer, 0, sizeof *answer);
  *error = flitch_s("the batch is refused");
  bool done =
      filter->record ? apply_records(filter, batch, answer, error) : apply_columns(filter, batch, answer, error);
  if (flitch_is_out_of_memory()) {
    *error = flitch_s(out_of_memory);
    return false;
  }
  return done;
}

struct flitch_changes {
  const flitch_batch *batch;
  set set;
  uint32_t *take;
  uint32_t take_len, take_room;
  bool takes;
  rejection *rejected;
  uint32_t rejected_len, rejected_room;
  removal *remove;
  uint32_t remove_len, remove_room;
  flitch_str failure;
};

void flitch_take(flitch_changes *changes, uint32_t row) {
  changes->takes = true;
  if (row < changes->batch->rows &&
      grow_items((void **)&changes->take, changes->take_len, &changes->take_room, sizeof row))
    changes->take[changes->take_len++] = row;
}

void flitch_take_none(flitch_changes *changes) {
  changes->takes = true;
  changes->take_len = 0;
}

void flitch_reject_row(flitch_changes *changes, uint32_t row, const char *format, ...) {
  va_list values;
  va_start(values, format);
  flitch_str reason = flitch_vformat(format, values);
  va_end(values);
  if (row >= changes->batch->rows) return;
  if (!grow_items((void **)&changes->rejected, changes->rejected_len, &changes->rejected_room,
                  sizeof *changes->rejected))
    return;
  changes->rejected[changes->rejected_len].row = row;
  changes->rejected[changes->rejected_len++].reason = reason;
}

void flitch_remove_column(flitch_changes *changes, const char *path) {
  if (!grow_items((void **)&changes->remove, changes->remove_len, &changes->remove_room, sizeof *changes->remove))
    return;
  changes->remove[changes->remove_len++].name = flitch_s(path);
}

bool flitch_fail(flitch_changes *changes, const char *format, ...) {
  va_list values;
  va_start(values, format);
  changes->failure = flitch_vformat(format, values);
  va_end(values);
  return false;
}

/* What is written into where there is no memory; nothing of it reaches the host. */
static flitch_builder nowhere;

flitch_builder *flitch_build(flitch_changes *changes, const char *path) {
  flitch_builder *found = set_find(&changes->set, flitch_s(path));
  if (!found) found = set_add(&changes->set, flitch_s(path));
  return found ? found : &nowhere;
}

void flitch_push(flitch_builder *builder, flitch_value value) {
  if (builder == &nowhere) return;
  if (value.kind == FLITCH_JSON && !flitch_json_is_valid(value.is.text)) value.kind = FLITCH_TEXT;
  builder_set(builder, builder->rows, value);
}

void flitch_push_absent(flitch_builder *builder) {
  if (builder != &nowhere) builder_pad(builder, builder->rows + 1);
}

flitch_builder *flitch_keys(void) {
  flitch_builder *keys = builder_new(flitch_s("key"), 0);
  return keys ? keys : &nowhere;
}

flitch_column flitch_built(flitch_builder *builder) {
  flitch_column column;
  if (builder == &nowhere || !builder_finish(builder, builder->rows, &column)) {
    /* No key at all: a text column in which each row is absent. */
    memset(&column, 0, sizeof column);
    column.name = flitch_s("key");
    if (builder == &nowhere || !builder->rows) return column;
    uint8_t *none = (uint8_t *)flitch_zeroed((builder->rows + 7) / 8);
    uint32_t *ends = (uint32_t *)flitch_zeroed(builder->rows * sizeof *ends);
    if (!none || !ends) return column;
    column.has_present = 1;
    column.present = none;
    column.present_len = (builder->rows + 7) / 8;
    column.values.blobs.ends = ends;
    column.values.blobs.ends_len = builder->rows;
  }
  return column;
}

/* Leaves the first reason for each row that was rejected. */
static void keep_first_reasons(flitch_changes *changes) {
  uint8_t *gone = (uint8_t *)flitch_zeroed(changes->batch->rows);
  uint32_t len = 0;
  for (uint32_t i = 0; gone && i < changes->rejected_len; i++) {
    rejection one = changes->rejected[i];
    if (!gone[one.row]) changes->rejected[len++] = one;
    gone[one.row] = 1;
  }
  changes->rejected_len = len;
}

bool apply_columns(const flitch_filter *filter, const flitch_batch *batch, answer *answer, flitch_str *error) {
  flitch_changes changes;
  memset(&changes, 0, sizeof changes);
  changes.batch = batch;
  changes.set.rows = batch->rows;
  if (!filter->batch(batch, &changes)) {
    if (changes.failure.ptr) *error = changes.failure;
    return false;
  }
  keep_first_reasons(&changes);
  uint32_t rows = changes.takes ? changes.take_len : batch->rows - changes.rejected_len;
  answer->has_take = changes.takes;
  answer->take = changes.take;
  answer->take_len = changes.take_len;
  answer->rejected = changes.rejected;
  answer->rejected_len = changes.rejected_len;
  answer->remove = changes.remove;
  answer->remove_len = changes.remove_len;
  return set_finish(&changes.set, rows, &answer->set, &answer->set_len, error);
}
