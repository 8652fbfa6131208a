// Package flitch is for writing filters for flitch in Go: rows for comfort, columns for speed.
//
// A filter has settings, and a function over a record:
//
//	type Settings struct {
//		Field string `json:"field" flitch:"required"`
//	}
//
//	type Length struct{ settings Settings }
//
//	func New(settings Settings) (*Length, error) { return &Length{settings}, nil }
//
//	func (l *Length) Fields() []string { return []string{l.settings.Field} }
//
//	func (l *Length) Apply(record *flitch.Record) error {
//		text, err := record.NeedText(l.settings.Field)
//		if err != nil {
//			return err
//		}
//		record.SetInt("length", int64(len(text)))
//		return nil
//	}
//
//	func init() { flitch.Export(flitch.Rows(New)) }
//
//	func main() {}
//
// An error from Apply, and a panic in it, reject the record and no other. Whole columns are for [Columns]. Tests run
// natively with `go test` and the package flitchtest.
//
// The strings that a record gives stay as they are for as long as they are held; a short one that is kept keeps its whole
// column, so clone it.
package flitch
