/* A filter in C, for tests of swaps: it writes which generation it is into the text column `generation`. A generation is a
 * letter and seven digits behind `@GENERATION@`, which a test writes over in the built component. The letter says what the
 * filter does:
 *
 *   g  nothing else
 *   r  refuses its settings
 *   t  traps, but on an empty batch
 *   j  rejects records whose number (`n=0000001 …` in the text column `message`) is odd
 *   s  takes its time: some 10 us for each record
 */
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

void __component_type_object_force_link_plugin(void) {}

static const volatile char MARK[] = "@GENERATION@g0000000";
enum { BEFORE = 12, LEN = 8 };

typedef flitch_filter_columns_column_t column;
typedef exports_flitch_filter_filter_changes_t changes;

static void *get(size_t size) {
  void *memory = malloc(size ? size : 1);
  if (!memory) abort();
  return memory;
}

bool exports_flitch_filter_filter_configure(plugin_string_t *settings,
                                            exports_flitch_filter_filter_fields_t *ret,
                                            plugin_string_t *err) {
  plugin_string_free(settings);
  if (MARK[BEFORE] == 'r') {
    plugin_string_dup(err, "this generation takes no settings");
    return false;
  }
  ret->tag = EXPORTS_FLITCH_FILTER_FILTER_FIELDS_ONLY;
  ret->val.only.ptr = get(sizeof(plugin_string_t));
  ret->val.only.len = 1;
  plugin_string_dup(&ret->val.only.ptr[0], "message");
  return true;
}

/* Whether the number in a row's text is odd. */
static bool is_odd(const column *message, uint32_t row) {
  const flitch_filter_columns_blobs_t *values = &message->values.val.text;
  size_t start = row ? values->ends.ptr[row - 1] : 0;
  return values->ends.ptr[row] - start > 8 && values->data.ptr[start + 8] % 2 == 1;
}

bool exports_flitch_filter_filter_apply(exports_flitch_filter_filter_batch_t *batch, changes *ret,
                                        plugin_string_t *err) {
  (void)err;
  uint32_t rows = batch->rows, kept = 0;
  if (rows && MARK[BEFORE] == 't') abort();
  if (MARK[BEFORE] == 's')
    for (volatile uint32_t turn = 0; turn < rows * 10000; turn++) {}
  memset(ret, 0, sizeof *ret);
  uint32_t *take = get(rows * sizeof(uint32_t));
  bool rejects = MARK[BEFORE] == 'j' && batch->columns.len == 1;
  for (uint32_t row = 0; row < rows; row++) {
    if (rejects && is_odd(&batch->columns.ptr[0], row)) {
      ret->rejected.ptr = realloc(ret->rejected.ptr, (ret->rejected.len + 1) * sizeof *ret->rejected.ptr);
      if (!ret->rejected.ptr) abort();
      ret->rejected.ptr[ret->rejected.len].row = row;
      plugin_string_dup(&ret->rejected.ptr[ret->rejected.len++].reason, "odd");
    } else {
      take[kept++] = row;
    }
  }
  ret->set.ptr = get(sizeof(column));
  ret->set.len = 1;
  column *set = &ret->set.ptr[0];
  memset(set, 0, sizeof *set);
  plugin_string_dup(&set->name, "generation");
  set->values.tag = FLITCH_FILTER_COLUMNS_VALUES_TEXT;
  set->values.val.text.data.ptr = get(kept * LEN);
  set->values.val.text.data.len = kept * LEN;
  set->values.val.text.ends.ptr = get(kept * sizeof(uint32_t));
  set->values.val.text.ends.len = kept;
  for (uint32_t row = 0; row < kept; row++) {
    for (int at = 0; at < LEN; at++) set->values.val.text.data.ptr[row * LEN + at] = (uint8_t)MARK[BEFORE + at];
    set->values.val.text.ends.ptr[row] = (row + 1) * LEN;
  }
  if (kept < rows) {
    ret->take.is_some = true;
    ret->take.val.ptr = take;
    ret->take.val.len = kept;
  } else {
    free(take);
  }
  exports_flitch_filter_filter_batch_free(batch);
  return true;
}
