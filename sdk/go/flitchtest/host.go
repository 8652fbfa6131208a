package flitchtest

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flitch.dev/flitch"
)

// Line is a line that a filter has logged.
type Line struct {
	Level flitch.Level
	Text  string
}

// Host is a stand-in for flitch: it keeps what a filter logs and counts, and holds the tables that it looks into.
type Host struct {
	Lines    []Line
	Counters map[string]uint64
	tables   map[string]map[string]json.RawMessage
}

// NewHost lets filters run in a host of its own until the test ends. Tests that do so do not run in parallel.
func NewHost(t testing.TB) *Host {
	h := &Host{Counters: map[string]uint64{}, tables: map[string]map[string]json.RawMessage{}}
	flitch.UseHost(h)
	return h
}

// Table gives the host a table: JSON objects with the key under `key`.
func (h *Host) Table(name string, rows ...string) {
	table := map[string]json.RawMessage{}
	for _, row := range rows {
		var members struct{ Key json.RawMessage }
		if err := json.Unmarshal([]byte(row), &members); err != nil {
			panic(row + " is no row of a table: " + err.Error())
		}
		table[keyOf(flitch.Decode(string(members.Key)))] = json.RawMessage(row)
	}
	h.tables[name] = table
}

// keyOf is a value as the key of a table.
func keyOf(value flitch.Value) string {
	if text, ok := value.Text(); ok {
		return text
	}
	return value.JSON()
}

// Log keeps the line.
func (h *Host) Log(level flitch.Level, line string) { h.Lines = append(h.Lines, Line{level, line}) }

// Count adds to a counter.
func (h *Host) Count(counter string, delta uint64) { h.Counters[counter] += delta }

// Lookup finds rows as flitch does.
func (h *Host) Lookup(name string, keys *flitch.Column, want []string) ([]flitch.Column, error) {
	table, ok := h.tables[name]
	if !ok {
		return nil, errors.New("there is no such table")
	}
	if keys.Kind != flitch.Text && keys.Kind != flitch.Int {
		return nil, errors.New("keys are text or whole numbers")
	}
	var columns []flitch.Column
	for _, field := range want {
		builder := flitch.NewBuilder(field)
		found := false
		for row := range max(len(keys.Ends), len(keys.Ints)) {
			value := flitch.Value{}
			if key := keys.At(row); key.Kind() != flitch.Absent {
				var members map[string]json.RawMessage
				if json.Unmarshal(table[keyOf(key)], &members) == nil {
					if text, ok := members[field]; ok {
						value, found = flitch.Decode(string(text)), true
					}
				}
			}
			builder.Push(value)
		}
		if found {
			columns = append(columns, builder.Column())
		}
	}
	return columns, nil
}

// lines is the lines of a file that are not empty; none where there is no file.
func lines(t testing.TB, path ...string) []string {
	t.Helper()
	file, err := os.Open(filepath.Join(path...))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []string
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		if line := strings.TrimSpace(scanner.Text()); line != "" {
			all = append(all, line)
		}
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
