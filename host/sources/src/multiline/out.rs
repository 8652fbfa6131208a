//! Records that are open, and those that go on.

use std::sync::Arc;

use arrow_array::UInt32Array;
use arrow_schema::ArrowError;
use tokio::time::Instant;

use super::owed::Owed;
use super::rows::with_texts;
use super::rule::Begun;
use flitch_core::batch::{Records, merge};
use flitch_core::receipt::Verdict;

/// What becomes of a batch.
#[derive(Debug)]
pub struct Taken {
    /// What goes on.
    pub ready: Option<Ready>,
    /// Whether a record with a line of it is open.
    pub is_open: bool,
    /// Records that were ended since so many are open.
    pub cut: usize,
}

/// Records that go on, and who waits for them.
#[derive(Debug)]
pub struct Ready {
    pub records: Arc<Records>,
    pub owed: Vec<Owed>,
    /// Bytes as which they came, about.
    pub bytes: usize,
}

/// A record whose next line may come.
#[derive(Debug)]
pub struct Open {
    pub head: Head,
    /// Its lines so far.
    pub text: String,
    pub begun: Begun,
    /// Those that wait for its lines.
    pub owed: Vec<Owed>,
    pub touched: Instant,
    /// Which one of its stream it is.
    pub number: u64,
}

/// Where the fields of a record stand.
#[derive(Debug)]
pub enum Head {
    /// In this row of the batch that is looked at.
    Row(u32),
    /// In a row that came before.
    Kept(Records),
}

/// Records on their way out, in their order.
#[derive(Default)]
pub struct Out {
    /// Each with its lines, where they are several.
    pub records: Vec<(Head, Option<String>)>,
    pub owed: Vec<Owed>,
    /// How many of them were ended since there was no room.
    pub cut: usize,
}

impl Out {
    /// Adds a record that has ended.
    pub fn push(&mut self, open: Open) {
        self.records.push((open.head, (open.begun.lines > 1).then_some(open.text)));
        for owed in open.owed {
            self.owe(owed);
        }
    }

    /// Adds one who waits, once.
    pub fn owe(&mut self, owed: Owed) {
        match self.owed.iter().any(|other| other.is_of(&owed)) {
            true => owed.settle(Verdict::Safe),
            false => self.owed.push(owed),
        }
    }

    /// Lets one wait for it no more: others do for the records that it would wait for.
    pub fn owe_no_more(&mut self, owed: &Owed) {
        self.owed.extract_if(.., |other| other.is_of(owed)).for_each(|owed| owed.settle(Verdict::Safe));
    }

    /// Whether all rows of the batch among them stand ahead of one.
    pub fn is_ahead_of(&self, row: u32) -> bool {
        self.records.iter().all(|(head, _)| !matches!(head, Head::Row(other) if *other >= row))
    }

    /// Whether rows of the batch are among them that are a record each, or its first line.
    pub fn has_rows(&self) -> bool {
        self.records.iter().any(|(head, _)| matches!(head, Head::Row(_)))
    }

    /// Makes a batch of what goes on, which came as so many bytes; rows are of `records`, and the lines stand in `field`.
    pub fn ready(
        self,
        records: Option<&Arc<Records>>,
        field: &str,
        bytes: &mut usize,
    ) -> Result<Option<Ready>, ArrowError> {
        let Out { records: parts, owed, .. } = self;
        if parts.is_empty() {
            return Ok(None);
        }
        let bytes = std::mem::take(bytes);
        let is_row = |(place, (head, text)): (usize, &(Head, Option<String>))| {
            text.is_none() && matches!(head, Head::Row(row) if *row as usize == place)
        };
        if let Some(records) = records.filter(|records| records.rows() == parts.len())
            && parts.iter().enumerate().all(is_row)
        {
            return Ok(Some(Ready { records: records.clone(), owed, bytes }));
        }
        let (mut kept, mut rows, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        let before = parts.iter().filter(|(head, _)| matches!(head, Head::Kept(_))).count() as u32;
        for (head, text) in parts {
            rows.push(match head {
                Head::Row(row) => before + row,
                Head::Kept(one) => {
                    kept.push(one);
                    kept.len() as u32 - 1
                }
            });
            texts.push(text);
        }
        kept.extend(records.map(|records| records.slice(0, records.rows())));
        let together = merge::concat(&kept)?.take(&UInt32Array::from(rows))?;
        let records = Arc::new(with_texts(together, field, &texts)?);
        Ok(Some(Ready { records, owed, bytes }))
    }
}
