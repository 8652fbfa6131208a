/* Numbers: which type holds one exactly, and the one form in which each is written. */
#include "decimal.h"
#include "internal.h"

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* A decimal number: 0.<digits> * 10^exponent, with neither first nor last digit zero; `len` counts them. */
typedef struct decimal {
  uint64_t digits; /* the first 19 of them */
  size_t len;
  int64_t exponent;
} decimal;

static int64_t saturating(int64_t number) { return number > 1000000 ? 1000000 : number < -1000000 ? -1000000 : number; }

/* The digits of a number's mantissa, and its exponent. */
static decimal decimal_of(flitch_str mantissa, int64_t exponent) {
  decimal found = {0, 0, 0};
  int64_t point = -1, place = 0, first = -1;
  size_t zeros = 0;
  for (size_t i = 0; i < mantissa.len; i++) {
    char c = mantissa.ptr[i];
    if (c == '.') {
      point = place;
      continue;
    }
    place++;
    if (c == '0') {
      zeros += found.len > 0;
      continue;
    }
    if (first < 0) first = place - 1;
    for (; zeros; zeros--)
      if (found.len++ < 19) found.digits *= 10;
    if (found.len++ < 19) found.digits = found.digits * 10 + (uint64_t)(c - '0');
  }
  if (point < 0) point = place;
  if (found.len) found.exponent = saturating(saturating(exponent) + point - first);
  return found;
}

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* The double that is written as just this decimal; false where there is none. */
static bool exact(decimal from, double *number) {
  if (!from.len) {
    *number = 0;
    return true;
  }
  /* The shortest form of a double has 17 digits at most, and its exponents end here. */
  if (from.len > 17 || from.exponent > 309 || from.exponent < -323) return false;
  int scale = (int)(from.exponent - (int64_t)from.len);
  if (from.len <= 15 && scale >= -22 && scale <= 22) {
    /* Both are exact, so that one operation rounds once and rightly (W. Clinger, 1990). */
    *number = scale < 0 ? (double)from.digits / powers[-scale] : (double)from.digits * powers[scale];
    return true;
  }
  *number = decimal_to_double(from.digits, scale);
  if (!(*number > 0 && *number < 1.0 / 0.0)) return false;
  char digits[17];
  int point, count = double_to_decimal(*number, digits, &point);
  uint64_t same = 0;
  for (int i = 0; i < count; i++) same = same * 10 + (uint64_t)(digits[i] - '0');
  return point == from.exponent && (size_t)count == from.len && same == from.digits;
}

size_t read_number(flitch_str text, flitch_value *value) {
  const char *at = text.ptr, *end = text.ptr + text.len;
  bool negative = at < end && *at == '-';
  at += negative;
  const char *start = at;
  uint64_t whole = 0;
  bool overflow = false;
  for (; at < end && is_digit(*at); at++)
    overflow |=
        __builtin_mul_overflow(whole, 10u, &whole) || __builtin_add_overflow(whole, (uint64_t)(*at - '0'), &whole);
  if (at == start || (at - start > 1 && *start == '0')) return 0;
  bool is_float = false;
  if (at < end && *at == '.') {
    is_float = true;
    const char *fraction = ++at;
    while (at < end && is_digit(*at)) at++;
    if (at == fraction) return 0;
  }
  flitch_str mantissa = flitch_strn(start, (size_t)(at - start));
  int64_t exponent = 0;
  if (at < end && (*at == 'e' || *at == 'E')) {
    is_float = true;
    at++;
    bool minus = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) at++;
    const char *digits = at;
    for (; at < end && is_digit(*at); at++) exponent = saturating(exponent * 10 + (*at - '0'));
    if (at == digits) return 0;
    if (minus) exponent = -exponent;
  }
  size_t len = (size_t)(at - text.ptr);
  uint64_t limit = (uint64_t)INT64_MAX + negative;
  double number;
  if (!is_float && !overflow && whole <= limit && (whole || !negative))
    *value = flitch_int(negative ? (int64_t)(0 - whole) : (int64_t)whole);
  else if ((is_float || (negative && !whole && !overflow)) && exact(decimal_of(mantissa, exponent), &number))
    *value = flitch_float(negative ? -number : number);
  else *value = flitch_json_text(flitch_strn(text.ptr, len));
  return len;
}

static void zeros(buffer *to, int count) {
  while (count-- > 0) buffer_byte(to, '0');
}

void write_float(buffer *to, double number) {
  if (number != number || number - number != 0) {
    buffer_add(to, "null", 4);
    return;
  }
  if (__builtin_signbit(number)) buffer_byte(to, '-'), number = -number;
  if (number == 0) {
    buffer_add(to, "0.0", 3);
    return;
  }
  char digits[17];
  int point, len = double_to_decimal(number, digits, &point);
  if (len <= point && point <= 16) {
    buffer_add(to, digits, (size_t)len);
    zeros(to, point - len);
    buffer_add(to, ".0", 2);
  } else if (point > 0 && point <= 16) {
    buffer_add(to, digits, (size_t)point);
    buffer_byte(to, '.');
    buffer_add(to, digits + point, (size_t)(len - point));
  } else if (point > -5 && point <= 0) {
    buffer_add(to, "0.", 2);
    zeros(to, -point);
    buffer_add(to, digits, (size_t)len);
  } else {
    buffer_byte(to, digits[0]);
    if (len > 1) buffer_byte(to, '.');
    buffer_add(to, digits + 1, (size_t)len - 1);
    buffer_byte(to, 'e');
    write_int(to, point - 1);
  }
}
