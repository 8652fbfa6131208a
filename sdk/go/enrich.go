package flitch

import "unicode/utf8"

// Enrich sets a field to what the table has as `field` for the key, if it has it. All keys of a batch are looked up at once
// when its last record is done, so a read of the path in this record does not see it yet. An error where there is no such
// table.
func (r *Record) Enrich(table, key, field, path string) error {
	if !utf8.ValidString(key) {
		// No table has a key that is not text; what is found for the others must not suffer from it.
		return nil
	}
	if !utf8.ValidString(path) {
		r.Reject("the name of a field is not UTF-8: " + path)
		return nil
	}
	if isHosts(path) {
		// Not every value has a right to such a name, and a record whose value has none is rejected by itself.
		return r.enrichNow(table, key, field, path)
	}
	b := r.set.findKeys(table, field, path)
	if b == nil {
		if !r.tables[table] {
			none := Column{Name: "key", Kind: Text}
			if _, err := host.Lookup(table, &none, []string{field}); err != nil {
				return err
			}
			r.tables[table] = true
		}
		b = r.set.add(path)
		b.table, b.field = table, field
	}
	b.set(r.out, TextValue(key))
	return nil
}

// enrichNow sets a field to what the table has, by a look of its own.
func (r *Record) enrichNow(table, key, field, path string) error {
	keys := NewBuilder("key")
	keys.PushText(key)
	column := keys.Column()
	found, err := host.Lookup(table, &column, []string{field})
	if err != nil {
		return err
	}
	for i := range found {
		r.Set(path, found[i].value(0))
	}
	return nil
}

// merge puts what was found behind the other columns, or in place of the values of the column of that name; what stands above or
// below it makes room.
func merge(columns []Column, found *Column, path string, rows int) []Column {
	found.Name = path
	var same *Column
	for i := range columns {
		if own := &columns[i]; own.Name == path {
			same = own
		} else if Overlap(own.Name, path) {
			own.leave(found, rows)
		}
	}
	if same == nil {
		return append(columns, *found)
	}
	both := NewBuilder(path)
	for row := range rows {
		value := found.At(row)
		if value.kind == Absent {
			value = same.At(row)
		}
		both.Push(value)
	}
	*same = both.column(rows)
	return columns
}

// leave takes the value from those rows that have one in another column.
func (c *Column) leave(other *Column, rows int) {
	present := make([]byte, bytesFor(rows))
	for row := range rows {
		if c.Has(row) && !other.Has(row) {
			present = setBit(present, row)
		}
	}
	c.Present = present
}
