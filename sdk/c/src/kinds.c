/* Values of several kinds in one JSON column, and the form that their texts have.
 *
 * A text, a number and a boolean are told apart by JSON itself. A time stands there as its RFC 3339 string behind one
 * space, and bytes as a string behind two, in which each byte that is not UTF-8 is the lone surrogate `\udc00` plus the
 * byte. */
#include "internal.h"

/* The bytes of a string that stands behind two spaces. */
static bool marked_bytes(flitch_str inside, flitch_str *bytes) {
  flitch_str text;
  bool lone;
  if (!unescape(inside, &text, &lone)) return false;
  buffer out = {0};
  while (text.len) {
    unsigned number = surrogate(text);
    size_t len = number ? 3 : 1;
    if (number && (number < 0xdc00 || number > 0xdcff)) return false;
    buffer_byte(&out, number ? (char)(number & 0xff) : text.ptr[0]);
    text = flitch_strn(text.ptr + len, text.len - len);
  }
  *bytes = buffer_text(&out);
  return true;
}

static bool is_string(flitch_str text) { return text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"'; }
static flitch_str inside(flitch_str string) { return flitch_strn(string.ptr + 1, string.len - 2); }

static flitch_str trimmed(flitch_str text) {
  if (!text.len) return text;
  const char *end = text.ptr + text.len, *start = skip_space(text.ptr, end);
  while (end > start && skip_space(end - 1, end) == end) end--;
  return flitch_strn(start, (size_t)(end - start));
}

flitch_value flitch_json_value(flitch_str text) {
  flitch_str plain = trimmed(text), found;
  size_t spaces = text.len ? (size_t)(plain.ptr - text.ptr) : 0;
  int64_t nanos;
  if (is_string(plain)) {
    if (spaces == 1 && text.ptr[0] == ' ' && flitch_parse_time(inside(plain), &nanos)) return flitch_time(nanos);
    if (spaces == 2 && text.ptr[0] == ' ' && text.ptr[1] == ' ' && marked_bytes(inside(plain), &found))
      return flitch_bytes(found);
    bool lone;
    if (unescape(inside(plain), &found, &lone) && !lone) return flitch_text(found);
    return flitch_json_text(plain);
  }
  flitch_value number;
  if (plain.len && read_number(plain, &number) == plain.len) return number;
  if (flitch_is(plain, "true")) return flitch_bool(true);
  if (flitch_is(plain, "false")) return flitch_bool(false);
  return flitch_json_text(plain);
}

static void write_marked_bytes(buffer *to, flitch_str bytes) {
  buffer_add(to, "  \"", 3);
  while (bytes.len) {
    size_t valid = utf8_prefix(bytes);
    write_escaped(to, flitch_strn(bytes.ptr, valid));
    bytes = flitch_strn(bytes.ptr + valid, bytes.len - valid);
    if (!bytes.len) break;
    unsigned char byte = (unsigned char)bytes.ptr[0];
    buffer_add(to, "\\udc", 4);
    buffer_byte(to, "0123456789abcdef"[byte >> 4]);
    buffer_byte(to, "0123456789abcdef"[byte & 15]);
    bytes = flitch_strn(bytes.ptr + 1, bytes.len - 1);
  }
  buffer_byte(to, '"');
}

static void write_plain(buffer *to, flitch_value value) {
  switch (value.kind) {
  case FLITCH_TEXT: write_string(to, value.is.text); break;
  case FLITCH_BYTES: {
    buffer text = {0};
    write_lossy(&text, value.is.text);
    write_string(to, buffer_text(&text));
    break;
  }
  case FLITCH_INT: write_int(to, value.is.integer); break;
  case FLITCH_FLOAT: write_float(to, value.is.number); break;
  case FLITCH_BOOL: buffer_add(to, value.is.boolean ? "true" : "false", value.is.boolean ? 4 : 5); break;
  case FLITCH_TIME: write_string(to, flitch_format_time(value.is.integer)); break;
  default: buffer_add(to, "null", 4);
  }
}

flitch_str mixed_text(flitch_value value) {
  buffer out = {0};
  if (value.kind == FLITCH_JSON) return value.is.text;
  if (value.kind == FLITCH_BYTES) {
    write_marked_bytes(&out, value.is.text);
  } else {
    if (value.kind == FLITCH_TIME) buffer_byte(&out, ' ');
    write_plain(&out, value);
  }
  return buffer_text(&out);
}

flitch_str flitch_to_json(flitch_value value) {
  if (value.kind == FLITCH_JSON) {
    bool marked = value.is.text.len && value.is.text.ptr[0] == ' ';
    if (!marked) return value.is.text;
    value = flitch_json_value(value.is.text);
    if (value.kind == FLITCH_JSON) return value.is.text;
  }
  buffer out = {0};
  write_plain(&out, value);
  return buffer_text(&out);
}
