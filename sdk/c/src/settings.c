/* Settings: the JSON text that the host hands over, into a struct. */
#include "internal.h"

bool flitch_refuse(flitch_setup *setup, const char *format, ...) {
  va_list values;
  va_start(values, format);
  setup->reason = flitch_vformat(format, values);
  va_end(values);
  setup->refused = true;
  return false;
}

flitch_str flitch_settings_text(const flitch_setup *setup) { return setup->settings; }

void flitch_want(flitch_setup *setup, flitch_str path) {
  if (grow_items((void **)&setup->wanted, setup->wanted_len, &setup->wanted_room, sizeof *setup->wanted))
    setup->wanted[setup->wanted_len++] = path;
  setup->only = true;
}

void flitch_want_nothing(flitch_setup *setup) { setup->only = true; }

/* `a`, or `a` or `b`, or one of `a`, `b`, `c`. */
static flitch_str names_of(const flitch_setting *settings, size_t count) {
  buffer names = {0};
  if (count > 2) buffer_add(&names, "one of ", 7);
  for (size_t i = 0; i < count; i++) {
    const char *between = i == 0 ? "" : count == 2 ? " or " : ", ";
    buffer_add(&names, between, strlen(between));
    buffer_byte(&names, '`');
    buffer_add(&names, settings[i].name, strlen(settings[i].name));
    buffer_byte(&names, '`');
  }
  return buffer_text(&names);
}

static bool wrong_type(flitch_setup *setup, flitch_str path, flitch_str json, const char *expected) {
  flitch_value value = flitch_json_value(json);
  flitch_str quoted = flitch_to_json(value);
  const char *what = value.kind == FLITCH_TEXT    ? "string"
                     : value.kind == FLITCH_INT   ? "integer"
                     : value.kind == FLITCH_FLOAT ? "floating point"
                     : value.kind == FLITCH_BOOL  ? "boolean"
                     : json.ptr[0] == '['         ? "sequence"
                     : json.ptr[0] == '{'         ? "map"
                     : json.ptr[0] == 'n'         ? "null"
                                                  : "number";
  if (value.kind == FLITCH_JSON)
    return flitch_refuse(setup, "%.*s: invalid type: %s, expected %s", (int)path.len, path.ptr, what, expected);
  const char *quote = value.kind == FLITCH_TEXT ? "" : "`";
  return flitch_refuse(setup, "%.*s: invalid type: %s %s%.*s%s, expected %s", (int)path.len, path.ptr, what, quote,
                       (int)quoted.len, quoted.ptr, quote, expected);
}

static bool read_texts(flitch_setup *setup, const flitch_setting *setting, flitch_str json, flitch_texts *into) {
  flitch_str *texts = NULL, item;
  uint32_t len = 0, room = 0;
  flitch_json it = flitch_json_open(json);
  while (flitch_json_next(&it, NULL, &item)) {
    flitch_value value = flitch_json_value(item);
    if (value.kind != FLITCH_TEXT) {
      flitch_str path = flitch_format("settings.%s[%u]", setting->name, (unsigned)len);
      return wrong_type(setup, path, item, "a string");
    }
    if (!grow_items((void **)&texts, len, &room, sizeof *texts)) return false;
    texts[len++] = value.is.text;
  }
  into->items = texts;
  into->len = len;
  return true;
}

static bool read_setting(flitch_setup *setup, const flitch_setting *setting, flitch_str json, void *into) {
  static const char *const expected[] = {
      [FLITCH_TEXT] = "a string", [FLITCH_INT] = "i64", [FLITCH_FLOAT] = "f64", [FLITCH_BOOL] = "a boolean"};
  char *place = (char *)into + setting->offset;
  flitch_value value = flitch_json_value(json);
  if (setting->kind == FLITCH_JSON) {
    memcpy(place, &json, sizeof json);
    return true;
  }
  if (setting->kind == FLITCH_TEXTS_SETTING && json.ptr[0] == '[')
    return read_texts(setup, setting, json, (flitch_texts *)(void *)place);
  if (setting->kind == FLITCH_FLOAT && value.kind == FLITCH_INT) value = flitch_float((double)value.is.integer);
  if (value.kind != setting->kind) {
    flitch_str path = flitch_format("settings.%s", setting->name);
    const char *wanted = setting->kind == FLITCH_TEXTS_SETTING ? "a sequence" : expected[setting->kind];
    return wrong_type(setup, path, json, wanted);
  }
  switch (setting->kind) {
  case FLITCH_TEXT: memcpy(place, &value.is.text, sizeof value.is.text); break;
  case FLITCH_INT: memcpy(place, &value.is.integer, sizeof value.is.integer); break;
  case FLITCH_FLOAT: memcpy(place, &value.is.number, sizeof value.is.number); break;
  default: memcpy(place, &value.is.boolean, sizeof value.is.boolean); break;
  }
  return true;
}

bool flitch_settings(flitch_setup *setup, const flitch_setting *settings, size_t count, void *into) {
  flitch_str text = setup->settings, name = {NULL, 0}, value;
  if (!flitch_json_is_valid(text)) return flitch_refuse(setup, "settings: what stands there is no JSON");
  flitch_json it = flitch_json_open(text);
  if (it.kind != '{') return wrong_type(setup, flitch_s("settings"), text, "an object");
  bool *given = (bool *)flitch_zeroed(count);
  while (given && flitch_json_next(&it, &name, &value)) {
    size_t at = 0;
    while (at < count && !flitch_is(name, settings[at].name)) at++;
    if (at == count) {
      flitch_str names = names_of(settings, count);
      if (!count)
        return flitch_refuse(setup, "settings.%.*s: unknown field `%.*s`, there are no fields", (int)name.len, name.ptr,
                             (int)name.len, name.ptr);
      return flitch_refuse(setup, "settings.%.*s: unknown field `%.*s`, expected %.*s", (int)name.len, name.ptr,
                           (int)name.len, name.ptr, (int)names.len, names.ptr);
    }
    if (given[at]) return flitch_refuse(setup, "settings: duplicate field `%s`", settings[at].name);
    given[at] = true;
    if (!read_setting(setup, &settings[at], value, into)) return false;
  }
  for (size_t at = 0; given && at < count; at++)
    if (settings[at].required && !given[at])
      return flitch_refuse(setup, "settings: missing field `%s`", settings[at].name);
  return !flitch_is_out_of_memory();
}
