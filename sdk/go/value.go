package flitch

import (
	"math"
	"time"
)

// Kind is the kind of a value or a column.
type Kind uint8

// The kinds. JSON is for what no other holds: an array, null, an object without members or with very many, a number that
// neither int64 nor float64 holds exactly.
const (
	Absent Kind = iota
	Text
	Bytes
	Int
	Float
	Bool
	Time
	JSON
)

var kindNames = [...]string{"absent", "text", "bytes", "int", "float", "bool", "time", "json"}

// String is the kind's name.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Value is a value of a record. The zero Value is absent.
type Value struct {
	kind Kind
	text string
	bits uint64
}

// TextValue is text. If it is not UTF-8, a record takes it as bytes.
func TextValue(text string) Value { return Value{kind: Text, text: text} }

// BytesValue is bytes.
func BytesValue(bytes []byte) Value { return Value{kind: Bytes, text: string(bytes)} }

// IntValue is a whole number.
func IntValue(number int64) Value { return Value{kind: Int, bits: uint64(number)} }

// FloatValue is a float.
func FloatValue(number float64) Value { return Value{kind: Float, bits: math.Float64bits(number)} }

// BoolValue is a boolean.
func BoolValue(boolean bool) Value {
	if boolean {
		return Value{kind: Bool, bits: 1}
	}
	return Value{kind: Bool}
}

// TimeValue is an instant, in nanoseconds since 1970-01-01T00:00:00Z.
func TimeValue(nanos int64) Value { return Value{kind: Time, bits: uint64(nanos)} }

// JSONValue is a JSON text.
func JSONValue(text string) Value { return Value{kind: JSON, text: text} }

// Kind is the value's kind.
func (v Value) Kind() Kind { return v.kind }

// Text is the value where it is text.
func (v Value) Text() (string, bool) { return v.text, v.kind == Text }

// Bytes is the value where it is bytes.
func (v Value) Bytes() ([]byte, bool) { return []byte(v.text), v.kind == Bytes }

// Int is the value where it is a whole number.
func (v Value) Int() (int64, bool) { return int64(v.bits), v.kind == Int }

// Float is the value where it is a number; a whole number as the nearest float.
func (v Value) Float() (float64, bool) {
	if v.kind == Int {
		return float64(int64(v.bits)), true
	}
	return math.Float64frombits(v.bits), v.kind == Float
}

// Bool is the value where it is a boolean.
func (v Value) Bool() (bool, bool) { return v.bits != 0, v.kind == Bool }

// Nanos is the value where it is an instant, in nanoseconds since 1970-01-01T00:00:00Z.
func (v Value) Nanos() (int64, bool) { return int64(v.bits), v.kind == Time }

// Time is the value where it is an instant, in UTC.
func (v Value) Time() (time.Time, bool) { return time.Unix(0, int64(v.bits)).UTC(), v.kind == Time }

// JSON is the JSON text of the value, whatever its kind: a time is its RFC 3339 string, bytes are a string with U+FFFD for
// what is not UTF-8, a float that is no number is null. It is empty where the value is absent.
func (v Value) JSON() string {
	if v.kind == JSON && (v.text == "" || v.text[0] != ' ') {
		return v.text
	}
	if v.kind == JSON {
		v = Decode(v.text)
	}
	return string(appendJSON(nil, v))
}
