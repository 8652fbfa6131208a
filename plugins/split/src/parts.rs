//! The records that come of the elements of arrays.

use flitch_sdk::bitmap::{BitmapBuilder, ones};
use flitch_sdk::json::{Flattener, decode};
use flitch_sdk::parse::set_present;
use flitch_sdk::{Changes, ColumnSet, Result};

/// What becomes of the records of a batch.
pub struct Parts<'f> {
    flattener: &'f mut Flattener,
    pub columns: ColumnSet,
    /// For each row that goes on, that of the record it is made of.
    take: Vec<u32>,
    /// The parts of the record that is split, which are not taken yet.
    new: usize,
    /// From which rows the field goes, and what lay where the members of an element come to stand.
    field: BitmapBuilder,
    target: BitmapBuilder,
    /// Whether the rows that go on are others than those that were not rejected.
    is_reordered: bool,
}

impl<'f> Parts<'f> {
    pub fn new(rows: usize, flattener: &'f mut Flattener) -> Self {
        Self {
            flattener,
            columns: ColumnSet::default(),
            take: Vec::with_capacity(rows),
            new: 0,
            field: BitmapBuilder::default(),
            target: BitmapBuilder::default(),
            is_reordered: false,
        }
    }

    /// How many rows go on so far, those of parts that are not taken yet among them.
    pub fn rows(&self) -> usize {
        self.take.len() + self.new
    }

    /// The row of the part that was added last.
    pub fn last(&self) -> usize {
        self.rows() - 1
    }

    /// The record goes on.
    pub fn pass(&mut self, row: usize) {
        self.take.push(row as u32);
    }

    /// The record goes nowhere.
    pub fn discard(&mut self) {
        self.is_reordered = true;
    }

    /// Writes an element: the members of an object below `target`, any other value into it.
    pub fn add(&mut self, element: &str, target: &str) -> Result<()> {
        let row = self.rows();
        let is_empty = || element[1..].trim_ascii_start().starts_with('}');
        if element.starts_with('{') && (target.is_empty() || !is_empty()) {
            self.flattener.flatten(element, 0, element.len(), row, &mut self.columns)?;
            if !target.is_empty() {
                self.target.pad(row);
                self.target.push(true);
            }
        } else {
            self.columns.begin_row();
            self.columns.set(row, target, decode(element).value());
        }
        self.new += 1;
        Ok(())
    }

    /// The parts that were added take the place of the record.
    pub fn take(&mut self, row: usize) {
        self.field.pad(self.take.len());
        let rows = self.rows();
        while self.take.len() < rows {
            self.take.push(row as u32);
            self.field.push(true);
        }
        self.is_reordered |= self.new != 1;
        self.new = 0;
    }

    /// The parts that were added go nowhere.
    pub fn forget(&mut self) {
        self.new = 0;
        self.columns.truncate(self.take.len());
        self.target.truncate(self.take.len());
    }

    /// Writes all of it into the changes.
    pub fn finish(self, [field, target]: [&str; 2], changes: &mut Changes) {
        let rows = self.take.len();
        let mut gone = vec![(field, self.field)];
        if target != field {
            gone.push((target, self.target));
        }
        for (name, mut from) in gone {
            from.pad(rows);
            let bits = from.finish();
            if bits.iter().all(|byte| *byte == 0) {
                continue;
            }
            if bits == ones(rows) { changes.remove(name) } else { changes.remove_from(name, bits) }
        }
        if self.is_reordered {
            changes.take(self.take);
        }
        set_present(changes, self.columns.finish(rows));
    }
}
