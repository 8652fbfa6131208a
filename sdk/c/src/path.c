/* Paths: the names on the way to a value, joined by dots. In a name a dot is written `\.`, a backslash `\\`, and a lone
 * surrogate, which JSON allows and UTF-8 does not, `\ud800`. */
#include "internal.h"

static bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

static void push_valid(buffer *to, flitch_str text) {
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] == '.' || text.ptr[i] == '\\') buffer_byte(to, '\\');
    buffer_byte(to, text.ptr[i]);
  }
}

flitch_str flitch_path_push(flitch_str path, flitch_str name) {
  buffer out = {0};
  if (!buffer_reserve(&out, path.len + name.len + 2)) return flitch_s("");
  if (path.ptr) {
    buffer_add(&out, path.ptr, path.len);
    buffer_byte(&out, '.');
  }
  while (name.len) {
    size_t valid = utf8_prefix(name);
    push_valid(&out, flitch_strn(name.ptr, valid));
    name = flitch_strn(name.ptr + valid, name.len - valid);
    if (!name.len) break;
    unsigned number = surrogate(name);
    if (number) {
      buffer_add(&out, "\\u", 2);
      for (int shift = 12; shift >= 0; shift -= 4) buffer_byte(&out, "0123456789abcdef"[number >> shift & 15]);
      name = flitch_strn(name.ptr + 3, name.len - 3);
    } else {
      buffer_add(&out, "\xef\xbf\xbd", 3);
      name = flitch_strn(name.ptr + 1, name.len - 1);
    }
  }
  return buffer_text(&out);
}

/* Where the first name of a path ends. */
static size_t first_name(flitch_str path) {
  size_t at = 0;
  while (at < path.len && path.ptr[at] != '.') at += path.ptr[at] == '\\' && at + 1 < path.len ? 2 : 1;
  return at;
}

static flitch_str unescape_name(flitch_str name) {
  buffer out = {0};
  const char *at = name.ptr, *end = name.ptr + name.len;
  while (at < end) {
    if (*at != '\\') {
      buffer_byte(&out, *at++);
    } else if (end - at > 1 && (at[1] == '.' || at[1] == '\\')) {
      buffer_byte(&out, at[1]);
      at += 2;
    } else if (end - at > 5 && at[1] == 'u' && (at[2] == 'd' || at[2] == 'D') && is_hex(at[3]) && at[3] >= '8' &&
               is_hex(at[4]) && is_hex(at[5])) {
      buffer_add(&out, "\xef\xbf\xbd", 3);
      at += 6;
    } else {
      buffer_byte(&out, *at++);
    }
  }
  return buffer_text(&out);
}

/* Whether a name, as WTF-8, is the one that stands in a path. */
static bool is_name(flitch_str name, flitch_str escaped) {
  size_t at = 0, i = 0;
  while (i < name.len) {
    unsigned number = surrogate(flitch_strn(name.ptr + i, name.len - i));
    char piece[6] = {'\\', 'u'};
    size_t from = 0, len = 1;
    if (number) {
      for (int digit = 0; digit < 4; digit++) piece[2 + digit] = "0123456789abcdef"[number >> (12 - 4 * digit) & 15];
      len = 6;
    } else {
      piece[1] = name.ptr[i];
      from = name.ptr[i] != '.' && name.ptr[i] != '\\';
      len = 2 - from;
    }
    if (escaped.len - at < len || memcmp(escaped.ptr + at, piece + from, len) != 0) return false;
    at += len;
    i += number ? 3 : 1;
  }
  return at == escaped.len;
}

/* How many names deep a member lies at most; what lies deeper is part of a value. */
#define MAX_INSIDE 8

bool member_at(flitch_str object, flitch_str path, flitch_str *member) {
  for (int depth = 0; depth < MAX_INSIDE; depth++) {
    size_t end = first_name(path);
    flitch_json it = flitch_json_open(object);
    flitch_str name, value;
    bool found = false;
    while (it.kind == '{' && flitch_json_next(&it, &name, &value))
      if (is_name(name, flitch_strn(path.ptr, end))) object = value, found = true;
    if (!found) return false;
    *member = object;
    if (end == path.len) return true;
    path = flitch_strn(path.ptr + end + 1, path.len - end - 1);
  }
  return false;
}

flitch_texts flitch_path_names(flitch_str path) {
  flitch_str *names = NULL;
  uint32_t len = 0, room = 0;
  for (;;) {
    size_t end = first_name(path);
    if (!grow_items((void **)&names, len, &room, sizeof *names)) break;
    names[len++] = unescape_name(flitch_strn(path.ptr, end));
    if (end == path.len) break;
    path = flitch_strn(path.ptr + end + 1, path.len - end - 1);
  }
  flitch_texts all = {names, len};
  return all;
}

bool flitch_path_above(flitch_str path, flitch_str *above) {
  size_t at = 0, end = 0;
  bool found = false;
  for (;;) {
    at += first_name(flitch_strn(path.ptr + at, path.len - at));
    if (at >= path.len) break;
    end = at++;
    found = true;
  }
  if (found) *above = flitch_strn(path.ptr, end);
  return found;
}

bool flitch_path_is_below(flitch_str inner, flitch_str outer) {
  return inner.len > outer.len && inner.ptr[outer.len] == '.' &&
         (!outer.len || memcmp(inner.ptr, outer.ptr, outer.len) == 0);
}

bool flitch_path_overlap(flitch_str a, flitch_str b) {
  return flitch_same(a, b) || flitch_path_is_below(a, b) || flitch_path_is_below(b, a);
}
