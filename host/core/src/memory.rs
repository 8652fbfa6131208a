//! How much memory a test holds at its most, and how often it asks for some. Counted by thread, since tests run beside each
//! other. The tests of each crate have this file.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

fn add(bytes: isize) {
    // A thread that ends has no counters any more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

fn asked() {
    let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
}

// SAFETY: all is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        asked();
        add(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        asked();
        add(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(-(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        asked();
        add(size as isize - layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// What `work` answers, and the most bytes that this thread held for it meanwhile.
pub fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let done = work();
    (done, (PEAK.get() - before) as usize)
}

/// What `work` answers, and how often this thread asked for memory meanwhile.
pub fn allocations_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ASKED.get();
    let done = work();
    (done, ASKED.get() - before)
}

#[test]
fn each_time_that_memory_is_asked_for_is_counted() {
    let (length, asked) = allocations_of(|| {
        let mut bytes = vec![0u8; 10];
        bytes.reserve_exact(100);
        let copy = bytes.clone();
        bytes.len() + copy.len()
    });
    assert_eq!((length, asked), (20, 3));
}

#[test]
fn the_most_that_is_held_is_counted_and_not_what_is_left() {
    let (length, peak) = peak_of(|| {
        let first = vec![0u8; 3 << 20].len();
        first + vec![1u8; 1 << 20].len()
    });
    assert_eq!(length, 4 << 20);
    assert!((3 << 20..4 << 20).contains(&peak), "{peak}");
}

/// Memory that a case of a corpus may take beside its bytes: a connection and a reader of files have buffers.
const BESIDE: usize = 8 << 20;

/// Runs a target of `make fuzz` over its corpus, in memory of each case's size.
pub fn run_corpus(name: &str, target: fn(&[u8])) {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = corpus.ancestors().map(|folder| folder.join("fuzz/corpus")).find(|folder| folder.exists());
    let folder = corpus.expect("the repository has a corpus").join(name);
    let mut cases: Vec<_> = std::fs::read_dir(folder).unwrap().map(|case| case.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() > 4, "{name}");
    for case in cases {
        let bytes = std::fs::read(&case).unwrap();
        let (held, peak) = peak_of(|| std::panic::catch_unwind(|| target(&bytes)));
        let case = case.display();
        assert!(held.is_ok(), "{case} breaks {name}");
        let most = 8 * bytes.len() + BESIDE;
        assert!(peak <= most, "{case}: {} bytes take {peak} bytes of memory in {name}", bytes.len());
    }
}
