package flitch

import "unsafe"

// stringOf is the bytes as text, without a copy.
func stringOf(data []byte) string { return unsafe.String(unsafe.SliceData(data), len(data)) }

// set is columns that come into being as their first value is set. Rows are written in order; within a row, a value
// replaces what stands at, above or below its path.
type set struct {
	builders []*Builder
	// Where the next path is likely to be: records of one kind have their fields in one order.
	next int
}

// find is the column of a path, but for those of keys.
func (s *set) find(path string) *Builder {
	if s.next < len(s.builders) {
		if b := s.builders[s.next]; b.name == path && b.table == "" {
			s.next++
			return b
		}
	}
	for i, b := range s.builders {
		if b.name == path && b.table == "" {
			s.next = i + 1
			return b
		}
	}
	return nil
}

// findKeys is the column of keys that are looked up for a path.
func (s *set) findKeys(table, field, path string) *Builder {
	for _, b := range s.builders {
		if b.table == table && b.field == field && b.name == path {
			return b
		}
	}
	return nil
}

func (s *set) add(path string) *Builder {
	added := NewBuilder(path)
	for _, other := range s.builders {
		if Overlap(other.name, path) {
			other.kin = append(other.kin, added)
			added.kin = append(added.kin, other)
		}
	}
	s.builders = append(s.builders, added)
	s.next = len(s.builders)
	return added
}

// set sets a value of row `row`, the last one or a later one.
func (s *set) set(b *Builder, row int, value Value) {
	b.set(row, value)
	for _, other := range b.kin {
		other.truncate(row)
	}
}

func (s *set) truncate(rows int) {
	for _, b := range s.builders {
		b.truncate(rows)
	}
	s.next = 0
}

// begin forgets all rows. What had a value in the last batch is likely to have one in this.
func (s *set) begin() {
	unused := false
	for _, b := range s.builders {
		unused = unused || b.count() == 0
	}
	if unused {
		s.builders = nil
	}
	for _, b := range s.builders {
		b.reset()
	}
	s.next = 0
}

// finish is all columns that have a value.
func (s *set) finish(rows int) ([]Column, error) {
	columns := make([]Column, 0, len(s.builders))
	for _, b := range s.builders {
		if b.truncate(rows); b.table == "" && b.count() > 0 {
			columns = append(columns, b.column(rows))
		}
	}
	for _, b := range s.builders {
		if b.table == "" || b.count() == 0 {
			continue
		}
		keys := b.column(rows)
		keys.Name = "key"
		found, err := host.Lookup(b.table, &keys, []string{b.field})
		if err != nil {
			return nil, err
		}
		for i := range found {
			columns = merge(columns, &found[i], b.name, rows)
		}
	}
	return columns, nil
}
