package flitch

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"time"
	"unicode/utf8"
)

// Record is a record, and what becomes of it. Reads see what was set before.
//
// Fields are named by their path: `status`, `kubernetes.labels.app`, with a dot inside a name written `\.`. The event's time
// is `@timestamp`, its tag `@tag`.
type Record struct {
	batch *Batch
	// The filter has asked for all fields, so that some may stand in objects that have no columns for their members: outer.
	all   bool
	outer []*Column
	// Row of the batch handed in; row among those that go on, and where this record's rows began.
	row, out, start int
	set             set
	// For each path, the rows from which it is removed.
	removed  []*Builder
	take     []uint32
	rejected []Rejection
	// The rows that go on are others than those that were not rejected.
	reordered bool
	dropped   bool
	refusal   error
	// Something was set or removed in this row.
	touched bool
	// Where the next column is likely to be.
	next int
	// Tables that the host is known to keep.
	tables map[string]bool
}

func (r *Record) column(path string) *Column {
	columns := r.batch.Columns
	if r.next < len(columns) && columns[r.next].Name == path {
		r.next++
		return &columns[r.next-1]
	}
	for i := range columns {
		if columns[i].Name == path {
			r.next = i + 1
			return &columns[i]
		}
	}
	return nil
}

// here is what was set in this row.
func (r *Record) here(b *Builder) Value {
	if b.table != "" || b.rows != r.out+1 {
		return Value{}
	}
	value := b.get(r.out)
	if value.kind == JSON {
		return Decode(value.text)
	}
	return value
}

func (r *Record) removedHere(b *Builder) bool { return b.rows == r.out+1 && bit(b.present, r.out) }

// isReplaced says whether what the record had under this path is gone.
func (r *Record) isReplaced(path string) bool {
	for _, b := range r.removed {
		if (b.name == path || IsBelow(path, b.name)) && r.removedHere(b) {
			return true
		}
	}
	for _, b := range r.set.builders {
		if Overlap(b.name, path) && r.here(b).kind != Absent {
			return true
		}
	}
	return false
}

// Get is the value of a field by its own kind, absent where there is none.
func (r *Record) Get(path string) Value {
	if r.touched {
		for _, b := range r.set.builders {
			if b.name == path {
				if value := r.here(b); value.kind != Absent {
					return value
				}
			}
		}
		if r.isReplaced(path) {
			return Value{}
		}
	}
	if column := r.column(path); column != nil && column.Has(r.row) {
		return column.value(r.row)
	}
	if len(r.outer) > 0 {
		return r.inside(path)
	}
	return Value{}
}

// Has says whether the record has the field.
func (r *Record) Has(path string) bool { return r.Get(path).kind != Absent }

// Text is the field's text.
func (r *Record) Text(path string) (string, bool) { return r.Get(path).Text() }

// Bytes is the field's bytes.
func (r *Record) Bytes(path string) ([]byte, bool) { return r.Get(path).Bytes() }

// Int is the field's whole number.
func (r *Record) Int(path string) (int64, bool) { return r.Get(path).Int() }

// Float is the field's number; a whole number as the nearest float.
func (r *Record) Float(path string) (float64, bool) { return r.Get(path).Float() }

// Bool is the field's boolean.
func (r *Record) Bool(path string) (bool, bool) { return r.Get(path).Bool() }

// Nanos is the field's instant, in nanoseconds since 1970-01-01T00:00:00Z.
func (r *Record) Nanos(path string) (int64, bool) { return r.Get(path).Nanos() }

// Time is the field's instant, in UTC.
func (r *Record) Time(path string) (time.Time, bool) { return r.Get(path).Time() }

// JSON reads the field, whatever its kind, as encoding/json does. False where it is absent, or does not fit: null fits what can
// be null, an interface, a pointer or what reads JSON by itself.
func (r *Record) JSON(path string, into any) bool {
	value := r.Get(path)
	if value.kind == Absent {
		return false
	}
	text := value.JSON()
	if text == "null" && !takesNull(into) {
		return false
	}
	return json.Unmarshal([]byte(text), into) == nil
}

// takesNull says whether null is a value of what into points to. To encoding/json it is one of anything, and leaves it as it is.
func takesNull(into any) bool {
	if _, ok := into.(json.Unmarshaler); ok {
		return true
	}
	kind := reflect.TypeOf(into)
	return kind != nil && kind.Kind() == reflect.Pointer &&
		(kind.Elem().Kind() == reflect.Interface || kind.Elem().Kind() == reflect.Pointer)
}

// NeedText is the field's text; an error where it is missing or no text, which rejects the record when Apply returns it.
func (r *Record) NeedText(path string) (string, error) {
	value := r.Get(path)
	switch value.kind {
	case Text:
		return value.text, nil
	case Absent:
		return "", fmt.Errorf("the field `%s` is missing", path)
	}
	return "", fmt.Errorf("the field `%s` is not text", path)
}

// Fields is all fields that the filter sees, then those that it has added. What stands in `@rest` is one of them, whatever has
// columns in other records.
func (r *Record) Fields() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		outer := r.outer
		defer func() { r.outer = outer }()
		for i := range r.batch.Columns {
			name := r.batch.Columns[i].Name
			r.outer = nil
			value := r.Get(name)
			r.outer = outer
			if value.kind != Absent && !yield(name, value) {
				return
			}
		}
		for _, b := range r.set.builders {
			if value := r.here(b); value.kind != Absent && r.column(b.name) == nil && !yield(b.name, value) {
				return
			}
		}
	}
}

// Set sets a field, or does nothing where the value is absent. The value replaces what stood at, above or below its path.
// What should be JSON and is not rejects the record.
func (r *Record) Set(path string, value Value) {
	switch value.kind {
	case Absent:
		return
	case JSON:
		if !json.Valid([]byte(value.text)) || !utf8.ValidString(value.text) {
			r.Reject(fmt.Sprintf("what the filter sets as `%s` is no JSON", path))
			return
		}
		value.text = oneLine(value.text)
	}
	r.put(path, value)
}

func (r *Record) put(path string, value Value) {
	if isHosts(path) && !r.hasRight(path, value) {
		return
	}
	b := r.set.find(path)
	if b == nil {
		if !utf8.ValidString(path) {
			r.Reject("the name of a field is not UTF-8: " + path)
			return
		}
		b = r.set.add(path)
	}
	r.set.set(b, r.out, value)
	r.touched = true
}

// oneLine is a valid JSON text without line breaks and white space around it.
func oneLine(text string) string {
	for _, c := range []byte(text) {
		if c == '\n' || c == '\r' {
			return canonical(text)
		}
	}
	if text[0] <= ' ' || text[len(text)-1] <= ' ' {
		return canonical(text)
	}
	return text
}

// SetText sets a field to text, or to bytes where the text is not UTF-8.
func (r *Record) SetText(path, text string) { r.put(path, Value{kind: Text, text: text}) }

// SetBytes sets a field to bytes.
func (r *Record) SetBytes(path string, bytes []byte) {
	r.put(path, Value{kind: Bytes, text: stringOf(bytes)})
}

// SetInt sets a field to a whole number.
func (r *Record) SetInt(path string, number int64) { r.put(path, IntValue(number)) }

// SetFloat sets a field to a float.
func (r *Record) SetFloat(path string, number float64) { r.put(path, FloatValue(number)) }

// SetBool sets a field to a boolean.
func (r *Record) SetBool(path string, boolean bool) { r.put(path, BoolValue(boolean)) }

// SetNanos sets a field to an instant, in nanoseconds since 1970-01-01T00:00:00Z.
func (r *Record) SetNanos(path string, nanos int64) { r.put(path, TimeValue(nanos)) }

// SetTime sets a field to an instant. One before 1678 or after 2261, which int64 nanoseconds do not hold, rejects the record.
func (r *Record) SetTime(path string, at time.Time) {
	if year := at.UTC().Year(); year < 1678 || year > 2261 {
		r.Reject(fmt.Sprintf("the time of `%s` lies outside the years 1678 to 2261: %s", path, at.Format(time.RFC3339)))
		return
	}
	r.put(path, TimeValue(at.UnixNano()))
}

// SetJSON sets a field to what encoding/json makes of a value; a json.RawMessage is taken as it is. The members of an object
// become fields below the path.
func (r *Record) SetJSON(path string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if !utf8.Valid(raw) {
		return errors.New("a JSON text is not UTF-8")
	}
	r.setJSON(path, string(raw))
	return nil
}

func (r *Record) setJSON(path, text string) {
	value := Decode(text)
	if value.kind != JSON {
		r.put(path, value)
		return
	}
	members := false
	// What is set as `@rest` is one object; the other names of the host are never one.
	if value.text[0] == '{' && path != rest && path != timestamp && path != tag {
		for name, member := range items(value.text) {
			if !members {
				r.Remove(path)
			}
			members = true
			r.setJSON(PushName(path, name, false), member)
		}
	}
	if !members {
		r.put(path, JSONValue(canonical(value.text)))
	}
}

// Remove removes a field, and what lies below it. The event's time and tag cannot be removed.
func (r *Record) Remove(path string) {
	if path == timestamp || path == tag {
		r.Reject(fmt.Sprintf("`%s` cannot be removed", path))
		return
	}
	if isHosts(path) && r.isBelowHosts(path) {
		return
	}
	for _, b := range r.set.builders {
		if b.name == path || IsBelow(b.name, path) {
			b.truncate(r.out)
		}
	}
	r.touched = true
	for _, b := range r.removed {
		if b.name == path {
			b.set(r.out, BoolValue(true))
			return
		}
	}
	if !utf8.ValidString(path) {
		r.Reject("the name of a field is not UTF-8: " + path)
		return
	}
	b := NewBuilder(path)
	b.set(r.out, BoolValue(true))
	r.removed = append(r.removed, b)
}

// Drop drops the record, or the part of it that is being made: it goes nowhere, and is counted as dropped on purpose.
func (r *Record) Drop() { r.dropped = true }

// Reject rejects the record, as an error from Apply does. Of several reasons the first one is told.
func (r *Record) Reject(reason string) {
	if r.refusal == nil {
		r.refusal = errors.New(reason)
	}
}
