package flitch

import (
	"fmt"
	"unicode/utf8"
)

// The names of the host: the time, the tag, and what a record has past the names that have columns.
const (
	timestamp = "@timestamp"
	tag       = "@tag"
	rest      = "@rest"
)

// hasRight says whether a value may have a name that begins with `@`. Where it may not, the record is rejected, and no other:
// the host would take the whole answer for none.
func (r *Record) hasRight(path string, value Value) bool {
	switch path {
	case timestamp:
		if value.kind != Time {
			r.Reject("`@timestamp` must be a time")
			return false
		}
	case tag:
		if value.kind != Text || !utf8.ValidString(value.text) {
			r.Reject("`@tag` must be text")
			return false
		}
	case rest:
		if value.kind != JSON || value.text[0] != '{' {
			r.Reject("`@rest` must be a JSON object")
			return false
		}
	default:
		return !r.isBelowHosts(path)
	}
	return true
}

// isBelowHosts says whether a path lies below a name of the host, and rejects the record then.
func (r *Record) isBelowHosts(path string) bool {
	for _, outer := range [...]string{timestamp, tag, rest} {
		if IsBelow(path, outer) {
			r.Reject(fmt.Sprintf("`%s` lies below a name of the host's", path))
			return true
		}
	}
	return false
}

// isHosts says whether a path begins as the names of the host do.
func isHosts(path string) bool { return len(path) > 0 && path[0] == '@' }

// maxInside is how many names deep a member lies at most; what lies deeper is part of a value.
const maxInside = 8

// inside is the value at a path inside of an object of the record that has no columns for its members.
func (r *Record) inside(path string) Value {
	for _, column := range r.outer {
		if column.Name == rest && r.isRemoved(rest) {
			continue
		}
		if value := column.inside(r.row, path); value.kind != Absent {
			return value
		}
	}
	return Value{}
}

// within is the path of a field inside of the column's objects; false where it cannot lie there.
func (c *Column) within(path string) (below string, ok bool) {
	switch {
	case c.Kind != JSON:
		return "", false
	case c.Name == rest:
		return path, path != rest && path != timestamp && path != tag
	case IsBelow(path, c.Name):
		return path[len(c.Name)+1:], true
	}
	return "", false
}

// inside is the value at a path inside of the object of a row.
func (c *Column) inside(row int, path string) Value {
	below, ok := c.within(path)
	if !ok {
		return Value{}
	}
	if text, ok := c.Blob(row); ok {
		if found, ok := memberAt(text, below); ok {
			return Decode(found)
		}
	}
	return Value{}
}

func (r *Record) isRemoved(path string) bool {
	for _, b := range r.removed {
		if b.name == path && r.removedHere(b) {
			return true
		}
	}
	return false
}

// memberAt is the text at a path inside of a JSON object; of two members of one name the last one.
func memberAt(text, path string) (found string, ok bool) {
	for range maxInside {
		if text == "" || text[0] != '{' {
			return "", false
		}
		end := firstName(path)
		found, ok = "", false
		for name, member := range items(text) {
			if PushName("", name, true) == path[:end] {
				found, ok = member, true
			}
		}
		if !ok || end == len(path) {
			return found, ok
		}
		text, path = found, path[end+1:]
	}
	return "", false
}
