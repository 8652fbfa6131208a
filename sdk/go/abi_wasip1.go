package flitch

// The border, as the canonical ABI of the component model has it for the world `plugin` of wit/filter.wit. It is written by
// hand, so that columns are read where the host has put them and answered from where they were made.

import (
	"errors"
	"unsafe"

	"flitch.dev/flitch/internal/border"
)

var (
	exported Plugin
	instance *Instance
	// held is what the host has written, or reads, within a call.
	held []unsafe.Pointer
	// answer is the result that the host reads.
	answer [10]uint32
)

// Export makes the filter that of the component. Call it in an init function.
func Export(plugin Plugin) { exported = plugin }

// hold keeps what lies at an address, and gives the address to the host.
func hold(at unsafe.Pointer) uint32 {
	held = append(held, at)
	return uint32(uintptr(at))
}

func holdSlice[T any](items []T) (at, count uint32) {
	if len(items) == 0 {
		return 8, 0
	}
	return hold(unsafe.Pointer(unsafe.SliceData(items))), uint32(len(items))
}

func holdString(text string) (at, count uint32) {
	if text == "" {
		return 8, 0
	}
	return hold(unsafe.Pointer(unsafe.StringData(text))), uint32(len(text))
}

// sliceAt is what the host has written at an address.
func sliceAt[T any](at, count uint32) []T {
	if count == 0 {
		return nil
	}
	address := uintptr(at)
	return unsafe.Slice(*(**T)(unsafe.Pointer(&address)), count)
}

func stringAt(at, count uint32) string { return stringOf(sliceAt[byte](at, count)) }

//go:wasmexport cabi_realloc
func cabiRealloc(old, oldSize, align, size uint32) uint32 {
	if size == 0 {
		return 8
	}
	// Of eight bytes each, so that every number is where it may be.
	memory := make([]uint64, (size+7)/8)
	handed += size
	at := unsafe.Pointer(unsafe.SliceData(memory))
	if oldSize > 0 {
		copy(unsafe.Slice((*byte)(at), size), sliceAt[byte](old, oldSize))
	}
	return hold(at)
}

// What the package state exports.
func init() {
	border.Release = release
	border.Save = func() uint32 {
		answer = [10]uint32{}
		if instance != nil {
			answer[0], answer[1] = holdSlice(instance.Save())
		}
		return address()
	}
	border.Restore = func(at, length uint32) uint32 {
		err := errNotConfigured
		if instance != nil {
			err = instance.Restore(sliceAt[byte](at, length))
		}
		if err != nil {
			return refuse(err)
		}
		answer = [10]uint32{}
		return address()
	}
}

func release() {
	clear(held)
	held = held[:0]
}

// A column: name, present, and the values behind the number of their kind.
type rawColumn [10]uint32

func lift(raw *rawColumn) Column {
	column := Column{Name: stringAt(raw[0], raw[1]), Kind: Kind(raw[5]&0xff) + 1}
	if raw[2]&0xff != 0 {
		if column.Present = sliceAt[byte](raw[3], raw[4]); column.Present == nil {
			column.Present = []byte{}
		}
	}
	switch column.Kind {
	case Text, Bytes, JSON:
		column.Data, column.Ends = stringAt(raw[6], raw[7]), sliceAt[uint32](raw[8], raw[9])
	case Int, Time:
		column.Ints = sliceAt[int64](raw[6], raw[7])
	case Float:
		column.Floats = sliceAt[float64](raw[6], raw[7])
	case Bool:
		column.Bits = sliceAt[byte](raw[6], raw[7])
	}
	return column
}

func liftAll(at, count uint32) []Column {
	columns := make([]Column, count)
	for i, raw := range sliceAt[rawColumn](at, count) {
		columns[i] = lift(&raw)
	}
	return columns
}

func lower(column *Column) (raw rawColumn) {
	raw[0], raw[1] = holdString(column.Name)
	if column.Present != nil {
		raw[2] = 1
		raw[3], raw[4] = holdSlice(column.Present)
	}
	raw[5] = uint32(column.Kind) - 1
	switch column.Kind {
	case Text, Bytes, JSON:
		raw[6], raw[7] = holdString(column.Data)
		raw[8], raw[9] = holdSlice(column.Ends)
	case Int, Time:
		raw[6], raw[7] = holdSlice(column.Ints)
	case Float:
		raw[6], raw[7] = holdSlice(column.Floats)
	case Bool:
		raw[6], raw[7] = holdSlice(column.Bits)
	default:
		// A column without a kind has no value.
		raw[5] = 0
	}
	return raw
}

func lowerStrings(texts []string) (at, count uint32) {
	raw := make([][2]uint32, len(texts))
	for i, text := range texts {
		raw[i][0], raw[i][1] = holdString(text)
	}
	return holdSlice(raw)
}

// address is where the host finds the answer.
func address() uint32 { return uint32(uintptr(unsafe.Pointer(&answer))) }

func refuse(err error) uint32 {
	answer = [10]uint32{1}
	answer[1], answer[2] = holdString(validUTF8(err.Error()))
	return address()
}

//go:wasmexport flitch:filter/filter@1.0.0#configure
func exportConfigure(settings, length uint32) uint32 {
	var err error
	if exported.configure == nil {
		return refuse(errors.New("the component exports no filter: call flitch.Export in an init function"))
	}
	if instance, err = exported.Configure(stringAt(settings, length)); err != nil {
		return refuse(err)
	}
	answer = [10]uint32{0, 1}
	if instance.Fields != nil {
		answer[1] = 0
		answer[2], answer[3] = lowerStrings(instance.Fields)
	}
	return address()
}

//go:wasmexport cabi_post_flitch:filter/filter@1.0.0#configure
func postConfigure(uint32) { release() }

//go:wasmexport flitch:filter/filter@1.0.0#apply
func exportApply(rows, columns, count uint32) uint32 {
	if instance == nil {
		return refuse(errNotConfigured)
	}
	changes, err := instance.Apply(&Batch{Rows: int(rows), Columns: liftAll(columns, count)})
	if err != nil {
		return refuse(err)
	}
	answer = [10]uint32{}
	if changes.Takes {
		answer[1] = 1
		answer[2], answer[3] = holdSlice(changes.Take)
	}
	set := make([]rawColumn, len(changes.Set))
	for i := range changes.Set {
		set[i] = lower(&changes.Set[i])
	}
	answer[4], answer[5] = holdSlice(set)
	remove := make([][5]uint32, len(changes.Remove))
	for i, one := range changes.Remove {
		remove[i][0], remove[i][1] = holdString(one.Path)
		if one.Rows != nil {
			remove[i][2] = 1
			remove[i][3], remove[i][4] = holdSlice(one.Rows)
		}
	}
	answer[6], answer[7] = holdSlice(remove)
	rejected := make([][3]uint32, len(changes.Rejected))
	for i, one := range changes.Rejected {
		rejected[i][0] = one.Row
		rejected[i][1], rejected[i][2] = holdString(one.Reason)
	}
	answer[8], answer[9] = holdSlice(rejected)
	return address()
}

//go:wasmexport cabi_post_flitch:filter/filter@1.0.0#apply
func postApply(uint32) {
	release()
	collect()
}

//go:wasmimport flitch:filter/host@1.0.0 log
func importLog(level, line, length uint32)

//go:wasmimport flitch:filter/host@1.0.0 count
func importCount(counter, length uint32, delta uint64)

//go:wasmimport flitch:filter/host@1.0.0 lookup
func importLookup(table, tableLength, name, nameLength, hasPresent, present, presentLength, kind, first, firstLength, second, secondLength, want, wantLength, result uint32)

var host Host = realHost{}

type realHost struct{}

func (realHost) Log(level Level, line string) {
	at, length := holdString(validUTF8(line))
	importLog(uint32(level), at, length)
}

func (realHost) Count(counter string, delta uint64) {
	at, length := holdString(validUTF8(counter))
	importCount(at, length, delta)
}

func (realHost) Lookup(table string, keys *Column, want []string) ([]Column, error) {
	at, length := holdString(table)
	raw := lower(keys)
	wanted, count := lowerStrings(want)
	found := new([3]uint32)
	importLookup(at, length, raw[0], raw[1], raw[2], raw[3], raw[4], raw[5], raw[6], raw[7], raw[8], raw[9], wanted, count, hold(unsafe.Pointer(found)))
	if found[0]&0xff != 0 {
		return nil, errors.New(stringAt(found[1], found[2]))
	}
	return liftAll(found[1], found[2]), nil
}
