/* Instants in RFC 3339. */
#include "internal.h"

enum { DAY = 86400 };
static const int64_t SECOND = 1000000000;

/* Days from 1970-01-01 to a date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
static int64_t days_from_civil(int64_t year, int month, int day) {
  if (month <= 2) year--;
  int64_t era = year / 400, of_era = year % 400;
  int64_t of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int days_in_month(int year, int month) {
  if (month == 2) return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* A number of exactly `count` digits; -1 where there is none. */
static int digits(const char *at, int count) {
  int number = 0;
  for (int i = 0; i < count; i++) {
    if (!is_digit(at[i])) return -1;
    number = number * 10 + at[i] - '0';
  }
  return number;
}

static bool offset(flitch_str text, bool lenient, int64_t *seconds) {
  if (text.len == 1 && (text.ptr[0] == 'Z' || text.ptr[0] == 'z')) {
    *seconds = 0;
    return true;
  }
  bool colon = text.len == 6 && text.ptr[3] == ':';
  if (!colon && !(lenient && text.len == 5)) return false;
  int sign = text.ptr[0] == '+' ? 1 : text.ptr[0] == '-' ? -1 : 0;
  int hour = digits(text.ptr + 1, 2), minute = digits(text.ptr + (colon ? 4 : 3), 2);
  if (!sign || hour < 0 || hour > 23 || minute < 0 || minute > 59) return false;
  *seconds = (int64_t)sign * (hour * 3600 + minute * 60);
  return true;
}

static bool parse(flitch_str text, bool lenient, int64_t *nanos) {
  if (text.len < 20) return false;
  const char *at = text.ptr;
  int year = digits(at, 4), month = digits(at + 5, 2), day = digits(at + 8, 2);
  int hour = digits(at + 11, 2), minute = digits(at + 14, 2), second = digits(at + 17, 2);
  if (at[4] != '-' || at[7] != '-' || at[13] != ':' || at[16] != ':') return false;
  if (at[10] != 'T' && at[10] != 't' && at[10] != ' ' && !(lenient && at[10] == '_')) return false;
  if (year < 0 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month)) return false;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > (lenient ? 60 : 59)) return false;
  if (second == 60) second = 59;
  size_t place = 19;
  int64_t fraction = 0;
  if (at[place] == '.' || (lenient && at[place] == ',')) {
    size_t start = ++place;
    int64_t unit = SECOND / 10;
    for (; place < text.len && is_digit(at[place]); place++, unit /= 10) {
      if (!unit && !lenient && at[place] != '0') return false;
      fraction += unit * (at[place] - '0');
    }
    if (place == start) return false;
  }
  int64_t zone;
  if (!offset(flitch_strn(at + place, text.len - place), lenient, &zone)) return false;
  int64_t seconds = days_from_civil(year, month, day) * DAY + hour * 3600 + minute * 60 + second - zone;
  if (seconds < 0 && fraction > 0) {
    /* Both parts of one sign, for the product alone may lie outside the range. */
    seconds++;
    fraction -= SECOND;
  }
  return !__builtin_mul_overflow(seconds, SECOND, nanos) && !__builtin_add_overflow(*nanos, fraction, nanos);
}

bool flitch_parse_time(flitch_str text, int64_t *nanos) {
  int64_t found;
  if (!parse(text, false, &found)) return false;
  *nanos = found;
  return true;
}

bool flitch_parse_time_lenient(flitch_str text, int64_t *nanos) {
  int64_t found;
  if (!parse(text, true, &found)) return false;
  *nanos = found;
  return true;
}

static void put(char *at, int count, int64_t number) {
  for (; count--; number /= 10) at[count] = (char)('0' + number % 10);
}

flitch_str flitch_format_time(int64_t nanos) {
  int64_t seconds = nanos / SECOND, fraction = nanos % SECOND;
  if (fraction < 0) seconds--, fraction += SECOND;
  int64_t days = seconds / DAY, second = seconds % DAY;
  if (second < 0) days--, second += DAY;
  days += 719468;
  /* Not before the year 1677, so that nothing here is negative. */
  int64_t era = days / 146097, of_era = days % 146097;
  int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  int64_t of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;
  int64_t day = of_year - (153 * month + 2) / 5 + 1;
  month = month < 10 ? month + 3 : month - 9;
  year += era * 400 + (month <= 2);
  char *text = (char *)flitch_alloc(32);
  if (!text) return flitch_s("");
  memcpy(text, "0000-00-00T00:00:00.000000000Z", 30);
  put(text, 4, year);
  put(text + 5, 2, month);
  put(text + 8, 2, day);
  put(text + 11, 2, second / 3600);
  put(text + 14, 2, second / 60 % 60);
  put(text + 17, 2, second % 60);
  size_t len = 19;
  if (fraction) {
    put(text + 20, 9, fraction);
    len = 29;
    while (text[len - 1] == '0') len--;
  }
  text[len] = 'Z';
  return flitch_strn(text, len + 1);
}
