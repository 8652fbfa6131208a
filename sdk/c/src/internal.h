/* What the files of the library share. */
#ifndef FLITCH_INTERNAL_H
#define FLITCH_INTERNAL_H

#include "flitch.h"

/* --- Memory (memory.c) --- */

/* Memory aligned to 16 bytes; NULL, and `flitch_is_out_of_memory` from then on, where there is no more. */
void *flitch_zeroed(size_t size);
/* A larger place for what lies at `ptr`, which has `old` bytes. */
void *flitch_grow(void *ptr, size_t old, size_t size);
/* What was allocated so far stays; what comes goes with `flitch_forget`. */
void flitch_keep(void);
void flitch_forget(void);
/* Gives everything back to the allocator. */
void flitch_free_all(void);
bool flitch_is_out_of_memory(void);

/* Bytes that grow. */
typedef struct buffer {
  char *ptr;
  size_t len, room;
} buffer;
bool buffer_reserve(buffer *to, size_t more);
bool buffer_add(buffer *to, const char *bytes, size_t len);
static inline bool buffer_byte(buffer *to, char byte) { return buffer_add(to, &byte, 1); }
static inline flitch_str buffer_text(const buffer *from) { return flitch_strn(from->ptr, from->len); }

/* --- Text and paths (text.c, path.c) --- */

/* How many bytes at the head of the text are UTF-8. */
size_t utf8_prefix(flitch_str text);
/* Appends text in which each maximal part that is not UTF-8 is U+FFFD. */
void write_lossy(buffer *to, flitch_str text);
/* The number of a lone surrogate as WTF-8 writes it at the head of the text; 0 where there is none. */
unsigned surrogate(flitch_str text);

/* --- Numbers (number.c) --- */

/* Reads the JSON number at the head of the text. Answers its bytes, or 0 where there is none. */
size_t read_number(flitch_str text, flitch_value *value);
void write_int(buffer *to, int64_t number);
/* The shortest form that reads back as the same double; null where it is no number. */
void write_float(buffer *to, double number);

/* --- JSON (json.c, scan.c) --- */

enum { MAX_NESTING = 128 };
/* Behind the value at `at`, which may have white space before it; NULL where there is none. */
const char *skip_value(const char *at, const char *end, int depth);
const char *skip_space(const char *at, const char *end);
/* A string without its escapes, given without its quotes. False where an escape is wrong. `lone` is set where a
 * surrogate stands alone: then the text is WTF-8. */
bool unescape(flitch_str inside, flitch_str *text, bool *lone);
/* Appends text as it stands in a JSON string, between the quotes. */
void write_escaped(buffer *to, flitch_str text);
void write_string(buffer *to, flitch_str text);
/* Appends a JSON text without white space between its tokens, each number in its one form. */
void write_canonical(buffer *to, flitch_str json);
/* The text of a value in a column of several kinds, from which flitch_json_value has it again. */
flitch_str mixed_text(flitch_value value);

/* --- Columns (columns.c) --- */

struct flitch_builder {
  flitch_str name;
  /* Rows so far, and rows that have room. */
  uint32_t rows, room;
  /* Rows that it makes room for at first. */
  uint32_t hint;
  uint8_t kind;
  uint8_t *present;
  /* Ends, whole numbers, doubles or bits, by the kind. */
  void *slots;
  buffer data;
  /* What overlaps: the numbers of other builders of the set. */
  uint32_t *kin;
  uint32_t kin_len;
  /* Where the values are keys that are looked up at the end. */
  const char *table, *field;
};
typedef struct set {
  flitch_builder **builders;
  uint32_t len, room;
  /* Where the next path is likely to be. */
  uint32_t next;
  /* Rows of the batch. */
  uint32_t rows;
} set;
flitch_builder *builder_new(flitch_str name, uint32_t hint);
/* Writes row `row`, the last one or a later one; rows between are absent. */
void builder_set(flitch_builder *builder, uint32_t row, flitch_value value);
void builder_truncate(flitch_builder *builder, uint32_t rows);
/* The value of a row; absent where there is none. */
flitch_value builder_get(const flitch_builder *builder, uint32_t row);
/* Fills up with absent rows. False without memory. */
bool builder_pad(flitch_builder *builder, uint32_t rows);
/* How many of the first `rows` rows have a value. */
uint32_t builder_count(const flitch_builder *builder, uint32_t rows);
/* The column with `rows` rows. False where none has a value. */
bool builder_finish(flitch_builder *builder, uint32_t rows, flitch_column *column);
/* The builder of a path; NULL where there is none. */
flitch_builder *set_find(set *set, flitch_str path);
/* A new one; NULL without memory. */
flitch_builder *set_add(set *set, flitch_str path);
/* Sets a value of row `row`, the last one or a later one. What overlaps loses its own. */
void set_value(set *set, flitch_builder *builder, uint32_t row, flitch_value value);
void set_truncate(set *set, uint32_t rows);
/* All columns that have a value. False where a lookup fails, and why. */
bool set_finish(set *set, uint32_t rows, const flitch_column **columns, size_t *len, flitch_str *error);

/* --- Lookups (lookup.c) --- */

/* For tests, whose tables come and go. */
void forget_tables(void);
/* The builder of keys that are looked up at the end. NULL where there is no such table, and why. */
flitch_builder *set_keys(set *set, const char *table, const char *field, flitch_str path, flitch_str *error);
/* Looks the keys up, and puts what is found in place of the column of that name, or behind the others. */
bool look_up(flitch_builder *keys, uint32_t rows, flitch_column *columns, size_t *len, flitch_str *error);

/* --- The answer, as the contract lays it out --- */

typedef struct rejection {
  uint32_t row;
  flitch_str reason;
} rejection;
typedef struct removal {
  flitch_str name;
  uint8_t has_rows;
  const uint8_t *rows;
  size_t len;
} removal;
typedef struct answer {
  uint8_t has_take;
  const uint32_t *take;
  size_t take_len;
  const flitch_column *set;
  size_t set_len;
  const removal *remove;
  size_t remove_len;
  const rejection *rejected;
  size_t rejected_len;
} answer;

/* Room for one more item; what is new is zero. */
bool grow_items(void **items, uint32_t len, uint32_t *room, size_t size);

struct flitch_setup {
  flitch_str settings;
  flitch_str *wanted;
  uint32_t wanted_len, wanted_room;
  bool only;
  bool refused;
  flitch_str reason;
};

/* Whether the filter has asked for all fields, so that some may stand in objects that have no columns for their members. */
extern bool sees_all;
/* Configures the filter (guest.c). False, and why, where it refuses. */
bool guest_configure(const flitch_filter *filter, flitch_setup *setup, flitch_str *error);
/* What becomes of a batch. False, and why, where it is rejected as a whole. */
bool guest_apply(const flitch_filter *filter, const flitch_batch *batch, answer *answer, flitch_str *error);
bool apply_records(const flitch_filter *filter, const flitch_batch *batch, answer *answer, flitch_str *error);
/* Whether a field may stand inside of the objects of a column, and its path there (find.c). */
bool within(const flitch_column *column, flitch_str path, flitch_str *below);
/* The value at a path inside of the object of a row; absent where there is none. */
flitch_value value_within(const flitch_column *column, uint32_t row, flitch_str path);
/* The text at a path inside of a JSON object (path.c); of two members of one name the last one. */
bool member_at(flitch_str object, flitch_str path, flitch_str *member);
bool apply_columns(const flitch_filter *filter, const flitch_batch *batch, answer *answer, flitch_str *error);

/* The host: imports in a component (wasm.c), a stand-in natively (testing/host.c). */
void host_log(int level, flitch_str line);
void host_count(flitch_str counter, uint64_t delta);
bool host_lookup(flitch_str table, const flitch_column *keys, flitch_texts want, const flitch_column **found,
                 size_t *count, flitch_str *error);

#endif
