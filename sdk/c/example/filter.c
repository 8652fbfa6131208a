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

/* What each byte may be in a key: its first letter, another letter of it, a dot. */
enum { FIRST = 1, MORE = 2, DOT = 4 };
static uint8_t classes[256];

static void classify(void) {
  for (int c = 'a'; c <= 'z'; c++) classes[c] = classes[c - 32] = FIRST | MORE;
  for (int c = '0'; c <= '9'; c++) classes[c] = MORE;
  classes['_'] = classes['-'] = MORE;
  classes['.'] = MORE | DOT;
}

static bool configure(flitch_setup *setup) {
  settings.field = flitch_s("message");
  settings.table = flitch_s("services");
  if (!flitch_settings(setup, keys, sizeof keys / sizeof *keys, &settings)) return false;
  table = flitch_c_str(settings.table);
  classify();
  flitch_want(setup, settings.field);
  return true;
}

/* The key at the head of a word, which ends before its `=`; none where there is no pair. `dotted` says that it has a
 * dot. */
static flitch_str key_of(flitch_str word, bool *dotted) {
  flitch_str none = {NULL, 0};
  const uint8_t *at = (const uint8_t *)word.ptr, *end = at + word.len;
  uint8_t seen = 0;
  if (at == end || !(classes[*at] & FIRST)) return none;
  for (; at < end && classes[*at] & MORE; at++) seen |= classes[*at];
  *dotted = seen & DOT;
  return at < end && *at == '=' ? flitch_strn(word.ptr, (size_t)(at - (const uint8_t *)word.ptr)) : none;
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
