package flitch

import "errors"

// Stateful is what a filter is besides that remembers things between batches, if they are to outlive its instance. Import
// flitch.dev/flitch/state for its side effect, so that flitch is told.
type Stateful interface {
	// Save is what the instance remembers now. A panic ends the instance.
	Save() []byte
	// Restore adds what was saved once to what the instance remembers: once for each instance that there was, which may be
	// several. Another version may have saved it, so put the number of its format in front. An error is shown to the operator,
	// and the filter begins empty. Copy what you keep of saved.
	Restore(saved []byte) error
}

// stateful is the filter, if it keeps state.
func (i *Instance) stateful() (filter Stateful, ok bool) {
	switch engine := i.engine.(type) {
	case *rowEngine:
		filter, ok = engine.filter.(Stateful)
	case columnEngine:
		filter, ok = engine.filter.(Stateful)
	}
	return filter, ok
}

// Save is what the filter remembers; nothing, if it is not [Stateful].
func (i *Instance) Save() []byte {
	if filter, ok := i.stateful(); ok {
		return filter.Save()
	}
	return nil
}

// Restore hands the filter what was saved once.
func (i *Instance) Restore(saved []byte) (err error) {
	defer rescue(&err)
	filter, ok := i.stateful()
	if !ok {
		return errors.New("the filter keeps no state: it lacks the methods of flitch.Stateful")
	}
	return filter.Restore(saved)
}
