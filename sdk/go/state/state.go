// Package state exports what a filter remembers, so that it outlives the filter's instance: import it for its side effect beside
// a filter that is flitch.Stateful.
//
//	import _ "flitch.dev/flitch/state"
//
// A component without it has no such exports, and flitch does not ask it.
package state
