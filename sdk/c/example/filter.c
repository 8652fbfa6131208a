/* The example of every SDK: lines of `key=value` words become fields, and a table says who owns the service. */
#include "flitch.h"

static struct {
  flitch_str field;
  flitch_str table;
} settings;

#define SETTINGS __typeof__(settings)
static const flitch_setting keys[] = {
    FLITCH_SETTING_TEXT(SETTINGS, field, false),
    FLITCH_SETTING_TEXT(SETTINGS, table, false),
};
static const char *table;

static bool configure(flitch_setup *setup) {
  settings.field = flitch_s("message");
  settings.table = flitch_s("services");
  if (!flitch_settings(setup, keys, sizeof keys / sizeof *keys, &settings)) return false;
  table = flitch_c_str(settings.table);
  flitch_want(setup, settings.field);
  return true;
}

static bool is_letter(char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }

/* The key at the head of a word, which ends before its `=`; none where there is no pair. `dotted` says that it has a
 * dot. */
static flitch_str key_of(flitch_str word, bool *dotted) {
  flitch_str none = {NULL, 0};
  *dotted = false;
  if (!word.len || !is_letter(word.ptr[0])) return none;
  for (size_t i = 1; i < word.len; i++) {
    char c = word.ptr[i];
    if (c == '=') return flitch_strn(word.ptr, i);
    *dotted |= c == '.';
    if (!is_letter(c) && !(c >= '0' && c <= '9') && c != '_' && c != '-' && c != '.') break;
  }
  return none;
}

static void record(flitch_record *record) {
  flitch_str line, level = {NULL, 0}, service = {NULL, 0};
  if (!flitch_need_text_at(record, settings.field, &line)) return;
  bool found = false;
  while (line.len) {
    size_t len = flitch_find(line, ' '), passed = len < line.len ? len + 1 : len;
    flitch_str word = flitch_strn(line.ptr, len);
    line = flitch_strn(line.ptr + passed, line.len - passed);
    bool dotted;
    flitch_str key = key_of(word, &dotted);
    if (!key.ptr) continue;
    flitch_str value = flitch_strn(word.ptr + key.len + 1, word.len - key.len - 1);
    found = true;
    /* A dot is part of the name. */
    flitch_str name = dotted ? flitch_path_push(flitch_strn(NULL, 0), key) : key;
    flitch_set(record, name, flitch_text(value));
    if (flitch_is(key, "level")) level = value;
    if (flitch_is(key, "service")) service = value;
  }
  if (!found) {
    flitch_reject(record, "the line has no key=value");
  } else if (flitch_is(level, "DEBUG")) {
    flitch_drop(record);
  } else if (service.ptr) {
    flitch_enrich(record, table, service, "owner", "owner");
  }
}

const flitch_filter flitch_plugin = {.configure = configure, .record = record};
