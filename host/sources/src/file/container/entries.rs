//! From entries to a batch: the texts as lines, and a column each for what stands beside them.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::FieldRef;

use super::super::offsets::Offsets;
use super::{ATTRS, Alone, STREAM, Stream};
use flitch_core::batch::builder::{Builder, Finished};
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::decode_line;
use flitch_core::batch::lines::Lines;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::{Cut, Kind, Records, TIMESTAMP};

/// Builds batches of the entries of containers.
#[derive(Debug)]
pub(in super::super) struct Entries {
    lines: Lines,
    times: Vec<i64>,
    /// Where they begin in their file.
    starts: Vec<u64>,
    streams: Vec<Stream>,
    /// The attributes, once an entry has some.
    attrs: Option<Builder>,
    /// Room for the JSON text of one entry's.
    scratch: Vec<u8>,
    time_field: FieldRef,
    stream_field: FieldRef,
}

impl Entries {
    /// A builder whose texts stand in the column of this name.
    pub(super) fn new(message: &str) -> Entries {
        Entries {
            lines: Lines::new(message),
            times: Vec::new(),
            starts: Vec::new(),
            streams: Vec::new(),
            attrs: None,
            scratch: Vec::new(),
            time_field: Arc::new(Kind::Timestamp.field(TIMESTAMP)),
            stream_field: Arc::new(Kind::Text.field(STREAM)),
        }
    }

    pub fn rows(&self) -> usize {
        self.lines.rows()
    }

    /// Whether the batch is to be finished before the next entry.
    pub fn full(&self, cut: &Cut) -> bool {
        self.lines.full(cut) || self.attrs.as_ref().is_some_and(|attrs| attrs.full(cut))
    }

    /// Adds an entry that begins at `start` of its file. `attrs` is a JSON object or nothing.
    #[inline]
    pub(super) fn push(&mut self, start: u64, time: i64, stream: Stream, text: &[u8], attrs: &[u8]) {
        self.lines.push(text);
        self.starts.push(start);
        self.times.push(time);
        self.streams.push(stream);
        if self.attrs.is_some() || !attrs.is_empty() {
            self.push_attrs(attrs);
        }
    }

    /// Adds an entry that begins at `start` of its file and whose text `write` appends, without attributes; none where it
    /// answers nothing, and appends in vain.
    #[inline]
    pub(super) fn write(
        &mut self,
        start: u64,
        write: impl FnOnce(&mut Vec<u8>) -> Option<Alone>,
    ) -> Option<usize> {
        let Alone { time, stream, length } = self.lines.write(write)?;
        self.starts.push(start);
        self.times.push(time);
        self.streams.push(stream);
        if self.attrs.is_some() {
            self.push_attrs(&[]);
        }
        Some(length)
    }

    #[inline(never)]
    fn push_attrs(&mut self, attrs: &[u8]) {
        let builder = self.attrs.get_or_insert_with(Builder::new);
        let row = self.lines.rows() - 1;
        let none = |builder: &mut Builder| {
            builder.begin_record();
            builder.end_record();
        };
        while builder.rows() < row {
            none(builder);
        }
        if attrs.is_empty() {
            return none(builder);
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(b"{\"");
        self.scratch.extend_from_slice(ATTRS.as_bytes());
        self.scratch.extend_from_slice(b"\":");
        self.scratch.extend_from_slice(attrs);
        self.scratch.push(b'}');
        if decode_line(builder, &self.scratch).is_err() {
            debug_assert!(false, "the attributes were checked");
            none(builder);
        }
    }

    /// Moves to `offsets` where the entries begin.
    pub fn take_starts(&mut self, offsets: &mut Offsets) {
        offsets.append(&mut self.starts);
    }

    /// Marks the last entry as cut.
    pub(super) fn mark_truncated(&mut self) {
        self.lines.mark_truncated();
    }

    /// The records, with `constants` for each, but for the time, which is their own. Empty after it.
    pub fn finish(&mut self, invalid: InvalidUtf8, constants: &Constants) -> Finished {
        let rows = self.rows();
        let one = self.streams.first().filter(|first| self.streams.iter().all(|stream| stream == *first));
        let finished = match one.map(|one| one.name()) {
            Some(Some(name)) => self.lines.finish(invalid, &constants.clone().text(STREAM, name)),
            _ => self.lines.finish(invalid, constants),
        };
        let (mut replaced, mut misnamed) = (finished.replaced, finished.misnamed);
        let records = finished.records;
        let mut columns = pairs(records.columns());
        let capacity = self.times.capacity();
        let times = std::mem::replace(&mut self.times, Vec::with_capacity(capacity.min(2 * rows)));
        let times = TimestampNanosecondArray::from(times).with_data_type(self.time_field.data_type().clone());
        columns.push((self.time_field.clone(), Arc::new(times)));
        if one.is_none() && rows > 0 {
            columns.push((self.stream_field.clone(), Arc::new(names(&self.streams))));
        }
        self.streams.clear();
        if let Some(attrs) = self.attrs.take() {
            let mut attrs = attrs;
            let finished = attrs.finish(invalid, &Constants::new());
            replaced += finished.replaced;
            misnamed += finished.misnamed;
            columns.extend(pairs(finished.records.columns()));
            self.attrs = Some(attrs).filter(|_| rows > 0);
        }
        let constants =
            pairs(records.constants()).into_iter().filter(|(field, _)| field.name() != TIMESTAMP).collect();
        let records = Records::of(rows, columns, constants);
        let records = records.expect("each column has its own name and a place for each row");
        Finished { records, replaced, misnamed }
    }
}

fn pairs(batch: &RecordBatch) -> Vec<(FieldRef, ArrayRef)> {
    batch.schema_ref().fields().iter().cloned().zip(batch.columns().iter().cloned()).collect()
}

/// The names of streams, absent where there is none.
fn names(streams: &[Stream]) -> StringArray {
    let mut data = Vec::with_capacity(6 * streams.len());
    let mut ends = Vec::with_capacity(streams.len() + 1);
    ends.push(0);
    for stream in streams {
        data.extend_from_slice(stream.name().unwrap_or_default().as_bytes());
        ends.push(data.len() as i32);
    }
    let nulls =
        streams.contains(&Stream::Unnamed).then(|| streams.iter().map(|s| s.name().is_some()).collect());
    StringArray::new(OffsetBuffer::new(ScalarBuffer::from(ends)), Buffer::from_vec(data), nulls)
}
