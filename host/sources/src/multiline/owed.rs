//! Who waits for the records of a batch, where those go on in several batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flitch_core::receipt::Verdict;
use parking_lot::Mutex;

/// Hears the verdict on records, once, on any thread, and does not block.
pub type Told = Box<dyn FnOnce(Verdict) + Send>;

/// Who waits for the records of a batch.
pub struct Waits {
    /// Who waits for the rows ahead of one at which a record begins that is still open, while nothing ahead of it is: what is
    /// read again from there is whole. It is asked before `all` hears anything, and with none where there is no such row.
    pub ahead: Option<Box<dyn FnOnce(Option<usize>) -> Told + Send>>,
    /// Who waits for all of them.
    pub all: Told,
}

impl Waits {
    /// One who waits for all of them and nobody beside.
    pub fn all(told: impl FnOnce(Verdict) + Send + 'static) -> Waits {
        Waits { ahead: None, all: Box::new(told) }
    }
}

/// A share of what a source waits for. The source hears when the last one is gone, and of the worst verdict; a share that
/// is dropped unsettled means *send again*.
pub struct Owed {
    shared: Arc<Shared>,
    is_settled: bool,
}

struct Shared {
    again: AtomicBool,
    /// Behind a lock only so that shares may be seen from several threads.
    told: Mutex<Option<Told>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let verdict = if *self.again.get_mut() { Verdict::Again } else { Verdict::Safe };
        if let Some(told) = self.told.get_mut().take() {
            told(verdict);
        }
    }
}

impl Owed {
    /// What `told` waits for.
    pub fn new(told: Told) -> Owed {
        let shared = Shared { again: AtomicBool::new(false), told: Mutex::new(Some(told)) };
        Owed { shared: Arc::new(shared), is_settled: false }
    }

    /// One more share.
    pub fn share(&self) -> Owed {
        Owed { shared: self.shared.clone(), is_settled: false }
    }

    /// Whether both are shares of the same.
    pub fn is_of(&self, other: &Owed) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Ends the share.
    pub fn settle(mut self, verdict: Verdict) {
        self.is_settled = verdict == Verdict::Safe;
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if !self.is_settled {
            self.shared.again.store(true, Ordering::Release);
        }
    }
}

impl std::fmt::Debug for Owed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Owed")
    }
}
