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

static int by_name(const void *a, const void *b) {
  return strcmp(((const flitch_str *)a)->ptr, ((const flitch_str *)b)->ptr);
}

flitch_texts list_folder(const char *folder, bool folders) {
  flitch_str *names = NULL;
  uint32_t len = 0, room = 0;
  DIR *open = opendir(folder);
  for (struct dirent *entry; open && (entry = readdir(open));) {
    struct stat about;
    if (entry->d_name[0] == '.' ||
        (folders && (stat(path_to(folder, entry->d_name), &about) != 0 || !S_ISDIR(about.st_mode))))
      continue;
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

/* Configures the filter. What it refuses the settings with; NULL where it takes them. */
static const char *configure(const char *settings, flitch_setup *setup) {
  flitch_str error;
  memset(setup, 0, sizeof *setup);
  /* What the filter keeps of its settings stays, as in a component. */
  setup->settings = flitch_s(flitch_c_str(flitch_s(settings)));
  return guest_configure(&flitch_plugin, setup, &error) ? NULL : flitch_c_str(error);
}

/* Runs records through the filter as one batch, and appends what becomes of them, the first as row `row`. What is
 * wrong; NULL where nothing is. */
static const char *run(const flitch_setup *setup, flitch_str ndjson, uint32_t row, buffer *out, buffer *rejected) {
  flitch_batch whole, seen;
  flitch_str error;
  answer answer;
  fields *records;
  uint32_t len = 0;
  if (!read_records(ndjson, &whole, &error)) return flitch_c_str(error);
  seen = select_columns(&whole, setup);
  if (!guest_apply(&flitch_plugin, &seen, &answer, &error) || !apply_answer(&whole, &answer, &records, &len, &error))
    return flitch_c_str(error);
  for (uint32_t i = 0; i < len; i++) {
    forget_defaults(&records[i]);
    flitch_str text = show_fields(&records[i], false);
    buffer_add(out, text.ptr, text.len);
    buffer_byte(out, '\n');
  }
  for (size_t i = 0; i < answer.rejected_len; i++) {
    flitch_str head = flitch_format("{\"row\":%u,\"reason\":", (unsigned)(row + answer.rejected[i].row));
    buffer_add(rejected, head.ptr, head.len);
    write_string(rejected, answer.rejected[i].reason);
    buffer_add(rejected, "}\n", 2);
  }
  return NULL;
}

/* Each record in a batch of its own, where `alone`. */
static flitch_outcome try_records(const char *settings, const char *ndjson, bool alone) {
  flitch_outcome outcome = {NULL, NULL, "", ""};
  flitch_setup setup;
  buffer out = {0}, rejected = {0};
  flitch_str rest = flitch_s(flitch_c_str(flitch_s(ndjson))), line;
  if ((outcome.refused = configure(settings, &setup))) return outcome;
  if (!alone) outcome.failed = run(&setup, rest, 0, &out, &rejected);
  for (uint32_t row = 0; alone && !outcome.failed && next_line(&rest, &line); row++)
    outcome.failed = run(&setup, line, row, &out, &rejected);
  if (outcome.failed) return outcome;
  outcome.records = flitch_c_str(buffer_text(&out));
  outcome.rejected = flitch_c_str(buffer_text(&rejected));
  return outcome;
}

flitch_outcome flitch_try(const char *settings, const char *ndjson) {
  begin_test();
  return try_records(settings, ndjson, false);
}

/* The records of a file as `flitch_try` writes them. */
static const char *flat(flitch_str ndjson) {
  buffer out = {0};
  flitch_str line, name, member, none = {NULL, 0};
  while (next_line(&ndjson, &line)) {
    fields record = {NULL, 0, 0};
    for (flitch_json it = flitch_json_open(line); flitch_json_next(&it, &name, &member);)
      put_json(&record, flitch_path_push(none, name), member);
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
  size_t len;
  const char *where = path_to(folder, name), *tables = path_to(where, "tables");
  drop_tables();
  flitch_texts files = list_folder(tables, false);
  for (size_t i = 0; i < files.len; i++) {
    const char *rows = read_file(tables, files.items[i].ptr, &len);
    flitch_str table = flitch_strn(files.items[i].ptr, flitch_find(files.items[i], '.'));
    flitch_give_table(flitch_c_str(table), rows ? rows : "");
  }
  const char *settings = read_file(where, "settings.json", &len), *in = read_file(where, "in.ndjson", &len);
  const char *refused = read_file(where, "refused.txt", &len);
  flitch_str said = flitch_strn(refused, refused ? len : 0);
  while (said.len && skip_space(said.ptr + said.len - 1, said.ptr + said.len) == said.ptr + said.len) said.len--;
  const char *out = read_file(where, "out.ndjson", &len), *rejected = read_file(where, "rejected.ndjson", &len);
  bool good = true;
  for (int alone = 0; alone < 2 && good; alone++) {
    flitch_outcome outcome = try_records(settings ? settings : "{}", in ? in : "", alone);
    good = same(name, "what the settings are refused with", outcome.refused, refused ? flitch_c_str(said) : NULL);
    if (refused) return good;
    good = good && same(name, "why the batch is rejected", outcome.failed, NULL);
    good = good && same(name, alone ? "records, each in a batch of its own" : "records", outcome.records,
                        flat(flitch_s(out ? out : "")));
    good = good && same(name, alone ? "rejected, each in a batch of its own" : "rejected",
                        flat(flitch_s(outcome.rejected)), flat(flitch_s(rejected ? rejected : "")));
  }
  return good;
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
