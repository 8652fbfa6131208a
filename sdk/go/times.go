package flitch

import (
	"math/bits"
	"time"
)

const second = int64(time.Second)

// ParseTime is the instant of an RFC 3339 text, in nanoseconds since 1970-01-01T00:00:00Z, where int64 holds it.
func ParseTime(text string) (int64, bool) { return parseTime(text, false) }

// ParseTimeLenient takes what loggers write in the form of RFC 3339 as well: a separator `_`, a comma before the fraction,
// an offset without colon, digits past the ninth, which are cut, and a leap second, which counts as the second before it.
func ParseTimeLenient(text string) (int64, bool) { return parseTime(text, true) }

// digits is the number that the text is.
func digits(text string) (int64, bool) {
	number := int64(0)
	for i := 0; i < len(text); i++ {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
		number = number*10 + int64(text[i]-'0')
	}
	return number, true
}

func parseOffset(text string, lenient bool) (int64, bool) {
	if text == "Z" || text == "z" {
		return 0, true
	}
	var minutes string
	switch {
	case len(text) == 6 && text[3] == ':':
		minutes = text[4:]
	case lenient && len(text) == 5:
		minutes = text[3:]
	default:
		return 0, false
	}
	hour, ok := digits(text[1:3])
	minute, okay := digits(minutes)
	if !ok || !okay || hour > 23 || minute > 59 || text[0] != '+' && text[0] != '-' {
		return 0, false
	}
	offset := hour*3600 + minute*60
	if text[0] == '-' {
		offset = -offset
	}
	return offset, true
}

func parseTime(text string, lenient bool) (int64, bool) {
	if len(text) < 20 || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':' {
		return 0, false
	}
	if s := text[10]; s != 'T' && s != 't' && s != ' ' && !(lenient && s == '_') {
		return 0, false
	}
	var parts [6]int64
	for i, at := range [6][2]int{{0, 4}, {5, 7}, {8, 10}, {11, 13}, {14, 16}, {17, 19}} {
		number, ok := digits(text[at[0]:at[1]])
		if !ok {
			return 0, false
		}
		parts[i] = number
	}
	if lenient && parts[5] == 60 {
		parts[5] = 59
	}
	if parts[1] < 1 || parts[1] > 12 || parts[3] > 23 || parts[4] > 59 || parts[5] > 59 {
		return 0, false
	}
	// A day that the month has not is one of the next month to the time package.
	day := time.Date(int(parts[0]), time.Month(parts[1]), int(parts[2]), 0, 0, 0, 0, time.UTC)
	if parts[2] < 1 || day.Day() != int(parts[2]) {
		return 0, false
	}
	rest, fraction := text[19:], int64(0)
	if rest[0] == '.' || lenient && rest[0] == ',' {
		at, unit := 1, second/10
		for ; at < len(rest) && rest[at] >= '0' && rest[at] <= '9'; at++ {
			if unit == 0 && !lenient && rest[at] != '0' {
				return 0, false
			}
			fraction += unit * int64(rest[at]-'0')
			unit /= 10
		}
		if at == 1 {
			return 0, false
		}
		rest = rest[at:]
	}
	offset, ok := parseOffset(rest, lenient)
	if !ok {
		return 0, false
	}
	return nanosOf(day.Unix()+parts[3]*3600+parts[4]*60+parts[5]-offset, fraction)
}

// nanosOf is seconds and a fraction in nanoseconds, where int64 holds them.
func nanosOf(seconds, fraction int64) (int64, bool) {
	negative := seconds < 0
	if negative {
		// Both parts of one sign, for the product alone may lie outside the range.
		seconds, fraction = -seconds, -fraction
	}
	high, low := bits.Mul64(uint64(seconds), uint64(second))
	if high != 0 || low > 1<<63+uint64(second) {
		return 0, false
	}
	low += uint64(fraction)
	limit := uint64(1<<63 - 1)
	if negative {
		limit = 1 << 63
	}
	if low > limit {
		return 0, false
	}
	if negative {
		return -int64(low), true
	}
	return int64(low), true
}

// FormatTime is the instant as RFC 3339 in UTC, with as many digits of the second as it has.
func FormatTime(nanos int64) string { return string(appendTime(nil, nanos)) }

func appendTime(to []byte, nanos int64) []byte {
	return time.Unix(0, nanos).UTC().AppendFormat(to, "2006-01-02T15:04:05.999999999Z")
}
