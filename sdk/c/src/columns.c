/* Columns: read in place, and made value by value. */
#include "internal.h"

flitch_value flitch_at(const flitch_column *column, uint32_t row) {
  flitch_value value = {FLITCH_ABSENT, {{NULL, 0}}};
  if (!flitch_present(column, row)) return value;
  switch (column->kind) {
  case FLITCH_TEXT:
  case FLITCH_BYTES:
  case FLITCH_JSON:
    if (flitch_blob_at(column, row, &value.is.text)) value.kind = column->kind;
    break;
  case FLITCH_INT:
  case FLITCH_TIME:
    if (row < column->values.ints.len) value = flitch_whole(column->kind, column->values.ints.ptr[row]);
    break;
  case FLITCH_FLOAT:
    if (row < column->values.floats.len) value = flitch_float(column->values.floats.ptr[row]);
    break;
  case FLITCH_BOOL:
    if (row / 8 < column->values.bits.len)
      value = flitch_bool(flitch_bit(column->values.bits.ptr, column->values.bits.len, row));
    break;
  default: break;
  }
  return value;
}

const flitch_column *flitch_find_column(const flitch_batch *batch, const char *path) {
  flitch_str name = flitch_s(path);
  for (size_t i = 0; i < batch->len; i++)
    if (flitch_same(batch->columns[i].name, name)) return &batch->columns[i];
  return NULL;
}

static bool is_blob(uint8_t kind) { return kind == FLITCH_TEXT || kind == FLITCH_BYTES || kind == FLITCH_JSON; }
static size_t bytes_for(uint32_t rows) { return ((size_t)rows + 7) / 8; }

static size_t slots_for(uint8_t kind, uint32_t rows) {
  return kind == FLITCH_BOOL ? bytes_for(rows) : (size_t)rows * (is_blob(kind) ? sizeof(uint32_t) : sizeof(int64_t));
}

static void clear_bits(uint8_t *bits, uint32_t from, uint32_t to) {
  for (; from < to; from++) bits[from / 8] &= (uint8_t)~(1u << from % 8);
}

flitch_builder *builder_new(flitch_str name, uint32_t hint) {
  flitch_builder *builder = (flitch_builder *)flitch_zeroed(sizeof *builder);
  if (!builder) return NULL;
  builder->name = name;
  builder->kind = FLITCH_ABSENT;
  builder->hint = hint < 8 ? 8 : hint;
  return builder;
}

/* Room for so many rows, of a builder that has its kind. */
static bool reserve(flitch_builder *b, uint32_t rows) {
  if (rows <= b->room) return true;
  if (rows > UINT32_MAX / 2) return false;
  uint32_t room = b->room ? b->room * 2 : b->hint;
  if (room < rows) room = rows;
  void *slots = flitch_grow(b->slots, slots_for(b->kind, b->room), slots_for(b->kind, room));
  if (!slots) return false;
  b->slots = slots;
  size_t had = bytes_for(b->room), has = bytes_for(room);
  uint8_t *present = (uint8_t *)flitch_grow(b->present, had, has);
  if (!present) return false;
  memset(present + had, 0, has - had);
  if (b->kind == FLITCH_BOOL) memset((uint8_t *)slots + had, 0, has - had);
  b->present = present;
  b->room = room;
  return true;
}

bool builder_pad(flitch_builder *b, uint32_t rows) {
  if (b->rows >= rows) return true;
  if (b->kind != FLITCH_ABSENT) {
    if (!reserve(b, rows)) return false;
    if (is_blob(b->kind)) {
      uint32_t *ends = (uint32_t *)b->slots;
      for (uint32_t row = b->rows; row < rows; row++) ends[row] = (uint32_t)b->data.len;
    } else if (b->kind != FLITCH_BOOL) {
      memset((int64_t *)b->slots + b->rows, 0, (size_t)(rows - b->rows) * sizeof(int64_t));
    }
  }
  b->rows = rows;
  return true;
}

void builder_truncate(flitch_builder *b, uint32_t rows) {
  if (b->rows <= rows) return;
  if (b->kind != FLITCH_ABSENT) {
    clear_bits(b->present, rows, b->rows);
    if (is_blob(b->kind)) b->data.len = rows ? ((uint32_t *)b->slots)[rows - 1] : 0;
    else if (b->kind == FLITCH_BOOL) clear_bits((uint8_t *)b->slots, rows, b->rows);
  }
  b->rows = rows;
}

static void begin(flitch_builder *b, uint8_t kind) {
  uint32_t rows = b->rows;
  b->kind = kind;
  b->rows = 0;
  builder_pad(b, rows);
}

static void become_json(flitch_builder *b) {
  flitch_builder *json = builder_new(b->name, b->room);
  if (!json) return;
  begin(json, FLITCH_JSON);
  for (uint32_t row = 0; row < b->rows; row++) {
    flitch_value value = builder_get(b, row);
    if (value.kind != FLITCH_ABSENT) builder_set(json, row, value);
  }
  builder_pad(json, b->rows);
  b->kind = json->kind;
  b->room = json->room;
  b->present = json->present;
  b->slots = json->slots;
  b->data = json->data;
}

/* The common case: one more text behind the others, for which there is room. */
static bool append_text(flitch_builder *b, uint32_t row, flitch_str text) {
  if (b->rows != row || row >= b->room || b->data.room - b->data.len < text.len) return false;
  if (b->data.room > UINT32_MAX || !flitch_is_utf8(text)) return false;
  buffer_add(&b->data, text.ptr, text.len);
  ((uint32_t *)b->slots)[row] = (uint32_t)b->data.len;
  b->present[row / 8] |= (uint8_t)(1u << row % 8);
  b->rows = row + 1;
  return true;
}

void builder_set(flitch_builder *b, uint32_t row, flitch_value value) {
  if (b->kind == FLITCH_TEXT && value.kind == FLITCH_TEXT && append_text(b, row, value.is.text)) return;
  builder_truncate(b, row);
  if (value.kind == FLITCH_ABSENT) {
    builder_pad(b, row + 1);
    return;
  }
  if (value.kind == FLITCH_TEXT && !flitch_is_utf8(value.is.text)) value.kind = FLITCH_BYTES;
  if (b->kind != value.kind) {
    if (b->kind == FLITCH_ABSENT) begin(b, value.kind);
    else if (b->kind != FLITCH_JSON) become_json(b);
    if (b->kind != value.kind) value = flitch_json_text(mixed_text(value));
  }
  if (flitch_is_out_of_memory() || !builder_pad(b, row) || !reserve(b, row + 1)) return;
  if (is_blob(b->kind)) {
    if (b->data.len + value.is.text.len > UINT32_MAX || !buffer_add(&b->data, value.is.text.ptr, value.is.text.len))
      return;
    ((uint32_t *)b->slots)[row] = (uint32_t)b->data.len;
  } else if (b->kind == FLITCH_BOOL) {
    if (value.is.boolean) ((uint8_t *)b->slots)[row / 8] |= (uint8_t)(1u << row % 8);
  } else if (b->kind == FLITCH_FLOAT) {
    ((double *)b->slots)[row] = value.is.number;
  } else {
    ((int64_t *)b->slots)[row] = value.is.integer;
  }
  b->present[row / 8] |= (uint8_t)(1u << row % 8);
  b->rows = row + 1;
}

static flitch_column column_of(const flitch_builder *b) {
  flitch_column column;
  memset(&column, 0, sizeof column);
  column.name = b->name;
  column.kind = b->kind;
  column.has_present = 1;
  column.present = b->present;
  column.present_len = bytes_for(b->rows);
  if (is_blob(b->kind)) {
    column.values.blobs.data = b->data.ptr;
    column.values.blobs.data_len = b->data.len;
    column.values.blobs.ends = (const uint32_t *)b->slots;
    column.values.blobs.ends_len = b->rows;
  } else if (b->kind == FLITCH_BOOL) {
    column.values.bits.ptr = (const uint8_t *)b->slots;
    column.values.bits.len = bytes_for(b->rows);
  } else if (b->kind == FLITCH_FLOAT) {
    column.values.floats.ptr = (const double *)b->slots;
    column.values.floats.len = b->rows;
  } else {
    column.values.ints.ptr = (const int64_t *)b->slots;
    column.values.ints.len = b->rows;
  }
  return column;
}

flitch_value builder_get(const flitch_builder *b, uint32_t row) {
  flitch_value absent = {FLITCH_ABSENT, {{NULL, 0}}};
  if (row >= b->rows || b->kind == FLITCH_ABSENT) return absent;
  flitch_column column = column_of(b);
  return flitch_at(&column, row);
}

uint32_t builder_count(const flitch_builder *b, uint32_t rows) {
  uint32_t count = 0;
  if (b->kind == FLITCH_ABSENT) return 0;
  if (rows > b->rows) rows = b->rows;
  for (size_t byte = 0; byte < bytes_for(rows); byte++) count += (uint32_t)__builtin_popcount(b->present[byte]);
  return count;
}

bool builder_finish(flitch_builder *b, uint32_t rows, flitch_column *column) {
  builder_truncate(b, rows);
  if (b->kind == FLITCH_ABSENT || !builder_pad(b, rows)) return false;
  uint32_t count = builder_count(b, rows);
  if (!count) return false;
  *column = column_of(b);
  column->has_present = count < rows;
  if (!column->has_present) column->present = NULL, column->present_len = 0;
  return true;
}

flitch_builder *set_find(set *set, flitch_str path) {
  uint32_t guess = set->next;
  if (guess >= set->len || set->builders[guess]->table || !flitch_same(set->builders[guess]->name, path)) {
    for (guess = 0; guess < set->len; guess++)
      if (!set->builders[guess]->table && flitch_same(set->builders[guess]->name, path)) break;
    if (guess == set->len) return NULL;
  }
  set->next = guess + 1;
  return set->builders[guess];
}

static bool add_kin(flitch_builder *b, uint32_t number) {
  uint32_t *more = (uint32_t *)flitch_grow(b->kin, b->kin_len * sizeof *more, (b->kin_len + 1) * sizeof *more);
  if (!more) return false;
  more[b->kin_len++] = number;
  b->kin = more;
  return true;
}

flitch_builder *set_add(set *set, flitch_str path) {
  char *name = (char *)flitch_alloc(path.len);
  if (!name || !grow_items((void **)&set->builders, set->len, &set->room, sizeof *set->builders)) return NULL;
  if (path.len) memcpy(name, path.ptr, path.len);
  flitch_builder *added = builder_new(flitch_strn(name, path.len), set->rows);
  if (!added) return NULL;
  for (uint32_t i = 0; i < set->len; i++)
    if (flitch_path_overlap(set->builders[i]->name, path) &&
        !(add_kin(set->builders[i], set->len) && add_kin(added, i)))
      return NULL;
  set->builders[set->len++] = added;
  set->next = set->len;
  return added;
}

void set_value(set *set, flitch_builder *builder, uint32_t row, flitch_value value) {
  builder_set(builder, row, value);
  for (uint32_t i = 0; i < builder->kin_len; i++) builder_truncate(set->builders[builder->kin[i]], row);
}

void set_truncate(set *set, uint32_t rows) {
  for (uint32_t i = 0; i < set->len; i++) builder_truncate(set->builders[i], rows);
  set->next = 0;
}

bool set_finish(set *set, uint32_t rows, const flitch_column **columns, size_t *len, flitch_str *error) {
  *len = 0;
  flitch_column *all = (flitch_column *)flitch_alloc(set->len * sizeof *all);
  if (!all) return true;
  *columns = all;
  for (uint32_t i = 0; i < set->len; i++)
    if (!set->builders[i]->table && builder_finish(set->builders[i], rows, &all[*len])) ++*len;
  for (uint32_t i = 0; i < set->len; i++)
    if (set->builders[i]->table && !look_up(set->builders[i], rows, all, len, error)) return false;
  return true;
}
