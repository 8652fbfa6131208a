package flitch

import (
	"bytes"
	"encoding/json"
	"iter"
	"strconv"
	"strings"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

func skipSpace(text string, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r') {
		at++
	}
	return at
}

func hex4(text string) (rune, bool) {
	if len(text) < 4 {
		return 0, false
	}
	code, err := strconv.ParseUint(text[:4], 16, 16)
	return rune(code), err == nil
}

// stringEnd is where the string ends whose opening quote stands at at: behind its closing quote.
func stringEnd(text string, at int) int {
	for at++; at < len(text); at++ {
		switch text[at] {
		case '"':
			return at + 1
		case '\\':
			at++
		}
	}
	return len(text)
}

// valueEnd is where a value of a valid JSON text ends.
func valueEnd(text string, at int) int {
	depth := 0
	for at < len(text) {
		switch text[at] {
		case '"':
			at = stringEnd(text, at)
			if depth == 0 {
				return at
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return at
			}
			if depth--; depth == 0 {
				return at + 1
			}
		case ',', ':', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return at
			}
		}
		at++
	}
	return at
}

// items gives the members of a valid JSON object, their names unescaped to WTF-8, or the items of an array.
func items(text string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		at := skipSpace(text, 0)
		if at == len(text) || text[at] != '{' && text[at] != '[' {
			return
		}
		object := text[at] == '{'
		for at++; ; {
			if at = skipSpace(text, at); at < len(text) && text[at] == ',' {
				at = skipSpace(text, at+1)
			}
			if at >= len(text) || text[at] == '}' || text[at] == ']' {
				return
			}
			name := ""
			if object {
				end := stringEnd(text, at)
				name, _, _ = unescape(text[at+1 : end-1])
				// Behind the colon.
				at = skipSpace(text, skipSpace(text, end)+1)
			}
			end := valueEnd(text, at)
			if !yield(name, text[at:end]) {
				return
			}
			at = end
		}
	}
}

// unescape is what stands between the quotes of a JSON string, without its escapes. A surrogate that stands alone is as
// WTF-8 has it, and lone is true.
func unescape(inside string) (text string, lone, ok bool) {
	at := strings.IndexByte(inside, '\\')
	if at < 0 {
		return inside, false, true
	}
	out := make([]byte, 0, len(inside))
	for ; at >= 0; at = strings.IndexByte(inside, '\\') {
		out = append(out, inside[:at]...)
		if inside = inside[at+1:]; inside == "" {
			return "", false, false
		}
		escape := inside[0]
		inside = inside[1:]
		if escape != 'u' {
			plain := strings.IndexByte(`"\/bfnrt`, escape)
			if plain < 0 {
				return "", false, false
			}
			out = append(out, "\"\\/\b\f\n\r\t"[plain])
			continue
		}
		code, ok := hex4(inside)
		if !ok {
			return "", false, false
		}
		inside = inside[4:]
		if code >= 0xd800 && code < 0xdc00 && strings.HasPrefix(inside, `\u`) {
			if low, ok := hex4(inside[2:]); ok && low >= 0xdc00 && low < 0xe000 {
				code = 0x10000 + ((code-0xd800)<<10 | (low - 0xdc00))
				inside = inside[6:]
			}
		}
		if code >= 0xd800 && code < 0xe000 {
			lone = true
			out = append(out, 0xed, 0x80|byte(code>>6&0x3f), 0x80|byte(code&0x3f))
		} else {
			out = utf8.AppendRune(out, code)
		}
	}
	return string(append(out, inside...)), lone, true
}

// validUTF8 is the text with U+FFFD for each longest part that begins a character and is none, as Unicode recommends.
func validUTF8(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	out := make([]byte, 0, len(text)+2)
	for len(text) > 0 {
		char, size := utf8.DecodeRuneInString(text)
		out = utf8.AppendRune(out, char)
		if char == utf8.RuneError && size == 1 {
			// As long as it is not full, it could still become a character.
			for size < len(text) && !utf8.FullRuneInString(text[:size+1]) {
				size++
			}
		}
		text = text[size:]
	}
	return string(out)
}

// appendEscaped appends text as it stands in a JSON string.
func appendEscaped(to []byte, text string) []byte {
	done := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		to = append(to, text[done:i]...)
		done = i + 1
		if at := strings.IndexByte("\"\\\b\f\n\r\t", c); at >= 0 {
			to = append(to, '\\', `"\bfnrt`[at])
		} else {
			to = append(to, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(to, text[done:]...)
}

func appendString(to []byte, text string) []byte {
	return append(appendEscaped(append(to, '"'), text), '"')
}

func appendJSON(to []byte, v Value) []byte {
	switch v.kind {
	case Text:
		return appendString(to, v.text)
	case Bytes:
		return appendString(to, validUTF8(v.text))
	case Int:
		return strconv.AppendInt(to, int64(v.bits), 10)
	case Float:
		number, _ := v.Float()
		return appendFloat(to, number)
	case Bool:
		return strconv.AppendBool(to, v.bits != 0)
	case Time:
		return append(appendTime(append(to, '"'), int64(v.bits)), '"')
	}
	return append(to, v.text...)
}

// canonical is a valid JSON text without white space between its tokens, each number in its one form.
func canonical(text string) string {
	var compact bytes.Buffer
	if json.Compact(&compact, []byte(text)) != nil {
		return text
	}
	text = compact.String()
	out := make([]byte, 0, len(text))
	for at := 0; at < len(text); {
		end := at + 1
		switch c := text[at]; {
		case c == '"':
			end = stringEnd(text, at)
		case c == '-' || c >= '0' && c <= '9':
			number, length := readNumber(text[at:])
			end = at + max(length, 1)
			if number.kind == Float {
				out = appendJSON(out, number)
				at = end
			}
		}
		out = append(out, text[at:end]...)
		at = end
	}
	return string(out)
}

// Decode is the value of a text of a JSON column, or of any JSON text, by its own kind. A field whose kind differs between
// the records of a batch is JSON there. In such a column a time stands as its RFC 3339 string behind one space, and bytes as
// a string behind two, in which each byte that is not UTF-8 is the lone surrogate `\udc00` plus the byte.
func Decode(text string) Value {
	plain := strings.Trim(text, " \t\n\r")
	if len(plain) >= 2 && plain[0] == '"' && plain[len(plain)-1] == '"' {
		inside := plain[1 : len(plain)-1]
		if strings.HasPrefix(text, `  "`) {
			if bytes, ok := markedBytes(inside); ok {
				return Value{kind: Bytes, text: bytes}
			}
		} else if strings.HasPrefix(text, ` "`) {
			if nanos, ok := ParseTime(inside); ok {
				return TimeValue(nanos)
			}
		}
		if unescaped, lone, ok := unescape(inside); ok && !lone {
			return TextValue(unescaped)
		}
		return JSONValue(plain)
	}
	switch plain {
	case "true":
		return BoolValue(true)
	case "false":
		return BoolValue(false)
	}
	if number, length := readNumber(plain); length > 0 && length == len(plain) {
		return number
	}
	return JSONValue(plain)
}

func markedBytes(inside string) (string, bool) {
	text, _, ok := unescape(inside)
	out := make([]byte, 0, len(text))
	for ok && len(text) > 0 {
		size, next := 1, text[0]
		if lone, found := surrogate(text); found {
			size, next = 3, byte(lone)
			ok = lone >= 0xdc00 && lone <= 0xdcff
		}
		out = append(out, next)
		text = text[size:]
	}
	return string(out), ok
}

// mixedText is the text of a value in a column of several kinds, from which Decode has it again.
func mixedText(v Value) string {
	switch v.kind {
	case JSON:
		return v.text
	case Time:
		return " " + v.JSON()
	case Bytes:
		out := []byte(`  "`)
		for text := v.text; len(text) > 0; {
			char, size := utf8.DecodeRuneInString(text)
			if char == utf8.RuneError && size == 1 {
				out = append(out, '\\', 'u', 'd', 'c', hexDigits[text[0]>>4], hexDigits[text[0]&15])
			} else {
				out = appendEscaped(out, text[:size])
			}
			text = text[size:]
		}
		return string(append(out, '"'))
	}
	return v.JSON()
}
