/* What `filter.c` does where it is built with WASI (-DWASI). A row's text may then also begin with:
 *
 *   PRINT text    prints the text to stdout, as a line
 *   COMPLAIN text prints the text to stderr, as a line
 *   READ path     reads the file
 *   ENV name      reads the environment variable
 *   STDIN         reads stdin
 *   SLEEP ms      sleeps so long at one go
 *   EXIT status   ends its process
 *   NAP           sleeps 1 ms at a time, for ever
 *
 * What is read becomes `upper` as it is, and so does the message of an error.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wasi.h"

static size_t take(FILE *from, char *said, size_t room) {
  size_t len = from ? fread(said, 1, room, from) : 0;
  if (from && !ferror(from)) return len;
  return (size_t)snprintf(said, room, "error: %s", strerror(errno));
}

static void nap(long ms) {
  struct timespec time = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&time, NULL);
}

bool outside(const uint8_t *text, size_t len, char *said, size_t room, size_t *said_len) {
  char word[512];
  if (len >= sizeof word) return false;
  memcpy(word, text, len);
  word[len] = 0;
  char *rest = strchr(word, ' ');
  if (rest) *rest++ = 0;
  else rest = word + len;

  *said_len = 0;
  if (strcmp(word, "PRINT") == 0) {
    printf("%s\n", rest);
    fflush(stdout);
  } else if (strcmp(word, "COMPLAIN") == 0) {
    fprintf(stderr, "%s\n", rest);
  } else if (strcmp(word, "READ") == 0) {
    FILE *file = fopen(rest, "r");
    *said_len = take(file, said, room);
    if (file) fclose(file);
  } else if (strcmp(word, "ENV") == 0) {
    const char *value = getenv(rest);
    *said_len = (size_t)snprintf(said, room, "%s", value ? value : "error: not set");
    if (*said_len >= room) *said_len = room - 1;
  } else if (strcmp(word, "STDIN") == 0) {
    *said_len = take(stdin, said, room);
  } else if (strcmp(word, "SLEEP") == 0) {
    nap(atol(rest));
  } else if (strcmp(word, "EXIT") == 0) {
    exit(atoi(rest));
  } else if (strcmp(word, "NAP") == 0) {
    for (;;) nap(1);
  } else {
    return false;
  }
  return true;
}
