// Package border is what the exports of the package state call in the package flitch, which alone knows the memory of the host.
package border

// Save answers where the host finds what the filter remembers, a list of bytes. Restore takes what lies at an address, and
// answers where the host finds a `result<_, string>`. Release forgets what the host has read. They are set in a component.
var (
	Save    func() uint32
	Restore func(at, length uint32) uint32
	Release func()
)
