package state

// The interface `state` of wit/state.wit.

import (
	// It sets what is called here.
	_ "flitch.dev/flitch"
	"flitch.dev/flitch/internal/border"
)

//go:wasmexport flitch:filter/state@1.0.0#save
func exportSave() uint32 { return border.Save() }

//go:wasmexport cabi_post_flitch:filter/state@1.0.0#save
func postSave(uint32) { border.Release() }

//go:wasmexport flitch:filter/state@1.0.0#restore
func exportRestore(at, length uint32) uint32 { return border.Restore(at, length) }

//go:wasmexport cabi_post_flitch:filter/state@1.0.0#restore
func postRestore(uint32) { border.Release() }
