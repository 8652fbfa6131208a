//! Gathers batches into the parcels that an output wants, for stores where few big things are better than many small
//! ones. There is one for all of them; an output says only what it [`Wants`].

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::UInt32Array;
use tokio::time::Instant;

use super::Refusal;
use super::parcel::{Member, Piece, Refused};
use flitch_core::batch::template::{Rendered, Template};
use flitch_core::batch::{Batch, Records};
use flitch_core::telemetry::{Metric, Shown};

/// What an output wants to write together. A parcel is closed by whichever of its limits it reaches first.
#[derive(Clone, Debug)]
pub struct Wants {
    /// Bytes of records as they stand in memory.
    pub bytes: usize,
    /// Records. No parcel has more: a batch that does not fit is divided.
    pub rows: usize,
    /// Time since the first record of the parcel came.
    pub age: Duration,
    /// What the records of a parcel have in common; a record without a field of it goes to the dead letters.
    pub key: Option<Template>,
    /// Most parcels that are open at once. For one more the one is closed to which nothing came for the longest time.
    pub open: usize,
    /// Most bytes of records in parcels that are not being written yet. Where more come the largest is closed, and no
    /// batch is taken until it is on its way.
    pub held: usize,
}

impl Wants {
    /// One parcel after the other, whatever its records have in common, and room for a second while the first is written.
    pub fn one(bytes: usize, rows: usize, age: Duration) -> Wants {
        Wants { bytes, rows, age, key: None, open: 1, held: bytes.saturating_mul(2) }
    }
}

/// A parcel that may still grow.
struct Open {
    key: Option<Arc<[u8]>>,
    piece: Piece,
    bytes: usize,
    rows: usize,
    began: Instant,
    /// When something came last, counted in batches.
    touched: u64,
}

/// Parcels in the making. Dropped, all that is in them is sent again by its sources.
pub(super) struct Gather {
    wants: Option<Wants>,
    /// By the order in which they began.
    open: BTreeMap<u64, Open>,
    /// Where the parcel of a key stands.
    places: HashMap<Option<Arc<[u8]>>, u64, ahash::RandomState>,
    /// Closed ones, the first closed first, with their bytes.
    closed: VecDeque<(Piece, usize)>,
    /// Bytes of all.
    held: usize,
    shown: Option<Shown>,
    next: u64,
    batches: u64,
}

impl Gather {
    /// Gathers what the output of this name wants; none wants each batch by itself.
    pub fn new(output: &str, wants: Option<Wants>) -> Gather {
        let shown = wants.as_ref().map(|_| Metric::ParcelBytes.shown(&[("output", output)]));
        Gather {
            wants,
            shown,
            open: BTreeMap::new(),
            places: HashMap::default(),
            closed: VecDeque::new(),
            held: 0,
            next: 0,
            batches: 0,
        }
    }

    /// Takes a batch in. Answers the rows without a key.
    pub fn add(&mut self, batch: Batch) -> Option<Refused> {
        let Batch { records, receipt, .. } = batch;
        let mut member = Member { records, receipt };
        let Some(wants) = &self.wants else {
            self.closed.push_back((Piece::new(member, None), 0));
            return None;
        };
        self.batches += 1;
        let keys = wants.key.as_ref().map(|template| (template, member.records.render(template)));
        let Some((template, keys)) = keys else {
            self.put(None, member);
            return None;
        };
        let rows = match &keys {
            Rendered::Same(key) => {
                self.put(Some(key.as_slice().into()), member);
                return None;
            }
            Rendered::Rows(_) => member.records.rows(),
        };
        let refusals = Refusal::all(keys.missing(), || format!("a field of the key `{template}` is missing"));
        for (key, group) in groups(&keys, rows) {
            let receipt = member.receipt.split(group.len());
            let records =
                if group.len() == rows { member.records.clone() } else { picked(&member.records, group) };
            self.put(Some(key.into()), Member { records, receipt });
        }
        (!refusals.is_empty()).then_some(Refused { member, refusals })
    }

    /// Puts a member into the parcel of its key, and what finds no room there into those that come next.
    fn put(&mut self, key: Option<Arc<[u8]>>, mut member: Member) {
        let (all, mut from) = (member.records.clone(), 0);
        loop {
            let (left, room) = (all.rows() - from, self.room(&key));
            if left <= room {
                return self.enter(key, member);
            }
            let records = Arc::new(all.slice(from, room));
            let receipt = member.receipt.split(room);
            self.enter(key.clone(), Member { records, receipt });
            from += room;
            member.records = Arc::new(all.slice(from, all.rows() - from));
        }
    }

    /// How many records the parcel of a key takes until it is closed.
    fn room(&self, key: &Option<Arc<[u8]>>) -> usize {
        let most = self.wants.as_ref().map_or(usize::MAX, |wants| wants.rows.max(1));
        let open = self.places.get(key).and_then(|place| self.open.get(place));
        most.saturating_sub(open.map_or(0, |open| open.rows)).max(1)
    }

    fn enter(&mut self, key: Option<Arc<[u8]>>, member: Member) {
        let Some(wants) = &self.wants else { return };
        let (most_bytes, most_rows, most_open) = (wants.bytes, wants.rows, wants.open);
        let (bytes, rows) = (member.records.memory(), member.records.rows());
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None => {
                if self.places.len() >= most_open.max(1) {
                    self.close_idle();
                }
                self.next
            }
        };
        self.held += bytes;
        self.show();
        let open = match self.open.get_mut(&place) {
            Some(open) => {
                open.piece.push(member);
                open
            }
            None => {
                self.next += 1;
                self.places.insert(key.clone(), place);
                let piece = Piece::new(member, key.clone());
                let began = Instant::now();
                self.open.entry(place).or_insert(Open { key, piece, bytes: 0, rows: 0, began, touched: 0 })
            }
        };
        open.bytes += bytes;
        open.rows += rows;
        open.touched = self.batches;
        if open.bytes >= most_bytes || open.rows >= most_rows {
            self.close(place);
        }
    }

    fn close_idle(&mut self) {
        let idle =
            self.open.iter().min_by_key(|(place, open)| (open.touched, **place)).map(|(place, _)| *place);
        idle.into_iter().for_each(|place| self.close(place));
    }

    fn close(&mut self, place: u64) {
        let Some(open) = self.open.remove(&place) else { return };
        self.places.remove(&open.key);
        self.closed.push_back((open.piece, open.bytes));
    }

    /// When the oldest parcel is old enough; none where none is open.
    pub fn due(&self) -> Option<Instant> {
        let age = self.wants.as_ref()?.age;
        self.open.values().next().map(|oldest| oldest.began + age)
    }

    /// Closes what is old enough.
    pub fn close_due(&mut self) {
        let now = Instant::now();
        while self.due().is_some_and(|due| due <= now) {
            let oldest = self.open.keys().next().copied();
            oldest.into_iter().for_each(|place| self.close(place));
        }
    }

    /// Closes all: nothing more will come.
    pub fn close_all(&mut self) {
        let all: Vec<u64> = self.open.keys().copied().collect();
        all.into_iter().for_each(|place| self.close(place));
    }

    /// The next parcel to write: where none is closed and more is held than may be, the largest.
    pub fn pop(&mut self) -> Option<Piece> {
        if self.closed.is_empty() && self.is_full() {
            let largest = self.open.iter().max_by_key(|(_, open)| open.bytes).map(|(place, _)| *place);
            largest.into_iter().for_each(|place| self.close(place));
        }
        let (piece, bytes) = self.closed.pop_front()?;
        self.held -= bytes;
        self.show();
        Some(piece)
    }

    /// Whether a batch can be taken in.
    pub fn takes_more(&self, can_write: bool) -> bool {
        let gathers = self.wants.is_some();
        self.closed.is_empty() && !self.is_full() && (gathers || can_write)
    }

    fn is_full(&self) -> bool {
        self.wants.as_ref().is_some_and(|wants| self.held >= wants.held)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.closed.is_empty()
    }

    fn show(&self) {
        if let Some(shown) = &self.shown {
            shown.set(self.held as f64);
        }
    }
}

fn picked(records: &Arc<Records>, rows: Vec<u32>) -> Arc<Records> {
    Arc::new(records.take(&UInt32Array::from(rows)).expect("the rows are of these records"))
}

/// The rows of each text, in the order in which the texts come first.
pub(crate) fn groups(texts: &Rendered, rows: usize) -> Vec<(&[u8], Vec<u32>)> {
    let mut groups: Vec<(&[u8], Vec<u32>)> = Vec::new();
    let mut places: HashMap<&[u8], usize, ahash::RandomState> = HashMap::default();
    for row in 0..rows {
        let Some(text) = texts.row(row) else { continue };
        let place = *places.entry(text).or_insert_with(|| {
            groups.push((text, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(row as u32);
    }
    groups
}

#[cfg(test)]
mod tests;
