package flitchtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"flitch.dev/flitch"
)

// record is the fields of a record by their paths.
type record map[string]flitch.Value

// put sets a field, which takes the place of what stands at, above or below its path.
func (r record) put(path string, value flitch.Value) {
	for own := range r {
		if flitch.Overlap(own, path) {
			delete(r, own)
		}
	}
	r[path] = value
}

func (r record) remove(path string) {
	for own := range r {
		if own == path || flitch.IsBelow(own, path) {
			delete(r, own)
		}
	}
}

// putJSON sets a field to a JSON value, member by member.
func (r record) putJSON(path, text string, top bool) {
	var members map[string]json.RawMessage
	if strings.HasPrefix(text, "{") && json.Unmarshal([]byte(text), &members) == nil && (len(members) > 0 || top) {
		for name, member := range members {
			r.putJSON(flitch.PushName(path, name, top), string(member), false)
		}
		return
	}
	r.put(path, flitch.Decode(text))
}

// paths is the paths of a record, sorted.
func (r record) paths() []string {
	var paths []string
	for path := range r {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	return paths
}

// text is the record as a JSON object, the names in it sorted.
func (r record) text() string {
	tree := map[string]any{}
	for _, path := range r.paths() {
		names, at := flitch.PathNames(path), tree
		for _, name := range names[:len(names)-1] {
			below, ok := at[name].(map[string]any)
			if !ok {
				below = map[string]any{}
				at[name] = below
			}
			at = below
		}
		at[names[len(names)-1]] = json.RawMessage(r[path].JSON())
	}
	return encode(tree)
}

func encode(value any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err)
	}
	return strings.TrimSpace(out.String())
}

// normal is a JSON text with the names of its objects sorted, and each number in its one form.
func normal(text string) string {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return text
	}
	return encode(numbered(value))
}

func numbered(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for name := range value {
			value[name] = numbered(value[name])
		}
	case []any:
		for i := range value {
			value[i] = numbered(value[i])
		}
	case json.Number:
		return json.RawMessage(flitch.Decode(value.String()).JSON())
	}
	return value
}

// batchOf is the columns of records.
func batchOf(records []record) *flitch.Batch {
	columns := map[string]*flitch.Builder{}
	var order []string
	for row, one := range records {
		for _, path := range one.paths() {
			if columns[path] == nil {
				columns[path] = flitch.NewBuilder(path)
				order = append(order, path)
				for range row {
					columns[path].PushAbsent()
				}
			}
		}
		for path, column := range columns {
			column.Push(one[path])
		}
	}
	batch := &flitch.Batch{Rows: len(records)}
	for _, path := range order {
		batch.Columns = append(batch.Columns, columns[path].Column())
	}
	return batch
}

// selected is the batch as a filter sees it that asked for these fields.
func selected(batch *flitch.Batch, fields []string) *flitch.Batch {
	if fields == nil {
		return batch
	}
	seen := &flitch.Batch{Rows: batch.Rows}
	for _, column := range batch.Columns {
		if slices.ContainsFunc(fields, func(path string) bool { return path == column.Name || flitch.IsBelow(column.Name, path) }) {
			seen.Columns = append(seen.Columns, column)
		}
	}
	return seen
}

// check is what is wrong with a column of an answer.
func check(column *flitch.Column, rows int) error {
	found := len(column.Ends)
	bitmap := (rows + 7) / 8
	switch column.Kind {
	case flitch.Text, flitch.Bytes, flitch.JSON:
		if !slices.IsSorted(column.Ends) || rows > 0 && found > 0 && int(column.Ends[found-1]) != len(column.Data) {
			return fmt.Errorf("the ends of the column %s", column.Name)
		}
	case flitch.Int, flitch.Time:
		found = len(column.Ints)
	case flitch.Float:
		found = len(column.Floats)
	case flitch.Bool:
		if found = rows; len(column.Bits) != bitmap {
			return fmt.Errorf("the bits of the column %s", column.Name)
		}
	default:
		return fmt.Errorf("the column %s has no kind", column.Name)
	}
	if found != rows || column.Present != nil && len(column.Present) != bitmap {
		return fmt.Errorf("the column %s has %d rows, of %d", column.Name, found, rows)
	}
	for row := range rows {
		value := column.At(row)
		if text, ok := value.Text(); ok && !utf8.ValidString(text) {
			return fmt.Errorf("the column %s is not UTF-8", column.Name)
		}
		if value.Kind() == flitch.JSON && !json.Valid([]byte(value.JSON())) {
			return fmt.Errorf("%s in the column %s is no JSON", value.JSON(), column.Name)
		}
	}
	return nil
}

// own is a value by its own kind.
func own(value flitch.Value, column *flitch.Column, row int) flitch.Value {
	if value.Kind() != flitch.JSON {
		return value
	}
	text, _ := column.Blob(row)
	return flitch.Decode(text)
}

// applied is the records that go on.
func applied(batch *flitch.Batch, changes *flitch.Changes) ([]record, error) {
	gone := map[uint32]bool{}
	for _, one := range changes.Rejected {
		if int(one.Row) >= batch.Rows || gone[one.Row] {
			return nil, fmt.Errorf("row %d is rejected, of %d, or twice", one.Row, batch.Rows)
		}
		gone[one.Row] = true
	}
	take := changes.Take
	for row := range uint32(batch.Rows) {
		if !changes.Takes && !gone[row] {
			take = append(take, row)
		}
	}
	names := map[string]bool{}
	for i := range changes.Set {
		column := &changes.Set[i]
		if err := check(column, len(take)); err != nil {
			return nil, err
		}
		if names[column.Name] {
			return nil, fmt.Errorf("the column %s is set twice", column.Name)
		}
		names[column.Name] = true
	}
	records := make([]record, len(take))
	for to, from := range take {
		if int(from) >= batch.Rows || gone[from] {
			return nil, fmt.Errorf("row %d is taken, of %d, or rejected as well", from, batch.Rows)
		}
		one := record{}
		put := func(columns []flitch.Column, row int) {
			for i := range columns {
				if value := own(columns[i].At(row), &columns[i], row); value.Kind() != flitch.Absent {
					one.put(columns[i].Name, value)
				}
			}
		}
		put(batch.Columns, int(from))
		for _, removal := range changes.Remove {
			if removal.Rows == nil || removal.Rows[to/8]>>(to%8)&1 != 0 {
				one.remove(removal.Path)
			}
		}
		put(changes.Set, to)
		records[to] = one
	}
	return records, nil
}
