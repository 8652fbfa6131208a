//! The lines of one stream: which of them are one record, and what is still open.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::UInt32Array;
use arrow_schema::ArrowError;
use tokio::time::Instant;

use super::out::{Head, Open, Out, Ready, Taken};
use super::owed::{Owed, Waits};
use super::rows::{Keys, in_columns};
use super::rule::Rule;
use flitch_core::batch::convert::scalar;
use flitch_core::batch::value::Scalar;
use flitch_core::batch::{Kind, Records, TAG};
use flitch_core::receipt::Verdict;

/// Records that may be open at once in a stream; the oldest is ended for one more.
const MOST_OPEN: usize = 1024;
/// Bytes that each batch counts for of which an open record has a line, and that each open record counts for.
const OVERHEAD: usize = 128;

/// How lines are joined.
#[derive(Debug)]
pub struct Manner {
    pub rule: Rule,
    /// The field of the line.
    pub field: String,
    /// The fields that tell writers apart, the tag among them.
    pub by: Vec<String>,
    pub timeout: Duration,
    pub max_bytes: usize,
}

impl Manner {
    /// Those by which writers are told apart, beside the tag.
    pub fn by(fields: &[String]) -> Vec<String> {
        std::iter::once(TAG.to_owned()).chain(fields.iter().filter(|name| *name != TAG).cloned()).collect()
    }
}

/// What is open in a stream.
#[derive(Debug, Default)]
pub struct Stream {
    open: HashMap<Vec<u8>, Open, ahash::RandomState>,
    /// Bytes of batches of which no record has gone on yet.
    bytes: usize,
    number: u64,
    /// See [`Stream::is_alone`].
    is_alone: bool,
}

impl Stream {
    /// Takes in the records of a batch; answers those that go on.
    ///
    /// # Errors
    /// What should never be: columns that do not fit each other. The stream is of no use then.
    pub fn take(
        &mut self,
        records: Arc<Records>,
        bytes: usize,
        Waits { ahead, all }: Waits,
        manner: &Manner,
        now: Instant,
    ) -> Result<Taken, ArrowError> {
        let owed = Owed::new(all);
        let records = in_columns(records, &manner.field)?;
        self.bytes += bytes;
        let mut out = Out::default();
        {
            let lines = records.column(&manner.field);
            let kind = lines.and_then(|column| Kind::of(column.field()));
            let keys = Keys::new(&records, &manner.by);
            let mut key = Vec::new();
            for row in 0..records.rows() {
                keys.write(row, &mut key);
                let line = lines
                    .zip(kind)
                    .and_then(|(column, kind)| scalar(column.array(), kind, column.place(row)));
                let Some(Scalar::Text(line)) = line else {
                    // What is no line ends the record before it, and goes on as it is.
                    self.open.remove(&key).into_iter().for_each(|open| out.push(open));
                    out.records.push((Head::Row(row as u32), None));
                    out.owe(owed.share());
                    continue;
                };
                self.line(row as u32, &line, &key, &owed, manner, now, &mut out);
            }
        }
        let begins = self.look_whether_alone(&out);
        for open in self.open.values_mut() {
            if let Head::Row(row) = open.head {
                open.head = Head::Kept(records.take(&UInt32Array::from(vec![row]))?);
            }
        }
        if let Some(ahead) = ahead {
            let first = Owed::new(ahead(begins.map(|row| row as usize)));
            match begins {
                // All that goes on stands ahead of that row.
                Some(_) => {
                    out.owe_no_more(&owed);
                    out.owe(first);
                }
                None => first.settle(Verdict::Safe),
            }
        }
        let has_share = |open: &Open| open.owed.last().is_some_and(|last| last.is_of(&owed));
        let (is_open, cut) = (self.open.values().any(has_share), out.cut);
        owed.settle(Verdict::Safe);
        Ok(Taken { ready: out.ready(Some(&records), &manner.field, &mut self.bytes)?, is_open, cut })
    }

    /// Looks whether one record is open, and all that goes on of the batch stands ahead of it. Answers its row, where it begins
    /// behind the first one of the batch.
    fn look_whether_alone(&mut self, out: &Out) -> Option<u32> {
        let mut open = self.open.values();
        let (only, others) = (open.next(), open.next());
        let begins = match only.filter(|_| others.is_none()).map(|open| &open.head) {
            Some(Head::Row(row)) => {
                self.is_alone = out.is_ahead_of(*row);
                Some(*row)
            }
            Some(Head::Kept(_)) => {
                self.is_alone &= !out.has_rows();
                None
            }
            None => {
                self.is_alone = false;
                None
            }
        };
        begins.filter(|row| self.is_alone && *row > 0)
    }

    /// Whether one record is open, and all that has gone on came ahead of it.
    pub fn is_alone(&self) -> bool {
        self.is_alone && self.open.len() == 1
    }

    /// How many records are open.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    #[expect(clippy::too_many_arguments, reason = "they are what a line comes with")]
    fn line(
        &mut self,
        row: u32,
        line: &str,
        key: &[u8],
        owed: &Owed,
        manner: &Manner,
        now: Instant,
        out: &mut Out,
    ) {
        if let Some(open) = self.open.get_mut(key) {
            let fits = open.text.len() + 1 + line.len() <= manner.max_bytes;
            if fits && manner.rule.goes_on(&mut open.begun, line.as_bytes()) {
                open.text.push('\n');
                open.text.push_str(line);
                open.touched = now;
                if open.owed.last().is_none_or(|last| !last.is_of(owed)) {
                    open.owed.push(owed.share());
                }
                return;
            }
            self.open.remove(key).into_iter().for_each(|open| out.push(open));
        }
        self.number += 1;
        let open = Open {
            head: Head::Row(row),
            text: line.to_owned(),
            begun: manner.rule.begin(line.as_bytes()),
            owed: vec![owed.share()],
            touched: now,
            number: self.number,
        };
        self.open.insert(key.to_owned(), open);
        if self.open.len() > MOST_OPEN {
            self.end_oldest(out);
            out.cut += 1;
        }
    }

    fn end_oldest(&mut self, out: &mut Out) {
        let oldest = self.open.iter().min_by_key(|(_, open)| open.number).map(|(key, _)| key.clone());
        oldest.and_then(|key| self.open.remove(&key)).into_iter().for_each(|open| out.push(open));
    }

    /// Ends the records that have waited for `timeout` and so much `more`.
    pub fn overdue(
        &mut self,
        manner: &Manner,
        more: Duration,
        now: Instant,
    ) -> Result<Option<Ready>, ArrowError> {
        self.end(manner, |open| open.touched + manner.timeout + more <= now)
    }

    /// Ends all records.
    pub fn all(&mut self, manner: &Manner) -> Result<Option<Ready>, ArrowError> {
        self.end(manner, |_| true)
    }

    fn end(&mut self, manner: &Manner, ends: impl Fn(&Open) -> bool) -> Result<Option<Ready>, ArrowError> {
        let mut ended: Vec<Open> = self.open.extract_if(|_, open| ends(open)).map(|(_, open)| open).collect();
        ended.sort_by_key(|open| open.number);
        let mut out = Out::default();
        ended.into_iter().for_each(|open| out.push(open));
        out.ready(None, &manner.field, &mut self.bytes)
    }

    /// When the first open record has waited long enough.
    pub fn due(&self, manner: &Manner) -> Option<Instant> {
        self.open.values().map(|open| open.touched + manner.timeout).min()
    }

    /// Bytes of memory that the open records take, about.
    pub fn memory(&self) -> usize {
        let of_head = |open: &Open| match &open.head {
            Head::Row(_) => 0,
            Head::Kept(records) => records.memory(),
        };
        let of_open = |(key, open): (&Vec<u8>, &Open)| {
            let owed = open.owed.capacity() * OVERHEAD;
            OVERHEAD + key.len() + open.text.capacity() + of_head(open) + owed
        };
        self.open.iter().map(of_open).sum()
    }
}

#[cfg(test)]
mod tests;
