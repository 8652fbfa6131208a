//! Stage 7: receipts, which ride with every copy of a batch and tell its source when the records are safe.
//!
//! A source [`issue`]s one receipt a batch. A copy for another output takes a [`Receipt::branch`], a part of the rows
//! a [`Receipt::split`]. Whoever ends records says how ([`Receipt::delivered`], [`Receipt::dropped`],
//! [`Receipt::dead_lettered`]). When the last share is gone the source hears the worst verdict. A share that is
//! dropped without a word means *send again*: a bug costs a duplicate, never a record.
//!
//! A share can be taken out of that by [`Receipt::detach`]: nobody waits for it, and dropped without a word it counts as
//! dropped.
//!
//! A buffer that keeps records beyond the process settles their shares as [`Receipt::stored`], and [`restore`]s receipts
//! of its own when it gives them out, in this process or in the next.
//!
//! Who remembers something of a batch is a [`Witness`] of its receipt: it is let go of when all shares are gone, and hears before
//! the source does that records will come again.
//!
//! The same shares keep the accounts. Each stands for a number of records, so that at any moment
//! `received + copied + restored = delivered + dropped + dead-lettered + returned + stored + in flight` holds by
//! construction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::telemetry::Tally;

mod watermark;

pub use watermark::{Ticket, Watermark};

/// What a source learns about a batch. The order is from good to bad: the worst verdict of all shares counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Every record is delivered, dropped on purpose, or among the dead letters: move the position, send the ack.
    Safe,
    /// At least one record may be lost: keep the position, send again.
    Again,
}

/// The accounts of one source, in records since the start of the process.
///
/// The counters only grow; what is in flight is their difference.
#[derive(Debug, Default)]
pub struct Ledger {
    source: Arc<str>,
    received: AtomicU64,
    received_bytes: AtomicU64,
    copied: AtomicU64,
    delivered: AtomicU64,
    dropped: AtomicU64,
    dead_lettered: AtomicU64,
    returned: AtomicU64,
    stored: AtomicU64,
    restored: AtomicU64,
}

/// A reading of a [`Ledger`], in records (`received_bytes` in bytes as they came).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Accounts {
    /// Records taken in by the source, those sent again included.
    pub received: u64,
    /// Bytes taken in by the source.
    pub received_bytes: u64,
    /// Records added on the way: a copy for one more output, a record that a filter split.
    pub copied: u64,
    /// Records that an output took.
    pub delivered: u64,
    /// Records that a filter or a route dropped on purpose.
    pub dropped: u64,
    /// Records put among the dead letters.
    pub dead_lettered: u64,
    /// Records handed back to the source, to be sent again, or to a buffer that keeps them.
    pub returned: u64,
    /// Records put into buffers that keep them beyond the process.
    pub stored: u64,
    /// Records given out by such buffers, those of earlier processes included.
    pub restored: u64,
}

impl Accounts {
    /// Records that are on their way: the difference of the sums.
    pub fn in_flight(&self) -> u64 {
        let out = self.delivered + self.dropped + self.dead_lettered + self.returned + self.stored;
        (self.received + self.copied + self.restored).saturating_sub(out)
    }
}

impl Ledger {
    /// The accounts of a source that begins.
    pub fn of(source: &str) -> Ledger {
        Ledger { source: source.into(), ..Ledger::default() }
    }

    /// The name of the source.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// What the accounts say now. Outflows are read before inflows, so that a reading taken while
    /// records move never shows more records gone than came.
    pub fn read(&self) -> Accounts {
        let delivered = self.delivered.load(Ordering::Acquire);
        let dropped = self.dropped.load(Ordering::Acquire);
        let dead_lettered = self.dead_lettered.load(Ordering::Acquire);
        let returned = self.returned.load(Ordering::Acquire);
        let stored = self.stored.load(Ordering::Acquire);
        let restored = self.restored.load(Ordering::Acquire);
        let copied = self.copied.load(Ordering::Acquire);
        let received = self.received.load(Ordering::Acquire);
        let received_bytes = self.received_bytes.load(Ordering::Acquire);
        Accounts {
            received,
            received_bytes,
            copied,
            delivered,
            dropped,
            dead_lettered,
            returned,
            stored,
            restored,
        }
    }
}

/// Called once with the worst verdict when the last share of a receipt is gone.
pub type OnSettled = Box<dyn FnOnce(Verdict) + Send>;

/// Who remembers something of the records of a receipt, until it drops it.
pub trait Witness: Send + Sync {
    /// Records will be sent again: what is remembered of them must not tell against them. It must not block.
    fn returned(&self);
}

struct Shared {
    ledger: Arc<Ledger>,
    again: AtomicBool,
    witnesses: Mutex<Vec<Arc<dyn Witness>>>,
    /// Behind a lock only so that shares may be seen from several threads; it is taken once, in `drop`.
    on_settled: Mutex<Option<OnSettled>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let verdict = if *self.again.get_mut() { Verdict::Again } else { Verdict::Safe };
        if verdict == Verdict::Again {
            self.witnesses.get_mut().iter().for_each(|witness| witness.returned());
        }
        if let Some(tell) = self.on_settled.get_mut().take() {
            tell(verdict);
        }
    }
}

/// A share of what a source waits for, standing for a number of records.
#[must_use = "a receipt that is dropped unsettled makes its source send the records again"]
pub struct Receipt {
    bond: Bond,
    records: u64,
}

/// What a share is a share of.
#[derive(Clone)]
enum Bond {
    /// A source waits for it.
    Owed(Arc<Shared>),
    /// Nobody waits for it.
    Free(Arc<Freed>),
}

/// What is known of shares that nobody waits for.
struct Freed {
    ledger: Arc<Ledger>,
    /// Counts those that are dropped unsettled.
    lost: Tally,
    /// Bytes of a record, about.
    bytes: usize,
}

impl Bond {
    fn ledger(&self) -> &Arc<Ledger> {
        match self {
            Bond::Owed(shared) => &shared.ledger,
            Bond::Free(freed) => &freed.ledger,
        }
    }

    fn is_of(&self, other: &Bond) -> bool {
        match (self, other) {
            (Bond::Owed(a), Bond::Owed(b)) => Arc::ptr_eq(a, b),
            (Bond::Free(a), Bond::Free(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// Issues the receipt of a batch of `records` records that came as `bytes` bytes, and enters them in `ledger`.
///
/// `on_settled` runs on the thread that ends the last share; it must not block.
pub fn issue(
    ledger: &Arc<Ledger>,
    records: usize,
    bytes: usize,
    on_settled: impl FnOnce(Verdict) + Send + 'static,
) -> Receipt {
    ledger.received.fetch_add(records as u64, Ordering::AcqRel);
    ledger.received_bytes.fetch_add(bytes as u64, Ordering::AcqRel);
    owed(ledger, records, Box::new(on_settled))
}

/// Issues the receipt of `records` records that a buffer has kept and gives out, and enters them in the `ledger` of their
/// source. `on_settled` tells the buffer, as it would the source (see [`issue`]): it lets go of them, or gives them out
/// again.
pub fn restore(
    ledger: &Arc<Ledger>,
    records: usize,
    on_settled: impl FnOnce(Verdict) + Send + 'static,
) -> Receipt {
    ledger.restored.fetch_add(records as u64, Ordering::AcqRel);
    owed(ledger, records, Box::new(on_settled))
}

fn owed(ledger: &Arc<Ledger>, records: usize, on_settled: OnSettled) -> Receipt {
    let shared = Shared {
        ledger: ledger.clone(),
        again: AtomicBool::new(false),
        witnesses: Mutex::default(),
        on_settled: Mutex::new(Some(on_settled)),
    };
    Receipt { bond: Bond::Owed(Arc::new(shared)), records: records as u64 }
}

impl Receipt {
    /// How many records this share stands for.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The name of the source that the records came from.
    pub fn source(&self) -> &Arc<str> {
        self.bond.ledger().source()
    }

    /// The accounts in which the records stand.
    pub fn ledger(&self) -> &Arc<Ledger> {
        self.bond.ledger()
    }

    /// Has `witness` with all shares until the last of them is gone. One that nobody waits for has none.
    pub fn witnessed(&self, witness: Arc<dyn Witness>) {
        if let Bond::Owed(shared) = &self.bond {
            shared.witnesses.lock().push(witness);
        }
    }

    /// One more share, for a copy of `records` of the records.
    pub fn branch(&self, records: usize) -> Receipt {
        self.bond.ledger().copied.fetch_add(records as u64, Ordering::AcqRel);
        Receipt { bond: self.bond.clone(), records: records as u64 }
    }

    /// The share as one that nobody waits for: for its source the records are as good as settled. What is dropped
    /// unsettled counts as dropped, also in `lost`, with its part of `bytes`.
    pub fn detach(mut self, lost: Tally, bytes: usize) -> Receipt {
        let records = std::mem::take(&mut self.records);
        let ledger = self.bond.ledger().clone();
        let freed = Freed { ledger, lost, bytes: bytes / records.max(1) as usize };
        Receipt { bond: Bond::Free(Arc::new(freed)), records }
    }

    /// Takes `records` of the records of this share out into a share of their own.
    ///
    /// # Panics
    /// If this share stands for fewer records.
    pub fn split(&mut self, records: usize) -> Receipt {
        let records = records as u64;
        assert!(records <= self.records, "split {records} of {} records", self.records);
        self.records -= records;
        Receipt { bond: self.bond.clone(), records }
    }

    /// Enters `records` more records: a filter made several out of one.
    pub fn grow(&mut self, records: usize) {
        self.bond.ledger().copied.fetch_add(records as u64, Ordering::AcqRel);
        self.records += records as u64;
    }

    /// Whether both are shares of one receipt.
    pub fn is_of(&self, other: &Receipt) -> bool {
        self.bond.is_of(&other.bond)
    }

    /// Joins a share that [`Receipt::split`] or [`Receipt::branch`] took from the same receipt.
    ///
    /// # Panics
    /// If the shares come from two receipts.
    pub fn join(&mut self, mut other: Receipt) {
        assert!(self.bond.is_of(&other.bond), "join shares of one receipt only");
        self.records += std::mem::take(&mut other.records);
    }

    /// An output took the records.
    pub fn delivered(mut self) {
        let records = std::mem::take(&mut self.records);
        self.bond.ledger().delivered.fetch_add(records, Ordering::AcqRel);
    }

    /// The records were dropped on purpose.
    pub fn dropped(mut self) {
        let records = std::mem::take(&mut self.records);
        self.bond.ledger().dropped.fetch_add(records, Ordering::AcqRel);
    }

    /// A buffer keeps the records beyond the process: for whoever waits they are safe.
    pub fn stored(mut self) {
        let records = std::mem::take(&mut self.records);
        self.bond.ledger().stored.fetch_add(records, Ordering::AcqRel);
    }

    /// A buffer keeps the records, and whoever waits goes on waiting until [`Held::let_go`].
    pub fn held(mut self) -> Held {
        let records = std::mem::take(&mut self.records);
        self.bond.ledger().stored.fetch_add(records, Ordering::AcqRel);
        Held(Some(self.bond.clone()))
    }

    /// The records are among the dead letters.
    pub fn dead_lettered(mut self) {
        let records = std::mem::take(&mut self.records);
        self.bond.ledger().dead_lettered.fetch_add(records, Ordering::AcqRel);
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if self.records == 0 {
            return;
        }
        match &self.bond {
            Bond::Owed(shared) => {
                shared.again.store(true, Ordering::Release);
                shared.ledger.returned.fetch_add(self.records, Ordering::AcqRel);
            }
            Bond::Free(freed) => {
                freed.ledger.dropped.fetch_add(self.records, Ordering::AcqRel);
                freed.lost.add(self.records as usize, self.records as usize * freed.bytes);
            }
        }
    }
}

/// A share of records that a buffer keeps, and that are not safe for whoever waits. Dropping it means *send again*.
#[must_use = "a share that is dropped makes its source send the records again"]
pub struct Held(Option<Bond>);

impl Held {
    /// The records arrived.
    pub fn let_go(mut self) {
        self.0 = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(Bond::Owed(shared)) = &self.0 {
            shared.again.store(true, Ordering::Release);
        }
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receipt").field("records", &self.records).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
