//! Where records begin in their file: their numbers there for good, and a field of theirs where that is wanted.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::FieldRef;

use super::settings::FileSettings;
use flitch_core::batch::builder::{Builder, Finished};
use flitch_core::batch::origin::{Origins, Root};
use flitch_core::batch::{Kind, Records, record_batch};
use flitch_core::setting::wrong;

/// Where the records of a batch begin.
#[derive(Debug)]
pub(super) struct Offsets {
    field: Option<FieldRef>,
    starts: Vec<u64>,
    /// Whether the file has the field: places in the text are places in the file.
    pub is_exact: bool,
}

impl Offsets {
    /// Those of records that have no field for them.
    pub fn without_field() -> Offsets {
        Offsets { field: None, starts: Vec::new(), is_exact: true }
    }

    /// Those of records with the field that the settings name, if they do.
    ///
    /// # Errors
    /// Where a record begins cannot be told as a field.
    pub fn new(settings: &FileSettings) -> anyhow::Result<Offsets> {
        let name = &settings.offset_field;
        if name.is_empty() {
            return Ok(Offsets::without_field());
        }
        anyhow::ensure!(
            settings.charset.may_be_utf8(),
            wrong!("offset_field", " is for files in UTF-8: leave it out, or `charset`")
        );
        Ok(Offsets { field: Some(Arc::new(Kind::Int64.field(name))), ..Offsets::without_field() })
    }

    /// The next record begins here.
    pub fn push(&mut self, start: u64) {
        self.starts.push(start);
    }

    /// The next records begin here; none of the places is left.
    pub fn append(&mut self, starts: &mut Vec<u64>) {
        self.starts.append(starts);
    }

    /// Each of these lines is a record; the first begins at `base`. Without their ends they stand at `places`, of which
    /// the last is where the last of them ends.
    pub fn of_lines(&mut self, lines: &[u8], places: &[i32], base: u64) {
        let (Some((end, begins)), Some(first)) = (places.split_last(), places.first()) else { return };
        let between = lines.len() - (end - first) as usize;
        // Where all lines end alike nothing need be searched for.
        let step = match between.checked_div(begins.len()) {
            Some(step) if step * begins.len() == between => step as u64,
            _ => return self.of_mixed_lines(lines, base),
        };
        let begin = |(place, row): (&i32, u64)| base + (place - first) as u64 + row * step;
        self.starts.extend(begins.iter().zip(0..).map(begin));
    }

    fn of_mixed_lines(&mut self, lines: &[u8], base: u64) {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', lines) {
            self.push(base + start as u64);
            start = end + 1;
        }
    }

    /// How many records there are.
    pub fn rows(&self) -> usize {
        self.starts.len()
    }

    /// Replaces the places from that of `row` on, which are those in the text.
    pub fn translate(&mut self, row: usize, mut of: impl FnMut(u64) -> u64) {
        self.starts[row..].iter_mut().for_each(|start| *start = of(*start));
    }

    /// Puts it into the record that was begun; a member of that name takes its place.
    pub fn put(&self, builder: &mut Builder, start: u64) {
        if let Some(field) = self.field.as_ref().filter(|_| self.is_exact) {
            builder.key(field.name().as_bytes()).int(start.cast_signed());
        }
    }

    /// Gives the records whose starts were told their origins in the file of this root.
    pub fn origins(&mut self, finished: Finished, root: Option<Root>) -> Finished {
        let starts = std::mem::take(&mut self.starts);
        let origins = root.map(|root| Origins::of(root, starts));
        Finished { records: finished.records.with_origins(origins), ..finished }
    }

    /// Adds the field to the records whose starts were told.
    pub fn field(&self, finished: Finished) -> Finished {
        let Some(field) = self.field.as_ref().filter(|_| self.is_exact) else { return finished };
        let records = &finished.records;
        let column: ArrayRef =
            Arc::new(Int64Array::from_iter_values(self.starts.iter().map(|start| start.cast_signed())));
        let columns = records.columns();
        let fields = columns.schema_ref().fields().iter().cloned().zip(columns.columns().iter().cloned());
        let all = fields.chain([(field.clone(), column)]).collect();
        let columns = record_batch(records.rows(), all).expect("each record had a beginning");
        Finished { records: Records::new(columns, records.constants().clone()), ..finished }
    }
}

#[cfg(test)]
mod tests;
