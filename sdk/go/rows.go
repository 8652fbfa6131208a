package flitch

import (
	"fmt"
	"iter"
)

// Split makes a record for each of count parts, in order, each beginning with what was changed before the split and changed
// further by the body of the loop:
//
//	for i := range record.Split(len(parts)) {
//		record.SetText("part", parts[i])
//	}
//
// No part at all drops the record. It is the last thing that a filter does with a record.
func (r *Record) Split(count int) iter.Seq[int] {
	return func(yield func(int) bool) {
		type value struct {
			builder *Builder
			value   Value
		}
		var base []value
		for _, b := range r.set.builders {
			if b.rows == r.out+1 {
				base = append(base, value{b, b.get(r.out)})
			}
		}
		var removed []string
		for _, b := range r.removed {
			if r.removedHere(b) {
				removed = append(removed, b.name)
			}
		}
		if count <= 0 {
			r.dropped = true
		}
		for part := range count {
			if part > 0 {
				r.closeCopy()
				for _, path := range removed {
					r.Remove(path)
				}
				for _, one := range base {
					if one.value.kind != Absent {
						one.builder.set(r.out, one.value)
					}
				}
				r.touched, r.reordered = true, true
			}
			if !yield(part) || r.refusal != nil {
				return
			}
		}
	}
}

func (r *Record) forgetFrom(out int) {
	r.out = out
	r.take = r.take[:out]
	r.set.truncate(out)
	for _, b := range r.removed {
		b.truncate(out)
	}
}

func (r *Record) closeCopy() {
	if r.dropped {
		r.dropped, r.reordered = false, true
		r.forgetFrom(r.out)
		return
	}
	r.take = append(r.take, uint32(r.row))
	r.out++
}

// guarded calls the filter. A panic is an error of this record.
func guarded(filter RowFilter, r *Record) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("panic: %v", panicked)
		}
	}()
	return filter.Apply(r)
}

func (r *Record) run(filter RowFilter, row int) {
	r.row, r.start, r.set.next, r.next = row, r.out, 0, 0
	r.touched, r.dropped, r.refusal = false, false, nil
	if err := guarded(filter, r); err != nil && r.refusal == nil {
		r.refusal = err
	}
	if r.refusal == nil {
		r.closeCopy()
		return
	}
	r.dropped = false
	r.forgetFrom(r.start)
	r.rejected = append(r.rejected, Rejection{Row: uint32(row), Reason: validUTF8(r.refusal.Error())})
}

// begin takes up a batch, and keeps the memory of the last one.
func (r *Record) begin(batch *Batch) {
	r.batch, r.out, r.reordered, r.outer = batch, 0, false, r.outer[:0]
	for i := range batch.Columns {
		if r.all && batch.Columns[i].Kind == JSON {
			r.outer = append(r.outer, &batch.Columns[i])
		}
	}
	r.set.begin()
	r.removed, r.rejected, r.take = nil, nil, r.take[:0]
	if r.tables == nil {
		r.tables = map[string]bool{}
	}
}

func (r *Record) finish() (*Changes, error) {
	changes := &Changes{Rejected: r.rejected, Takes: r.reordered}
	if r.reordered {
		changes.Take = r.take
	}
	for _, b := range r.removed {
		if b.count() == 0 {
			continue
		}
		column := b.column(r.out)
		changes.Remove = append(changes.Remove, Removal{Path: b.name, Rows: column.Present})
	}
	var err error
	changes.Set, err = r.set.finish(r.out)
	return changes, err
}

type rowEngine struct {
	filter RowFilter
	record Record
}

func (e *rowEngine) apply(batch *Batch) (*Changes, error) {
	e.record.begin(batch)
	for row := range batch.Rows {
		e.record.run(e.filter, row)
	}
	return e.record.finish()
}
