package flitch

// rest is the name under which stands what a record has past the names that have columns.
const rest = "@rest"

// maxInside is how many names deep a member lies at most; what lies deeper is part of a value.
const maxInside = 8

// inside is the value at a path inside of an object of the record that has no columns for its members.
func (r *Record) inside(path string) Value {
	for _, column := range r.outer {
		text, ok := column.Blob(r.row)
		if !ok {
			continue
		}
		below := path
		switch {
		case column.Name == rest:
			if path == rest || path == "@timestamp" || path == "@tag" || r.isRemoved(rest) {
				continue
			}
		case IsBelow(path, column.Name):
			below = path[len(column.Name)+1:]
		default:
			continue
		}
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
