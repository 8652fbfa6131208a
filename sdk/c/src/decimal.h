/* Doubles and decimals, exactly. */
#ifndef FLITCH_DECIMAL_H
#define FLITCH_DECIMAL_H

#include <stdint.h>

/* The double nearest to `digits` * 10^`exponent`; the digits are 17 at most. Not finite where it is too large. */
double decimal_to_double(uint64_t digits, int exponent);
/* The fewest decimal digits that read back as the double, which is finite and greater than 0. Answers how many; the
 * value is 0.d1d2… * 10^`point`. */
int double_to_decimal(double number, char digits[17], int *point);

#endif
