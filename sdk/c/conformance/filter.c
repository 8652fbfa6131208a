/* The conformance guest of the C SDK. It does what its settings say, step by step, so that the cases under
 * `wit/cases/batches` can hold it to the contract; `wit/cases/README.md` has the steps. */
#include <stdlib.h>

#include "flitch.h"

typedef struct step {
  flitch_str does, json;
  /* The field that a record must have for the step to be done; NULL where there is none. */
  const char *condition;
} step;

static struct {
  flitch_str fields, refuse, steps;
} settings;
static step *steps;
static size_t steps_len;

#define SETTINGS __typeof__(settings)
static const flitch_setting keys[] = {
    FLITCH_SETTING_JSON(SETTINGS, fields, false),
    FLITCH_SETTING_TEXT(SETTINGS, refuse, false),
    FLITCH_SETTING_JSON(SETTINGS, steps, false),
};

/* A text of a step; empty where it has none. */
static flitch_str text_of(const step *step, const char *name) {
  flitch_str json = {NULL, 0};
  if (!flitch_json_member(step->json, name, &json)) return flitch_s("");
  flitch_value value = flitch_json_value(json);
  return value.kind == FLITCH_TEXT ? value.is.text : flitch_s("");
}

static bool configure(flitch_setup *setup) {
  memset(&settings, 0, sizeof settings);
  steps = NULL;
  steps_len = 0;
  if (!flitch_settings(setup, keys, sizeof keys / sizeof *keys, &settings)) return false;
  if (settings.refuse.ptr) return flitch_refuse(setup, "%.*s", (int)settings.refuse.len, settings.refuse.ptr);
  flitch_str item;
  if (settings.fields.ptr && settings.fields.ptr[0] == '[') flitch_want_nothing(setup);
  for (flitch_json it = flitch_json_open(settings.fields); flitch_json_next(&it, NULL, &item);)
    flitch_want(setup, flitch_json_value(item).is.text);
  for (flitch_json it = flitch_json_open(settings.steps); flitch_json_next(&it, NULL, &item);) steps_len++;
  if (!(steps = (step *)flitch_alloc(steps_len * sizeof *steps))) return false;
  size_t at = 0;
  for (flitch_json it = flitch_json_open(settings.steps); flitch_json_next(&it, NULL, &item); at++) {
    flitch_str condition;
    steps[at].json = item;
    steps[at].does = text_of(&steps[at], "do");
    steps[at].condition =
        flitch_json_member(item, "if", &condition) ? flitch_c_str(flitch_json_value(condition).is.text) : NULL;
  }
  return true;
}

static int64_t number_of(const step *step, const char *name) {
  flitch_str json;
  return flitch_json_member(step->json, name, &json) ? flitch_json_value(json).is.integer : 0;
}

static void set_bytes(flitch_record *record, const step *step) {
  flitch_str list = {NULL, 0}, item;
  flitch_json_member(step->json, "bytes", &list);
  char *bytes = (char *)flitch_alloc(list.len);
  size_t len = 0;
  for (flitch_json it = flitch_json_open(list); bytes && flitch_json_next(&it, NULL, &item);)
    bytes[len++] = (char)flitch_json_value(item).is.integer;
  flitch_set(record, text_of(step, "field"), flitch_bytes(flitch_strn(bytes, len)));
}

static void split(flitch_record *record, const step *step) {
  flitch_str field = text_of(step, "field"), item;
  flitch_value list = flitch_get_at(record, field);
  flitch_json it = flitch_json_open(list.kind == FLITCH_JSON ? list.is.text : flitch_s(""));
  if (it.kind != '[') {
    flitch_reject(record, "%.*s is no array", (int)field.len, field.ptr);
    return;
  }
  flitch_split(record);
  while (flitch_json_next(&it, NULL, &item)) {
    flitch_part(record);
    flitch_set_json_at(record, text_of(step, "to"), item);
  }
}

static void log_line(const step *step) {
  flitch_str level = text_of(step, "level"), message = text_of(step, "message");
  int number = flitch_is(level, "debug")  ? FLITCH_DEBUG
               : flitch_is(level, "info") ? FLITCH_INFO
               : flitch_is(level, "warn") ? FLITCH_WARN
                                          : FLITCH_ERROR;
  flitch_log(number, "%.*s", (int)message.len, message.ptr);
}

static void count(const step *step) {
  flitch_str by = {"0", 1};
  flitch_json_member(step->json, "by", &by);
  /* Larger than an int64 perhaps. */
  flitch_count(flitch_c_str(text_of(step, "counter")), strtoull(flitch_c_str(by), NULL, 10));
}

static void lookup(flitch_record *record, const step *step) {
  flitch_str key, error, list = {NULL, 0}, item, wanted[16];
  if (!flitch_need_text_at(record, text_of(step, "key"), &key)) return;
  flitch_builder *keys = flitch_keys();
  flitch_push(keys, flitch_text(key));
  flitch_column column = flitch_built(keys);
  flitch_texts want = {wanted, 0};
  flitch_json_member(step->json, "want", &list);
  for (flitch_json it = flitch_json_open(list); want.len < 16 && flitch_json_next(&it, NULL, &item);)
    wanted[want.len++] = flitch_json_value(item).is.text;
  const flitch_column *found;
  size_t columns;
  if (!flitch_lookup(flitch_c_str(text_of(step, "table")), &column, want, &found, &columns, &error)) {
    flitch_reject(record, "%.*s", (int)error.len, error.ptr);
    return;
  }
  for (size_t i = 0; i < columns; i++) {
    flitch_value value = flitch_at(&found[i], 0);
    if (value.kind == FLITCH_JSON) value = flitch_json_value(value.is.text);
    flitch_set(record, found[i].name, value);
  }
}

/* What no filter should do, so that a test can see that the host survives it in this language. */
static volatile bool forever = true;

__attribute__((noinline)) static int recurse(volatile int depth) {
  volatile char room[1024];
  room[0] = (char)depth;
  return forever ? recurse(depth + 1) + room[0] : 0;
}

static void misbehave(flitch_record *record, const step *step) {
  /* C throws nothing: an error is what a function says. */
  if (flitch_is(step->does, "throw")) flitch_reject(record, "%s", flitch_c_str(text_of(step, "message")));
  if (flitch_is(step->does, "trap")) __builtin_trap();
  if (flitch_is(step->does, "spin"))
    while (forever) {
    }
  if (flitch_is(step->does, "eat"))
    while (flitch_alloc(1 << 20)) {
    }
  if (flitch_is(step->does, "recurse")) recurse(0);
  if (flitch_is(step->does, "answer")) {
    /* The library answers with rows and values that there are; a name longer than the host takes is left. */
    size_t len = 64 << 10;
    char *name = (char *)flitch_alloc(len);
    if (name) flitch_set(record, flitch_strn((const char *)memset(name, 'b', len), len), flitch_int(1));
  }
}

static int64_t numbered;

static void act(flitch_record *record, const step *step) {
  flitch_str does = step->does, field = text_of(step, "field"), json = {NULL, 0};
  if (flitch_is(does, "number")) {
    flitch_set(record, text_of(step, "to"), flitch_int(++numbered));
  } else if (flitch_is(does, "drop")) {
    flitch_drop(record);
  } else if (flitch_is(does, "reject")) {
    flitch_str reason = text_of(step, "reason");
    flitch_reject(record, "%.*s", (int)reason.len, reason.ptr);
  } else if (flitch_is(does, "set")) {
    flitch_json_member(step->json, "value", &json);
    flitch_set_json_at(record, field, json);
  } else if (flitch_is(does, "set_time")) {
    flitch_set(record, field, flitch_time(number_of(step, "ns")));
  } else if (flitch_is(does, "set_bytes")) {
    set_bytes(record, step);
  } else if (flitch_is(does, "copy")) {
    flitch_set(record, text_of(step, "to"), flitch_get_at(record, text_of(step, "from")));
  } else if (flitch_is(does, "remove")) {
    flitch_remove_at(record, field);
  } else if (flitch_is(does, "split")) {
    split(record, step);
  } else if (flitch_is(does, "log")) {
    log_line(step);
  } else if (flitch_is(does, "count")) {
    count(step);
  } else if (flitch_is(does, "lookup")) {
    lookup(record, step);
  } else {
    misbehave(record, step);
  }
}

static void record(flitch_record *record) {
  for (size_t i = 0; i < steps_len; i++)
    if (!steps[i].condition || flitch_has(record, steps[i].condition)) act(record, &steps[i]);
}

const flitch_filter flitch_plugin = {.configure = configure, .record = record};

static flitch_str save(void) { return flitch_format("1 %lld", (long long)numbered); }

static bool restore(flitch_str saved, flitch_str *reason) {
  size_t space = flitch_find(saved, ' ');
  if (space == saved.len || !flitch_is(flitch_strn(saved.ptr, space), "1")) {
    *reason = flitch_s("its format is not known");
    return false;
  }
  const char *number = flitch_c_str(flitch_strn(saved.ptr + space + 1, saved.len - space - 1));
  numbered += number ? strtoll(number, NULL, 10) : 0;
  return true;
}

const flitch_state conformance_state = {.save = save, .restore = restore};
FLITCH_EXPORT_STATE(conformance_state);
