/* Native tests of a filter: records in as JSON, records out, and nothing of WebAssembly. Link your filter with the
 * library and the files of this folder.
 *
 * Every record has the time 1970-01-01T00:00:00Z in `@timestamp` and the tag `test` in `@tag`, unless it brings others;
 * records that come out show the two only where they are others. */
#ifndef FLITCH_TESTING_H
#define FLITCH_TESTING_H

#include "flitch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What became of records: NDJSON, each record as one flat object that names its fields by their paths, sorted. All of
 * it lives until the next call of a function of this file. */
typedef struct flitch_outcome {
  /* What the filter says when it refuses the settings; NULL where it takes them. */
  const char *refused;
  /* Why the batch as a whole was rejected; NULL where it was not. */
  const char *failed;
  const char *records;
  /* A line for each: {"row":3,"reason":"…"}. */
  const char *rejected;
} flitch_outcome;

/* Configures `flitch_plugin` anew and runs the records of an NDJSON text through it as one batch. */
flitch_outcome flitch_try(const char *settings, const char *ndjson);

/* What was logged since `flitch_try`, a line each with the level before it: `warn a line`. */
const char *flitch_logged(void);
/* What was counted under a name. */
uint64_t flitch_counted(const char *counter);
/* Gives the host a table, NDJSON with the key under `key`. It stays until it is given again. */
void flitch_give_table(const char *name, const char *ndjson);

/* Runs the cases under a folder, in the format of flitch's plugins: see the README of this SDK. The records of a case
 * come as one batch, and each in one of its own: they must fare alike. Prints what went wrong, and answers how many
 * cases did; all of them fail where there is none. */
int flitch_run_cases(const char *folder);

/* Runs the cases of wit/cases/batches through a conformance guest, likewise. */
int flitch_run_batches(const char *folder);

#ifdef __cplusplus
}
#endif
#endif
