package flitch

import "fmt"

// Level is how much a line of the log matters.
type Level int

// The levels.
const (
	LevelDebug Level = iota
	LevelInfo
	LevelWarn
	LevelError
)

// Host is what a filter runs in: flitch in a component, a stand-in in tests.
type Host interface {
	Log(level Level, line string)
	Count(counter string, delta uint64)
	Lookup(table string, keys *Column, want []string) ([]Column, error)
}

// UseHost lets filters run in another host, for tests.
func UseHost(other Host) { host = other }

// Debug writes a line into the host's log, under the filter's name.
func Debug(format string, values ...any) { host.Log(LevelDebug, fmt.Sprintf(format, values...)) }

// Info writes a line into the host's log, under the filter's name.
func Info(format string, values ...any) { host.Log(LevelInfo, fmt.Sprintf(format, values...)) }

// Warn writes a line into the host's log, under the filter's name.
func Warn(format string, values ...any) { host.Log(LevelWarn, fmt.Sprintf(format, values...)) }

// Error writes a line into the host's log, under the filter's name.
func Error(format string, values ...any) { host.Log(LevelError, fmt.Sprintf(format, values...)) }

// Count adds to a counter that the host exports under the filter's name.
func Count(counter string, delta uint64) { host.Count(counter, delta) }

// Lookup looks every key up in a table of the host's configuration. It answers the wanted fields as columns with a row for
// each key; a key that is not found has no value. Keys are text or whole numbers. For a record at a time there is
// [Record.Enrich].
func Lookup(table string, keys *Column, want ...string) ([]Column, error) {
	return host.Lookup(table, keys, want)
}
