/* The host's functions as a filter calls them. */
#include "internal.h"

void flitch_log(int level, const char *format, ...) {
  va_list values;
  va_start(values, format);
  flitch_str line = flitch_vformat(format, values);
  va_end(values);
  host_log(level, line);
}

void flitch_count(const char *counter, uint64_t delta) {
  buffer name = {0};
  write_lossy(&name, flitch_s(counter));
  host_count(buffer_text(&name), delta);
}
