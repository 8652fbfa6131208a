#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What becomes `upper` of a row that is about the state. */
bool remembers(const uint8_t *text, size_t len, const char **said, size_t *said_len);
