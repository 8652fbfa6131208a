/* The border, as the canonical ABI of the component model has it for the world `plugin` of wit/filter.wit. The structs
 * of the library are laid out as it lays them out, so that a batch and an answer cross without a copy in here. */
#if defined(__wasm__)
#include "internal.h"

#define OFFSET(type, member, at) _Static_assert(offsetof(type, member) == (at), "the layout of " #type)
_Static_assert(sizeof(flitch_column) == 40 && sizeof(removal) == 20 && sizeof(rejection) == 12,
               "the layout of the contract");
OFFSET(flitch_column, has_present, 8);
OFFSET(flitch_column, kind, 20);
OFFSET(flitch_column, values, 24);
OFFSET(removal, has_rows, 8);

#define IMPORT(name) __attribute__((__import_module__("flitch:filter/host@1.0.0"), __import_name__(name)))
#define EXPORT(name) __attribute__((__export_name__(name)))

IMPORT("log") extern void import_log(int32_t level, const char *line, size_t len);
IMPORT("count") extern void import_count(const char *counter, size_t len, int64_t delta);
IMPORT("lookup")
extern void import_lookup(const char *table, size_t table_len, const char *name, size_t name_len, int32_t has_present,
                          const uint8_t *present, size_t present_len, int32_t kind, const void *first, size_t first_len,
                          const void *second, size_t second_len, const flitch_str *want, size_t want_len, void *result);

/* `result<T, string>`, where T begins with a place for a pointer. */
typedef struct result {
  uint8_t is_error;
  union {
    struct {
      const flitch_column *columns;
      size_t len;
    } found;
    struct {
      uint8_t all;
      const flitch_str *names;
      size_t len;
    } fields;
    answer changes;
    flitch_str error;
  } is;
} result;
OFFSET(result, is, 4);

void host_log(int level, flitch_str line) { import_log(level, line.ptr, line.len); }
void host_count(flitch_str counter, uint64_t delta) { import_count(counter.ptr, counter.len, (int64_t)delta); }

bool host_lookup(flitch_str table, const flitch_column *keys, flitch_texts want, const flitch_column **found,
                 size_t *count, flitch_str *error) {
  result answer;
  /* Lists of numbers have one half of what blobs have. */
  bool is_blob = keys->kind == FLITCH_TEXT || keys->kind == FLITCH_BYTES || keys->kind == FLITCH_JSON;
  import_lookup(table.ptr, table.len, keys->name.ptr, keys->name.len, keys->has_present, keys->present,
                keys->present_len, keys->kind, keys->values.blobs.data, keys->values.blobs.data_len,
                is_blob ? keys->values.blobs.ends : NULL, is_blob ? keys->values.blobs.ends_len : 0, want.items,
                want.len, &answer);
  if (answer.is_error) {
    *error = answer.is.error;
    return false;
  }
  *found = answer.is.found.columns;
  *count = answer.is.found.len;
  return true;
}

/* What the host hands over lies where all that is of the batch does. */
EXPORT("cabi_realloc") void *cabi_realloc(void *ptr, size_t old, size_t align, size_t size) {
  (void)align;
  if (!size) return (void *)16;
  void *memory = flitch_grow(ptr, old, size);
  /* The host is in the middle of a call, so there is nobody to tell. */
  if (!memory) __builtin_trap();
  return memory;
}

static result said;

EXPORT("flitch:filter/filter@1.0.0#configure") result *export_configure(const char *settings, size_t len) {
  static flitch_setup setup;
  memset(&setup, 0, sizeof setup);
  setup.settings = flitch_strn(settings, len);
  flitch_str error;
  said.is_error = !guest_configure(&flitch_plugin, &setup, &error);
  if (said.is_error) {
    said.is.error = error;
  } else {
    said.is.fields.all = !setup.only;
    said.is.fields.names = setup.wanted;
    said.is.fields.len = setup.wanted_len;
  }
  return &said;
}

EXPORT("cabi_post_flitch:filter/filter@1.0.0#configure") void post_configure(result *answer) {
  (void)answer;
  flitch_keep();
}

EXPORT("flitch:filter/filter@1.0.0#apply")
result *export_apply(uint32_t rows, const flitch_column *columns, size_t len) {
  flitch_batch batch = {rows, columns, len};
  answer changes;
  flitch_str error;
  said.is_error = !guest_apply(&flitch_plugin, &batch, &changes, &error);
  /* An error would reject all records for the sake of one; where the instance ends, the host looks for that one. */
  if (rows > 1 && flitch_is_out_of_memory()) __builtin_trap();
  if (said.is_error) said.is.error = error;
  else said.is.changes = changes;
  return &said;
}

EXPORT("cabi_post_flitch:filter/filter@1.0.0#apply") void post_apply(result *answer) {
  (void)answer;
  flitch_forget();
}

_Static_assert(sizeof(flitch_restored) == 12, "the layout of `result<_, string>`");

/* A state that is cut short for a lack of memory would be restored as if it were whole. */
flitch_str *flitch_save_(const flitch_state *state) {
  static flitch_str saved;
  saved = state->save();
  if (flitch_is_out_of_memory()) __builtin_trap();
  return &saved;
}

void flitch_saved_(void) { flitch_forget(); }

flitch_restored *flitch_restore_(const flitch_state *state, const char *saved, size_t len) {
  static flitch_restored restored;
  restored.reason = flitch_s("the state is refused");
  restored.refused = !state->restore(flitch_strn(saved, len), &restored.reason);
  if (flitch_is_out_of_memory()) __builtin_trap();
  flitch_keep();
  return &restored;
}
#endif
