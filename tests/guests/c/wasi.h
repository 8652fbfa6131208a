#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Does what the text of a row asks of WASI, and whether it asks for anything. Writes at most `room` bytes of what
 * there is to say to `said`. */
bool outside(const uint8_t *text, size_t len, char *said, size_t room, size_t *said_len);
