/* Doubles and decimals, exactly, with whole numbers of many words. It is for the rare number that one multiplication of
 * doubles does not give; the C library's own functions would bring its files along, and with them imports of WASI. */
#include "decimal.h"

#include <string.h>

enum { WORDS = 80, MANTISSA = 52, BIAS = 1075, LARGEST = 971, SMALLEST = -1074 };

/* A whole number, its least word first. What is computed here has 2,400 bits at most. */
typedef struct big {
  int len;
  uint32_t words[WORDS];
} big;

static void trim(big *n) {
  while (n->len && !n->words[n->len - 1]) n->len--;
}

static big from(uint64_t value) {
  big n = {2, {(uint32_t)value, (uint32_t)(value >> 32)}};
  trim(&n);
  return n;
}

static void times(big *n, uint32_t factor) {
  uint64_t carry = 0;
  for (int i = 0; i < n->len; i++) {
    carry += (uint64_t)n->words[i] * factor;
    n->words[i] = (uint32_t)carry;
    carry >>= 32;
  }
  if (carry && n->len < WORDS) n->words[n->len++] = (uint32_t)carry;
}

static void times_ten(big *n, int power) {
  for (; power >= 9; power -= 9) times(n, 1000000000);
  for (; power > 0; power--) times(n, 10);
}

static void times_two(big *n, int power) {
  int words = power / 32;
  if (!n->len || n->len + words > WORDS) return;
  memmove(n->words + words, n->words, (size_t)n->len * sizeof *n->words);
  memset(n->words, 0, (size_t)words * sizeof *n->words);
  n->len += words;
  times(n, (uint32_t)1 << power % 32);
}

static int compare(const big *a, const big *b) {
  if (a->len != b->len) return a->len < b->len ? -1 : 1;
  for (int i = a->len; i--;)
    if (a->words[i] != b->words[i]) return a->words[i] < b->words[i] ? -1 : 1;
  return 0;
}

static void add(big *to, const big *other) {
  uint64_t carry = 0;
  for (int i = 0; i < other->len || carry; i++) {
    if (i >= WORDS) return;
    if (i >= to->len) to->words[to->len++] = 0;
    carry += (uint64_t)to->words[i] + (i < other->len ? other->words[i] : 0);
    to->words[i] = (uint32_t)carry;
    carry >>= 32;
  }
}

/* `other` is not larger. */
static void subtract(big *n, const big *other) {
  int64_t borrow = 0;
  for (int i = 0; i < n->len; i++) {
    borrow += (int64_t)n->words[i] - (i < other->len ? other->words[i] : 0);
    n->words[i] = (uint32_t)borrow;
    borrow >>= 32;
  }
  trim(n);
}

/* The mantissa of a finite number above 0, and the power of two that it is multiplied by. */
static uint64_t parts(double number, int *exponent) {
  uint64_t bits;
  memcpy(&bits, &number, sizeof bits);
  int biased = (int)(bits >> MANTISSA & 0x7ff);
  uint64_t mantissa = bits & (((uint64_t)1 << MANTISSA) - 1);
  *exponent = biased ? biased - BIAS : SMALLEST;
  return biased ? mantissa | (uint64_t)1 << MANTISSA : mantissa;
}

static double next(double number, int step) {
  uint64_t bits;
  memcpy(&bits, &number, sizeof bits);
  bits += (uint64_t)(int64_t)step;
  memcpy(&number, &bits, sizeof bits);
  return number;
}

/* How digits * 10^ten compares with mantissa * 2^two. */
static int relation(uint64_t digits, int ten, uint64_t mantissa, int two) {
  big left = from(digits), right = from(mantissa);
  times_ten(ten > 0 ? &left : &right, ten > 0 ? ten : -ten);
  times_two(two > 0 ? &right : &left, two > 0 ? two : -two);
  return compare(&left, &right);
}

double decimal_to_double(uint64_t digits, int exponent) {
  if (!digits) return 0;
  double number = (double)digits;
  for (int left = exponent; left;) {
    int step = left > 22 ? 22 : left < -22 ? -22 : left;
    double power = 1;
    for (int i = 0; i < (step < 0 ? -step : step); i++) power *= 10;
    number = step < 0 ? number / power : number * power;
    left -= step;
  }
  if (number > 1.7976931348623157e308) number = 1.7976931348623157e308;
  /* A few steps away at most: each step goes past the middle between two doubles (W. Clinger's algorithm R). */
  for (;;) {
    int two;
    uint64_t mantissa = parts(number, &two);
    int above = relation(digits, exponent, 2 * mantissa + 1, two - 1);
    if (above > 0 || (above == 0 && mantissa & 1)) {
      if (number >= 1.7976931348623157e308) return 1.0 / 0.0;
      number = next(number, 1);
      continue;
    }
    if (number == 0) return number;
    /* Below a power of two the neighbour is half as far. */
    int is_power = mantissa == (uint64_t)1 << MANTISSA && two > SMALLEST;
    int below = is_power ? relation(digits, exponent, 4 * mantissa - 1, two - 2)
                         : relation(digits, exponent, 2 * mantissa - 1, two - 1);
    if (below < 0 || (below == 0 && mantissa & 1)) {
      number = next(number, -1);
      continue;
    }
    return number;
  }
}

/* R. G. Burger and R. K. Dybvig, "Printing Floating-Point Numbers Quickly and Accurately", 1996. */
int double_to_decimal(double number, char digits[17], int *point) {
  int two;
  uint64_t mantissa = parts(number, &two);
  int is_even = !(mantissa & 1);
  int is_power = mantissa == (uint64_t)1 << MANTISSA && two > SMALLEST;
  big rest = from(mantissa), scale = from(1), low = from(1);
  times_two(&rest, (two > 0 ? two : 0) + 1 + is_power);
  times_two(&scale, (two < 0 ? -two : 0) + 1 + is_power);
  times_two(&low, two > 0 ? two : 0);
  big high = low;
  if (is_power) times_two(&high, 1);

  int bits = 0;
  for (uint64_t left = mantissa; left; left >>= 1) bits++;
  double estimate = (two + bits - 1) * 0.30102999566398120 - 1e-10;
  int k = (int)estimate + (estimate > 0);
  if (k >= 0) {
    times_ten(&scale, k);
  } else {
    times_ten(&rest, -k);
    times_ten(&low, -k);
    times_ten(&high, -k);
  }
  big sum = rest;
  add(&sum, &high);
  if (compare(&sum, &scale) >= (is_even ? 0 : 1)) {
    k++;
  } else {
    times(&rest, 10);
    times(&low, 10);
    times(&high, 10);
  }
  *point = k;
  for (int count = 0;;) {
    int digit = 0;
    for (; compare(&rest, &scale) >= 0; digit++) subtract(&rest, &scale);
    sum = rest;
    add(&sum, &high);
    int ends_low = compare(&rest, &low) < (is_even ? 1 : 0), ends_high = compare(&sum, &scale) >= (is_even ? 0 : 1);
    if ((ends_low || ends_high) || count == 16) {
      big twice = rest;
      times(&twice, 2);
      int up = ends_low && ends_high ? compare(&twice, &scale) >= 0 : ends_high;
      digits[count++] = (char)('0' + digit + up);
      return count;
    }
    digits[count++] = (char)('0' + digit);
    times(&rest, 10);
    times(&low, 10);
    times(&high, 10);
  }
}
