package flitch

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// PushName is a path with one more name below it; the path of the name itself where top is true. In a name a dot is written
// `\.`, a backslash `\\`, and a lone surrogate, which JSON allows and UTF-8 does not, `\ud800`. The name may hold the
// latter as WTF-8; any other byte that is not UTF-8 becomes U+FFFD.
func PushName(path, name string, top bool) string {
	if !strings.ContainsAny(name, `.\`) && utf8.ValidString(name) {
		if top {
			return name
		}
		return path + "." + name
	}
	var out strings.Builder
	if !top {
		out.WriteString(path)
		out.WriteByte('.')
	}
	for len(name) > 0 {
		char, size := utf8.DecodeRuneInString(name)
		if lone, ok := surrogate(name); ok {
			fmt.Fprintf(&out, `\u%04x`, lone)
			size = 3
		} else {
			if char == '.' || char == '\\' {
				out.WriteByte('\\')
			}
			out.WriteRune(char)
		}
		name = name[size:]
	}
	return out.String()
}

// surrogate is the lone surrogate that stands at the head of the text as WTF-8 writes it.
func surrogate(text string) (uint16, bool) {
	if len(text) < 3 || text[0] != 0xed || text[1] < 0xa0 || text[1] > 0xbf || text[2]&0xc0 != 0x80 {
		return 0, false
	}
	return 0xd000 | uint16(text[1]&0x3f)<<6 | uint16(text[2]&0x3f), true
}

// firstName is where the first name of a path ends.
func firstName(path string) int {
	for at := 0; at < len(path); at++ {
		switch path[at] {
		case '.':
			return at
		case '\\':
			at++
		}
	}
	return len(path)
}

// PathNames is the names along a path, from the outermost, without their escapes. A lone surrogate becomes U+FFFD.
func PathNames(path string) []string {
	var names []string
	for {
		end := firstName(path)
		names = append(names, unescapeName(path[:end]))
		if end == len(path) {
			return names
		}
		path = path[end+1:]
	}
}

func unescapeName(name string) string {
	if !strings.Contains(name, `\`) {
		return name
	}
	var out strings.Builder
	for at := 0; at < len(name); {
		rest := name[at:]
		switch {
		case len(rest) > 1 && rest[0] == '\\' && (rest[1] == '.' || rest[1] == '\\'):
			out.WriteByte(rest[1])
			at += 2
		case len(rest) > 5 && rest[0] == '\\' && rest[1] == 'u' && isLone(rest[2:6]):
			out.WriteRune(utf8.RuneError)
			at += 6
		default:
			out.WriteByte(rest[0])
			at++
		}
	}
	return out.String()
}

// isLone says whether four characters are the hexadecimal digits of a surrogate.
func isLone(digits string) bool {
	code, ok := hex4(digits)
	return ok && code >= 0xd800 && code < 0xe000
}

// PathAbove is the path above a path.
func PathAbove(path string) (above string, ok bool) {
	for at := 0; ; at++ {
		at += firstName(path[at:])
		if at >= len(path) {
			return above, ok
		}
		above, ok = path[:at], true
	}
}

// IsBelow says whether the path inner lies below outer: `a.b` below `a`.
func IsBelow(inner, outer string) bool {
	return len(inner) > len(outer) && inner[len(outer)] == '.' && inner[:len(outer)] == outer
}

// Overlap says whether one of two paths is, or lies below, the other.
func Overlap(a, b string) bool { return a == b || IsBelow(a, b) || IsBelow(b, a) }
