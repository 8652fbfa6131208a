/* Cases of a filter: folders with its settings, records, and what should become of them. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "internal.h"

static const char *path_to(const char *folder, const char *name) {
  return flitch_c_str(flitch_format("%s/%s", folder, name));
}

const char *read_file(const char *folder, const char *name, size_t *len) {
  FILE *file = fopen(path_to(folder, name), "rb");
  if (!file) return NULL;
  buffer text = {0};
  size_t got;
  do {
    if (!buffer_reserve(&text, 4096)) abort();
    got = fread(text.ptr + text.len, 1, 4095, file);
    text.len += got;
  } while (got);
  fclose(file);
  text.ptr[text.len] = 0;
  *len = text.len;
  return text.ptr;
}

static int by_name(const void *a, const void *b) { return strcmp(((const flitch_str *)a)->ptr, ((const flitch_str *)b)->ptr); }

flitch_texts list_folder(const char *folder, bool folders) {
  flitch_str *names = NULL;
  uint32_t len = 0, room = 0;
  DIR *open = opendir(folder);
  for (struct dirent *entry; open && (entry = readdir(open));) {
    struct stat about;
    if (entry->d_name[0] == '.' || (folders && (stat(path_to(folder, entry->d_name), &about) != 0 || !S_ISDIR(about.st_mode)))) continue;
    if (!grow_items((void **)&names, len, &room, sizeof *names)) abort();
    names[len].ptr = flitch_c_str(flitch_s(entry->d_name));
    names[len].len = strlen(names[len].ptr);
    len++;
  }
  if (open) closedir(open);
  if (len) qsort(names, len, sizeof *names, by_name);
  flitch_texts all = {names, len};
  return all;
}

bool next_line(flitch_str *rest, flitch_str *line) {
  while (rest->len) {
    size_t len = flitch_find(*rest, '\n'), passed = len < rest->len ? len + 1 : len;
    *line = flitch_strn(rest->ptr, len);
    *rest = flitch_strn(rest->ptr + passed, rest->len - passed);
    const char *end = line->ptr + line->len;
    if (skip_space(line->ptr, end) != end) return true;
  }
  return false;
}

flitch_outcome flitch_try(const char *settings, const char *ndjson) {
  flitch_outcome outcome = {NULL, NULL, "", ""};
  begin_test();
  flitch_setup setup;
  memset(&setup, 0, sizeof setup);
  /* What the filter keeps of its settings stays, as in a component. */
  setup.settings = flitch_s(flitch_c_str(flitch_s(settings)));
  flitch_str error;
  if (!guest_configure(&flitch_plugin, &setup, &error)) {
    outcome.refused = flitch_c_str(error);
    return outcome;
  }
  flitch_batch whole, seen;
  answer answer;
  fields *records;
  uint32_t len = 0;
  if (!read_records(flitch_s(flitch_c_str(flitch_s(ndjson))), &whole, &error)) {
    outcome.failed = flitch_c_str(error);
    return outcome;
  }
  seen = select_columns(&whole, &setup);
  if (!guest_apply(&flitch_plugin, &seen, &answer, &error) || !apply_answer(&whole, &answer, &records, &len, &error)) {
    outcome.failed = flitch_c_str(error);
    return outcome;
  }
  buffer out = {0}, rejected = {0};
  for (uint32_t i = 0; i < len; i++) {
    forget_defaults(&records[i]);
    flitch_str text = show_fields(&records[i], false);
    buffer_add(&out, text.ptr, text.len);
    buffer_byte(&out, '\n');
  }
  for (size_t i = 0; i < answer.rejected_len; i++) {
    flitch_str row = flitch_format("{\"row\":%u,\"reason\":", (unsigned)answer.rejected[i].row);
    buffer_add(&rejected, row.ptr, row.len);
    write_string(&rejected, answer.rejected[i].reason);
    buffer_add(&rejected, "}\n", 2);
  }
  outcome.records = flitch_c_str(buffer_text(&out));
  outcome.rejected = flitch_c_str(buffer_text(&rejected));
  return outcome;
}

/* The records of a file as `flitch_try` writes them. */
static const char *flat(flitch_str ndjson) {
  buffer out = {0};
  flitch_str line, name, member, none = {NULL, 0};
  while (next_line(&ndjson, &line)) {
    fields record = {NULL, 0, 0};
    for (flitch_json it = flitch_json_open(line); flitch_json_next(&it, &name, &member);) put_json(&record, flitch_path_push(none, name), member);
    sort_fields(&record);
    flitch_str text = show_fields(&record, false);
    buffer_add(&out, text.ptr, text.len);
    buffer_byte(&out, '\n');
  }
  return flitch_c_str(buffer_text(&out));
}

static bool same(const char *name, const char *what, const char *found, const char *wanted) {
  if (strcmp(found ? found : "", wanted ? wanted : "") == 0) return true;
  printf("%s: %s\n  found\n%s\n  wanted\n%s\n", name, what, found ? found : "(nothing)", wanted ? wanted : "(nothing)");
  return false;
}

static bool run_case(const char *folder, const char *name) {
  char where[1024], *in = NULL, *settings = NULL;
  snprintf(where, sizeof where, "%s/%s", folder, name);
  size_t len;
  drop_tables();
  const char *tables = path_to(where, "tables");
  flitch_texts files = list_folder(tables, false);
  for (size_t i = 0; i < files.len; i++) {
    const char *rows = read_file(tables, files.items[i].ptr, &len);
    flitch_str table = flitch_strn(files.items[i].ptr, flitch_find(files.items[i], '.'));
    flitch_give_table(flitch_c_str(table), rows ? rows : "");
  }
  /* What is read here would go when the test begins. */
  const char *given = read_file(where, "settings.json", &len), *records = read_file(where, "in.ndjson", &len);
  settings = strdup(given ? given : "{}");
  in = strdup(records ? records : "");
  flitch_outcome outcome = flitch_try(settings, in);
  free(settings);
  free(in);
  const char *refused = read_file(where, "refused.txt", &len);
  if (refused) {
    flitch_str text = flitch_strn(refused, len);
    while (text.len && skip_space(text.ptr + text.len - 1, text.ptr + text.len) == text.ptr + text.len) text.len--;
    return same(name, "what the settings are refused with", outcome.refused, flitch_c_str(text));
  }
  const char *out = read_file(where, "out.ndjson", &len), *rejected = read_file(where, "rejected.ndjson", &len);
  bool good = same(name, "why the settings are refused", outcome.refused, NULL);
  good = good && same(name, "why the batch is rejected", outcome.failed, NULL);
  good = good && same(name, "records", outcome.records, flat(flitch_s(out ? out : "")));
  return good && same(name, "rejected", flat(flitch_s(outcome.rejected)), flat(flitch_s(rejected ? rejected : "")));
}

int flitch_run_cases(const char *folder) {
  begin_test();
  flitch_texts names = list_folder(folder, true);
  char **copies = (char **)calloc(names.len + 1, sizeof *copies);
  if (!copies) abort();
  for (size_t i = 0; i < names.len; i++) copies[i] = strdup(names.items[i].ptr);
  int failed = 0;
  size_t count = names.len;
  for (size_t i = 0; i < count; i++) {
    begin_test();
    failed += !run_case(folder, copies[i]);
    free(copies[i]);
  }
  free(copies);
  begin_test();
  drop_tables();
  printf("%s: %d of %zu cases failed\n", folder, failed, count);
  return count ? failed : 1;
}
