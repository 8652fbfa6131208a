//! The columns of a Parquet file, and how rows become those.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use arrow_array::{
    Array, ArrayRef, BinaryArray, Float64Array, RecordBatch, TimestampMicrosecondArray,
    TimestampMillisecondArray, new_null_array,
};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef, TimeUnit};
use arrow_select::concat::concat_batches;
use arrow_select::interleave::interleave;
use parquet::errors::ParquetError;

use super::super::Compression;
use super::TablePlan;
use super::block::{self, Blocks};
use super::writer::Writer;
use flitch_core::batch::convert::{repeat, value};
use flitch_core::batch::encode::{Fields, Named};
use flitch_core::batch::{Kind, TAG, TIMESTAMP, record_batch};

/// Rows that are given to the writer at once: the pages that it makes go by them.
pub(super) const SLICE: usize = 2048;
/// What a slot takes beside its path, about, its place in the map included.
const SLOT: usize = 160;
/// What a column takes of memory, and what is remembered of it for the end of the file with each row group, about.
const COLUMN: usize = 256;
const CHUNK: usize = 1024;
/// The other half of Arrow's mark of a JSON text.
pub(super) const EXTENSION_METADATA: &str = "ARROW:extension:metadata";
/// Kinds that there are.
const KINDS: usize = 7;

/// A path with a kind of its values.
struct Slot {
    path: Arc<str>,
    kind: Kind,
    /// Whether float64 holds all whole numbers of it.
    is_exact: bool,
}

/// The columns of the rows that have come.
#[derive(Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    /// The slots of a path, by kind.
    places: HashMap<Arc<str>, [Option<u32>; KINDS], ahash::RandomState>,
    memory: usize,
}

impl Slots {
    pub fn has(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// How many paths there are.
    pub fn paths(&self) -> usize {
        self.places.len()
    }

    /// The slot of a column of which these rows come.
    pub fn slot(&mut self, kind: Kind, column: &Named, rows: Range<usize>) -> u32 {
        let slot = match self.places.get_mut(&*column.path) {
            Some(places) => &mut places[kind as usize],
            None => {
                let path = column.path.clone();
                &mut self.places.entry(path).or_default()[kind as usize]
            }
        };
        let slot = match slot {
            Some(slot) => *slot,
            None => {
                let place = self.slots.len() as u32;
                *slot = Some(place);
                self.slots.push(Slot { path: column.path.clone(), kind, is_exact: true });
                self.memory += SLOT + column.path.len();
                place
            }
        };
        if kind == Kind::Int64 {
            let is_exact = &mut self.slots[slot as usize].is_exact;
            *is_exact = *is_exact && exact(column, rows);
        }
        slot
    }

    /// Whether each of these columns can be one with what has come for its path, and with the others of its path, which
    /// stand behind each other: they have one kind, or are numbers that float64 holds.
    pub fn suit<'c>(&self, columns: impl Iterator<Item = &'c (Kind, Named)>, rows: Range<usize>) -> bool {
        let are_numbers = |one: Kind, other: Kind| {
            matches!((one, other), (Kind::Int64, Kind::Float64) | (Kind::Float64, Kind::Int64))
        };
        let mut beside: Vec<&(Kind, Named)> = Vec::new();
        for own in columns {
            let (kind, column) = (own.0, &own.1);
            let is_exact = || exact(column, rows.clone());
            let places = self.places.get(&*column.path).into_iter().flatten().flatten();
            let suits = |slot: &u32| {
                let slot = &self.slots[*slot as usize];
                let holds = || if kind == Kind::Int64 { is_exact() } else { slot.is_exact };
                slot.kind == kind || are_numbers(slot.kind, kind) && holds()
            };
            beside.retain(|(_, other)| other.path == column.path);
            let suits_beside = |(other, values): &&(Kind, Named)| {
                let holds = || if kind == Kind::Int64 { is_exact() } else { exact(values, rows.clone()) };
                are_numbers(*other, kind) && holds()
            };
            if !places.into_iter().all(suits) || !beside.iter().all(suits_beside) {
                return false;
            }
            beside.push(own);
        }
        true
    }

    pub fn memory(&self) -> usize {
        self.memory
    }

    /// The kind that holds all values of a path: its own where they have one.
    fn joined(&self, places: &[Option<u32>; KINDS]) -> Kind {
        let has = |kind: Kind| places[kind as usize].is_some();
        let is_exact = |slot: u32| self.slots[slot as usize].is_exact;
        let count = places.iter().flatten().count();
        match (count, places.iter().flatten().next()) {
            (1, Some(slot)) => self.slots[*slot as usize].kind,
            (2, _) if has(Kind::Text) && has(Kind::Bytes) => Kind::Bytes,
            (2, _) if has(Kind::Float64) && places[Kind::Int64 as usize].is_some_and(is_exact) => {
                Kind::Float64
            }
            _ => Kind::Json,
        }
    }
}

/// Whether float64 holds all whole numbers of these rows.
fn exact(column: &Named, rows: Range<usize>) -> bool {
    const MOST: u64 = 1 << f64::MANTISSA_DIGITS;
    let array = column.array.as_primitive::<Int64Type>();
    let rows = if column.is_constant { 0..1 } else { rows };
    // What stands in the place of a null may be anything, but is mostly 0.
    array.values()[rows.clone()].iter().all(|value| value.unsigned_abs() <= MOST)
        || rows.into_iter().all(|row| array.is_null(row) || array.value(row).unsigned_abs() <= MOST)
}

/// A Parquet file that is written to memory, a row group at a time.
pub(super) struct Layout {
    unit: TimeUnit,
    columns: Vec<(Arc<str>, Kind)>,
    places: HashMap<Arc<str>, usize, ahash::RandomState>,
    schema: SchemaRef,
    writer: Writer,
    /// Rows that are no slice yet.
    slice: Vec<RecordBatch>,
    rows: usize,
    /// Bytes of them.
    waiting: usize,
    groups: usize,
}

impl Layout {
    /// A file with the columns of `slots`: the time and the tag first, and all others by their names.
    pub fn new(slots: &Slots, plan: TablePlan, compression: Compression) -> Result<Layout, ParquetError> {
        let mut columns: Vec<(Arc<str>, Kind)> =
            slots.places.iter().map(|(path, places)| (path.clone(), slots.joined(places))).collect();
        if columns.is_empty() {
            // Rows without any value: a file has a column.
            columns.push((TIMESTAMP.into(), Kind::Timestamp));
        }
        let order = |path: &str| match path {
            TIMESTAMP => 0,
            TAG => 1,
            _ => 2,
        };
        columns.sort_by(|(one, _), (other, _)| (order(one), one).cmp(&(order(other), other)));
        let fields = columns.iter().map(|(path, kind)| {
            let field = kind.field(path);
            match kind {
                Kind::Timestamp => field.with_data_type(DataType::Timestamp(plan.unit, Some("UTC".into()))),
                // Parquet's own type JSON, where Arrow's is whole.
                Kind::Json => {
                    let mut metadata = field.metadata().clone();
                    metadata.insert(EXTENSION_METADATA.to_owned(), String::new());
                    field.with_metadata(metadata)
                }
                _ => field,
            }
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let writer = Writer::new(schema.clone(), compression);
        let places = columns.iter().enumerate().map(|(place, (path, _))| (path.clone(), place)).collect();
        Ok(Layout {
            unit: plan.unit,
            columns,
            places,
            schema,
            writer,
            slice: Vec::new(),
            rows: 0,
            waiting: 0,
            groups: 0,
        })
    }

    /// Whether a column has a place for all values of these rows.
    pub fn holds(&self, kind: Kind, column: &Named, rows: Range<usize>) -> bool {
        let Some(place) = self.places.get(&*column.path) else { return false };
        match (self.columns[*place].1, kind) {
            (to, from) if to == from => true,
            (Kind::Json, _) | (Kind::Bytes, Kind::Text) => true,
            (Kind::Float64, Kind::Int64) => exact(column, rows),
            _ => false,
        }
    }

    /// Adds rows that came to the row group.
    pub fn add_fields(&mut self, fields: &Fields, rows: Range<usize>) -> Result<(), ParquetError> {
        let mut parts: Vec<Vec<ArrayRef>> = vec![Vec::new(); self.columns.len()];
        for (kind, column) in fields.columns.iter().filter(|(_, column)| column.is_in(rows.clone())) {
            let place = self.places[&column.path];
            let own = if column.is_constant { 0..1 } else { rows.clone() };
            let array = self.fitted(&column.array.slice(own.start, own.len()), *kind, self.columns[place].1);
            parts[place].push(if column.is_constant { repeat(&array, rows.len()) } else { array });
        }
        let start = if rows.start == 0 { 0 } else { fields.ends[rows.start - 1] };
        self.waiting += (fields.ends[rows.end - 1] - start) as usize;
        self.add_parts(parts, rows.len())
    }

    /// Adds the rows of blocks that stand one behind the other.
    pub fn add_blocks(&mut self, slots: &Slots, mut blocks: &[u8]) -> Result<(), ParquetError> {
        while let Some(block) = block::split(&mut blocks) {
            self.add(slots, block)?;
        }
        Ok(())
    }

    /// Adds the rows of a block to the row group.
    pub fn add(&mut self, slots: &Slots, block: &[u8]) -> Result<(), ParquetError> {
        self.waiting += block.len();
        let mut block = Blocks::new(block)?;
        let mut parts: Vec<Vec<ArrayRef>> = vec![Vec::new(); self.columns.len()];
        while let Some(part) = block.next(|slot| Some(slots.slots.get(slot as usize)?.kind))? {
            let slot = &slots.slots[part.slot as usize];
            let place = self.places[&slot.path];
            let array = self.fitted(&part.array, slot.kind, self.columns[place].1);
            parts[place].push(if part.is_constant { repeat(&array, block.rows) } else { array });
        }
        self.add_parts(parts, block.rows)
    }

    /// Adds rows of which each column has its values in one or more arrays.
    fn add_parts(&mut self, parts: Vec<Vec<ArrayRef>>, rows: usize) -> Result<(), ParquetError> {
        let columns = self.schema.fields().iter().zip(parts).map(|(field, mut parts)| {
            let array = match parts.len() {
                0 => new_null_array(field.data_type(), rows),
                1 => parts.remove(0),
                _ => merged(&parts, rows)?,
            };
            Ok((field.clone(), array))
        });
        let batch = record_batch(rows, columns.collect::<Result<_, ArrowError>>()?)?;
        self.rows += rows;
        self.slice.push(batch);
        if self.rows >= SLICE {
            self.write_slices()?;
        }
        Ok(())
    }

    /// Bytes of memory of the row group that is being filled, about.
    pub fn in_progress(&self) -> usize {
        self.waiting + self.writer.memory()
    }

    /// The values of a slot as its column has them.
    fn fitted(&self, array: &ArrayRef, from: Kind, to: Kind) -> ArrayRef {
        match (to, from) {
            (Kind::Timestamp, _) => self.times(array),
            (to, from) if to == from => array.clone(),
            (Kind::Bytes, _) => Arc::new(BinaryArray::from(array.as_string::<i32>().clone())),
            (Kind::Float64, _) => {
                let floats: Float64Array = array.as_primitive::<Int64Type>().unary(|value| value as f64);
                Arc::new(floats)
            }
            _ => json(array, from),
        }
    }

    fn times(&self, array: &ArrayRef) -> ArrayRef {
        let times = array.as_primitive::<TimestampNanosecondType>();
        match self.unit {
            TimeUnit::Millisecond => {
                let times: TimestampMillisecondArray = times.unary(|ns| ns.div_euclid(1_000_000));
                Arc::new(times.with_timezone("UTC"))
            }
            TimeUnit::Microsecond => {
                let times: TimestampMicrosecondArray = times.unary(|ns| ns.div_euclid(1000));
                Arc::new(times.with_timezone("UTC"))
            }
            _ => array.clone(),
        }
    }

    fn write_slices(&mut self) -> Result<(), ParquetError> {
        let whole = concat_batches(&self.schema, &self.slice)?;
        self.slice.clear();
        self.waiting = 0;
        let mut from = 0;
        while self.rows - from >= SLICE {
            self.writer.write(&whole.slice(from, SLICE))?;
            from += SLICE;
        }
        self.rows -= from;
        if self.rows > 0 {
            self.slice.push(whole.slice(from, self.rows));
        }
        Ok(())
    }

    /// Bytes of memory between two row groups.
    pub fn memory(&self) -> usize {
        self.columns.len() * (COLUMN + self.groups * CHUNK)
    }

    /// Ends the row group. Its bytes go to the end of `out`.
    pub fn end_group(&mut self, out: &mut Vec<u8>) -> Result<(), ParquetError> {
        self.groups += 1;
        if self.rows > 0 {
            let rest = concat_batches(&self.schema, &self.slice)?;
            self.slice.clear();
            (self.rows, self.waiting) = (0, 0);
            self.writer.write(&rest)?;
        }
        self.writer.end_group(out)
    }

    /// Ends the file. Its last bytes go to the end of `out`.
    pub fn end(self, out: &mut Vec<u8>) -> Result<(), ParquetError> {
        self.writer.end(out)
    }
}

/// The one value that each row has in one of the columns.
fn merged(parts: &[ArrayRef], rows: usize) -> Result<ArrayRef, ArrowError> {
    let of = |row: usize| parts.iter().position(|part| part.is_valid(row)).unwrap_or(0);
    let places: Vec<(usize, usize)> = (0..rows).map(|row| (of(row), row)).collect();
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    interleave(&parts, &places)
}

/// Values as JSON texts, as NDJSON has them.
fn json(array: &ArrayRef, kind: Kind) -> ArrayRef {
    let mut out = StringBuilder::with_capacity(array.len(), array.len() * 16);
    let mut text = Vec::new();
    for row in 0..array.len() {
        match value(array, kind, row) {
            Some(value) => {
                text.clear();
                value.write_json(&mut text);
                out.append_value(String::from_utf8_lossy(&text));
            }
            None => out.append_null(),
        }
    }
    Arc::new(out.finish())
}
