package flitch

import (
	"math"
	"strconv"
	"strings"
)

// readNumber reads the JSON number at the head of the text, and answers how many bytes it has; 0 where there is none.
func readNumber(text string) (Value, int) {
	at := 0
	if at < len(text) && text[at] == '-' {
		at++
	}
	start := at
	at += countDigits(text[at:])
	if at == start || at-start > 1 && text[start] == '0' {
		return Value{}, 0
	}
	float := false
	if at < len(text) && text[at] == '.' {
		fraction := countDigits(text[at+1:])
		if fraction == 0 {
			return Value{}, 0
		}
		at += 1 + fraction
		float = true
	}
	mantissa, exponent := text[start:at], ""
	if at < len(text) && (text[at] == 'e' || text[at] == 'E') {
		at++
		begin := at
		if at < len(text) && (text[at] == '-' || text[at] == '+') {
			at++
		}
		count := countDigits(text[at:])
		if count == 0 {
			return Value{}, 0
		}
		at += count
		exponent = text[begin:at]
		float = true
	}
	number := text[:at]
	if !float && number != "-0" {
		if whole, err := strconv.ParseInt(number, 10, 64); err == nil {
			return IntValue(whole), at
		}
		return JSONValue(number), at
	}
	value, err := strconv.ParseFloat(number, 64)
	if err != nil || !sameDecimal(mantissa, exponent, value) {
		return JSONValue(number), at
	}
	return FloatValue(value), at
}

func countDigits(text string) int {
	at := 0
	for at < len(text) && text[at] >= '0' && text[at] <= '9' {
		at++
	}
	return at
}

// decimal is 0.<digits> * 10^exponent, with neither first nor last digit zero.
func decimal(mantissa, written string) (digits string, exponent int64) {
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if written != "" {
		var err error
		if exponent, err = strconv.ParseInt(written, 10, 32); err != nil {
			exponent = 1 << 40
			if written[0] == '-' {
				exponent = -exponent
			}
		}
	}
	digits = strings.TrimLeft(whole+fraction, "0")
	exponent += int64(len(whole)) - int64(len(whole)+len(fraction)-len(digits))
	if digits = strings.TrimRight(digits, "0"); digits == "" {
		exponent = 0
	}
	return digits, exponent
}

// sameDecimal says whether the shortest form of a float is just this decimal.
func sameDecimal(mantissa, exponent string, value float64) bool {
	digits, point := decimal(mantissa, exponent)
	if digits == "" {
		return value == 0
	}
	if value == 0 || math.IsInf(value, 0) || len(digits) > 17 {
		return false
	}
	written, power, _ := strings.Cut(strconv.FormatFloat(math.Abs(value), 'e', -1, 64), "e")
	own, ownPoint := decimal(written, power)
	return own == digits && ownPoint == point
}

// appendFloat appends the shortest form that reads back as the same float, always with a point or an exponent.
func appendFloat(to []byte, value float64) []byte {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return append(to, "null"...)
	}
	if math.Signbit(value) {
		to, value = append(to, '-'), -value
	}
	if value == 0 {
		return append(to, "0.0"...)
	}
	mantissa, power, _ := strings.Cut(strconv.FormatFloat(value, 'e', -1, 64), "e")
	digits, exponent := decimal(mantissa, power)
	point := int(exponent)
	switch {
	case len(digits) <= point && point <= 16:
		to = append(to, digits...)
		to = append(to, strings.Repeat("0", point-len(digits))...)
		return append(to, ".0"...)
	case point > 0 && point <= 16:
		to = append(to, digits[:point]...)
		to = append(to, '.')
		return append(to, digits[point:]...)
	case point > -5 && point <= 0:
		to = append(to, "0."...)
		to = append(to, strings.Repeat("0", -point)...)
		return append(to, digits...)
	}
	to = append(to, digits[0])
	if len(digits) > 1 {
		to = append(to, '.')
		to = append(to, digits[1:]...)
	}
	to = append(to, 'e')
	return strconv.AppendInt(to, int64(point)-1, 10)
}
