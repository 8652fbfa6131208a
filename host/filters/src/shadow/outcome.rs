//! What a filter said becomes of each row of a batch.

use std::sync::Arc;

use flitch_core::batch::{Records, merge};

use crate::judgement::Judgement;

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate<'a> {
    /// It goes on as so many records.
    Kept(usize),
    /// It was left out.
    Dropped,
    /// It was rejected, with this reason.
    Rejected(&'a str),
    /// Nobody knows, for this reason.
    Unjudged(&'a str),
}

impl Fate<'_> {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Fate::Kept(1) => "kept",
            Fate::Kept(_) => "split",
            Fate::Dropped => "dropped",
            Fate::Rejected(_) => "rejected",
            Fate::Unjudged(_) => "unjudged",
        }
    }

    /// Whether both are the same; reasons may differ in their words.
    pub fn is_same(self, other: Fate<'_>) -> bool {
        match (self, other) {
            (Fate::Kept(one), Fate::Kept(other)) => one == other,
            (one, other) => one.name() == other.name(),
        }
    }
}

/// What becomes of all rows of a batch.
pub struct Outcome<'a> {
    /// The records that go on.
    pub records: Records,
    /// Which row each of them is, with its place, by rows.
    rows: Vec<(u32, u32)>,
    rejected: &'a [(u32, Arc<str>)],
    unjudged: &'a [(u32, Arc<str>)],
}

impl<'a> Outcome<'a> {
    /// What a judgement says. None where parts of it do not fit together.
    pub fn of(judgement: &'a Judgement) -> Option<Outcome<'a>> {
        let mut rows = Vec::new();
        for part in &judgement.parts {
            let from = part.from as u32;
            match &part.rows {
                None => rows.extend((0..part.records.rows() as u32).map(|row| from + row)),
                Some(own) => rows.extend(own.iter().map(|row| from + row)),
            }
        }
        let mut rows: Vec<(u32, u32)> =
            rows.into_iter().enumerate().map(|(place, row)| (row, place as u32)).collect();
        rows.sort_by_key(|(row, _)| *row);
        let records = match judgement.parts.as_slice() {
            [one] => one.records.slice(0, one.records.rows()),
            parts => {
                let parts: Vec<Records> = parts.iter().map(|part| part.records.clone()).collect();
                merge::concat(&parts).ok()?
            }
        };
        Some(Outcome { records, rows, rejected: &judgement.rejected, unjudged: &judgement.unjudged })
    }

    /// The places of the records that a row goes on as.
    pub fn places(&self, row: u32) -> &[(u32, u32)] {
        let from = self.rows.partition_point(|(other, _)| *other < row);
        let until = from + self.rows[from..].partition_point(|(other, _)| *other == row);
        &self.rows[from..until]
    }

    /// What becomes of a row.
    pub fn fate(&self, row: u32) -> Fate<'a> {
        if let Some(reason) = reason(self.rejected, row) {
            return Fate::Rejected(reason);
        }
        if let Some(reason) = reason(self.unjudged, row) {
            return Fate::Unjudged(reason);
        }
        match self.places(row).len() {
            0 => Fate::Dropped,
            records => Fate::Kept(records),
        }
    }
}

fn reason(among: &[(u32, Arc<str>)], row: u32) -> Option<&str> {
    let place = among.binary_search_by_key(&row, |(row, _)| *row).ok()?;
    Some(&among[place].1)
}
