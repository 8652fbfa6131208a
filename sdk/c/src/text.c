/* UTF-8, and texts from formats. */
#include "internal.h"

/* How many bytes the character at the head takes; 0 where it is none. `*bad` are the bytes that U+FFFD stands for then.
 */
static size_t character(const unsigned char *at, size_t len, size_t *bad) {
  unsigned char lead = at[0];
  size_t size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  *bad = 1;
  if (size < 2) return size;
  unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  for (size_t i = 1; i < size; i++) {
    if (i >= len || at[i] < low || at[i] > high) {
      *bad = i;
      return 0;
    }
    low = 0x80;
    high = 0xbf;
  }
  return size;
}

static size_t valid_prefix(flitch_str text, size_t *bad) {
  const unsigned char *bytes = (const unsigned char *)text.ptr;
  size_t at = 0;
  *bad = 0;
  while (at < text.len) {
    if (bytes[at] < 0x80) {
      uint64_t eight;
      while (text.len - at >= 8 && (memcpy(&eight, bytes + at, 8), !(eight & 0x8080808080808080u))) at += 8;
      while (at < text.len && bytes[at] < 0x80) at++;
      continue;
    }
    size_t size = character(bytes + at, text.len - at, bad);
    if (!size) return at;
    at += size;
  }
  return at;
}

size_t utf8_prefix(flitch_str text) {
  size_t bad;
  return valid_prefix(text, &bad);
}

const char *flitch_c_str(flitch_str text) {
  char *copy = (char *)flitch_alloc(text.len + 1);
  if (!copy) return NULL;
  if (text.len) memcpy(copy, text.ptr, text.len);
  copy[text.len] = 0;
  return copy;
}

static inline bool is_ascii(flitch_str text) {
  uint64_t all = 0, eight;
  size_t at = 0;
  for (; text.len - at >= 8; at += 8) {
    memcpy(&eight, text.ptr + at, 8);
    all |= eight;
  }
  for (; at < text.len; at++) all |= (unsigned char)text.ptr[at];
  return !(all & 0x8080808080808080u);
}

bool flitch_is_utf8(flitch_str text) { return is_ascii(text) || utf8_prefix(text) == text.len; }

void write_lossy(buffer *to, flitch_str text) {
  while (text.len) {
    size_t bad, valid = valid_prefix(text, &bad);
    buffer_add(to, text.ptr, valid);
    if (valid == text.len) return;
    buffer_add(to, "\xef\xbf\xbd", 3);
    text = flitch_strn(text.ptr + valid + bad, text.len - valid - bad);
  }
}

unsigned surrogate(flitch_str text) {
  const unsigned char *at = (const unsigned char *)text.ptr;
  if (text.len < 3 || at[0] != 0xed || at[1] < 0xa0 || at[1] > 0xbf || at[2] < 0x80 || at[2] > 0xbf) return 0;
  return 0xd000u | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu);
}

static void write_unsigned(buffer *to, uint64_t number, unsigned base) {
  char digits[24];
  size_t at = sizeof digits;
  do digits[--at] = "0123456789abcdef"[number % base];
  while (number /= base);
  buffer_add(to, digits + at, sizeof digits - at);
}

void write_int(buffer *to, int64_t number) {
  if (number < 0) buffer_byte(to, '-');
  write_unsigned(to, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, 10);
}

/* A va_list in a struct can be handed on by its address, whatever it is made of. */
typedef struct values {
  va_list list;
} values;

/* How large the next value is: 0 an int, 1 a long, 2 a long long, 3 a size_t. */
static uint64_t unsigned_value(values *from, int size) {
  switch (size) {
  case 1: return va_arg(from->list, unsigned long);
  case 2: return va_arg(from->list, unsigned long long);
  case 3: return va_arg(from->list, size_t);
  default: return va_arg(from->list, unsigned);
  }
}

static int64_t signed_value(values *from, int size) {
  switch (size) {
  case 1: return va_arg(from->list, long);
  case 2: return va_arg(from->list, long long);
  case 3: return va_arg(from->list, ptrdiff_t);
  default: return va_arg(from->list, int);
  }
}

static size_t length_of(const char *text, size_t most) {
  size_t len = 0;
  while (len < most && text[len]) len++;
  return len;
}

flitch_str flitch_vformat(const char *format, va_list list) {
  buffer out = {0};
  values from;
  va_copy(from.list, list);
  for (; *format; format++) {
    if (*format != '%') {
      buffer_byte(&out, *format);
      continue;
    }
    size_t most = SIZE_MAX;
    int size = 0;
    format++;
    if (format[0] == '.' && format[1] == '*') {
      int given = va_arg(from.list, int);
      most = given < 0 ? SIZE_MAX : (size_t)given;
      format += 2;
    }
    for (; *format == 'l' && size < 2; format++) size++;
    if (*format == 'z') size = 3, format++;
    if (*format == 's') {
      const char *text = va_arg(from.list, const char *);
      if (text && most) buffer_add(&out, text, length_of(text, most));
    } else if (*format == 'd' || *format == 'i') {
      write_int(&out, signed_value(&from, size));
    } else if (*format == 'u' || *format == 'x') {
      write_unsigned(&out, unsigned_value(&from, size), *format == 'x' ? 16 : 10);
    } else if (*format == 'c') {
      buffer_byte(&out, (char)va_arg(from.list, int));
    } else if (*format == 'g') {
      write_float(&out, va_arg(from.list, double));
    } else if (*format) {
      buffer_byte(&out, *format);
    } else {
      break;
    }
  }
  va_end(from.list);
  if (flitch_is_utf8(buffer_text(&out))) return buffer_text(&out);
  buffer valid = {0};
  write_lossy(&valid, buffer_text(&out));
  return buffer_text(&valid);
}

flitch_str flitch_format(const char *format, ...) {
  va_list values;
  va_start(values, format);
  flitch_str text = flitch_vformat(format, values);
  va_end(values);
  return text;
}
