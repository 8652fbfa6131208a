/* The values of wit/cases, as filters meet them in the SDK. */
#include <stdio.h>
#include <stdlib.h>

#include "../testing/internal.h"

static int failed, checked;

static void check(bool good, flitch_str line) {
  checked++;
  if (good) return;
  failed++;
  printf("wrong: %.*s\n", (int)line.len, line.ptr);
}

/* The text of a member; no pointer where there is none. */
static flitch_str text(flitch_str line, const char *name) {
  flitch_str json;
  if (!flitch_json_member(line, name, &json)) return flitch_strn(NULL, 0);
  return flitch_json_value(json).is.text;
}

static flitch_str json(flitch_str line, const char *name) {
  flitch_str json = {NULL, 0};
  flitch_json_member(line, name, &json);
  return json;
}

/* Whether a list of texts is this one. */
static bool are(flitch_texts found, flitch_str wanted) {
  flitch_str item;
  size_t at = 0;
  for (flitch_json it = flitch_json_open(wanted); flitch_json_next(&it, NULL, &item); at++)
    if (at >= found.len || !flitch_same(found.items[at], flitch_json_value(item).is.text)) return false;
  return at == found.len;
}

static void path(flitch_str line) {
  flitch_str path = text(line, "path"), item, name, value;
  if (json(line, "names").ptr) {
    check(are(flitch_path_names(path), json(line, "names")), line);
    flitch_str canonical = text(line, "canonical"), found = {NULL, 0};
    flitch_str names = json(line, "json").ptr ? json(line, "json") : json(line, "names");
    for (flitch_json it = flitch_json_open(names); flitch_json_next(&it, NULL, &item);) {
      /* As the name of a member: what stands in `json` is the text between the quotes. */
      flitch_str plain = flitch_json_value(item).is.text, object;
      if (json(line, "json").ptr) object = flitch_format("{\"%.*s\":7}", (int)plain.len, plain.ptr);
      else object = flitch_format("{%.*s:7}", (int)item.len, item.ptr);
      flitch_json members = flitch_json_open(object);
      check(flitch_json_next(&members, &name, &value) && flitch_is(value, "7"), line);
      found = flitch_path_push(found, name);
    }
    check(flitch_same(found, canonical.ptr ? canonical : path), line);
  } else if (json(line, "and_above").ptr) {
    flitch_str at = path;
    bool more = true;
    for (flitch_json it = flitch_json_open(json(line, "and_above")); flitch_json_next(&it, NULL, &item);
         more = flitch_path_above(at, &at))
      check(more && flitch_same(at, flitch_json_value(item).is.text), line);
    check(!more, line);
  } else if (json(line, "below").ptr) {
    check(flitch_path_is_below(text(line, "inner"), text(line, "outer")) == flitch_is(json(line, "below"), "true"),
          line);
  } else {
    flitch_str paths[8], pair[2];
    size_t len = 0;
    bool found = false;
    for (flitch_json it = flitch_json_open(json(line, "paths")); len < 8 && flitch_json_next(&it, NULL, &item);)
      paths[len++] = flitch_json_value(item).is.text;
    for (size_t i = 0; i < len && !found; i++)
      for (size_t k = 0; k < i && !found; k++)
        if ((found = flitch_path_overlap(paths[k], paths[i]))) pair[0] = paths[k], pair[1] = paths[i];
    flitch_texts both = {pair, 2};
    check(found ? are(both, json(line, "contradiction")) : flitch_is(json(line, "contradiction"), "null"), line);
  }
}

static const char *const kinds[] = {"text", "bytes", "int64", "float64", "boolean", "timestamp", "json", "absent"};

static void number(flitch_str line) {
  flitch_str in = text(line, "in");
  if (json(line, "wrong").ptr) {
    check(!flitch_json_is_valid(in), line);
    return;
  }
  flitch_value value = flitch_json_value(in);
  check(flitch_json_is_valid(in) && flitch_is(text(line, "kind"), kinds[value.kind]), line);
  check(flitch_same(flitch_to_json(value), text(line, "out")), line);
}

static void time_of(flitch_str line) {
  flitch_str in = text(line, "in"), ns = json(line, "ns"), lenient = json(line, "lenient");
  int64_t found = 0;
  bool is_null = flitch_is(ns, "null");
  check(flitch_parse_time(in, &found) == !is_null && (is_null || found == flitch_json_value(ns).is.integer), line);
  if (!is_null) check(flitch_same(flitch_format_time(found), text(line, "out")), line);
  if (!lenient.ptr) lenient = ns;
  is_null = flitch_is(lenient, "null");
  check(flitch_parse_time_lenient(in, &found) == !is_null &&
            (is_null || found == flitch_json_value(lenient).is.integer),
        line);
}

static void json_text(flitch_str line) {
  flitch_str out = text(line, "out"), plain = text(line, "plain");
  /* The host hands over the canonical form. */
  flitch_value value = flitch_json_value(out);
  fields record = {NULL, 0, 0};
  put_field(&record, flitch_s("value"), value);
  flitch_str wanted = flitch_format("{\"value\":%.*s}", (int)json(line, "value").len, json(line, "value").ptr);
  check(flitch_same(show_fields(&record, true), wanted), line);
  if (!plain.ptr)
    plain = flitch_strn(skip_space(out.ptr, out.ptr + out.len), 0), plain.len = (size_t)(out.ptr + out.len - plain.ptr);
  check(flitch_same(flitch_to_json(flitch_json_text(out)), plain), line);
  flitch_str again = mixed_text(value);
  record.len = 0;
  put_field(&record, flitch_s("value"), flitch_json_value(again));
  check(flitch_same(show_fields(&record, true), wanted), line);
}

static void each(const char *file, void (*run)(flitch_str)) {
  begin_test();
  size_t len;
  const char *lines = read_file("../../wit/cases/values", file, &len);
  flitch_str rest = flitch_strn(lines, lines ? len : 0), line;
  int before = checked;
  while (next_line(&rest, &line)) run(line);
  printf("%s: %d checks\n", file, checked - before);
  if (checked == before) failed++;
}

int main(void) {
  each("paths.ndjson", path);
  each("numbers.ndjson", number);
  each("times.ndjson", time_of);
  each("json.ndjson", json_text);
  begin_test();
  return failed != 0;
}

/* These tests have no filter. */
static bool configure(flitch_setup *setup) { return setup != NULL; }
const flitch_filter flitch_plugin = {.configure = configure};
