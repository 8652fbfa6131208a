//! The columns of a table: which there are, and what values of rows become in them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use arrow_array::{
    Array, ArrayRef, BinaryArray, Float64Array, Int64Array, TimestampMicrosecondArray,
    TimestampMillisecondArray,
};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef, TimeUnit};

use super::TablePlan;
use super::block::{Blocks, Part};
use flitch_core::batch::convert::value;
use flitch_core::batch::encode::{Fields, Named};
use flitch_core::batch::{Kind, TAG, TIMESTAMP};

/// Most columns of an object. A batch has no more than half as many.
pub(super) const COLUMNS: usize = 1024;
/// What a slot takes beside its path, about, its place in the map included.
const SLOT: usize = 160;
/// What a column takes of memory, about.
const COLUMN: usize = 256;
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

    /// Takes up the next slot as it was taken up when rows came for it.
    pub fn define(&mut self, kind: Kind, path: &str) {
        let path: Arc<str> = path.into();
        self.places.entry(path.clone()).or_default()[kind as usize] = Some(self.slots.len() as u32);
        self.slots.push(Slot { path, kind, is_exact: true });
    }

    /// Takes note of the values of a block, as when they came.
    pub fn came(&mut self, block: &[u8]) -> Result<(), ArrowError> {
        let mut block = Blocks::new(block)?;
        while let Some(Part { slot, array, .. }) = block.next(self)? {
            let slot = &mut self.slots[slot as usize];
            if slot.kind == Kind::Int64 {
                slot.is_exact = slot.is_exact && are_exact(array.as_primitive(), 0..array.len());
            }
        }
        Ok(())
    }

    /// How many slots there are.
    pub fn count(&self) -> usize {
        self.slots.len()
    }

    /// The path of a slot, and the kind of its values.
    pub fn get(&self, slot: u32) -> Option<(&Arc<str>, Kind)> {
        self.slots.get(slot as usize).map(|slot| (&slot.path, slot.kind))
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
    let rows = if column.is_constant { 0..1 } else { rows };
    are_exact(column.array.as_primitive(), rows)
}

fn are_exact(array: &Int64Array, rows: Range<usize>) -> bool {
    const MOST: u64 = 1 << f64::MANTISSA_DIGITS;
    // What stands in the place of a null may be anything, but is mostly 0.
    array.values()[rows.clone()].iter().all(|value| value.unsigned_abs() <= MOST)
        || rows.into_iter().all(|row| array.is_null(row) || array.value(row).unsigned_abs() <= MOST)
}

/// The columns of a table.
pub(super) struct Columns {
    unit: TimeUnit,
    columns: Vec<(Arc<str>, Kind)>,
    places: HashMap<Arc<str>, usize, ahash::RandomState>,
    schema: SchemaRef,
}

impl Columns {
    /// Those of `slots`: the time and the tag first, and all others by their names.
    pub fn new(slots: &Slots, unit: TimeUnit) -> Columns {
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
                Kind::Timestamp => field.with_data_type(DataType::Timestamp(unit, Some("UTC".into()))),
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
        let places = columns.iter().enumerate().map(|(place, (path, _))| (path.clone(), place)).collect();
        Columns { unit, columns, places, schema }
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub fn count(&self) -> usize {
        self.columns.len()
    }

    /// The place of the column of a path, which has one.
    pub fn place(&self, path: &str) -> usize {
        self.places[path]
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

    /// The values of a slot as the column at a place has them.
    pub fn fitted(&self, array: &ArrayRef, from: Kind, place: usize) -> ArrayRef {
        match (self.columns[place].1, from) {
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

/// What a table may hold, by what is in it.
pub(super) struct Shape {
    plan: TablePlan,
    pub slots: Slots,
    /// Since the first row group, which decides them.
    columns: Option<Arc<Columns>>,
}

impl Shape {
    pub fn new(plan: TablePlan) -> Shape {
        Shape { plan, slots: Slots::default(), columns: None }
    }

    /// The columns, which are those of what has come where they are not decided.
    pub fn columns(&mut self) -> Arc<Columns> {
        let (slots, unit) = (&self.slots, self.plan.unit);
        self.columns.get_or_insert_with(|| Arc::new(Columns::new(slots, unit))).clone()
    }

    /// How many of these rows fit, from the first on.
    pub fn takes(&self, fields: &Fields, rows: Range<usize>) -> usize {
        if self.fits(fields, rows.clone()) {
            return rows.len();
        }
        let (mut fit, mut unfit) = (0, rows.len());
        while fit + 1 < unfit {
            let middle = fit.midpoint(unfit);
            match self.fits(fields, rows.start..rows.start + middle) {
                true => fit = middle,
                false => unfit = middle,
            }
        }
        fit
    }

    fn fits(&self, fields: &Fields, rows: Range<usize>) -> bool {
        let columns = || fields.columns.iter().filter(|(_, column)| column.is_in(rows.clone()));
        if self.plan.is_strict && !self.slots.suit(columns(), rows.clone()) {
            return false;
        }
        match &self.columns {
            Some(known) => columns().all(|(kind, column)| known.holds(*kind, column, rows.clone())),
            None => {
                let fresh = columns().filter(|(_, column)| !self.slots.has(&column.path)).count();
                fresh == 0 || self.slots.paths() + fresh <= COLUMNS
            }
        }
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        self.slots.memory() + self.columns.as_ref().map_or(0, |columns| columns.count() * COLUMN)
    }
}
