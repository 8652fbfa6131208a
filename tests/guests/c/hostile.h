#ifndef HOSTILE_H
#define HOSTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plugin.h"

/* Does to the host what a row's text asks for; false if it asks for nothing of hostile.c. */
bool hostile(const uint8_t *text, size_t len);

/* Spoils the answer to a batch of which `kept` rows go on; false if `how` is nothing of hostile.c. */
bool spoil(exports_flitch_filter_filter_changes_t *ret, const char *how, uint32_t kept);

#endif
