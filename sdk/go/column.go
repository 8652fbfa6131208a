package flitch

import (
	"math"
	"math/bits"
	"unicode/utf8"
)

// Batch is the columns of some records.
type Batch struct {
	Rows    int
	Columns []Column
}

// Column is the column of a path, or nil where no record of the batch has the field.
func (b *Batch) Column(path string) *Column {
	for i := range b.Columns {
		if b.Columns[i].Name == path {
			return &b.Columns[i]
		}
	}
	return nil
}

// Find is the field at exactly this path, wherever records have it: in its column, or inside of an object that has no columns
// for its members, of which `@rest` is one. A filter that names the fields it wants has them in their columns; one that asks
// for all finds its own by this. It is nil where no record of the batch has the field.
func (b *Batch) Find(path string) *Column {
	column := b.Column(path)
	var outer []*Column
	for i := range b.Columns {
		if _, ok := b.Columns[i].within(path); ok {
			outer = append(outer, &b.Columns[i])
		}
	}
	both, found := NewBuilder(path), false
	for row := 0; len(outer) > 0 && row < b.Rows; row++ {
		value := Value{}
		if column != nil {
			value = column.value(row)
		}
		for i := 0; value.kind == Absent && i < len(outer); i++ {
			value = outer[i].inside(row, path)
			found = found || value.kind != Absent
		}
		both.Push(value)
	}
	if !found {
		return column
	}
	lifted := both.Column()
	return &lifted
}

// Column is the values of one field, one for each record of a batch, as they lie in memory. The slices must not be
// written to.
type Column struct {
	// The field's path.
	Name string
	Kind Kind
	// Which rows have the field, as a bitmap, least significant bit first; nil where all of them have it.
	Present []byte
	// Of texts, bytes and JSON: value i is Data[Ends[i-1]:Ends[i]], the first one begins at 0.
	Data string
	Ends []uint32
	// Of whole numbers and times.
	Ints []int64
	// Of floats.
	Floats []float64
	// Of booleans, a bitmap.
	Bits []byte
}

func bit(bitmap []byte, row int) bool { return row>>3 < len(bitmap) && bitmap[row>>3]>>(row&7)&1 != 0 }

func bytesFor(rows int) int { return (rows + 7) / 8 }

// Has says whether a row has a value.
func (c *Column) Has(row int) bool { return c.Present == nil || bit(c.Present, row) }

// Blob is the text, bytes or JSON of a row.
func (c *Column) Blob(row int) (string, bool) {
	if row >= len(c.Ends) || !c.Has(row) {
		return "", false
	}
	start := uint32(0)
	if row > 0 {
		start = c.Ends[row-1]
	}
	return c.Data[start:c.Ends[row]], true
}

// At is the value of a row as the column has it, absent where the row has none. For a field whose kind differs from record
// to record that is JSON, and [Decode] gives each value its own kind again.
func (c *Column) At(row int) Value {
	if !c.Has(row) {
		return Value{}
	}
	switch c.Kind {
	case Text, Bytes, JSON:
		if text, ok := c.Blob(row); ok {
			return Value{kind: c.Kind, text: text}
		}
	case Int, Time:
		if row < len(c.Ints) {
			return Value{kind: c.Kind, bits: uint64(c.Ints[row])}
		}
	case Float:
		if row < len(c.Floats) {
			return FloatValue(c.Floats[row])
		}
	case Bool:
		if row>>3 < len(c.Bits) {
			return BoolValue(bit(c.Bits, row))
		}
	}
	return Value{}
}

// value is the value of a row by its own kind.
func (c *Column) value(row int) Value {
	value := c.At(row)
	if value.kind == JSON {
		return Decode(value.text)
	}
	return value
}

// Builder makes a column, value by value. A column takes its kind from its first value; values of several kinds keep theirs.
type Builder struct {
	name    string
	kind    Kind
	rows    int
	present []byte
	data    []byte
	ends    []uint32
	ints    []int64
	floats  []float64
	bits    []byte
	// What overlaps in the same set.
	kin []*Builder
	// Where the values are keys that are looked up at the end.
	table, field string
}

// NewBuilder is a column without rows.
func NewBuilder(path string) *Builder { return &Builder{name: path} }

// Push gives the next row a value, or none where the value is absent.
func (b *Builder) Push(value Value) {
	if value.kind == Absent {
		b.pad(b.rows + 1)
		return
	}
	b.set(b.rows, value)
}

// PushText gives the next row a text.
func (b *Builder) PushText(text string) { b.set(b.rows, Value{kind: Text, text: text}) }

// PushInt gives the next row a whole number.
func (b *Builder) PushInt(number int64) { b.set(b.rows, IntValue(number)) }

// PushAbsent leaves the next row without a value.
func (b *Builder) PushAbsent() { b.pad(b.rows + 1) }

// Column is what was pushed; its kind is Text where that is nothing.
func (b *Builder) Column() Column {
	if b.kind == Absent {
		b.begin(Text)
	}
	return b.column(b.rows)
}

func setBit(bitmap []byte, row int) []byte {
	for row>>3 >= len(bitmap) {
		bitmap = append(bitmap, 0)
	}
	bitmap[row>>3] |= 1 << (row & 7)
	return bitmap
}

func isBlob(kind Kind) bool { return kind == Text || kind == Bytes || kind == JSON }

// begin gives a column without values its kind.
func (b *Builder) begin(kind Kind) {
	rows := b.rows
	b.kind, b.rows = kind, 0
	b.pad(rows)
}

// pad adds rows without values until there are so many.
func (b *Builder) pad(rows int) {
	for ; b.rows < rows; b.rows++ {
		switch b.kind {
		case Text, Bytes, JSON:
			b.ends = append(b.ends, uint32(len(b.data)))
		case Int, Time:
			b.ints = append(b.ints, 0)
		case Float:
			b.floats = append(b.floats, 0)
		}
	}
}

// truncate forgets all rows from rows on.
func (b *Builder) truncate(rows int) {
	if b.rows <= rows {
		return
	}
	for row := rows; row < b.rows; row++ {
		if row>>3 < len(b.present) {
			b.present[row>>3] &^= 1 << (row & 7)
		}
		if row>>3 < len(b.bits) {
			b.bits[row>>3] &^= 1 << (row & 7)
		}
	}
	b.rows = rows
	switch b.kind {
	case Text, Bytes, JSON:
		b.ends = b.ends[:rows]
		b.data = b.data[:0:cap(b.data)]
		if rows > 0 {
			b.data = b.data[:b.ends[rows-1]]
		}
	case Int, Time:
		b.ints = b.ints[:rows]
	case Float:
		b.floats = b.floats[:rows]
	}
}

// reset forgets all rows and the kind, and keeps the memory.
func (b *Builder) reset() {
	b.kind, b.rows = Absent, 0
	b.present, b.data, b.ends, b.ints, b.floats, b.bits = b.present[:0], b.data[:0], b.ends[:0], b.ints[:0], b.floats[:0], b.bits[:0]
}

func (b *Builder) becomeJSON() {
	mixed := Builder{name: b.name}
	mixed.begin(JSON)
	for row := range b.rows {
		if value := b.get(row); value.kind != Absent {
			mixed.set(row, value)
		}
	}
	mixed.pad(b.rows)
	b.kind, b.rows, b.present, b.data, b.ends = JSON, mixed.rows, mixed.present, mixed.data, mixed.ends
}

// set writes row `row`, the last one or a later one; rows between have no value.
func (b *Builder) set(row int, value Value) {
	b.truncate(row)
	if value.kind == Text && !utf8.ValidString(value.text) {
		value.kind = Bytes
	}
	if b.kind != value.kind {
		switch b.kind {
		case Absent:
			b.begin(value.kind)
		case JSON:
		default:
			b.becomeJSON()
		}
		if b.kind != value.kind {
			value = JSONValue(mixedText(value))
		}
	}
	b.pad(row)
	switch b.kind {
	case Text, Bytes, JSON:
		b.data = append(b.data, value.text...)
		if len(b.data) > math.MaxUint32 {
			panic("a column is larger than 4 GiB")
		}
		b.ends = append(b.ends, uint32(len(b.data)))
	case Int, Time:
		b.ints = append(b.ints, int64(value.bits))
	case Float:
		b.floats = append(b.floats, math.Float64frombits(value.bits))
	case Bool:
		if value.bits != 0 {
			b.bits = setBit(b.bits, row)
		}
	}
	b.present = setBit(b.present, row)
	b.rows = row + 1
}

// get is the value of a row, in memory of its own.
func (b *Builder) get(row int) Value {
	if row >= b.rows || !bit(b.present, row) {
		return Value{}
	}
	switch b.kind {
	case Text, Bytes, JSON:
		start := uint32(0)
		if row > 0 {
			start = b.ends[row-1]
		}
		return Value{kind: b.kind, text: string(b.data[start:b.ends[row]])}
	case Int, Time:
		return Value{kind: b.kind, bits: uint64(b.ints[row])}
	case Float:
		return FloatValue(b.floats[row])
	}
	return BoolValue(bit(b.bits, row))
}

// count is how many rows have a value.
func (b *Builder) count() int {
	count := 0
	for _, eight := range b.present {
		count += bits.OnesCount8(eight)
	}
	return count
}

// column is the column with `rows` rows, in the memory of the builder.
func (b *Builder) column(rows int) Column {
	b.truncate(rows)
	b.pad(rows)
	for len(b.present) < bytesFor(rows) {
		b.present = append(b.present, 0)
	}
	for b.kind == Bool && len(b.bits) < bytesFor(rows) {
		b.bits = append(b.bits, 0)
	}
	column := Column{Name: b.name, Kind: b.kind, Present: b.present[:bytesFor(rows)]}
	if b.count() == rows {
		column.Present = nil
	}
	switch b.kind {
	case Text, Bytes, JSON:
		column.Data, column.Ends = stringOf(b.data), b.ends
	case Int, Time:
		column.Ints = b.ints
	case Float:
		column.Floats = b.floats
	case Bool:
		column.Bits = b.bits[:bytesFor(rows)]
	}
	return column
}
