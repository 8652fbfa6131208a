use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};

#[global_allocator]
static COUNTING: Counting = Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static CALLS: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, which also counts the bytes that are held, and how often it was asked for some.
struct Counting;

fn grow(bytes: usize) {
    CALLS.fetch_add(1, Ordering::Relaxed);
    let now = NOW.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(now, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grow(size);
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// The right to be the only test that runs, since all of them share one count.
pub fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock()
}

/// Bytes that are held.
pub fn now() -> usize {
    NOW.load(Ordering::SeqCst)
}

/// Bytes that were held at the peak of `run` beyond those before it.
pub fn peak(run: impl FnOnce()) -> usize {
    let before = NOW.load(Ordering::SeqCst);
    PEAK.store(before, Ordering::SeqCst);
    run();
    PEAK.load(Ordering::SeqCst).saturating_sub(before)
}

/// How often `run` asked for memory.
pub fn count(run: impl FnOnce()) -> usize {
    let before = CALLS.load(Ordering::SeqCst);
    run();
    CALLS.load(Ordering::SeqCst) - before
}

#[test]
fn what_is_held_is_counted() {
    let _alone = alone();
    let held = peak(|| drop((vec![0_u8; 3 << 20], Vec::<u8>::with_capacity(1 << 20))));
    // A thread of the harness may give something back meanwhile.
    assert!(held.abs_diff(4 << 20) < 1 << 19, "{held}");
}
