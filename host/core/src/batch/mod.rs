//! Stage 2: batches. Records in Arrow columns, from the source to the output.
//!
//! [`Records`] are the columns, never changed once built, so that copies for several outputs share them and the
//! text encoded from them. A [`Batch`] is records with the [`Receipt`] that answers for them.
//!
//! A column is text, bytes, int64, float64, boolean, timestamp (ns, UTC) or json (text with Arrow's extension type
//! `arrow.json`); see [`Kind`]. Absent is Arrow null. Objects' members are columns named by their path
//! (`kubernetes.labels.app`; [`path`] has the escapes). What is the same for the whole batch (tag, host, file path)
//! stands once, among the constants.
//!
//! Sources fill a [`builder::Builder`] ([`decode`] does for JSON) or, for plain text, [`lines::Lines`]; outputs take
//! [`Records::ndjson`].

use std::sync::{Arc, OnceLock};

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use parking_lot::Mutex;

use self::encode::Manner;
use self::origin::{Origins, Root};
use crate::receipt::Receipt;

pub mod builder;
pub mod constants;
pub mod convert;
pub mod decode;
pub mod encode;
pub mod lift;
pub mod lines;
pub mod lossless;
pub mod merge;
pub mod origin;
mod rows;
pub mod template;
pub mod texts;
pub mod utf8;

// What a value, a name and a text mean is the same for the SDK and the plugins.
pub use flitch_model::{REST, TAG, TIMESTAMP, json, mixed, number, object, path, time, value};

/// Metadata key and value that mark a text column as JSON texts (Arrow's canonical extension type).
pub const EXTENSION_NAME: &str = "ARROW:extension:name";
/// See [`EXTENSION_NAME`].
pub const EXTENSION_JSON: &str = "arrow.json";

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// UTF-8 (`Utf8`).
    Text,
    /// Any bytes (`Binary`).
    Bytes,
    /// `Int64`.
    Int64,
    /// `Float64`.
    Float64,
    /// `Boolean`.
    Boolean,
    /// `Timestamp(Nanosecond, "UTC")`.
    Timestamp,
    /// One JSON text per row (`Utf8` with the extension type `arrow.json`).
    Json,
}

impl Kind {
    /// The kind of an Arrow field; none where no column of ours has that type.
    pub fn of(field: &Field) -> Option<Kind> {
        Some(match field.data_type() {
            DataType::Utf8 if field.metadata().get(EXTENSION_NAME).is_some_and(|n| n == EXTENSION_JSON) => {
                Kind::Json
            }
            DataType::Utf8 => Kind::Text,
            DataType::Binary => Kind::Bytes,
            DataType::Int64 => Kind::Int64,
            DataType::Float64 => Kind::Float64,
            DataType::Boolean => Kind::Boolean,
            DataType::Timestamp(TimeUnit::Nanosecond, Some(zone)) if &**zone == "UTC" => Kind::Timestamp,
            _ => return None,
        })
    }

    /// A nullable Arrow field of this kind.
    pub fn field(self, name: &str) -> Field {
        let data_type = match self {
            Kind::Text | Kind::Json => DataType::Utf8,
            Kind::Bytes => DataType::Binary,
            Kind::Int64 => DataType::Int64,
            Kind::Float64 => DataType::Float64,
            Kind::Boolean => DataType::Boolean,
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        };
        let field = Field::new(name, data_type, true);
        match self {
            Kind::Json => {
                let json = (EXTENSION_NAME.to_owned(), EXTENSION_JSON.to_owned());
                field.with_metadata(std::collections::HashMap::from([json]))
            }
            _ => field,
        }
    }
}

/// What a column takes beside its values, about: its array, its field, its name.
const COLUMN_BYTES: usize = 512;

/// Records in columns. Immutable; share them by `Arc`.
#[derive(Clone, Debug)]
pub struct Records {
    rows: usize,
    /// One value per row.
    columns: RecordBatch,
    /// One row, which holds for every row. No name stands in both.
    constants: RecordBatch,
    /// None before a source has handed them on.
    origins: Option<Origins>,
    texts: Arc<Texts>,
}

/// Records as text, in whatever forms were asked for.
#[derive(Debug, Default)]
struct Texts {
    ndjson: OnceLock<Arc<Encoded>>,
    /// Other forms than NDJSON with every name, each made once.
    otherwise: Mutex<Vec<(Arc<Manner>, Arc<Encoded>)>>,
}

/// A batch as text, encoded once: row `i` is `text[ends[i-1]..ends[i]]`, with what ends a record.
#[derive(Debug)]
pub struct Encoded {
    /// All rows.
    pub text: bytes::Bytes,
    /// Where each row ends in `text`, in bytes.
    pub ends: Vec<u32>,
    /// How many bytes at the end of each row end the record and are no part of it: the newline.
    pub frame: usize,
    /// Rows that cannot be written in this form, in ascending order, and why. They have no bytes in `text`.
    pub refused: Vec<(u32, Arc<str>)>,
}

impl Encoded {
    /// Whether the row is written, and not refused.
    pub fn has(&self, row: u32) -> bool {
        self.refused.is_empty() || self.refused.binary_search_by_key(&row, |(row, _)| *row).is_err()
    }

    /// The text of one row without what ends the record; nothing for a row that is refused.
    pub fn value(&self, row: usize) -> &[u8] {
        let row = self.row(row);
        &row[..row.len().saturating_sub(self.frame)]
    }

    /// The text of one row, with what ends the record.
    pub fn row(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        &self.text[start..self.ends[row] as usize]
    }
}

/// One column as it stands in [`Records`].
#[derive(Clone, Copy, Debug)]
pub enum Column<'a> {
    /// A value for each row.
    Rows(&'a FieldRef, &'a ArrayRef),
    /// An array of one value, which holds for every row.
    Constant(&'a FieldRef, &'a ArrayRef),
}

impl<'a> Column<'a> {
    /// Name and type.
    pub fn field(self) -> &'a FieldRef {
        let (Column::Rows(field, _) | Column::Constant(field, _)) = self;
        field
    }

    /// The array: as many values as rows, or one for a constant.
    pub fn array(self) -> &'a ArrayRef {
        let (Column::Rows(_, array) | Column::Constant(_, array)) = self;
        array
    }

    /// Where row `row` stands in [`Column::array`].
    pub fn place(self, row: usize) -> usize {
        match self {
            Column::Rows(..) => row,
            Column::Constant(..) => 0,
        }
    }
}

impl Records {
    /// Records of `columns` (one value per row) and `constants` (one row).
    pub fn new(columns: RecordBatch, constants: RecordBatch) -> Records {
        debug_assert_eq!(constants.num_rows(), 1);
        Records { rows: columns.num_rows(), columns, constants, origins: None, texts: Arc::default() }
    }

    /// The same records with these origins, one for each row.
    #[must_use]
    pub fn with_origins(self, origins: Option<Origins>) -> Records {
        debug_assert!(origins.as_ref().is_none_or(|origins| origins.rows() == self.rows));
        Records { origins, ..self }
    }

    /// Where they come from; none before a source has handed them on.
    pub fn origins(&self) -> Option<&Origins> {
        self.origins.as_ref()
    }

    /// The same records; those without an origin with one that no other record has.
    pub fn with_any_origins(mut records: Arc<Records>) -> Arc<Records> {
        if records.origins.is_none() {
            let rows = records.rows;
            Arc::make_mut(&mut records).origins = Some(Origins::drawn(rows));
        }
        records
    }

    /// The same records with origins that tell that they came by `way`.
    pub fn along(mut records: Arc<Records>, way: Root) -> Arc<Records> {
        if let Some(origins) = records.origins.as_ref().map(|origins| origins.along(way)) {
            Arc::make_mut(&mut records).origins = Some(origins);
        }
        records
    }

    /// Records of fields and arrays; all arrays of `columns` have `rows` values, those of `constants` one.
    pub fn of(
        rows: usize,
        columns: Vec<(FieldRef, ArrayRef)>,
        constants: Vec<(FieldRef, ArrayRef)>,
    ) -> Result<Records, ArrowError> {
        Ok(Records::new(record_batch(rows, columns)?, record_batch(1, constants)?))
    }

    /// How many records.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns that have a value per row.
    pub fn columns(&self) -> &RecordBatch {
        &self.columns
    }

    /// The columns that have one value for all rows: a batch of one row.
    pub fn constants(&self) -> &RecordBatch {
        &self.constants
    }

    /// The column at exactly this path.
    pub fn column(&self, name: &str) -> Option<Column<'_>> {
        find(&self.columns, name)
            .map(|(f, a)| Column::Rows(f, a))
            .or_else(|| find(&self.constants, name).map(|(f, a)| Column::Constant(f, a)))
    }

    /// All columns, constants first.
    pub fn iter(&self) -> impl Iterator<Item = Column<'_>> {
        let constants = self.constants.schema_ref().fields().iter().zip(self.constants.columns());
        let columns = self.columns.schema_ref().fields().iter().zip(self.columns.columns());
        constants.map(|(f, a)| Column::Constant(f, a)).chain(columns.map(|(f, a)| Column::Rows(f, a)))
    }

    /// The rows `from..from + rows`, without a copy.
    pub fn slice(&self, from: usize, rows: usize) -> Records {
        let origins = self.origins.as_ref().map(|origins| origins.slice(from, rows));
        Records::new(self.columns.slice(from, rows), self.constants.clone()).with_origins(origins)
    }

    /// The rows whose bit is set.
    pub fn filter(&self, keep: &BooleanArray) -> Result<Records, ArrowError> {
        let columns = arrow_select::filter::filter_record_batch(&self.columns, keep)?;
        let origins = self.origins.as_ref().map(|origins| origins.filter(keep));
        Ok(Records::new(columns, self.constants.clone()).with_origins(origins))
    }

    /// The rows of these numbers, in this order; a number may stand twice.
    pub fn take(&self, rows: &UInt32Array) -> Result<Records, ArrowError> {
        let arrays: Result<Vec<_>, _> =
            self.columns.columns().iter().map(|a| arrow_select::take::take(a, rows, None)).collect();
        let columns = with_rows(self.columns.schema(), arrays?, rows.len())?;
        let origins = self.origins.as_ref().map(|origins| origins.take(rows.values()));
        Ok(Records::new(columns, self.constants.clone()).with_origins(origins))
    }

    /// Bytes of memory that the records take, shared buffers counted by the part that is used, and what a column takes
    /// whatever it holds.
    pub fn memory(&self) -> usize {
        let used =
            |a: &ArrayRef| a.to_data().get_slice_memory_size().unwrap_or_else(|_| a.get_array_memory_size());
        let columns = self.columns.columns().iter().map(|a| used(a) + COLUMN_BYTES).sum::<usize>();
        columns + self.origins.as_ref().map_or(0, Origins::memory) + COLUMN_BYTES
    }

    /// The records as NDJSON, every column by its own name, encoded at the first call and shared after it.
    pub fn ndjson(&self) -> Arc<Encoded> {
        self.texts.ndjson.get_or_init(|| Arc::new(encode::ndjson(self))).clone()
    }

    /// The records as an [`encode::Encoder`] writes them, encoded at the first call and shared after it.
    fn encoded(&self, manner: &Arc<Manner>) -> Arc<Encoded> {
        if manner.is_default() {
            return self.ndjson();
        }
        // Held meanwhile: who wants the same waits for it rather than make it again.
        let mut otherwise = self.texts.otherwise.lock();
        let same = |(of, _): &&(Arc<Manner>, _)| Arc::ptr_eq(of, manner) || of == manner;
        if let Some((_, text)) = otherwise.iter().find(same) {
            return text.clone();
        }
        let text = Arc::new(manner.encode(self));
        otherwise.push((manner.clone(), text.clone()));
        text
    }
}

/// Builds a batch of Arrow columns that keeps its row count when it has no column.
pub fn record_batch(rows: usize, columns: Vec<(FieldRef, ArrayRef)>) -> Result<RecordBatch, ArrowError> {
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    with_rows(Arc::new(Schema::new(fields)), arrays, rows)
}

fn with_rows(schema: SchemaRef, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_new_with_options(schema, arrays, &RecordBatchOptions::new().with_row_count(Some(rows)))
}

fn find<'a>(batch: &'a RecordBatch, name: &str) -> Option<(&'a FieldRef, &'a ArrayRef)> {
    let place = batch.schema_ref().fields().iter().position(|f| f.name() == name)?;
    Some((&batch.schema_ref().fields()[place], batch.column(place)))
}

/// Names a sequence of batches whose order matters: one file, one connection. Unique in the process, and greater than
/// those that were made before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u64);

impl StreamId {
    /// Batches whose order does not matter: HTTP requests.
    pub const UNORDERED: StreamId = StreamId(0);

    /// The number that stands for it in this process.
    pub fn number(self) -> u64 {
        self.0
    }

    /// A stream of its own.
    pub fn next() -> StreamId {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        StreamId(NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }
}

/// Records on their way, with the receipt that answers for them and knows their source.
#[derive(Debug)]
pub struct Batch {
    /// The records.
    pub records: Arc<Records>,
    /// The share of the source's receipt that stands for them.
    pub receipt: Receipt,
    /// Keeps its order with the other batches of the same stream.
    pub stream: StreamId,
}

/// When a source cuts a batch: at whichever comes first, and at once when its sender waits for an answer or there is
/// nothing more to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Most records in a batch.
    pub rows: usize,
    /// Most bytes in a batch, as they came.
    pub bytes: usize,
    /// Longest time that the first record waits for more.
    pub age: std::time::Duration,
}

impl Default for Cut {
    fn default() -> Self {
        Cut { rows: 1024, bytes: 1 << 20, age: std::time::Duration::from_millis(100) }
    }
}
