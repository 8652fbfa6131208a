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
    /// says, and is not among the rows that go on. Of several reasons the first one is told.
    pub fn reject(&mut self, row: usize, reason: impl Into<String>) {
        self.rejected.push(Rejection { row: row as u32, reason: reason.into() });
    }

    /// The host takes one reason for a row.
    pub(crate) fn keep_first_reasons(&mut self) {
        if !self.rejected.is_sorted_by(|one, next| one.row < next.row) {
            self.rejected.sort_by_key(|rejection| rejection.row);
            self.rejected.dedup_by_key(|rejection| rejection.row);
        }
    }

    /// Lets only these rows go on, in this order, by their number in the batch handed in. A
    /// number may be left out (the record is dropped) or stand twice (it is split in two).
    pub fn take(&mut self, rows: Vec<u32>) {
        self.take = Some(rows);
    }

    /// Drops these of the rows that go on, by their number among them: they are left out of [`take`](Self::take), and
    /// of all columns and removals so far. `rows` is how many rows the batch has.
    pub fn drop_going_on(&mut self, rows: usize, dropped: &[u32]) {
        if dropped.is_empty() {
            return;
        }
        let going_on = self.going_on(rows).len();
        let mut stays = bitmap::ones(going_on);
        dropped.iter().for_each(|row| stays[*row as usize >> 3] &= !(1 << (row & 7)));
        let kept: Vec<u32> = (0..going_on as u32).filter(|row| bitmap::get(&stays, *row as usize)).collect();
        self.take_going_on(rows, &kept);
    }

    /// Takes these of the rows that go on, in this order, by their number among them: one that is left out is dropped,
    /// one that stands twice is split in two, in [`take`](Self::take) and in all columns and removals so far. `rows` is
    /// how many rows the batch has.
    pub fn take_going_on(&mut self, rows: usize, kept: &[u32]) {
        let going_on = self.going_on(rows);
        self.take = Some(kept.iter().map(|row| going_on[*row as usize]).collect());
        self.set.iter_mut().for_each(|column| *column = column.take(kept));
        for rows in self.remove.iter_mut().filter_map(|removal| removal.rows.as_mut()) {
            *rows = bitmap::take(rows, kept);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Int64Builder, Value};

    #[test]
    fn of_several_reasons_for_a_row_the_first_one_is_told() {
        let mut changes = Changes::none();
        for (row, reason) in [(2, "first"), (0, "of another row"), (2, "second"), (0, "second")] {
            changes.reject(row, reason);
        }
        changes.keep_first_reasons();
        let told: Vec<_> = changes.rejected.iter().map(|one| (one.row, one.reason.as_str())).collect();
        assert_eq!(told, [(0, "of another row"), (2, "first")]);
    }

    #[test]
    fn rows_that_are_dropped_late_are_gone_from_all_that_was_said() {
        let mut changes = Changes::none();
        changes.reject(1, "no");
        let mut numbers = Int64Builder::default();
        [0, 20, 30, 40].iter().for_each(|number| numbers.push(*number));
        changes.set(numbers.finish("n"));
        changes.remove("a");
        changes.remove_from("b", vec![0b1011]);
        changes.drop_going_on(5, &[]);
        assert_eq!(changes.take, None);
        changes.drop_going_on(5, &[0, 2]);
        assert_eq!(changes.take, Some(vec![2, 4]));
        assert_eq!(changes.set[0].value(0), Some(Value::Int64(20)));
        assert_eq!(changes.set[0].value(1), Some(Value::Int64(40)));
        assert_eq!(changes.remove[0].rows, None);
        assert_eq!(changes.remove[1].rows, Some(vec![0b11]));
        changes.take_going_on(5, &[1, 1, 0]);
        assert_eq!(changes.take, Some(vec![4, 4, 2]));
        assert_eq!(changes.set[0].value(1), Some(Value::Int64(40)));
        assert_eq!(changes.set[0].value(2), Some(Value::Int64(20)));
        assert_eq!(changes.remove[1].rows, Some(vec![0b111]));
    }
}
