package flitch

import (
	"runtime"
	"runtime/metrics"
)

const (
	// fresh is how many bytes may be made between two collections: half of what Go's collector waits for at least.
	fresh = 2 << 20
	// few is how many bytes the host may hand over before anybody asks what was made, which takes a microsecond.
	few = 64 << 10
)

var (
	handed    uint32
	made      = []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	collected uint64
)

// collect runs the collector between two batches, where nothing of a batch is alive. Left to itself it begins in the middle of
// one, at another place each time, and the heap grows by what was alive then: memory that wasm never gives back.
func collect() {
	if handed < few {
		return
	}
	handed = 0
	metrics.Read(made)
	if now := made[0].Value.Uint64(); now-collected >= fresh {
		runtime.GC()
		collected = now
	}
}
