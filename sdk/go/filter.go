package flitch

import (
	"errors"
	"fmt"
)

// RowFilter is a filter that sees one record at a time: the comfortable way.
type RowFilter interface {
	// Fields is which fields the filter wants to see, with what lies below them; nil for all of them. Name them: what you
	// do not ask for is not copied.
	Fields() []string
	// Apply says what becomes of a record. An error rejects it, and so does a panic; all others go on.
	Apply(record *Record) error
}

// ColumnFilter is a filter that sees whole columns: the fast way.
type ColumnFilter interface {
	// Fields is as that of [RowFilter].
	Fields() []string
	// Apply handles one batch. An error, or a panic, rejects it as a whole; single rows are rejected by [Changes.Reject].
	Apply(batch *Batch, changes *Changes) error
}

// Plugin is a filter that is not configured yet.
type Plugin struct {
	configure func(settings string) (fields []string, run engine, err error)
}

type engine interface {
	apply(batch *Batch) (*Changes, error)
}

// Rows is a filter over records. What stands under `settings` in the configuration is read into S as encoding/json does:
// keys that S has not are refused, and so are those that lack a key with the tag `flitch:"required"`. If *S has a method
// Defaults(), it is called before.
func Rows[S any, F RowFilter](make func(S) (F, error)) Plugin {
	return Plugin{func(text string) ([]string, engine, error) {
		filter, err := configured(text, make)
		if err != nil {
			return nil, nil, err
		}
		fields := filter.Fields()
		return fields, &rowEngine{filter: filter, record: Record{all: fields == nil}}, nil
	}}
}

// Columns is a filter over whole columns, with settings as those of [Rows].
func Columns[S any, F ColumnFilter](make func(S) (F, error)) Plugin {
	return Plugin{func(text string) ([]string, engine, error) {
		filter, err := configured(text, make)
		if err != nil {
			return nil, nil, err
		}
		return filter.Fields(), columnEngine{filter}, nil
	}}
}

func configured[S, F any](text string, make func(S) (F, error)) (filter F, err error) {
	var settings S
	if err = readSettings(text, &settings); err == nil {
		filter, err = make(settings)
	}
	return filter, err
}

// Instance is a configured filter.
type Instance struct {
	// Fields is what the filter asks for; nil for all fields.
	Fields []string
	engine engine
}

// Configure makes the filter with these settings, a JSON text. The error is what is wrong with them.
func (p Plugin) Configure(settings string) (instance *Instance, err error) {
	defer rescue(&err)
	fields, engine, err := p.configure(settings)
	if err != nil {
		return nil, err
	}
	return &Instance{fields, engine}, nil
}

// Apply is what becomes of a batch. It holds until the next call. An error rejects the batch as a whole.
func (i *Instance) Apply(batch *Batch) (changes *Changes, err error) {
	defer rescue(&err)
	return i.engine.apply(batch)
}

// rescue makes an error of a panic.
func rescue(err *error) {
	if panicked := recover(); panicked != nil {
		*err = fmt.Errorf("panic: %v", panicked)
	}
}

// Rejection is a row of the batch handed in that the filter could not handle.
type Rejection struct {
	Row    uint32
	Reason string
}

// Removal is a field that goes, with what lies below it.
type Removal struct {
	Path string
	// From which of the rows that go on, as a bitmap; nil for all of them.
	Rows []byte
}

// Changes is what becomes of a batch. Fields are removed, then columns set.
type Changes struct {
	// Take is the rows that go on, by their number in the batch handed in, where Takes is true. One may be left out, or stand
	// twice. Otherwise all go on that are not rejected.
	Take     []uint32
	Takes    bool
	Set      []Column
	Remove   []Removal
	Rejected []Rejection

	builders set
	rows     int
	// The rows that were rejected.
	gone map[uint32]bool
}

// Build is the column of a path in the making. Push one value, or an absent one, for every row that goes on: a row that was
// rejected, or is not in Take, has no place in it. An absent row keeps what the record has. Rows that are missing at the end
// are absent.
func (c *Changes) Build(path string) *Builder {
	if b := c.builders.find(path); b != nil {
		return b
	}
	return c.builders.add(path)
}

// TakeRow lets a row go on. Without a call all go on that are not rejected.
func (c *Changes) TakeRow(row int) {
	c.Takes = true
	c.Take = append(c.Take, uint32(row))
}

// Reject rejects one row. Of several reasons the first one is told.
func (c *Changes) Reject(row int, reason string) {
	if c.gone == nil {
		c.gone = map[uint32]bool{}
	}
	if !c.gone[uint32(row)] {
		c.gone[uint32(row)] = true
		c.Rejected = append(c.Rejected, Rejection{uint32(row), validUTF8(reason)})
	}
}

type columnEngine struct{ filter ColumnFilter }

func (e columnEngine) apply(batch *Batch) (*Changes, error) {
	changes := &Changes{rows: batch.Rows}
	if err := e.filter.Apply(batch, changes); err != nil {
		return nil, err
	}
	rows := len(changes.Take)
	if !changes.Takes {
		gone := map[uint32]bool{}
		for _, one := range changes.Rejected {
			gone[one.Row] = true
		}
		rows = batch.Rows - len(gone)
	}
	built, err := changes.builders.finish(rows)
	changes.Set = append(changes.Set, built...)
	return changes, err
}

// errNotConfigured is what Apply says before Configure.
var errNotConfigured = errors.New("the filter is not configured")
