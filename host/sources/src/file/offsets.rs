//! Where records begin in their file, as a field of theirs.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::FieldRef;

use super::settings::{Codec, FileSettings};
use flitch_core::batch::builder::{Builder, Finished};
use flitch_core::batch::{Kind, Records, record_batch};
use flitch_core::setting::wrong;

/// Where the records of a batch begin.
#[derive(Debug)]
pub(super) struct Offsets {
    field: FieldRef,
    starts: Vec<i64>,
    /// Whether places in the text are places in the file.
    pub is_exact: bool,
}

impl Offsets {
    /// None where the settings name no field.
    ///
    /// # Errors
    /// Where a record begins cannot be told, or the name is that of another field.
    pub fn new(settings: &FileSettings) -> anyhow::Result<Option<Offsets>> {
        let name = &settings.offset_field;
        if name.is_empty() {
            return Ok(None);
        }
        anyhow::ensure!(
            settings.charset.may_be_utf8(),
            wrong!("offset_field", " is for files in UTF-8: leave it out, or `charset`")
        );
        let mut taken = vec![&settings.file_field, &settings.host_field];
        if settings.codec == Codec::Lines {
            taken.push(&settings.message_field);
        }
        anyhow::ensure!(
            !taken.contains(&name),
            wrong!(
                "offset_field",
                " is `{name}`, which is another field of each record: give it a name of its own"
            )
        );
        Ok(Some(Offsets { field: Arc::new(Kind::Int64.field(name)), starts: Vec::new(), is_exact: true }))
    }

    /// The next record begins here.
    pub fn push(&mut self, start: u64) {
        self.starts.push(start.cast_signed());
    }

    /// Each of these lines is a record; the first begins at `base`.
    pub fn of_lines(&mut self, lines: &[u8], base: u64) {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', lines) {
            self.push(base + start as u64);
            start = end + 1;
        }
    }

    /// Puts it into the record that was begun; a member of that name takes its place.
    pub fn put(&self, builder: &mut Builder, start: u64) {
        if self.is_exact {
            builder.key(self.field.name().as_bytes()).int(start.cast_signed());
        }
    }

    /// Adds the field to the records whose starts were told.
    pub fn finish(&mut self, finished: Finished) -> Finished {
        let starts = std::mem::take(&mut self.starts);
        if !self.is_exact {
            return finished;
        }
        let records = &finished.records;
        let column: ArrayRef = Arc::new(Int64Array::from(starts));
        let columns = records.columns();
        let fields = columns.schema_ref().fields().iter().cloned().zip(columns.columns().iter().cloned());
        let all = fields.chain([(self.field.clone(), column)]).collect();
        let columns = record_batch(records.rows(), all).expect("each record had a beginning");
        Finished { records: Records::new(columns, records.constants().clone()), ..finished }
    }
}

#[cfg(test)]
mod tests;
