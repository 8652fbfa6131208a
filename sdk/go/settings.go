package flitch

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// readSettings reads settings into a struct. No settings at all are an empty object. An error names the wrong key with its
// path, and what would be right.
func readSettings(text string, into any) error {
	if defaults, ok := into.(interface{ Defaults() }); ok {
		defaults.Defaults()
	}
	if text = strings.TrimSpace(text); text == "" || text == "null" {
		text = "{}"
	}
	if !json.Valid([]byte(text)) {
		return fmt.Errorf("settings: what stands there is no JSON")
	}
	if err := checkSettings("settings", text, reflect.TypeOf(into).Elem()); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("settings: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// checkSettings compares a JSON text with the type that it is to be read into.
func checkSettings(path, text string, into reflect.Type) error {
	for into.Kind() == reflect.Pointer {
		if text == "null" {
			return nil
		}
		into = into.Elem()
	}
	if into.Implements(unmarshaler) || reflect.PointerTo(into).Implements(unmarshaler) {
		return nil
	}
	text = strings.TrimSpace(text)
	value := Decode(text)
	wrong := func(expected string) error {
		return fmt.Errorf("%s: invalid type: %s, expected %s", path, described(value), expected)
	}
	switch into.Kind() {
	case reflect.Struct:
		if text[0] != '{' {
			return wrong("an object")
		}
		return checkStruct(path, text, into)
	case reflect.Map:
		if text[0] != '{' {
			return wrong("a map")
		}
		for name, member := range items(text) {
			if err := checkSettings(path+"."+name, member, into.Elem()); err != nil {
				return err
			}
		}
	case reflect.Slice, reflect.Array:
		if text[0] != '[' {
			return wrong("a sequence")
		}
		at := 0
		for _, item := range items(text) {
			if err := checkSettings(fmt.Sprintf("%s[%d]", path, at), item, into.Elem()); err != nil {
				return err
			}
			at++
		}
	case reflect.String:
		if into == reflect.TypeFor[json.Number]() {
			if _, length := readNumber(text); length != len(text) {
				return wrong("a number")
			}
			return nil
		}
		if value.kind != Text {
			return wrong("a string")
		}
	case reflect.Bool:
		if value.kind != Bool {
			return wrong("a boolean")
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if value.kind != Int || reflect.Zero(into).OverflowInt(int64(value.bits)) {
			return wrong(fmt.Sprintf("i%d", into.Bits()))
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		number, err := strconv.ParseUint(text, 10, 64)
		if err != nil || reflect.Zero(into).OverflowUint(number) {
			return wrong(fmt.Sprintf("u%d", into.Bits()))
		}
	case reflect.Float32, reflect.Float64:
		if _, ok := value.Float(); !ok {
			return wrong(fmt.Sprintf("f%d", into.Bits()))
		}
	}
	return nil
}

// key is a member that a struct is read from.
type key struct {
	name     string
	required bool
	into     reflect.Type
}

func keysOf(into reflect.Type) []key {
	var keys []key
	for i := range into.NumField() {
		field := into.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous && name == "" && field.Type.Kind() == reflect.Struct {
			keys = append(keys, keysOf(field.Type)...)
			continue
		}
		if !field.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = field.Name
		}
		keys = append(keys, key{name, field.Tag.Get("flitch") == "required", field.Type})
	}
	return keys
}

func checkStruct(path, text string, into reflect.Type) error {
	keys := keysOf(into)
	given := map[string]bool{}
	for name, member := range items(text) {
		if given[name] {
			return fmt.Errorf("%s: duplicate field `%s`", path, name)
		}
		given[name] = true
		known := false
		for _, key := range keys {
			if key.name == name {
				known = true
				if err := checkSettings(path+"."+name, member, key.into); err != nil {
					return err
				}
			}
		}
		if !known {
			return fmt.Errorf("%s.%s: unknown field `%s`, %s", path, name, name, expected(keys))
		}
	}
	for _, key := range keys {
		if key.required && !given[key.name] {
			return fmt.Errorf("%s: missing field `%s`", path, key.name)
		}
	}
	return nil
}

// expected is `expected `a` or `b“.
func expected(keys []key) string {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = "`" + key.name + "`"
	}
	switch len(names) {
	case 0:
		return "there are no fields"
	case 1, 2:
		return "expected " + strings.Join(names, " or ")
	}
	return "expected one of " + strings.Join(names, ", ")
}

// described is a value as an error names it.
func described(value Value) string {
	switch value.kind {
	case Text:
		return "string " + value.JSON()
	case Int:
		return "integer `" + value.JSON() + "`"
	case Float:
		return "floating point `" + value.JSON() + "`"
	case Bool:
		return "boolean `" + value.JSON() + "`"
	}
	switch value.text[0] {
	case '[':
		return "sequence"
	case '{':
		return "map"
	case 'n':
		return "null"
	}
	return "number"
}
