/* What `filter.c` does where it is built with a state (-DSTATE): it exports `wit/state.wit`. A row's text may then begin with:
 *
 *   REMEMBER text  the text is the state from now on, and becomes `upper`
 *   RECALL         the state becomes `upper`
 *
 * The state is saved as it is. How it begins says what else happens:
 *
 *   SAVE TRAP, SAVE SPIN, SAVE HOG   saving it traps, never ends, wants all memory
 *   SAVE HUGE, SAVE PAST             it is 64 MiB; it lies behind the end of the memory
 *   REFUSE text                      it is not restored; the whole text is the reason
 *   RESTORE TRAP                     restoring it traps
 *
 * A second state that is restored follows the first behind a `+`.
 */
#include <stdlib.h>
#include <string.h>

#include "state.h"

static char state[4096];
static size_t length;

static bool begins(const char *text, size_t len, const char *with) {
  size_t n = strlen(with);
  return len >= n && memcmp(text, with, n) == 0;
}

static void add(const char *text, size_t len) {
  if (len > sizeof state - length) abort();
  memcpy(state + length, text, len);
  length += len;
}

bool remembers(const uint8_t *text, size_t len, const char **said, size_t *said_len) {
  bool is_new = begins((const char *)text, len, "REMEMBER ");
  if (!is_new && !begins((const char *)text, len, "RECALL")) return false;
  if (is_new) {
    length = 0;
    add((const char *)text + 9, len - 9);
  }
  *said = state;
  *said_len = length;
  return true;
}

/* A list of bytes, as the canonical ABI returns it. */
struct bytes {
  const void *ptr;
  size_t len;
};

__attribute__((export_name("flitch:filter/state@1.0.0#save"))) struct bytes *save(void) {
  static struct bytes saved;
  saved.ptr = state;
  saved.len = length;
  if (begins(state, length, "SAVE TRAP")) abort();
  if (begins(state, length, "SAVE SPIN"))
    for (volatile int forever = 1; forever;) {}
  if (begins(state, length, "SAVE HOG"))
    for (;;)
      if (!malloc(1 << 20)) abort();
  if (begins(state, length, "SAVE HUGE")) {
    saved.len = 64 << 20;
    saved.ptr = malloc(saved.len);
    if (!saved.ptr) abort();
  }
  if (begins(state, length, "SAVE PAST")) {
    saved.ptr = (void *)0x7fff0000;
    saved.len = 4096;
  }
  return &saved;
}

/* A `result<_, string>`, as the canonical ABI returns it. */
struct result {
  uint8_t failed;
  struct bytes reason;
};

__attribute__((export_name("flitch:filter/state@1.0.0#restore"))) struct result *restore(const char *text, size_t len) {
  static struct result result;
  if (begins(text, len, "RESTORE TRAP")) abort();
  result.failed = begins(text, len, "REFUSE");
  result.reason.ptr = text;
  result.reason.len = len;
  if (!result.failed) {
    if (length) add("+", 1);
    add(text, len);
    /* What is empty lies nowhere. */
    if (len) free((void *)text);
  }
  return &result;
}
