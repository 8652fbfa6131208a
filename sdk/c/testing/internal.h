/* What the files of this folder share. */
#ifndef FLITCH_TESTING_INTERNAL_H
#define FLITCH_TESTING_INTERNAL_H

#include "../src/internal.h"
#include "flitch_testing.h"

/* One record: its fields by their paths. */
typedef struct field {
  flitch_str path;
  flitch_value value;
} field;
typedef struct fields {
  field *items;
  uint32_t len, room;
} fields;

/* Everything as it was when the program began, but for the tables. */
void begin_test(void);
/* The tables are gone as well. */
void drop_tables(void);
/* The columns of an NDJSON text; false, and what is wrong, where a line is no object. */
bool read_records(flitch_str ndjson, flitch_batch *batch, flitch_str *error);
flitch_batch batch_of(set *columns, uint32_t rows);
/* What the filter asked for. */
flitch_batch select_columns(const flitch_batch *batch, const flitch_setup *setup);
/* The records that go on: one list of fields for each. False, and why, where the answer breaks the contract. */
bool apply_answer(const flitch_batch *batch, const answer *answer, fields **records, uint32_t *len, flitch_str *error);
/* Sets a field, which takes the place of what stands at, above or below its path. */
void put_field(fields *record, flitch_str path, flitch_value value);
void put_json(fields *record, flitch_str path, flitch_str json);
void sort_fields(fields *record);
/* The record as a flat object. With `kinds` each value is an object that names its kind. */
flitch_str show_fields(const fields *record, bool kinds);
/* Without the time and the tag that every record of a test has. */
void forget_defaults(fields *record);

flitch_str log_lines(void);
/* The counters as `{"name":5}`, sorted. */
flitch_str counter_lines(void);

/* A whole file, with a zero behind it, in memory of the test; NULL where there is none. */
const char *read_file(const char *folder, const char *name, size_t *len);
/* The names in a folder, sorted; those of folders alone where `folders`. */
flitch_texts list_folder(const char *folder, bool folders);
/* The next line that is not empty. */
bool next_line(flitch_str *rest, flitch_str *line);

#endif
