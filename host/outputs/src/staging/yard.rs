//! Objects in the making.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::content::{Content, Rows, Texts};
use super::journal::Journal;
use super::keep::{Keep, whole};
use super::open::{self, Memory, Open};
use super::press::Press;
use super::recover::own_folder;
use super::trace::Trace;
use super::{Held, Object, Plan};
use crate::Refusal;
use crate::parcel::{Member, Refused};
use flitch_core::batch::Batch;
use flitch_core::batch::origin::Origins;
use flitch_core::batch::template::Rendered;
use flitch_core::receipt::Receipt;
use flitch_core::telemetry::{Metric, Quiet, Shown};

mod closing;
mod memory;
mod runs;
mod stored;

/// Most objects of a key whose records have kinds that do not suit each other.
const VARIANTS: u8 = 8;
/// How long a disk rests that could not be written to.
const REST: Duration = Duration::from_secs(1);

/// An object that is whole, and the shares that it settles.
pub(crate) struct Sealed {
    pub object: Object,
    pub shares: Vec<Receipt>,
}

/// All that is built for one output. It blocks on the disk. Dropped, all that is in it is sent again by its sources.
pub(crate) struct Yard {
    plan: Plan,
    folder: PathBuf,
    press: Press,
    header: Option<bytes::Bytes>,
    /// The one first to which nothing came for the longest time.
    open: LruCache<Arc<[u8]>, Open, ahash::RandomState>,
    /// Whole but for what the disk has not taken.
    closing: Vec<Open>,
    sealed: VecDeque<Sealed>,
    memory: Memory,
    held: Arc<AtomicU64>,
    next: u64,
    /// Until when the disk rests.
    rest: Option<Instant>,
    /// None that is open ends before this.
    first_end: Option<Instant>,
    due: Option<Instant>,
    /// Where it is written down what outlasts the process.
    journal: Option<Arc<Mutex<Journal>>>,
    /// Since when something has come that is not stored.
    unstored: Option<Instant>,
    /// Why a record has no key, and why a key is none.
    keyless: Arc<str>,
    too_long: Arc<str>,
    shown: Shown,
    said_disk: Quiet,
    said_lost: Quiet,
    said_full: Quiet,
    said_many: Quiet,
}

impl Yard {
    /// An empty yard in a fresh folder. What processes before this one have left there is removed.
    ///
    /// # Errors
    /// The system's, with the path.
    pub fn new(plan: Plan) -> io::Result<Yard> {
        // Without the byte that stands for a name behind a slash.
        let mut key = plan.key.to_string();
        key.pop();
        let held = Arc::default();
        let (folder, left) = own_folder(&plan, &held)?;
        let journal = plan.stored.then(|| Journal::new(&folder)).transpose()?;
        Ok(Yard {
            folder,
            journal: journal.map(|journal| Arc::new(Mutex::new(journal))),
            unstored: None,
            press: Press::new(plan.compression)?,
            header: plan.encoder.header(),
            open: LruCache::unbounded_with_hasher(ahash::RandomState::new()),
            closing: Vec::new(),
            sealed: left.into(),
            memory: Memory::default(),
            held,
            next: 0,
            rest: None,
            first_end: None,
            due: None,
            keyless: match &plan.places {
                Some(places) => places.keyless(),
                None => format!("the key `{key}` has a field that is missing, empty or no name for a folder")
                    .into(),
            },
            too_long: format!("the key `{key}` becomes longer than the store allows").into(),
            shown: Metric::ParcelBytes.shown(&[("output", &plan.output)]),
            said_disk: Quiet::a_minute(),
            said_lost: Quiet::a_minute(),
            said_full: Quiet::a_minute(),
            said_many: Quiet::a_minute(),
            plan,
        })
    }

    /// Takes a batch in. Answers the rows that belong to no object.
    pub fn put(&mut self, batch: Batch, now: Instant) -> Option<Refused> {
        let Batch { records, mut receipt, .. } = batch;
        let own = Rows::of(&records, &self.plan);
        let whole = if self.plan.keeps { whole(&records, &own, &self.plan.encoder) } else { None };
        let origins = records.origins().cloned().unwrap_or_else(|| Origins::drawn(records.rows()));
        let text = Texts { own: &own, whole: whole.as_ref(), origins: &origins };
        let keys = match &self.plan.places {
            Some(places) => places.keys(&records),
            None => records.render(&self.plan.key),
        };
        let mut refusals = Vec::new();
        match &keys {
            Rendered::Same(key) if self.is_short(key) && text.refused().is_empty() => {
                self.fill(key, &text, 0..records.rows(), &mut receipt, now);
            }
            keys => {
                let mut from = 0;
                while from < records.rows() {
                    let run = self.run(keys, &text, from, records.rows());
                    match run.key {
                        Ok(Some(key)) => self.fill(key, &text, from..run.end, &mut receipt, now),
                        Ok(None) => {
                            let refused = text.refused();
                            let place = refused.partition_point(|(row, _)| (*row as usize) < from);
                            refusals.push(Refusal { row: from as u32, reason: refused[place].1.clone() });
                        }
                        Err(reason) => {
                            refusals.extend(
                                (from..run.end)
                                    .map(|row| Refusal { row: row as u32, reason: reason.clone() }),
                            );
                        }
                    }
                    from = run.end;
                }
            }
        }
        self.came(now);
        self.relieve();
        self.look(now);
        (!refusals.is_empty()).then_some(Refused { member: Member { records, receipt }, refusals })
    }

    /// Puts rows into the objects of a key, as many as it takes. An object ends with the record that fills it, wherever
    /// its batch ends.
    fn fill(
        &mut self,
        key: &[u8],
        text: &Texts<'_>,
        rows: Range<usize>,
        receipt: &mut Receipt,
        now: Instant,
    ) {
        let ends = text.ends();
        let mut from = rows.start;
        let (first, mut other, mut variant) = (key, Vec::new(), 0);
        let variants = if self.plan.table.is_some_and(|table| table.is_strict) { VARIANTS } else { 1 };
        while from < rows.end {
            let key = if variant == 0 { first } else { &other };
            if !self.open.contains(key) {
                self.begin(key, now);
            }
            let Some(open) = self.open.get_mut(key) else { return };
            let (start, most) = (text.start(from), open.most);
            let room = most.saturating_sub(open.length).min(open.content.room());
            let fit = ends[from..rows.end].partition_point(|end| u64::from(end - start) < room);
            let mut to = (from + fit + 1).min(rows.end);
            let last = ends[to - 1] - text.start(to - 1);
            // What a destination may refuse for its size costs no other record: it is an object by itself.
            if self.plan.places.is_some() && u64::from(last) >= most && (fit > 0 || open.rows > 0) {
                if fit == 0 {
                    self.close(key);
                    continue;
                }
                to -= 1;
            }
            let to = from + open.content.takes(text, from..to);
            if to == from && variant + 1 < variants {
                variant += 1;
                other = open::variant(first, variant);
                continue;
            }
            if to == from {
                self.close(key);
                continue;
            }
            open.content.add(text, from..to);
            open.trace.add(text.origins, from..to);
            open.length += u64::from(ends[to - 1] - start);
            open.rows += (to - from) as u64;
            let share = receipt.split(to - from);
            match open.shares.last_mut() {
                Some(last) if last.is_of(&share) => last.join(share),
                _ => open.shares.push(share),
            }
            if let Some(keep) = &mut open.keep {
                keep.add(text.whole, from..to);
            }
            open.touched = now;
            let is_whole = open.length >= most;
            open.content.may_be_direct(self.memory.content - open.memory.content < memory::DIRECT);
            let wrote = match open.is_due() && !is_whole {
                true => open.write(&mut self.press),
                false => Ok(()),
            };
            open.count(&mut self.memory);
            match wrote {
                Ok(()) if is_whole => self.close(key),
                Ok(()) => {}
                Err(broken) => self.broken(key, broken),
            }
            (from, variant) = (to, 0);
        }
    }

    fn begin(&mut self, key: &[u8], now: Instant) {
        if self.open.len() >= self.plan.open.max(1) {
            self.close_idle();
        }
        let key: Arc<[u8]> = key.into();
        self.next += 1;
        let path = self.folder.join(self.next.to_string());
        let (most, age) = match &self.plan.places {
            Some(places) => places.limits(&key),
            None => (self.plan.bytes, self.plan.age),
        };
        let header = self.header.as_deref().unwrap_or_default();
        let mut open = Open {
            key: key.clone(),
            keep: self.plan.keeps.then(|| Keep::of(&path)),
            content: Content::new(&self.plan, header, path),
            trace: Trace::new(),
            length: header.len() as u64,
            rows: 0,
            shares: Vec::new(),
            stored: Vec::new(),
            held: Held::new(&self.held),
            memory: Memory::default(),
            most,
            ends: now + age,
            touched: now,
        };
        open.count(&mut self.memory);
        self.first_end = Some(self.first_end.map_or(open.ends, |first| first.min(open.ends)));
        self.open.put(key, open);
    }

    /// Closes what is old or idle, and tries again what the disk has not taken.
    pub fn tend(&mut self, now: Instant) {
        if self.rest.is_some_and(|until| until <= now) {
            self.rest = None;
            for open in std::mem::take(&mut self.closing) {
                self.finish(open);
            }
        }
        let is_over = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        if is_over(self.store_due()) || is_over(self.due) {
            // All at once, before some of them are closed one by one.
            self.store_all();
        }
        while self.open.peek_lru().is_some_and(|(_, open)| open.touched + self.plan.idle <= now) {
            self.close_idle();
        }
        let is_old = |open: &Open| open.ends <= now;
        let old: Vec<Arc<[u8]>> =
            self.open.iter().filter(|(_, open)| is_old(open)).map(|(key, _)| key.clone()).collect();
        old.iter().for_each(|key| self.close(key));
        self.first_end = self.open.iter().map(|(_, open)| open.ends).min();
        self.relieve();
        self.look(now);
    }

    /// Closes all: nothing more will come.
    pub fn close_all(&mut self, now: Instant) {
        self.store_all();
        while !self.open.is_empty() {
            self.close_idle();
        }
        self.look(now);
    }

    /// Whether more is held than may be, and nothing of it can be written: [`Yard::close_largest`] mends that.
    pub fn is_stuck(&self) -> bool {
        self.is_full() && self.sealed.is_empty() && self.rest.is_none() && !self.open.is_empty()
    }

    /// Closes the largest.
    pub fn close_largest(&mut self, now: Instant) {
        let largest = self.open.iter().max_by_key(|(_, open)| open.held.own).map(|(key, _)| key.clone());
        if let Some(key) = largest {
            self.close(&key);
        }
        self.look(now);
    }

    /// Finds when there is something to do.
    fn look(&mut self, now: Instant) {
        let idle = self.open.peek_lru().map(|(_, open)| open.touched + self.plan.idle);
        let old = self.first_end.filter(|_| idle.is_some());
        let due = idle.into_iter().chain(old).chain(self.store_due()).min();
        self.due = match self.rest {
            Some(rest) => Some(rest.max(now)),
            None => due,
        };
    }

    /// When [`Yard::tend`] has something to do.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The next object to write.
    pub fn pop(&mut self) -> Option<Sealed> {
        self.sealed.pop_front()
    }

    /// Bytes of all that is not written yet.
    fn held(&self) -> u64 {
        self.held.load(Ordering::Acquire)
    }

    fn is_full(&self) -> bool {
        self.held() >= self.plan.held
    }

    /// Whether a batch can be taken in.
    pub fn takes_more(&mut self) -> bool {
        self.shown.set(self.held() as f64);
        let is_full = self.is_full();
        if is_full && self.said_full.may_say() {
            let most = self.plan.held;
            tracing::warn!(output = %self.plan.output, most, "as many bytes wait on disk as may; sources wait until objects are written");
        }
        !is_full && self.rest.is_none()
    }

    /// What is counted of its memory.
    #[cfg(test)]
    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Where it builds.
    #[cfg(test)]
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Whether anything is in it that may still grow.
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.closing.is_empty() && self.sealed.is_empty()
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        let open = self.open.iter_mut().map(|(_, open)| open);
        let is_lost = |open: &&mut Open| open.stored.is_empty();
        open.chain(&mut self.closing).filter(is_lost).for_each(Open::remove);
        // One in which objects are that are being written stays until the next start.
        let _ = std::fs::remove_dir(&self.folder);
    }
}
