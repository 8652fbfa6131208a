// The example of every SDK: lines of `key=value` words become fields, and a table says who owns the service.
package main

import (
	"errors"
	"strings"

	"flitch.dev/flitch"
)

// Settings is what stands under `settings` in the configuration.
type Settings struct {
	Field string `json:"field"`
	Table string `json:"table"`
}

// Defaults is what holds where the configuration says nothing else.
func (s *Settings) Defaults() { *s = Settings{Field: "message", Table: "services"} }

// Pairs is the filter.
type Pairs struct{ settings Settings }

// New makes the filter.
func New(settings Settings) (*Pairs, error) { return &Pairs{settings}, nil }

// Fields is the one field with the line.
func (p *Pairs) Fields() []string { return []string{p.settings.Field} }

var errNoPair = errors.New("the line has no key=value")

// Apply reads the pairs of a line.
func (p *Pairs) Apply(record *flitch.Record) error {
	line, err := record.NeedText(p.settings.Field)
	if err != nil {
		return err
	}
	found, level, service, hasService := false, "", "", false
	for len(line) > 0 {
		var word string
		word, line, _ = strings.Cut(line, " ")
		key, dotted := keyOf(word)
		if key == "" {
			continue
		}
		found = true
		value, name := word[len(key)+1:], key
		if dotted {
			// A dot is part of the name.
			name = flitch.PushName("", key, true)
		}
		record.SetText(name, value)
		switch key {
		case "level":
			level = value
		case "service":
			service, hasService = value, true
		}
	}
	switch {
	case !found:
		return errNoPair
	case level == "DEBUG":
		record.Drop()
	case hasService:
		return record.Enrich(p.settings.Table, service, "owner", "owner")
	}
	return nil
}

func isLetter(c byte) bool { return c|32 >= 'a' && c|32 <= 'z' }

// keyOf is the key at the head of a word, which ends before its `=`; empty where there is no pair.
func keyOf(word string) (key string, dotted bool) {
	if word == "" || !isLetter(word[0]) {
		return "", false
	}
	for i := 1; i < len(word); i++ {
		c := word[i]
		if c == '=' {
			return word[:i], dotted
		}
		dotted = dotted || c == '.'
		if !isLetter(c) && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' {
			return "", false
		}
	}
	return "", false
}

func init() { flitch.Export(flitch.Rows(New)) }

func main() {}
