//! Arrow columns as a guest sees them. Nothing is copied here but what has no place in Arrow's own layout: a constant
//! that is asked for, a bitmap that does not begin at a byte, offsets that do not begin at zero.

use ahash::HashSet;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBuffer, Buffer, MutableBuffer, OffsetBuffer};
use arrow_schema::FieldRef;

use super::bindings::{Batch, BlobsParam, ColumnParam, ValuesParam};
use flitch_core::batch::convert::repeat;
use flitch_core::batch::{Column, Kind, Records, path};

/// The columns that an instance asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Each column of the batch.
    All,
    /// The columns at these paths and below them.
    Only(HashSet<String>),
}

impl Wanted {
    /// Whether the column of this name is among them.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Only(names) => {
                names.contains(name) || path::above(name).any(|outer| names.contains(outer))
            }
        }
    }
}

/// The columns of a batch that a filter asked for, ready to be handed over.
#[derive(Debug)]
pub struct Handed {
    rows: usize,
    columns: Vec<HandedColumn>,
    bytes: usize,
}

#[derive(Debug)]
struct HandedColumn {
    field: FieldRef,
    kind: Kind,
    present: Option<Buffer>,
    /// Bytes of the blobs, bits, or numbers.
    data: Buffer,
    /// Where each blob ends; nothing for the others.
    ends: Buffer,
}

impl Handed {
    /// Gathers what `wanted` asks for.
    pub fn gather(records: &Records, wanted: &Wanted) -> Handed {
        let rows = records.rows();
        let mut columns: Vec<_> = records
            .iter()
            .filter(|column| wanted.has(column.field().name()))
            .filter_map(|column| HandedColumn::of(column, rows))
            .collect();
        if let Wanted::Only(names) = wanted {
            let mut inside: Vec<&String> = names.iter().filter(|name| records.is_inside(name)).collect();
            inside.sort_unstable();
            for name in inside {
                columns.retain(|column| column.name() != name);
                columns.extend(records.find(name).and_then(|found| HandedColumn::of(found.column(), rows)));
            }
        }
        let bytes = columns
            .iter()
            .map(|c| c.name().len() + c.data.len() + c.ends.len() + c.present.as_ref().map_or(0, Buffer::len))
            .sum();
        Handed { rows, columns, bytes }
    }

    /// Bytes that cross the border.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The columns, borrowed from the buffers.
    pub fn columns(&self) -> Vec<ColumnParam<'_>> {
        self.columns.iter().map(HandedColumn::param).collect()
    }

    /// A batch of these columns.
    pub fn batch<'b>(&self, columns: &'b [ColumnParam<'b>]) -> Batch<'b> {
        Batch { rows: self.rows as u32, columns }
    }
}

impl HandedColumn {
    fn name(&self) -> &str {
        self.field.name()
    }

    fn of(column: Column<'_>, rows: usize) -> Option<HandedColumn> {
        let field = column.field();
        let kind = Kind::of(field)?;
        let array = match column {
            Column::Rows(_, array) => array.clone(),
            Column::Constant(_, array) => repeat(array, rows),
        };
        let present = array.nulls().filter(|n| n.null_count() > 0).map(|n| bits(n.inner()));
        let (data, ends) = values(kind, &array)?;
        Some(HandedColumn { field: field.clone(), kind, present, data, ends })
    }

    fn param(&self) -> ColumnParam<'_> {
        let data: &[u8] = &self.data;
        let blobs = || BlobsParam { data, ends: self.ends.typed_data::<u32>() };
        let values = match self.kind {
            Kind::Text => ValuesParam::Text(blobs()),
            Kind::Bytes => ValuesParam::Bytes(blobs()),
            Kind::Json => ValuesParam::Json(blobs()),
            Kind::Int64 => ValuesParam::Int64(self.data.typed_data::<i64>()),
            Kind::Timestamp => ValuesParam::Timestamp(self.data.typed_data::<i64>()),
            Kind::Float64 => ValuesParam::Float64(self.data.typed_data::<f64>()),
            Kind::Boolean => ValuesParam::Boolean(data),
        };
        ColumnParam { name: self.name(), present: self.present.as_deref(), values }
    }
}

fn values(kind: Kind, array: &ArrayRef) -> Option<(Buffer, Buffer)> {
    let none = || Buffer::from_vec(Vec::<u8>::new());
    Some(match kind {
        Kind::Text | Kind::Json => {
            let array = array.as_string_opt::<i32>()?;
            blobs(array.values(), array.offsets())
        }
        Kind::Bytes => {
            let array = array.as_binary_opt::<i32>()?;
            blobs(array.values(), array.offsets())
        }
        Kind::Int64 => (array.as_primitive_opt::<Int64Type>()?.values().inner().clone(), none()),
        Kind::Timestamp => {
            (array.as_primitive_opt::<TimestampNanosecondType>()?.values().inner().clone(), none())
        }
        Kind::Float64 => (array.as_primitive_opt::<Float64Type>()?.values().inner().clone(), none()),
        Kind::Boolean => (bits(array.as_boolean_opt()?.values()), none()),
    })
}

fn blobs(data: &Buffer, offsets: &OffsetBuffer<i32>) -> (Buffer, Buffer) {
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    let data = data.slice_with_length(first as usize, (last - first) as usize);
    let ends = if first == 0 {
        offsets.inner().inner().slice(size_of::<i32>())
    } else {
        offsets[1..].iter().map(|end| end - first).collect::<Vec<i32>>().into()
    };
    (data, ends)
}

/// The bits from a byte's first on, with zeros behind the last.
pub fn bits(bits: &BooleanBuffer) -> Buffer {
    let bytes = bits.sliced();
    let used = bits.len() % 8;
    match bytes.last() {
        Some(last) if used != 0 && last >> used != 0 => {
            let mut copy = MutableBuffer::from(bytes.to_vec());
            if let Some(last) = copy.as_slice_mut().last_mut() {
                *last &= (1 << used) - 1;
            }
            copy.into()
        }
        _ => bytes,
    }
}
