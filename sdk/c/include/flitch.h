/* Filters for flitch in C: rows for comfort, columns for speed.
 *
 * A filter is one object of the type `flitch_filter` with the name `flitch_plugin`. Either it has `record`, which is
 * called for each record, or `batch`, which sees whole columns in the layout of Apache Arrow.
 *
 * Memory. Nobody frees anything. What the library hands out, and what `flitch_alloc` gives, lives until the batch is
 * answered; what comes of it within `configure` lives as long as the filter. When there is no more memory, reads find
 * nothing, writes do nothing, `flitch_alloc` answers NULL, and the instance ends: the host tries the records on others
 * until the one that takes the memory stands alone, which is rejected with `out of memory`.
 *
 * Bounds. A text is a pointer with a length and no zero behind it. Rows and lengths are checked on each access; a row
 * that is not there has no value.
 *
 * Text. What is set as text and is not UTF-8 becomes bytes; what is set as JSON and is not JSON rejects the record. So
 * no value of a record can spoil the answer for the others.
 *
 * A filter runs alone in its instance: no threads, and `static` variables are its state. An abort, or a read past its
 * memory, ends the instance; the host makes a new one, and sets the record aside that was the cause. */
#ifndef FLITCH_H
#define FLITCH_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FLITCH_VERSION "1.0.0"

#if defined(__GNUC__)
#define FLITCH_PRINTF(text, values) __attribute__((format(printf, text, values)))
#else
#define FLITCH_PRINTF(text, values)
#endif

/* --- Values ---------------------------------------------------------------------------------------------------- */

/* UTF-8 text, or bytes: `len` of them. */
typedef struct flitch_str {
  const char *ptr;
  size_t len;
} flitch_str;

typedef struct flitch_texts {
  const flitch_str *items;
  size_t len;
} flitch_texts;

/* The kinds, numbered as the contract has them. */
enum {
  FLITCH_TEXT,
  FLITCH_BYTES,
  FLITCH_INT,
  FLITCH_FLOAT,
  FLITCH_BOOL,
  /* Nanoseconds since 1970-01-01T00:00:00Z. */
  FLITCH_TIME,
  /* A JSON text: an array, null, an object without members or with very many, a number that no int64 and no double
   * holds exactly. */
  FLITCH_JSON,
  FLITCH_ABSENT,
};

typedef struct flitch_value {
  uint8_t kind;
  union {
    flitch_str text; /* of FLITCH_TEXT, FLITCH_BYTES and FLITCH_JSON */
    int64_t integer; /* of FLITCH_INT and FLITCH_TIME */
    double number;
    bool boolean;
  } is;
} flitch_value;

static inline flitch_str flitch_strn(const char *ptr, size_t len) {
  flitch_str text = {ptr, len};
  return text;
}
/* The text of a C string. */
static inline flitch_str flitch_s(const char *text) { return flitch_strn(text, strlen(text)); }
static inline bool flitch_same(flitch_str a, flitch_str b) {
  if (a.len != b.len) return false;
  if (a.len >= 8 && a.len <= 16) {
    /* Names are short: their two halves, which may overlap, are compared at once. */
    uint64_t first[2], last[2];
    memcpy(&first[0], a.ptr, 8);
    memcpy(&first[1], b.ptr, 8);
    memcpy(&last[0], a.ptr + a.len - 8, 8);
    memcpy(&last[1], b.ptr + b.len - 8, 8);
    return first[0] == first[1] && last[0] == last[1];
  }
  if (a.len >= 4 && a.len < 8) {
    uint32_t first[2], last[2];
    memcpy(&first[0], a.ptr, 4);
    memcpy(&first[1], b.ptr, 4);
    memcpy(&last[0], a.ptr + a.len - 4, 4);
    memcpy(&last[1], b.ptr + b.len - 4, 4);
    return first[0] == first[1] && last[0] == last[1];
  }
  return a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0;
}
static inline bool flitch_is(flitch_str text, const char *other) { return flitch_same(text, flitch_s(other)); }
/* Where a byte stands in a text; `text.len` where it does not. */
static inline size_t flitch_find(flitch_str text, char byte) {
  const char *at = text.len ? (const char *)memchr(text.ptr, byte, text.len) : NULL;
  return at ? (size_t)(at - text.ptr) : text.len;
}

static inline flitch_value flitch_blob(uint8_t kind, flitch_str text) {
  flitch_value value = {kind, {text}};
  return value;
}
static inline flitch_value flitch_text(flitch_str text) { return flitch_blob(FLITCH_TEXT, text); }
static inline flitch_value flitch_bytes(flitch_str bytes) { return flitch_blob(FLITCH_BYTES, bytes); }
static inline flitch_value flitch_json_text(flitch_str json) { return flitch_blob(FLITCH_JSON, json); }
static inline flitch_value flitch_whole(uint8_t kind, int64_t number) {
  flitch_value value = {kind, {{NULL, 0}}};
  value.is.integer = number;
  return value;
}
static inline flitch_value flitch_int(int64_t number) { return flitch_whole(FLITCH_INT, number); }
static inline flitch_value flitch_time(int64_t nanos) { return flitch_whole(FLITCH_TIME, nanos); }
static inline flitch_value flitch_float(double number) {
  flitch_value value = {FLITCH_FLOAT, {{NULL, 0}}};
  value.is.number = number;
  return value;
}
static inline flitch_value flitch_bool(bool boolean) {
  flitch_value value = {FLITCH_BOOL, {{NULL, 0}}};
  value.is.boolean = boolean;
  return value;
}

/* --- The filter ------------------------------------------------------------------------------------------------- */

typedef struct flitch_setup flitch_setup;
typedef struct flitch_record flitch_record;
typedef struct flitch_batch flitch_batch;
typedef struct flitch_changes flitch_changes;

typedef struct flitch_filter {
  /* Reads the settings and says which fields the filter wants. Called once, before any record. False refuses the
   * configuration, with what `flitch_refuse` said. */
  bool (*configure)(flitch_setup *setup);
  /* What becomes of one record. */
  void (*record)(flitch_record *record);
  /* Or, where `record` is NULL: what becomes of a batch. False rejects it as a whole, with what `flitch_fail` said. */
  bool (*batch)(const flitch_batch *batch, flitch_changes *changes);
} flitch_filter;

/* The filter, which your source defines. */
extern const flitch_filter flitch_plugin;

/* What a filter is besides that remembers things between batches, if they are to outlive its instance. */
typedef struct flitch_state {
  /* What the instance remembers now, for instance by `flitch_format`. An abort ends the instance. */
  flitch_str (*save)(void);
  /* Adds what was saved once to what the instance remembers: once for each instance that there was, which may be several.
   * Another version may have saved it, so put the number of its format in front. False has the filter begin empty, and
   * `reason` is shown to the operator. What `flitch_alloc` gives here lives as long as the filter. */
  bool (*restore)(flitch_str saved, flitch_str *reason);
} flitch_state;

/* The results that the host reads; `FLITCH_EXPORT_STATE` is what calls these. */
typedef struct flitch_restored {
  uint8_t refused;
  flitch_str reason;
} flitch_restored;
flitch_str *flitch_save_(const flitch_state *state);
flitch_restored *flitch_restore_(const flitch_state *state, const char *saved, size_t len);
void flitch_saved_(void);

/* `FLITCH_EXPORT_STATE(state)` beside `flitch_plugin` tells flitch to ask for the `flitch_state` of that name. */
#if defined(__wasm__)
#define FLITCH_EXPORT_(name) __attribute__((__export_name__(name)))
#define FLITCH_EXPORT_STATE(state)                                                                                  \
  FLITCH_EXPORT_("flitch:filter/state@1.0.0#save") flitch_str *flitch_export_save_(void) {                          \
    return flitch_save_(&(state));                                                                                  \
  }                                                                                                                 \
  FLITCH_EXPORT_("cabi_post_flitch:filter/state@1.0.0#save") void flitch_post_save_(flitch_str *saved) {            \
    (void)saved;                                                                                                    \
    flitch_saved_();                                                                                                \
  }                                                                                                                 \
  FLITCH_EXPORT_("flitch:filter/state@1.0.0#restore")                                                               \
  flitch_restored *flitch_export_restore_(const char *saved, size_t len) {                                          \
    return flitch_restore_(&(state), saved, len);                                                                   \
  }                                                                                                                 \
  struct flitch_state_is_exported_
#else
#define FLITCH_EXPORT_STATE(state) struct flitch_state_is_exported_
#endif

/* --- Setup ------------------------------------------------------------------------------------------------------ */

/* One key of the settings, and where its value goes. Make it with one of the macros below. */
typedef struct flitch_setting {
  const char *name;
  uint8_t kind;
  bool required;
  size_t offset;
} flitch_setting;

enum { FLITCH_TEXTS_SETTING = 16 };
/* The second half warns when the member has another type. */
#define FLITCH_SETTING_(kind, type, owner, member, required) \
  {#member, kind, required, offsetof(owner, member) + 0 * sizeof((type *)0 == &((owner *)0)->member)}
/* The member `member` of the struct `owner`, which must be there (true) or may be missing (false): then the struct
 * keeps what it had. */
#define FLITCH_SETTING_TEXT(owner, member, required) FLITCH_SETTING_(FLITCH_TEXT, flitch_str, owner, member, required)
#define FLITCH_SETTING_INT(owner, member, required) FLITCH_SETTING_(FLITCH_INT, int64_t, owner, member, required)
#define FLITCH_SETTING_FLOAT(owner, member, required) FLITCH_SETTING_(FLITCH_FLOAT, double, owner, member, required)
#define FLITCH_SETTING_BOOL(owner, member, required) FLITCH_SETTING_(FLITCH_BOOL, bool, owner, member, required)
/* A list of texts. */
#define FLITCH_SETTING_TEXTS(owner, member, required) \
  FLITCH_SETTING_(FLITCH_TEXTS_SETTING, flitch_texts, owner, member, required)
/* Any JSON, as its text, for `flitch_json_open`. */
#define FLITCH_SETTING_JSON(owner, member, required) FLITCH_SETTING_(FLITCH_JSON, flitch_str, owner, member, required)

/* Reads the settings into a struct. False, and the setup refused with the key and what would be right, where a key is
 * unknown, missing, or of another type. */
bool flitch_settings(flitch_setup *setup, const flitch_setting *settings, size_t count, void *into);
/* The settings as the JSON text that the host gave. */
flitch_str flitch_settings_text(const flitch_setup *setup);
/* Asks for a field, and what lies below it. Say it: what you do not ask for is not copied. Without a call the filter
 * sees all fields. */
void flitch_want(flitch_setup *setup, flitch_str path);
/* Asks for no field at all. */
void flitch_want_nothing(flitch_setup *setup);
/* Refuses the settings; the text is shown to the operator. Answers false, for `return`. */
bool flitch_refuse(flitch_setup *setup, const char *format, ...) FLITCH_PRINTF(2, 3);

/* --- One record ------------------------------------------------------------------------------------------------- */

/* Fields are named by their path: `status`, `kubernetes.labels.app`, with a dot inside a name written `\.`. The event's
 * time is `@timestamp`, its tag `@tag`. Reads see what was set before. */

/* The value of a field, by its own kind; FLITCH_ABSENT where there is none. */
flitch_value flitch_get_at(flitch_record *record, flitch_str path);
static inline flitch_value flitch_get(flitch_record *record, const char *path) {
  return flitch_get_at(record, flitch_s(path));
}
static inline bool flitch_has(flitch_record *record, const char *path) {
  return flitch_get(record, path).kind != FLITCH_ABSENT;
}
/* The same by type: false, and nothing written, where the field is absent or of another type. */
bool flitch_get_text(flitch_record *record, const char *path, flitch_str *text);
bool flitch_get_bytes(flitch_record *record, const char *path, flitch_str *bytes);
bool flitch_get_int(flitch_record *record, const char *path, int64_t *number);
/* A whole number too, as the nearest double. */
bool flitch_get_float(flitch_record *record, const char *path, double *number);
bool flitch_get_bool(flitch_record *record, const char *path, bool *boolean);
bool flitch_get_time(flitch_record *record, const char *path, int64_t *nanos);
/* The field as JSON, whatever its type; false where it is absent. */
bool flitch_get_json(flitch_record *record, const char *path, flitch_str *json);
/* The field's text. Where it is missing or no text, the record is rejected and says so: `if (!…) return;`. */
bool flitch_need_text_at(flitch_record *record, flitch_str path, flitch_str *text);
static inline bool flitch_need_text(flitch_record *record, const char *path, flitch_str *text) {
  return flitch_need_text_at(record, flitch_s(path), text);
}
/* All fields that the filter sees, then those that it has added: begin with `size_t at = 0`. */
bool flitch_next_field(flitch_record *record, size_t *at, flitch_str *path, flitch_value *value);

/* Sets a field. The value replaces what stood at, above or below its path. */
void flitch_set(flitch_record *record, flitch_str path, flitch_value value);
static inline void flitch_set_text(flitch_record *record, const char *path, flitch_str text) {
  flitch_set(record, flitch_s(path), flitch_text(text));
}
static inline void flitch_set_bytes(flitch_record *record, const char *path, flitch_str bytes) {
  flitch_set(record, flitch_s(path), flitch_bytes(bytes));
}
static inline void flitch_set_int(flitch_record *record, const char *path, int64_t number) {
  flitch_set(record, flitch_s(path), flitch_int(number));
}
static inline void flitch_set_float(flitch_record *record, const char *path, double number) {
  flitch_set(record, flitch_s(path), flitch_float(number));
}
static inline void flitch_set_bool(flitch_record *record, const char *path, bool boolean) {
  flitch_set(record, flitch_s(path), flitch_bool(boolean));
}
static inline void flitch_set_time(flitch_record *record, const char *path, int64_t nanos) {
  flitch_set(record, flitch_s(path), flitch_time(nanos));
}
/* Sets a field to the value of a JSON text. The members of an object become fields below it. */
void flitch_set_json_at(flitch_record *record, flitch_str path, flitch_str json);
static inline void flitch_set_json(flitch_record *record, const char *path, flitch_str json) {
  flitch_set_json_at(record, flitch_s(path), json);
}
/* Removes a field and what lies below it. */
void flitch_remove_at(flitch_record *record, flitch_str path);
static inline void flitch_remove(flitch_record *record, const char *path) { flitch_remove_at(record, flitch_s(path)); }

/* Drops the record, or the part of it that is being made: it goes nowhere, and is counted as dropped on purpose. */
void flitch_drop(flitch_record *record);
/* Rejects the record; `on_error` of the configuration decides what becomes of it. It goes back to what it was. Of several
 * reasons the first one is told. */
void flitch_reject(flitch_record *record, const char *format, ...) FLITCH_PRINTF(2, 3);

/* Splits the record: `flitch_split`, then `flitch_part` before the changes of each part. Each part begins with what was
 * changed before the split. No part at all drops the record. */
void flitch_split(flitch_record *record);
void flitch_part(flitch_record *record);

/* Sets the field `path` to what the table has as `field` for the key, if it has it. All keys of a batch are looked up
 * at once when its last record is done, so a read of `path` in this record does not see it yet. */
void flitch_enrich(flitch_record *record, const char *table, flitch_str key, const char *field, const char *path);

/* --- The host --------------------------------------------------------------------------------------------------- */

enum { FLITCH_DEBUG, FLITCH_INFO, FLITCH_WARN, FLITCH_ERROR };

/* A line in the host's log, under the filter's name. */
void flitch_log(int level, const char *format, ...) FLITCH_PRINTF(2, 3);
/* Adds to a counter among the host's metrics. */
void flitch_count(const char *counter, uint64_t delta);

/* --- Columns ---------------------------------------------------------------------------------------------------- */

/* A column as it lies in memory. `flitch_at` reads it; the arrays are there for loops that want them. */
typedef struct flitch_column {
  flitch_str name;
  /* Which rows have the field, as a bitmap, least significant bit first; where `has_present` is 0, all of them. */
  uint8_t has_present;
  const uint8_t *present;
  size_t present_len;
  uint8_t kind;
  union {
    /* Value `i` is `data[ends[i-1]..ends[i]]`, the first one begins at 0. */
    struct {
      const char *data;
      size_t data_len;
      const uint32_t *ends;
      size_t ends_len;
    } blobs;
    struct {
      const int64_t *ptr;
      size_t len;
    } ints;
    struct {
      const double *ptr;
      size_t len;
    } floats;
    struct {
      const uint8_t *ptr;
      size_t len;
    } bits;
  } values;
} flitch_column;

struct flitch_batch {
  uint32_t rows;
  const flitch_column *columns;
  size_t len;
};

static inline bool flitch_bit(const uint8_t *bits, size_t len, uint32_t row) {
  return row / 8 < len && (bits[row / 8] >> (row % 8) & 1);
}
static inline bool flitch_present(const flitch_column *column, uint32_t row) {
  return !column->has_present || flitch_bit(column->present, column->present_len, row);
}
/* The text, bytes or JSON of a row. False where it has none. */
static inline bool flitch_blob_at(const flitch_column *column, uint32_t row, flitch_str *text) {
  if (row >= column->values.blobs.ends_len || !flitch_present(column, row)) return false;
  size_t start = row ? column->values.blobs.ends[row - 1] : 0, end = column->values.blobs.ends[row];
  if (start > end || end > column->values.blobs.data_len) return false;
  text->ptr = column->values.blobs.data + start;
  text->len = end - start;
  return true;
}
/* The value of a row as the column has it; FLITCH_ABSENT where the row has none. A field whose type differs from row to
 * row is FLITCH_JSON here: `flitch_json_value` gives each value its own kind again. */
flitch_value flitch_at(const flitch_column *column, uint32_t row);
/* The column of a path; NULL where no record of the batch has the field. */
const flitch_column *flitch_find_column(const flitch_batch *batch, const char *path);
/* The field at exactly this path, wherever records have it: in its column, or inside of an object that has no columns for its
 * members, of which `@rest` is one. A filter that names the fields it wants has them in their columns; one that asks for all
 * finds its own by this. NULL where no record of the batch has the field. */
const flitch_column *flitch_find_field(const flitch_batch *batch, const char *path);

/* A column in the making. Give it one value, or `flitch_push_absent`, for every row that goes on: a row that was
 * rejected or left out of `flitch_take` has no place in it. An absent row keeps what the record has. Values of several
 * kinds keep theirs. A column is filled up with absent rows at the end. */
typedef struct flitch_builder flitch_builder;
flitch_builder *flitch_build(flitch_changes *changes, const char *path);
void flitch_push(flitch_builder *builder, flitch_value value);
void flitch_push_absent(flitch_builder *builder);

/* The next row that goes on. Without a call all go on that are not rejected. */
void flitch_take(flitch_changes *changes, uint32_t row);
/* Call it where no row at all goes on. */
void flitch_take_none(flitch_changes *changes);
/* Rejects one row. Of several reasons the first one is told. */
void flitch_reject_row(flitch_changes *changes, uint32_t row, const char *format, ...) FLITCH_PRINTF(3, 4);
/* Removes a field from all rows that go on, before anything is set. */
void flitch_remove_column(flitch_changes *changes, const char *path);
/* Rejects the batch as a whole. Answers false, for `return`. */
bool flitch_fail(flitch_changes *changes, const char *format, ...) FLITCH_PRINTF(2, 3);

/* Looks every key up in a table that the host keeps. Columns of the `want`ed fields come, one row per key, those
 * without any value perhaps not at all. Keys are text or whole numbers. False, and why in `error`, where there is no
 * such table. */
bool flitch_lookup(const char *table, const flitch_column *keys, flitch_texts want, const flitch_column **found,
                   size_t *count, flitch_str *error);
/* The column of a builder that is none of the answer's, such as keys. */
flitch_builder *flitch_keys(void);
flitch_column flitch_built(flitch_builder *builder);

/* --- Memory, text, JSON, time, paths ---------------------------------------------------------------------------- */

/* Memory until the batch is answered, aligned for anything; NULL where there is no more. */
void *flitch_alloc(size_t size);
/* A text from a format: %s (a C string), %.*s, %c, %d, %i, %u, %x with l, ll or z, %g (the shortest form that reads
 * back as the same double) and %%. What is not UTF-8 becomes U+FFFD. */
flitch_str flitch_format(const char *format, ...) FLITCH_PRINTF(1, 2);
flitch_str flitch_vformat(const char *format, va_list values);
/* The text with a zero behind it; NULL where there is no more memory. */
const char *flitch_c_str(flitch_str text);
bool flitch_is_utf8(flitch_str text);

/* The members of a JSON object or the items of an array:
 *   for (flitch_json it = flitch_json_open(text); flitch_json_next(&it, &name, &value);) …
 * `name` is NULL, or gets the name without its escapes; `value` is the JSON text of the value. `it.kind` is '{' or '[';
 * anything else has no items. */
typedef struct flitch_json {
  char kind;
  const char *at, *end;
} flitch_json;
flitch_json flitch_json_open(flitch_str text);
bool flitch_json_next(flitch_json *it, flitch_str *name, flitch_str *value);
/* The text of one member of an object; false where there is none. Of two of one name the last one. */
bool flitch_json_member(flitch_str object, const char *name, flitch_str *value);
/* The value of a JSON text, or of a text of a JSON column, by its own kind. */
flitch_value flitch_json_value(flitch_str text);
/* Whether a text is JSON. */
bool flitch_json_is_valid(flitch_str text);
/* The JSON text of a value: a time is its RFC 3339 string, bytes a string with U+FFFD for what is not UTF-8. */
flitch_str flitch_to_json(flitch_value value);

/* The instant of an RFC 3339 text. The lenient form takes what loggers write: a separator `_`, a comma before the
 * fraction, an offset without colon, more digits than nine, a leap second. */
bool flitch_parse_time(flitch_str text, int64_t *nanos);
bool flitch_parse_time_lenient(flitch_str text, int64_t *nanos);
/* The instant as RFC 3339 in UTC, with as many digits of the second as it has. */
flitch_str flitch_format_time(int64_t nanos);

/* A path with one more name, which is escaped; `path.ptr` is NULL for the record itself. */
flitch_str flitch_path_push(flitch_str path, flitch_str name);
/* The names along a path, from the outermost, without their escapes. */
flitch_texts flitch_path_names(flitch_str path);
/* The path above a path; false where there is none. */
bool flitch_path_above(flitch_str path, flitch_str *above);
/* Whether the path `inner` lies below `outer`: `a.b` below `a`. */
bool flitch_path_is_below(flitch_str inner, flitch_str outer);
/* Whether one of two paths is, or lies below, the other. */
bool flitch_path_overlap(flitch_str a, flitch_str b);

#ifdef __cplusplus
}
#endif
#endif
