/* Adds the domain of an e-mail address, and drops what comes from some of them. */
#include "flitch.h"

/* What stands under `settings` in the configuration. */
static struct settings {
  /* The field that holds the address. */
  flitch_str field;
  /* Domains whose records are dropped. */
  flitch_texts drop;
} settings;

static const flitch_setting keys[] = {
    FLITCH_SETTING_TEXT(struct settings, field, true),
    FLITCH_SETTING_TEXTS(struct settings, drop, false),
};

static bool configure(flitch_setup *setup) {
  settings = (struct settings){0};
  if (!flitch_settings(setup, keys, sizeof keys / sizeof *keys, &settings)) return false;
  flitch_want(setup, settings.field);
  return true;
}

static flitch_str lower(flitch_str text) {
  char *copy = flitch_alloc(text.len);
  if (!copy) return flitch_s("");
  for (size_t i = 0; i < text.len; i++)
    copy[i] = text.ptr[i] >= 'A' && text.ptr[i] <= 'Z' ? text.ptr[i] | 32 : text.ptr[i];
  return flitch_strn(copy, text.len);
}

static void record(flitch_record *record) {
  flitch_str address;
  if (!flitch_need_text_at(record, settings.field, &address)) return;
  size_t at = address.len;
  while (at > 0 && address.ptr[at - 1] != '@') at--;
  if (at == 0) {
    flitch_reject(record, "\"%.*s\" is no address", (int)address.len, address.ptr);
    return;
  }
  flitch_str domain = lower(flitch_strn(address.ptr + at, address.len - at));
  for (size_t i = 0; i < settings.drop.len; i++)
    if (flitch_same(domain, settings.drop.items[i])) {
      flitch_drop(record);
      return;
    }
  flitch_set_text(record, "user_email_domain", domain);
}

const flitch_filter flitch_plugin = {.configure = configure, .record = record};
