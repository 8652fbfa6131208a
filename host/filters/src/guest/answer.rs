//! A guest's answer, checked in full before the host believes it.

use std::sync::Arc;

use arrow_buffer::BooleanBuffer;

use super::bindings::Rejection;
use super::voice::{MAX_REASON, cut, one_line};
use flitch_core::batch::{TAG, TIMESTAMP};
use flitch_model::MAX_SET;

mod column;
pub mod lifted;
mod names;

pub use column::{Known, SetColumn, column_of, present};

use column::bitmap;
use lifted::{Column, Said};
use names::check_name;

/// What a guest wants to become of a batch, checked.
#[derive(Debug)]
pub struct Answer {
    /// The rows that go on, by their number in the batch handed in; none where all do.
    pub take: Option<Vec<u32>>,
    /// How many rows go on.
    pub rows: usize,
    /// Columns to write, with a place for each row that goes on.
    pub set: Vec<SetColumn>,
    /// Fields to remove.
    pub remove: Vec<Remove>,
    /// Rows that the guest could not handle, in ascending order, with the reasons.
    pub rejected: Vec<(u32, Arc<str>)>,
    /// Bytes that crossed the border.
    pub bytes: usize,
}

/// A field that a guest removes.
#[derive(Debug)]
pub struct Remove {
    /// Its path.
    pub name: String,
    /// From which of the rows that go on; none where from all.
    pub rows: Option<BooleanBuffer>,
}

impl Answer {
    /// Checks the answer to a batch of `rows` rows. The error says what is wrong with it.
    pub fn check(said: impl Into<Said>, rows: usize, known: &mut Known) -> Result<Answer, String> {
        let Said { changes, shared } = said.into();
        let set = changes.set.0;
        for (count, what) in [(set.len(), "sets"), (changes.remove.len(), "removes")] {
            if count > MAX_SET {
                return Err(format!("it {what} {count} fields; an answer may have {MAX_SET}"));
            }
        }
        let rejected = rejected(changes.rejected, rows)?;
        let take = take(changes.take, rows, &rejected)?;
        let going = take.as_ref().map_or(rows, Vec::len);
        let bytes = take.as_ref().map_or(0, |t| t.len() * 4) + set.iter().map(Column::bytes).sum::<usize>();
        let set = known.columns(set, going, &shared)?;
        let remove = changes.remove.into_iter().map(|r| {
            if [TIMESTAMP, TAG].contains(&&*r.name) {
                return Err(format!("`{}` cannot be removed; an output's `encoding` leaves it out", r.name));
            }
            check_name(&r.name)?;
            let rows = r.rows.map(|bits| bitmap(bits, going)).transpose();
            let rows = rows.map_err(|e| format!("removal of `{}`: {e}", cut(&r.name, 100)))?;
            Ok(Remove { name: r.name, rows })
        });
        let remove = remove.collect::<Result<_, String>>()?;
        Ok(Answer { take, rows: going, set, remove, rejected, bytes })
    }
}

/// A reason of a guest's, as it is kept.
pub fn reason(text: &str) -> Arc<str> {
    one_line(text, MAX_REASON).into()
}

/// How many of the rows in `take` stand there for another time.
pub fn copies(take: &[u32], rows: usize) -> usize {
    if take.windows(2).all(|pair| pair[0] < pair[1]) {
        return 0;
    }
    let mut taken = vec![false; rows];
    take.iter().filter(|row| std::mem::replace(&mut taken[**row as usize], true)).count()
}

fn rejected(rejected: Vec<Rejection>, rows: usize) -> Result<Vec<(u32, Arc<str>)>, String> {
    let mut all = Vec::with_capacity(rejected.len());
    for rejection in rejected {
        if rejection.row as usize >= rows {
            return Err(format!("it rejects row {} of {rows}", rejection.row));
        }
        all.push((rejection.row, reason(&rejection.reason)));
    }
    all.sort_by_key(|(row, _)| *row);
    match all.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(format!("it rejects row {} twice", pair[0].0)),
        None => Ok(all),
    }
}

/// The rows that go on; none where all do.
fn take(
    take: Option<Vec<u32>>,
    rows: usize,
    rejected: &[(u32, Arc<str>)],
) -> Result<Option<Vec<u32>>, String> {
    let Some(take) = take else {
        if rejected.is_empty() {
            return Ok(None);
        }
        let mut left = rejected.iter().map(|(row, _)| *row).peekable();
        return Ok(Some((0..rows as u32).filter(|row| left.next_if_eq(row).is_none()).collect()));
    };
    if let Some(row) = take.iter().find(|row| **row as usize >= rows) {
        return Err(format!("it takes row {row} of {rows}"));
    }
    if !rejected.is_empty() {
        let mut out = vec![false; rows];
        rejected.iter().for_each(|(row, _)| out[*row as usize] = true);
        if let Some(row) = take.iter().find(|row| out[**row as usize]) {
            return Err(format!("it rejects row {row} and takes it"));
        }
    }
    let all = take.len() == rows && take.iter().enumerate().all(|(place, row)| place == *row as usize);
    Ok(if all { None } else { Some(take) })
}

#[cfg(test)]
mod tests;
