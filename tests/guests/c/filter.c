/* A filter in C, for tests. It reads the text column `message`, and goes by how a row's text begins:
 *
 *   DROP…              the record is dropped
 *   REJECT…            the record is rejected; the whole text is the reason
 *   FAIL…              the batch as a whole is refused, with the text as the error
 *   TRAP…              aborts
 *   PANIC text         a line in the host's log, at level error; then aborts
 *   SPIN…              never comes back
 *   HOG…               allocates until it gets nothing more, then aborts
 *   LOG text           a line in the host's log, at level warn; the record goes on
 *   NONSENSE row       takes a row that the batch does not have
 *   NONSENSE rejected  rejects a row that the batch does not have
 *   NONSENSE both      takes and rejects the same row
 *   NONSENSE ends      a column whose ends shrink
 *   NONSENSE past      a column whose last end lies behind its data
 *   NONSENSE utf8      a text column that is not UTF-8
 *   NONSENSE json      a json column that is not JSON
 *   NONSENSE short     a column with a value too few
 *   NONSENSE bitmap    a bitmap with no byte for any row
 *   NONSENSE twice     the same column two times
 *   NONSENSE huge      256 MiB that it claims to hold at an address that it has not
 *   NONSENSE large     an answer of 16 MiB
 *
 * It knows the words of `hostile.c` too, and, built with -DWASI, those of `wasi.c`, with -DSTATE those of `state.c`.
 *
 * Any other record gets `upper`: its first word in capitals (ASCII). A record without `message` gets none.
 * Settings: {"refuse": "why"} makes `configure` refuse with that text; anything else is ignored.
 * Counts: `rows`, every row that it has seen.
 *
 * Who frees what: the guest its arguments, the host (through cabi_post_…) what the guest returns. So
 * everything that is returned comes from malloc.
 */
#include <stdlib.h>
#include <string.h>

#include "hostile.h"
#include "plugin.h"
#ifdef WASI
#include "wasi.h"
#endif
#ifdef STATE
#include "state.h"
#endif

/* The bindings call for this so that the linker keeps an object file with the contract in it; here the
 * contract is embedded after linking. */
void __component_type_object_force_link_plugin(void) {}

typedef flitch_filter_columns_blobs_t blobs;
typedef flitch_filter_columns_column_t column;
typedef exports_flitch_filter_filter_changes_t changes;

static void *get(size_t size) {
  void *memory = malloc(size ? size : 1);
  if (!memory) abort();
  return memory;
}

static bool begins(const uint8_t *text, size_t len, const char *with) {
  size_t n = strlen(with);
  return len >= n && memcmp(text, with, n) == 0;
}

/* The text behind `"refuse":` in settings that tests write: no escapes. */
static bool refusal(const plugin_string_t *settings, const char **text, size_t *len) {
  const char key[] = "\"refuse\"";
  const char *at = (const char *)settings->ptr, *end = at + settings->len;
  for (; at + sizeof key <= end; at++) {
    if (memcmp(at, key, sizeof key - 1) != 0) continue;
    const char *open = memchr(at + sizeof key - 1, '"', (size_t)(end - at) - (sizeof key - 1));
    const char *close = open ? memchr(open + 1, '"', (size_t)(end - open - 1)) : NULL;
    if (!close) return false;
    *text = open + 1;
    *len = (size_t)(close - open - 1);
    return true;
  }
  return false;
}

bool exports_flitch_filter_filter_configure(plugin_string_t *settings,
                                            exports_flitch_filter_filter_fields_t *ret,
                                            plugin_string_t *err) {
  const char *text;
  size_t len;
  bool refused = refusal(settings, &text, &len);
  if (refused) {
    plugin_string_dup_n(err, text, len);
  } else {
    ret->tag = EXPORTS_FLITCH_FILTER_FILTER_FIELDS_ONLY;
    ret->val.only.ptr = get(sizeof(plugin_string_t));
    ret->val.only.len = 1;
    plugin_string_dup(&ret->val.only.ptr[0], "message");
  }
  plugin_string_free(settings);
  return !refused;
}

/* Text values that grow as rows are added. */
struct texts {
  blobs values;
  uint8_t *present;
  size_t rows, room;
};

static void add(struct texts *t, const uint8_t *text, size_t len, bool there) {
  if (t->values.data.len + len > t->room) {
    t->room = (t->values.data.len + len) * 2 + 64;
    uint8_t *bigger = realloc(t->values.data.ptr, t->room);
    if (!bigger) abort();
    t->values.data.ptr = bigger;
  }
  if (len) memcpy(t->values.data.ptr + t->values.data.len, text, len);
  t->values.data.len += len;
  t->values.ends.ptr[t->rows] = (uint32_t)t->values.data.len;
  if (there) t->present[t->rows / 8] |= (uint8_t)(1u << (t->rows % 8));
  t->values.ends.len = ++t->rows;
}

static void add_upper(struct texts *t, const uint8_t *text, size_t len) {
  size_t word = 0;
  while (word < len && text[word] != ' ') word++;
  size_t at = t->values.data.len;
  add(t, text, word, true);
  for (uint8_t *c = t->values.data.ptr + at; c < t->values.data.ptr + at + word; c++)
    if (*c >= 'a' && *c <= 'z') *c -= 'a' - 'A';
}

static void take_rows(changes *ret, uint32_t count, uint32_t first) {
  free(ret->take.is_some ? ret->take.val.ptr : NULL);
  ret->take.is_some = true;
  ret->take.val.ptr = get(sizeof(uint32_t) * count);
  ret->take.val.len = count;
  for (uint32_t i = 0; i < count; i++) ret->take.val.ptr[i] = first + i;
}

static void reject(changes *ret, uint32_t row, const uint8_t *why, size_t len) {
  size_t n = ret->rejected.len++;
  ret->rejected.ptr = realloc(ret->rejected.ptr, ret->rejected.len * sizeof *ret->rejected.ptr);
  if (!ret->rejected.ptr) abort();
  ret->rejected.ptr[n].row = row;
  plugin_string_dup_n(&ret->rejected.ptr[n].reason, (const char *)why, len);
}

/* Spoils an answer that was right until now, in the way that the row's text names. */
static void nonsense(changes *ret, const char *how, uint32_t rows) {
  column *upper = &ret->set.ptr[0];
  blobs *values = &upper->values.val.text;
  size_t count = values->ends.len;
  if (strcmp(how, "row") == 0) {
    take_rows(ret, (uint32_t)count, rows);
  } else if (strcmp(how, "rejected") == 0) {
    reject(ret, rows + 5, (const uint8_t *)"no such row", 11);
  } else if (strcmp(how, "both") == 0) {
    take_rows(ret, rows, 0);
    reject(ret, 0, (const uint8_t *)"both", 4);
  } else if (strcmp(how, "ends") == 0) {
    if (count > 1) values->ends.ptr[0] = values->ends.ptr[count - 1] + 1;
    else values->ends.ptr[0] = 0;
    if (count <= 1) values->ends.len = 0;
  } else if (strcmp(how, "past") == 0) {
    values->ends.ptr[count - 1] = (uint32_t)values->data.len + 100;
  } else if (strcmp(how, "utf8") == 0) {
    values->data.ptr[0] = 0xff;
  } else if (strcmp(how, "json") == 0) {
    upper->values.tag = FLITCH_FILTER_COLUMNS_VALUES_JSON;
    values->data.ptr[0] = '{';
  } else if (strcmp(how, "short") == 0) {
    values->ends.len = count - 1;
  } else if (strcmp(how, "bitmap") == 0) {
    upper->present.is_some = true;
    upper->present.val.len = 0;
  } else if (strcmp(how, "twice") == 0) {
    ret->set.ptr = realloc(ret->set.ptr, 2 * sizeof(column));
    if (!ret->set.ptr) abort();
    column *again = &ret->set.ptr[1];
    *again = ret->set.ptr[0];
    again->name.ptr = NULL;
    plugin_string_dup(&again->name, "upper");
    again->values.val.text.data.ptr = get(again->values.val.text.data.len);
    memcpy(again->values.val.text.data.ptr, ret->set.ptr[0].values.val.text.data.ptr,
           again->values.val.text.data.len);
    again->values.val.text.ends.ptr = get(count * sizeof(uint32_t));
    memcpy(again->values.val.text.ends.ptr, ret->set.ptr[0].values.val.text.ends.ptr, count * sizeof(uint32_t));
    again->present.is_some = false;
    ret->set.len = 2;
  } else if (strcmp(how, "huge") == 0) {
    values->data.len = 256u << 20;
  } else if (strcmp(how, "large") == 0) {
    size_t large = 16u << 20;
    values->data.ptr = realloc(values->data.ptr, large);
    if (!values->data.ptr) abort();
    memset(values->data.ptr, 'x', large);
    values->data.len = large;
    values->ends.ptr[count - 1] = (uint32_t)large;
  }
}

static void hog(void) {
  for (;;) {
    uint8_t *more = malloc(1 << 20);
    if (!more) abort();
    for (size_t at = 0; at < 1 << 20; at += 4096) *(volatile uint8_t *)(more + at) = 1;
  }
}

bool exports_flitch_filter_filter_apply(exports_flitch_filter_filter_batch_t *batch, changes *ret,
                                        plugin_string_t *err) {
  uint32_t rows = batch->rows, kept = 0;
  char how[16] = "";
  bool failed = false, dropped = false;
  const column *message = NULL;
  for (size_t i = 0; i < batch->columns.len; i++) {
    const column *c = &batch->columns.ptr[i];
    if (c->name.len == 7 && memcmp(c->name.ptr, "message", 7) == 0 &&
        c->values.tag == FLITCH_FILTER_COLUMNS_VALUES_TEXT)
      message = c;
  }

  plugin_string_t counter;
  plugin_string_set(&counter, "rows");
  flitch_filter_host_count(&counter, rows);

  memset(ret, 0, sizeof *ret);
  struct texts upper = {0};
  upper.values.ends.ptr = get(rows * sizeof(uint32_t));
  upper.present = calloc(rows / 8 + 1, 1);
  uint32_t *take = get(rows * sizeof(uint32_t));
  if (!upper.present) abort();

  for (uint32_t row = 0; row < rows && !failed; row++) {
    const uint8_t *text = NULL;
    size_t len = 0;
    bool there = message && (!message->present.is_some ||
                             (message->present.val.ptr[row / 8] >> (row % 8) & 1));
    if (there) {
      const blobs *values = &message->values.val.text;
      size_t start = row ? values->ends.ptr[row - 1] : 0;
      text = values->data.ptr + start;
      len = values->ends.ptr[row] - start;
    }
    if (there && begins(text, len, "DROP")) {
      dropped = true;
      continue;
    }
    if (there && begins(text, len, "REJECT")) {
      reject(ret, row, text, len);
      continue;
    }
    if (there && begins(text, len, "FAIL")) {
      plugin_string_dup_n(err, (const char *)text, len);
      failed = true;
    }
    if (there && begins(text, len, "TRAP")) abort();
    if (there && begins(text, len, "SPIN"))
      for (volatile int forever = 1; forever;) {}
    if (there && begins(text, len, "HOG")) hog();
    if (there && begins(text, len, "LOG ")) {
      plugin_string_t line = {(uint8_t *)text + 4, len - 4};
      flitch_filter_host_log(FLITCH_FILTER_HOST_LEVEL_WARN, &line);
    }
    if (there && begins(text, len, "PANIC ")) {
      plugin_string_t line = {(uint8_t *)text + 6, len - 6};
      flitch_filter_host_log(FLITCH_FILTER_HOST_LEVEL_ERROR, &line);
      abort();
    }
    if (there && begins(text, len, "NONSENSE ")) {
      size_t n = 0;
      for (; n < sizeof how - 1 && n < len - 9 && text[9 + n] != ' '; n++) how[n] = (char)text[9 + n];
      how[n] = 0;
    }
    if (there) hostile(text, len);
    take[kept++] = row;
#ifdef WASI
    char said[4096];
    size_t said_len;
    if (there && outside(text, len, said, sizeof said, &said_len)) {
      add(&upper, (const uint8_t *)said, said_len, true);
      continue;
    }
#endif
#ifdef STATE
    const char *kept;
    size_t kept_len;
    if (there && remembers(text, len, &kept, &kept_len)) {
      add(&upper, (const uint8_t *)kept, kept_len, true);
      continue;
    }
#endif
    if (there) add_upper(&upper, text, len);
    else add(&upper, NULL, 0, false);
  }

  if (!failed) {
    ret->set.ptr = get(sizeof(column));
    ret->set.len = 1;
    column *set = &ret->set.ptr[0];
    plugin_string_dup(&set->name, "upper");
    set->present.is_some = true;
    set->present.val.ptr = upper.present;
    set->present.val.len = (kept + 7) / 8;
    set->values.tag = FLITCH_FILTER_COLUMNS_VALUES_TEXT;
    set->values.val.text = upper.values;
    if (dropped) {
      ret->take.is_some = true;
      ret->take.val.ptr = take;
      ret->take.val.len = kept;
    } else {
      free(take);
    }
    if (how[0] && !spoil(ret, how, kept)) nonsense(ret, how, rows);
  } else {
    for (size_t i = 0; i < ret->rejected.len; i++) plugin_string_free(&ret->rejected.ptr[i].reason);
    free(ret->rejected.ptr);
    free(upper.values.data.ptr);
    free(upper.values.ends.ptr);
    free(upper.present);
    free(take);
  }
  exports_flitch_filter_filter_batch_free(batch);
  return !failed;
}
