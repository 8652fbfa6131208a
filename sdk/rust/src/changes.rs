//! What becomes of a batch.

use crate::bitmap;
use crate::{Changes, Column, Fields, Rejection, Removal};

impl Fields {
    /// Just these fields.
    pub fn only<I: IntoIterator<Item: Into<String>>>(names: I) -> Self {
        Self::Only(names.into_iter().map(Into::into).collect())
    }
}

impl Changes {
    /// Keeps every record as it is.
    pub fn none() -> Self {
        Self { take: None, set: Vec::new(), remove: Vec::new(), rejected: Vec::new() }
    }

    /// Writes a column. It must have one place for every row that goes on: rows that were
    /// rejected or left out of [`take`](Self::take) have none.
    pub fn set(&mut self, column: Column) {
        self.set.push(column);
    }

    /// Removes a field, and what lies below it, from all rows, before any column is written.
    pub fn remove(&mut self, name: impl Into<String>) {
        self.remove.push(Removal { name: name.into(), rows: None });
    }

    /// Removes a field, and what lies below it, from these rows of those that go on: a bitmap,
    /// least significant bit first.
    pub fn remove_from(&mut self, name: impl Into<String>, rows: Vec<u8>) {
        self.remove.push(Removal { name: name.into(), rows: Some(rows) });
    }

    /// Rejects row `row` of the batch that was handed in: it goes where the host's `on_error`
    /// says, and is not among the rows that go on.
    pub fn reject(&mut self, row: usize, reason: impl Into<String>) {
        self.rejected.push(Rejection { row: row as u32, reason: reason.into() });
    }

    /// Lets only these rows go on, in this order, by their number in the batch handed in. A
    /// number may be left out (the record is dropped) or stand twice (it is split in two).
    pub fn take(&mut self, rows: Vec<u32>) {
        self.take = Some(rows);
    }

    /// Which of `rows` rows go on.
    pub fn going_on(&self, rows: usize) -> Vec<u32> {
        if let Some(take) = &self.take {
            return take.clone();
        }
        let mut stays = bitmap::ones(rows);
        for rejection in &self.rejected {
            stays[rejection.row as usize >> 3] &= !(1 << (rejection.row & 7));
        }
        (0..rows as u32).filter(|row| bitmap::get(&stays, *row as usize)).collect()
    }
}
