//! The settlements of a file source that waits for the last of them.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

mod atomic {
    pub use loom::sync::atomic::{AtomicUsize, Ordering};
}
#[path = "../../sources/src/file/settled.rs"]
mod module;

use module::Settled;

/// Settles `batches` batches, each on a thread of its own, while the source stops; checks that the source learns once
/// that nothing is on its way any more: by its own look or by the last settlement.
fn stops_while_settling(batches: usize) {
    loom::model(move || {
        let settled = Arc::new(Settled::new());
        let told = Arc::new(AtomicUsize::new(0));
        (0..batches).for_each(|_| settled.open());
        let threads: Vec<_> = (0..batches)
            .map(|_| {
                let (settled, told) = (settled.clone(), told.clone());
                thread::spawn(move || {
                    if settled.settle() {
                        told.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        let was_done = settled.stop();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(usize::from(was_done) + told.load(Ordering::SeqCst), 1);
        assert!(settled.stop(), "who is told finds nothing open");
    });
}

#[test]
fn a_source_that_stops_learns_of_the_last_settlement_whatever_the_order() {
    stops_while_settling(1);
    stops_while_settling(2);
}
