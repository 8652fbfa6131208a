/* What a record can do. The settings name what the filter does with each record. */
#include <assert.h>
#include <stdio.h>

#include "flitch_testing.h"

static struct {
  flitch_str what;
  int64_t limit;
  double rate;
  bool strict;
  flitch_texts names;
} settings;

#define SETTINGS __typeof__(settings)
static const flitch_setting keys[] = {
    FLITCH_SETTING_TEXT(SETTINGS, what, true),    FLITCH_SETTING_INT(SETTINGS, limit, false),
    FLITCH_SETTING_FLOAT(SETTINGS, rate, false),  FLITCH_SETTING_BOOL(SETTINGS, strict, false),
    FLITCH_SETTING_TEXTS(SETTINGS, names, false),
};

static bool configure(flitch_setup *setup) {
  memset(&settings, 0, sizeof settings);
  if (!flitch_settings(setup, keys, sizeof keys / sizeof *keys, &settings)) return false;
  if (settings.limit < 0) return flitch_refuse(setup, "settings.limit: %lld is less than 0", (long long)settings.limit);
  return true;
}

static void reads(flitch_record *r) {
  int64_t number;
  flitch_str text;
  assert(flitch_get_int(r, "a.b", &number) && number == 1);
  flitch_set_text(r, "a.b", flitch_s("new"));
  assert(flitch_get_text(r, "a.b", &text) && flitch_is(text, "new"));
  assert(flitch_get_int(r, "a.c", &number) && number == 2);
  flitch_remove(r, "a");
  assert(!flitch_has(r, "a.b") && !flitch_has(r, "a.c"));
  flitch_set_int(r, "a", 5);
  assert(flitch_get_int(r, "a", &number) && number == 5);
  flitch_set_float(r, "d.e", 1.5);
  assert(!flitch_has(r, "d"));
  size_t at = 0, count = 0;
  flitch_str path;
  for (flitch_value value; flitch_next_field(r, &at, &path, &value);) count++;
  assert(count == 4);
}

static void parts(flitch_record *r) {
  int64_t n = 0;
  flitch_get_int(r, "n", &n);
  flitch_set_bool(r, "seen", true);
  switch (n) {
  case 0: flitch_drop(r); break;
  case 1: flitch_reject(r, "%s is %s", "one", "odd"); break;
  case 2:
    flitch_remove(r, "tags");
    for (const char *part = "abc"; *part; part++) {
      flitch_part(r);
      flitch_set_text(r, "part", flitch_strn(part, 1));
      flitch_set_bool(r, "seen", *part != 'c');
      if (*part == 'b') flitch_drop(r);
    }
    break;
  case 3: flitch_split(r); break;
  case 4:
    for (int part = 0; part < 2; part++) {
      flitch_part(r);
      flitch_set_int(r, "n", part);
      if (part) flitch_reject(r, "half of it is bad");
    }
    break;
  default: break;
  }
}

static void kinds(flitch_record *r) {
  static const char *const names[] = {"text", "bytes", "int", "float", "bool", "time", "json", "absent"};
  flitch_set_text(r, "v", flitch_s(names[flitch_get(r, "v").kind]));
}

static void spoils(flitch_record *r) {
  flitch_str bad = {"a\xff", 2};
  flitch_set_text(r, "t", bad);
  assert(flitch_get(r, "t").kind == FLITCH_BYTES);
  int64_t n = 0;
  flitch_get_int(r, "n", &n);
  if (n == 1) flitch_set_json(r, "j", flitch_s("{\"a\":"));
  if (n == 2) flitch_set(r, flitch_s("j"), flitch_json_text(flitch_s("[1 2]")));
  if (n == 3) flitch_set(r, bad, flitch_int(1));
  if (n == 4) flitch_set(r, flitch_s("j"), flitch_json_text(flitch_s(" [1,\n 2.50] ")));
}

static void enriches(flitch_record *r) {
  flitch_str key;
  if (!flitch_get_text(r, "k", &key)) return;
  if (flitch_is(key, "bytes")) key = flitch_strn("\xff", 1);
  flitch_set_text(r, "o", flitch_s("before"));
  flitch_enrich(r, flitch_is(key, "none") ? "missing" : "t", key, "owner", "o");
  if (flitch_is(key, "late")) flitch_set_text(r, "o", flitch_s("after"));
  if (flitch_is(key, "split"))
    for (int part = 0; part < 2; part++) flitch_part(r), flitch_set_int(r, "part", part);
}

static void routes(flitch_record *r) {
  flitch_str key;
  if (!flitch_get_text(r, "k", &key)) return;
  flitch_set_int(r, "a.b", 1);
  flitch_enrich(r, "routes", key, "at", "a");
  flitch_enrich(r, "routes", key, "owner", "@tag");
  if (flitch_is(key, "number")) flitch_reject(r, "and something else");
}

static void record(flitch_record *r) {
  if (flitch_is(settings.what, "reads")) reads(r);
  else if (flitch_is(settings.what, "parts")) parts(r);
  else if (flitch_is(settings.what, "kinds")) kinds(r);
  else if (flitch_is(settings.what, "spoils")) spoils(r);
  else if (flitch_is(settings.what, "enriches")) enriches(r);
  else if (flitch_is(settings.what, "routes")) routes(r);
}

const flitch_filter flitch_plugin = {.configure = configure, .record = record};

static int failed;

static void same(const char *what, const char *found, const char *wanted) {
  if (strcmp(found ? found : "", wanted) == 0) return;
  failed++;
  printf("%s\n  found  %s\n  wanted %s\n", what, found ? found : "nothing", wanted);
}

static void runs(const char *settings_text, const char *in, const char *out, const char *rejected) {
  flitch_outcome outcome = flitch_try(settings_text, in);
  same(settings_text, outcome.failed, "");
  same(settings_text, outcome.records, out);
  same(settings_text, outcome.rejected, rejected);
}

static void refuses(const char *settings_text, const char *why) {
  same(settings_text, flitch_try(settings_text, "").refused, why);
}

static void settings_are_refused_with_the_key_and_what_would_be_right(void) {
  refuses("{}", "settings: missing field `what`");
  refuses("", "settings: missing field `what`");
  refuses(" null ", "settings: missing field `what`");
  refuses("{\"what\":\"x\",\"wat\":1}",
          "settings.wat: unknown field `wat`, expected one of `what`, `limit`, `rate`, `strict`, `names`");
  refuses("{\"what\":7}", "settings.what: invalid type: integer `7`, expected a string");
  refuses("{\"what\":\"x\",\"limit\":1.5}", "settings.limit: invalid type: floating point `1.5`, expected i64");
  refuses("{\"what\":\"x\",\"rate\":\"y\"}", "settings.rate: invalid type: string \"y\", expected f64");
  refuses("{\"what\":\"x\",\"strict\":null}", "settings.strict: invalid type: null, expected a boolean");
  refuses("{\"what\":\"x\",\"names\":{}}", "settings.names: invalid type: map, expected a sequence");
  refuses("{\"what\":\"x\",\"names\":[\"a\",true]}",
          "settings.names[1]: invalid type: boolean `true`, expected a string");
  refuses("{\"what\":\"x\",\"what\":\"y\"}", "settings: duplicate field `what`");
  refuses("[]", "settings: invalid type: sequence, expected an object");
  refuses("{\"what\":\"x\",\"limit\":-1}", "settings.limit: -1 is less than 0");
  flitch_try("{\"what\":\"x\",\"limit\":9,\"rate\":2,\"strict\":true,\"names\":[\"a\",\"\\u00e4\"]}", "");
  assert(settings.limit == 9 && settings.rate == 2 && settings.strict && settings.names.len == 2);
  assert(flitch_is(settings.names.items[1], "\xc3\xa4"));
}

int main(void) {
  settings_are_refused_with_the_key_and_what_would_be_right();
  runs("{\"what\":\"reads\"}", "{\"a\":{\"b\":1,\"c\":2},\"d\":\"x\"}", "{\"a\":5,\"d.e\":1.5}\n", "");
  runs("{\"what\":\"parts\"}",
       "{\"n\":0}\n{\"n\":1}\n{\"n\":2,\"tags\":[\"x\"]}\n{\"n\":3}\n{\"n\":4}\n{\"n\":5,\"tags\":[\"x\"]}",
       "{\"n\":2,\"part\":\"a\",\"seen\":true}\n{\"n\":2,\"part\":\"c\",\"seen\":false}\n{\"n\":5,\"seen\":true,"
       "\"tags\":[\"x\"]}\n",
       "{\"row\":1,\"reason\":\"one is odd\"}\n{\"row\":4,\"reason\":\"half of it is bad\"}\n");
  runs("{\"what\":\"kinds\"}", "{\"v\":1}\n{\"v\":\"one \\\"1\\\"\"}\n{\"v\":true}\n{\"v\":1.5}\n{\"v\":[1]}\n{}",
       "{\"v\":\"int\"}\n{\"v\":\"text\"}\n{\"v\":\"bool\"}\n{\"v\":\"float\"}\n{\"v\":\"json\"}\n{\"v\":\"absent\"}\n",
       "");
  runs("{\"what\":\"spoils\"}", "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}",
       "{\"n\":0,\"t\":\"a\xef\xbf\xbd\"}\n{\"j\":[1,2.5],\"n\":4,\"t\":\"a\xef\xbf\xbd\"}\n",
       "{\"row\":1,\"reason\":\"what the filter sets as `j` is no JSON\"}\n"
       "{\"row\":2,\"reason\":\"what the filter sets as `j` is no JSON\"}\n"
       "{\"row\":3,\"reason\":\"the name of a field is not UTF-8: a\xef\xbf\xbd\"}\n");
  flitch_give_table(
      "t", "{\"key\":\"a\",\"owner\":\"A\"}\n{\"key\":\"late\",\"owner\":\"L\"}\n{\"key\":\"split\",\"owner\":7}\n");
  runs("{\"what\":\"enriches\"}",
       "{\"k\":\"a\"}\n{\"k\":\"b\"}\n{}\n{\"k\":\"none\"}\n{\"k\":\"late\"}\n{\"k\":\"split\"}\n{\"k\":\"bytes\"}",
       "{\"k\":\"a\",\"o\":\"A\"}\n{\"k\":\"b\",\"o\":\"before\"}\n{}\n{\"k\":\"late\",\"o\":\"after\"}\n"
       "{\"k\":\"split\",\"o\":7,\"part\":0}\n{\"k\":\"split\",\"o\":7,\"part\":1}\n{\"k\":\"bytes\",\"o\":\"before\"}"
       "\n",
       "{\"row\":3,\"reason\":\"there is no such table\"}\n");
  flitch_give_table("routes",
                    "{\"key\":\"text\",\"owner\":\"A\",\"at\":\"B\"}\n{\"key\":\"number\",\"owner\":7}\n");
  runs("{\"what\":\"routes\"}", "{\"k\":\"text\"}\n{\"k\":\"number\"}\n{\"k\":\"none\"}",
       "{\"@tag\":\"A\",\"a\":\"B\",\"k\":\"text\"}\n{\"a.b\":1,\"k\":\"none\"}\n",
       "{\"row\":1,\"reason\":\"`@tag` must be text\"}\n");
  printf("rows: %d failed\n", failed);
  return failed != 0;
}
