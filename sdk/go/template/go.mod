module my-filter

go 1.24

require flitch.dev/flitch v1.0.0

// The Go SDK of flitch.
replace flitch.dev/flitch => ..
