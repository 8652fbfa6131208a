/* Memory that nobody frees: blocks that are filled from their start, and begun again with each batch.
 *
 * Blocks double in size, so that a batch soon fits into few of them, and memory stays flat from batch to batch. */
#include <stdlib.h>

#include "internal.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EACH_ALONE 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define EACH_ALONE 1
#endif
#ifndef EACH_ALONE
#define EACH_ALONE 0
#endif

/* A test may bring its own. */
#ifdef flitch_malloc
void *flitch_malloc(size_t size);
void flitch_free(void *memory);
#else
#define flitch_malloc malloc
#define flitch_free free
#endif

enum { ALIGN = 16, FIRST_BLOCK = 64 << 10 };

typedef struct block {
  struct block *next;
  size_t size, used;
} block;
#define HEAD ((sizeof(block) + ALIGN - 1) / ALIGN * ALIGN)

static block *first, *last, *current;
/* What `flitch_keep` has marked. */
static block *kept;
static size_t kept_used;
static bool failed;

bool flitch_is_out_of_memory(void) { return failed; }

static void *out_of_memory(void) {
  failed = true;
  return NULL;
}

void *flitch_alloc(size_t size) {
  if (size > SIZE_MAX / 2) return out_of_memory();
  size = (size + ALIGN - 1) / ALIGN * ALIGN;
  if (!EACH_ALONE) {
    for (; current; current = current->next) {
      if (current->size - current->used < size) {
        if (!current->next) break;
        continue;
      }
      void *memory = (char *)current + HEAD + current->used;
      current->used += size;
      return memory;
    }
  }
  size_t room = size;
  if (!EACH_ALONE) {
    size_t wanted = last && last->size < SIZE_MAX / 4 ? last->size * 2 : FIRST_BLOCK;
    if (wanted > room) room = wanted;
  }
  block *more = (block *)flitch_malloc(HEAD + room);
  if (!more && room > size) more = (block *)flitch_malloc(HEAD + (room = size));
  if (!more) return out_of_memory();
  more->next = NULL;
  more->size = room;
  more->used = size;
  if (last) last->next = more;
  else first = more;
  last = current = more;
  return (char *)more + HEAD;
}

void *flitch_zeroed(size_t size) {
  void *memory = flitch_alloc(size);
  if (memory) memset(memory, 0, size);
  return memory;
}

void *flitch_grow(void *ptr, size_t old, size_t size) {
  if (!EACH_ALONE && ptr && size <= SIZE_MAX / 2) {
    /* What was allocated last grows where it is. */
    size_t had = (old + ALIGN - 1) / ALIGN * ALIGN, wants = (size + ALIGN - 1) / ALIGN * ALIGN;
    bool is_last = (char *)ptr + had == (char *)current + HEAD + current->used;
    if (is_last && current->size - current->used >= wants - had) {
      current->used += wants - had;
      return ptr;
    }
  }
  void *larger = flitch_alloc(size);
  if (larger && old) memcpy(larger, ptr, old);
  return larger;
}

void flitch_keep(void) {
  kept = EACH_ALONE ? last : current;
  kept_used = kept ? kept->used : 0;
}

void flitch_forget(void) {
  failed = false;
  block *from = kept ? kept->next : first;
  if (EACH_ALONE) {
    while (from) {
      block *next = from->next;
      flitch_free(from);
      from = next;
    }
    last = current = kept;
    if (kept) kept->next = NULL;
    else first = NULL;
    return;
  }
  for (; from; from = from->next) from->used = 0;
  if (kept) kept->used = kept_used;
  current = kept ? kept : first;
}

void flitch_free_all(void) {
  while (first) {
    block *next = first->next;
    flitch_free(first);
    first = next;
  }
  last = current = kept = NULL;
  kept_used = 0;
  failed = false;
}

bool buffer_reserve(buffer *to, size_t more) {
  if (to->room - to->len >= more) return true;
  if (more > SIZE_MAX / 4 || to->len > SIZE_MAX / 4) return out_of_memory() != NULL;
  size_t room = to->room * 2 > to->len + more ? to->room * 2 : to->len + more;
  if (room < 32) room = 32;
  char *larger = (char *)flitch_grow(to->ptr, to->room, room);
  if (!larger) return false;
  to->ptr = larger;
  to->room = room;
  return true;
}

/* Most values are short, and a call of memcpy costs more than they do. */
static inline void copy(char *to, const char *from, size_t len) {
  if (len > 32) {
    memcpy(to, from, len);
  } else if (len >= 8) {
    for (size_t at = 0; at + 8 < len; at += 8) memcpy(to + at, from + at, 8);
    memcpy(to + len - 8, from + len - 8, 8);
  } else if (len >= 4) {
    memcpy(to, from, 4);
    memcpy(to + len - 4, from + len - 4, 4);
  } else {
    for (size_t at = 0; at < len; at++) to[at] = from[at];
  }
}

bool buffer_add(buffer *to, const char *bytes, size_t len) {
  if (!buffer_reserve(to, len)) return false;
  copy(to->ptr + to->len, bytes, len);
  to->len += len;
  return true;
}

bool grow_items(void **items, uint32_t len, uint32_t *room, size_t size) {
  if (len < *room) return true;
  uint32_t more = *room ? *room * 2 : 8;
  if (more < *room) return out_of_memory() != NULL;
  void *larger = flitch_grow(*items, (size_t)*room * size, (size_t)more * size);
  if (!larger) return false;
  memset((char *)larger + (size_t)*room * size, 0, (size_t)(more - *room) * size);
  *items = larger;
  *room = more;
  return true;
}
