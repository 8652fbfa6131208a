/* JSON: one text is read in place, value by value. */
#include "internal.h"

const char *skip_space(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
  return at;
}

static int hex4(const char *at, const char *end) {
  if (end - at < 4) return -1;
  int number = 0;
  for (int i = 0; i < 4; i++) {
    char c = at[i];
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) return -1;
    number = number << 4 | digit;
  }
  return number;
}

/* Behind the string whose opening quote is at `at`; NULL where it does not end, or an escape is wrong. */
static const char *skip_string(const char *at, const char *end) {
  for (at++; at < end; at++) {
    if (*at == '"') return at + 1;
    if ((unsigned char)*at < 0x20) return NULL;
    if (*at != '\\') continue;
    if (++at == end) return NULL;
    if (*at == 'u') {
      if (hex4(at + 1, end) < 0) return NULL;
      at += 4;
    } else if (!memchr("\"\\/bfnrt", *at, 8)) {
      return NULL;
    }
  }
  return NULL;
}

static const char *skip_word(const char *at, const char *end, const char *word, size_t len) {
  return (size_t)(end - at) >= len && memcmp(at, word, len) == 0 ? at + len : NULL;
}

static const char *skip_items(const char *at, const char *end, char close, int depth) {
  at = skip_space(at + 1, end);
  if (at < end && *at == close) return at + 1;
  for (;;) {
    if (close == '}') {
      at = skip_space(at, end);
      if (at == end || *at != '"' || !(at = skip_string(at, end))) return NULL;
      at = skip_space(at, end);
      if (at == end || *at++ != ':') return NULL;
    }
    if (!(at = skip_value(at, end, depth + 1))) return NULL;
    at = skip_space(at, end);
    if (at == end) return NULL;
    if (*at == close) return at + 1;
    if (*at++ != ',') return NULL;
  }
}

const char *skip_value(const char *at, const char *end, int depth) {
  at = skip_space(at, end);
  if (at == end || depth >= MAX_NESTING) return NULL;
  flitch_value number;
  size_t len;
  switch (*at) {
  case '{': return skip_items(at, end, '}', depth);
  case '[': return skip_items(at, end, ']', depth);
  case '"': return skip_string(at, end);
  case 't': return skip_word(at, end, "true", 4);
  case 'f': return skip_word(at, end, "false", 5);
  case 'n': return skip_word(at, end, "null", 4);
  default: len = read_number(flitch_strn(at, (size_t)(end - at)), &number); return len ? at + len : NULL;
  }
}

bool flitch_json_is_valid(flitch_str text) {
  const char *end = text.ptr + text.len, *behind = text.len ? skip_value(text.ptr, end, 0) : NULL;
  return behind && skip_space(behind, end) == end && flitch_is_utf8(text);
}

static void write_utf8(buffer *to, unsigned code) {
  char bytes[4];
  int len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (int i = len - 1; i > 0; i--, code >>= 6) bytes[i] = (char)(0x80 | (code & 0x3f));
  bytes[0] = (char)(leads[len] | code);
  buffer_add(to, bytes, (size_t)len);
}

bool unescape(flitch_str inside, flitch_str *text, bool *lone) {
  *lone = false;
  if (flitch_find(inside, '\\') == inside.len) {
    *text = inside;
    return true;
  }
  buffer out = {0};
  if (!buffer_reserve(&out, inside.len)) return false;
  const char *at = inside.ptr, *end = at + inside.len;
  while (at < end) {
    if (*at != '\\') {
      buffer_byte(&out, *at++);
      continue;
    }
    if (++at == end) return false;
    const char *plain = (const char *)memchr("\"\\/", *at, 3);
    if (plain) {
      buffer_byte(&out, *at++);
      continue;
    }
    if (*at != 'u') {
      char byte = *at == 'b' ? '\b' : *at == 'f' ? '\f' : *at == 'n' ? '\n' : *at == 'r' ? '\r' : *at == 't' ? '\t' : 0;
      if (!byte) return false;
      buffer_byte(&out, byte);
      at++;
      continue;
    }
    int code = hex4(at + 1, end);
    if (code < 0) return false;
    at += 5;
    if (code >= 0xd800 && code < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
      int low = hex4(at + 2, end);
      if (low >= 0xdc00 && low < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10 | (low - 0xdc00));
        at += 6;
      }
    }
    *lone |= code >= 0xd800 && code < 0xe000;
    write_utf8(&out, (unsigned)code);
  }
  *text = buffer_text(&out);
  return true;
}

void write_escaped(buffer *to, flitch_str text) {
  size_t done = 0;
  for (size_t i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.ptr[i];
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    buffer_add(to, text.ptr + done, i - done);
    done = i + 1;
    char letter = c == '"' || c == '\\' ? (char)c
                  : c == '\n'           ? 'n'
                  : c == '\r'           ? 'r'
                  : c == '\t'           ? 't'
                  : c == '\b'           ? 'b'
                  : c == '\f'           ? 'f'
                                        : 0;
    buffer_byte(to, '\\');
    if (letter) {
      buffer_byte(to, letter);
    } else {
      buffer_add(to, "u00", 3);
      buffer_byte(to, "0123456789abcdef"[c >> 4]);
      buffer_byte(to, "0123456789abcdef"[c & 15]);
    }
  }
  buffer_add(to, text.ptr + done, text.len - done);
}

void write_string(buffer *to, flitch_str text) {
  buffer_byte(to, '"');
  write_escaped(to, text);
  buffer_byte(to, '"');
}

void write_canonical(buffer *to, flitch_str json) {
  const char *at = json.ptr, *end = at + json.len;
  while (at < end) {
    if (*at == '"') {
      const char *behind = skip_string(at, end);
      if (!behind) behind = end;
      buffer_add(to, at, (size_t)(behind - at));
      at = behind;
    } else if (*at == '-' || (*at >= '0' && *at <= '9')) {
      flitch_value number;
      size_t len = read_number(flitch_strn(at, (size_t)(end - at)), &number);
      if (len && number.kind == FLITCH_FLOAT) write_float(to, number.is.number);
      else buffer_add(to, at, len ? len : 1);
      at += len ? len : 1;
    } else {
      if (skip_space(at, at + 1) == at) buffer_byte(to, *at);
      at++;
    }
  }
}

flitch_json flitch_json_open(flitch_str text) {
  flitch_json it = {0, text.ptr, text.ptr + text.len};
  it.at = text.len ? skip_space(it.at, it.end) : it.at;
  if (it.at == it.end || (*it.at != '{' && *it.at != '[')) return it;
  it.kind = *it.at++;
  return it;
}

bool flitch_json_next(flitch_json *it, flitch_str *name, flitch_str *value) {
  if (it->kind != '{' && it->kind != '[') return false;
  char close = it->kind == '{' ? '}' : ']';
  it->at = skip_space(it->at, it->end);
  if (it->at < it->end && *it->at == ',') it->at = skip_space(it->at + 1, it->end);
  if (it->at == it->end || *it->at == close) return false;
  if (it->kind == '{') {
    const char *start = it->at, *behind = *start == '"' ? skip_string(start, it->end) : NULL;
    bool lone;
    flitch_str unescaped = {NULL, 0};
    if (!behind || !unescape(flitch_strn(start + 1, (size_t)(behind - start) - 2), &unescaped, &lone))
      return it->at = it->end, false;
    if (name) *name = unescaped;
    it->at = skip_space(behind, it->end);
    if (it->at == it->end || *it->at != ':') return it->at = it->end, false;
    it->at = skip_space(it->at + 1, it->end);
  }
  const char *behind = skip_value(it->at, it->end, 0);
  if (!behind) return it->at = it->end, false;
  *value = flitch_strn(it->at, (size_t)(behind - it->at));
  it->at = behind;
  return true;
}

bool flitch_json_member(flitch_str object, const char *name, flitch_str *value) {
  flitch_json it = flitch_json_open(object);
  flitch_str own = {NULL, 0}, text;
  bool found = false;
  while (it.kind == '{' && flitch_json_next(&it, &own, &text))
    if (flitch_is(own, name)) *value = text, found = true;
  return found;
}
