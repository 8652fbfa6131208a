//! What is written together.

use std::sync::Arc;

use arrow_array::UInt32Array;

use super::{Refusal, Written};
use flitch_core::batch::Records;
use flitch_core::receipt::Receipt;

/// Records of one or several batches that an output writes together. Their rows are numbered through all members.
///
/// An output that does not say what it [`wants`](super::Output::wants) is given parcels of one batch.
#[derive(Clone, Debug)]
pub struct Parcel {
    first: Arc<Records>,
    more: Vec<Arc<Records>>,
    key: Option<Arc<[u8]>>,
}

impl Parcel {
    /// The parcel of one batch.
    pub fn of(records: Arc<Records>) -> Parcel {
        Parcel { first: records, more: Vec::new(), key: None }
    }

    /// A parcel of several batches.
    #[cfg(test)]
    pub(super) fn of_all(members: &[Arc<Records>]) -> Parcel {
        Parcel { more: members[1..].to_vec(), ..Parcel::of(members[0].clone()) }
    }

    /// The parcel of records that share a key, to which others may be added.
    fn with_key(records: Arc<Records>, key: Option<Arc<[u8]>>) -> Parcel {
        Parcel { key, ..Parcel::of(records) }
    }

    /// How many records.
    pub fn rows(&self) -> usize {
        self.members().map(|records| records.rows()).sum()
    }

    /// The records, member by member, in the order in which they came.
    pub fn members(&self) -> impl Iterator<Item = &Arc<Records>> {
        std::iter::once(&self.first).chain(&self.more)
    }

    /// What the records have in common, where the output wants parcels by key.
    pub fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }

    /// The records of a parcel for an output that wants nothing gathered.
    pub fn batch(&self) -> &Arc<Records> {
        debug_assert!(self.more.is_empty(), "an output that gathers looks at all members");
        &self.first
    }
}

/// A parcel with the receipts that answer for its members, and how often it was written.
pub(super) struct Piece {
    pub parcel: Parcel,
    first: Receipt,
    more: Vec<Receipt>,
    pub attempts: u32,
}

/// Rows of one member with the share that answers for them.
pub(super) struct Member {
    pub records: Arc<Records>,
    pub receipt: Receipt,
}

/// What becomes of the rows of a member that are neither safe nor to be written again.
pub(super) struct Refused {
    pub member: Member,
    /// By the rows of the member.
    pub refusals: Vec<Refusal>,
}

impl Piece {
    /// A piece that was never written.
    pub fn new(member: Member, key: Option<Arc<[u8]>>) -> Piece {
        let Member { records, receipt } = member;
        Piece { parcel: Parcel::with_key(records, key), first: receipt, more: Vec::new(), attempts: 0 }
    }

    /// Adds a member at the end.
    pub fn push(&mut self, member: Member) {
        self.parcel.more.push(member.records);
        self.more.push(member.receipt);
    }

    /// The members.
    pub fn into_members(self) -> impl Iterator<Item = Member> {
        let records = std::iter::once(self.parcel.first).chain(self.parcel.more);
        let receipts = std::iter::once(self.first).chain(self.more);
        records.zip(receipts).map(|(records, receipt)| Member { records, receipt })
    }

    /// Settles the rows that are written. Answers what is left to be written `again`, and what was refused.
    pub fn settle(self, written: Written, again: &[u32]) -> (Option<Piece>, Vec<Refused>) {
        let (key, attempts) = (self.parcel.key.clone(), self.attempts);
        let mut left: Option<Piece> = None;
        let mut refused = Vec::new();
        let mut refusals = written.refused.into_iter().peekable();
        let mut again = again.iter().copied().peekable();
        let mut from = 0;
        for mut member in self.into_members() {
            let rows = member.records.rows();
            let end = from + rows as u32;
            let refusals: Vec<Refusal> = std::iter::from_fn(|| refusals.next_if(|r| r.row < end))
                .map(|r| Refusal { row: r.row - from, ..r })
                .collect();
            let again: Vec<u32> =
                std::iter::from_fn(|| again.next_if(|row| *row < end)).map(|row| row - from).collect();
            from = end;
            let safe = rows - again.len() - refusals.len();
            if safe > 0 {
                member.receipt.split(safe).delivered();
            }
            if !refusals.is_empty() {
                let receipt = member.receipt.split(refusals.len());
                refused
                    .push(Refused { member: Member { records: member.records.clone(), receipt }, refusals });
            }
            if again.is_empty() {
                continue;
            }
            if again.len() < rows {
                let picked = member.records.take(&UInt32Array::from(again));
                member.records = Arc::new(picked.expect("the output names rows of the parcel"));
            }
            match &mut left {
                Some(left) => left.push(member),
                None => left = Some(Piece { attempts, ..Piece::new(member, key.clone()) }),
            }
        }
        (left, refused)
    }

    /// The first half of the rows and the rest, or the member whose one row stands alone.
    pub fn halve(self) -> Result<[Piece; 2], Member> {
        let key = self.parcel.key.clone();
        let mut room = self.parcel.rows() / 2;
        let mut members = self.into_members();
        if room == 0 {
            return Err(members.next().expect("a parcel has a member"));
        }
        let mut halves: [Option<Piece>; 2] = [None, None];
        let mut put = |half: usize, member: Member| match &mut halves[half] {
            Some(piece) => piece.push(member),
            none => *none = Some(Piece::new(member, key.clone())),
        };
        for mut member in &mut members {
            let rows = member.records.rows();
            let first = rows.min(room);
            room -= first;
            if first == rows {
                put(0, member);
            } else if first == 0 {
                put(1, member);
            } else {
                let receipt = member.receipt.split(first);
                let part = |from: usize, rows: usize| Arc::new(member.records.slice(from, rows));
                put(0, Member { records: part(0, first), receipt });
                let records = part(first, rows - first);
                put(1, Member { records, receipt: member.receipt });
            }
        }
        Ok(halves.map(|half| half.expect("each half has rows")))
    }
}
