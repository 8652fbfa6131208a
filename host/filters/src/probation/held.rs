//! What a filter on probation rejected: it is among the dead letters, and comes back from there where the filter fails.
//!
//! A record that is rejected becomes a dead letter at once, on disk, and its source hears that it is safe: nobody waits for
//! the end of a probation, and a crash loses nothing. But the letter is in a file of its own among the dead letters, and the
//! record is held in memory, up to a bound. Where the filter passes, the file is one like the others. Where the old filter is
//! put back, it gets the records, and the file is taken away when each of them has arrived somewhere. One that the old filter
//! rejects too is a dead letter of its by then. After a crash in between, the file is still there.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arrow_array::UInt32Array;

use flitch_core::batch::{Batch, Records, StreamId};
use flitch_core::dead_letter::DeadLetters;
use flitch_core::receipt::{self, Ledger, Receipt, Verdict};

/// Most bytes of records that are held of one filter; what is rejected beyond them stays among the dead letters.
const MOST: usize = 16 << 20;

/// What a filter on probation rejected.
#[derive(Debug, Default)]
pub struct Held {
    records: Vec<(Records, Arc<Ledger>)>,
    bytes: usize,
    letters: OnceLock<DeadLetters>,
    /// Records that there was no room for.
    over: usize,
}

impl Held {
    /// Rows of a batch, where there is room for them.
    pub fn room_for(&mut self, records: &Records, rows: impl Iterator<Item = u32>) -> Option<Records> {
        let rows = UInt32Array::from_iter_values(rows);
        let picked = records.take(&rows).ok().filter(|picked| self.bytes + picked.memory() <= MOST);
        if picked.is_none() {
            self.over += rows.len();
        }
        picked
    }

    /// Where the letters of records go that are held: beside those of `all`.
    pub fn letters(&self, all: &DeadLetters) -> std::io::Result<DeadLetters> {
        match self.letters.get() {
            Some(letters) => Ok(letters.clone()),
            None => {
                let apart = all.apart()?;
                Ok(self.letters.get_or_init(|| apart).clone())
            }
        }
    }

    /// Holds records that `receipt` answered for.
    pub fn hold(&mut self, records: Records, receipt: &Receipt) {
        self.bytes += records.memory();
        self.records.push((records, receipt.ledger().clone()));
    }

    /// How many records are held, and how many there was no room for.
    pub fn count(&self) -> (usize, usize) {
        (self.records.iter().map(|(records, _)| records.rows()).sum(), self.over)
    }

    /// The records as batches to be run again. Their letters go when all of them have arrived.
    pub fn batches(self) -> impl Iterator<Item = Batch> {
        let letters = self.letters.get().map_or_else(Vec::new, DeadLetters::begun);
        let left = AtomicUsize::new(self.records.len());
        let back = Arc::new(TakenBack { letters, left, again: AtomicBool::new(false) });
        self.records.into_iter().map(move |(records, ledger)| {
            let back = back.clone();
            let receipt = receipt::restore(&ledger, records.rows(), move |verdict| back.settled(verdict));
            Batch { records: Arc::new(records), receipt, stream: StreamId::UNORDERED }
        })
    }
}

/// Letters of records that are run again.
struct TakenBack {
    letters: Vec<PathBuf>,
    left: AtomicUsize,
    again: AtomicBool,
}

impl TakenBack {
    fn settled(&self, verdict: Verdict) {
        if verdict == Verdict::Again {
            self.again.store(true, Ordering::Release);
        }
        if self.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        if self.again.load(Ordering::Acquire) {
            tracing::warn!(
                letters = ?self.letters,
                "some records that were run again did not arrive: all of them stay among the dead letters"
            );
            return;
        }
        for path in &self.letters {
            // A replay may have taken it, or somebody who made room.
            if let Err(error) = std::fs::remove_file(path) {
                tracing::debug!(file = %path.display(), %error, "letters that were taken back are gone already");
            }
        }
    }
}

#[cfg(test)]
mod tests;
