//! The fields of records under the names that an encoding gives them, in columns: what text is written from, and what
//! files of columns are made of.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, TimestampNanosecondBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::FieldRef;

use super::{Encoding, collide};
use crate::batch::value::Scalar;
use crate::batch::{Column, Kind, Records};

/// A column at the path where it is written.
#[derive(Clone, Debug)]
pub struct Named {
    /// The path.
    pub path: Arc<str>,
    /// Name and type as the records have them.
    pub field: FieldRef,
    /// A value for each row; one, where it holds for all.
    pub array: ArrayRef,
    /// Whether its one value holds for all rows.
    pub is_constant: bool,
}

impl Named {
    /// As a column of records.
    pub fn column(&self) -> Column<'_> {
        match self.is_constant {
            true => Column::Constant(&self.field, &self.array),
            false => Column::Rows(&self.field, &self.array),
        }
    }

    /// Whether any of these rows has a value.
    pub fn is_in(&self, rows: Range<usize>) -> bool {
        match self.array.nulls() {
            None => true,
            Some(nulls) if self.is_constant => nulls.is_valid(0),
            Some(nulls) => {
                nulls.null_count() < nulls.len() && rows.into_iter().any(|row| nulls.is_valid(row))
            }
        }
    }
}

/// What an encoding writes of records, each path once. What a json value has inside of it stands by itself where the
/// encoding names it.
pub(super) fn named(records: &Records, encoding: &Encoding) -> Vec<Named> {
    let wanted = encoding.only.iter().chain(&encoding.except).chain(encoding.rename.keys());
    let lifted = records.lifted(wanted.map(String::as_str)).expect("each column has a place for each row");
    let records = lifted.as_ref().unwrap_or(records);
    let columns: Vec<_> =
        records.iter().filter_map(|column| Some((encoding.path(column)?, column))).collect();
    let joined = collide::joined(&columns, records.rows());
    let mut named: Vec<Named> = Vec::with_capacity(columns.len());
    for (path, column) in columns {
        if joined.iter().all(|(field, _)| *field.name() != path) {
            let is_constant = matches!(column, Column::Constant(..));
            let (field, array) = (column.field().clone(), column.array().clone());
            named.push(Named { path: path.into(), field, array, is_constant });
        }
    }
    named.extend(joined.into_iter().map(|(field, array)| {
        let path = field.name().as_str().into();
        Named { path, field, array, is_constant: false }
    }));
    named
}

/// Records in columns, in which each value has a column of its own kind.
#[derive(Debug)]
pub struct Fields {
    /// The columns; a path may have several, of which a row has a value in one. A json column has arrays, objects and
    /// numbers that have no other kind; null is no value.
    pub columns: Vec<(Kind, Named)>,
    /// For each row how many bytes the values have of all rows up to it: the same for a record in whatever batch.
    pub ends: Vec<u32>,
}

impl Fields {
    pub(super) fn of(records: &Records, encoding: &Encoding) -> Fields {
        let mut columns = Vec::new();
        for column in named(records, encoding) {
            match Kind::of(&column.field) {
                Some(Kind::Json) => split(column, &mut columns),
                Some(kind) => columns.push((kind, column)),
                None => {}
            }
        }
        let mut sizes = vec![1; records.rows()];
        columns.iter().for_each(|(kind, column)| add_sizes(*kind, column, &mut sizes));
        let mut end = 0u32;
        for size in &mut sizes {
            end = end.checked_add(*size).expect("a batch's values are below 4 GiB");
            *size = end;
        }
        Fields { columns, ends: sizes }
    }
}

/// Adds to each row the bytes of its value.
fn add_sizes(kind: Kind, column: &Named, sizes: &mut [u32]) {
    let array = &column.array;
    let size = |place: usize| match kind {
        _ if array.is_null(place) => 0,
        Kind::Text | Kind::Json => array.as_string::<i32>().value_length(place) as u32 + 4,
        Kind::Bytes => array.as_binary::<i32>().value_length(place) as u32 + 4,
        Kind::Int64 | Kind::Float64 | Kind::Timestamp => 8,
        Kind::Boolean => 1,
    };
    if column.is_constant {
        let size = size(0);
        return sizes.iter_mut().for_each(|sum| *sum += size);
    }
    match (kind, array.nulls()) {
        (Kind::Text, None) => {
            let offsets = array.as_string::<i32>().offsets();
            for (sum, ends) in sizes.iter_mut().zip(offsets.windows(2)) {
                *sum += (ends[1] - ends[0]) as u32 + 4;
            }
        }
        _ => sizes.iter_mut().enumerate().for_each(|(row, sum)| *sum += size(row)),
    }
}

/// Whether a text of a json column may stand for a value of another kind, or for none.
fn has_own_kind(text: &str) -> bool {
    !matches!(text.as_bytes().first(), Some(b'[' | b'{'))
}

/// A json column as columns of the kinds that its values have.
fn split(column: Named, out: &mut Vec<(Kind, Named)>) {
    let texts = column.array.as_string::<i32>();
    if !texts.iter().flatten().any(has_own_kind) {
        return out.push((Kind::Json, column));
    }
    let rows = texts.len();
    let mut parts = Parts::default();
    for (row, text) in texts.iter().enumerate() {
        if let Some(text) = text {
            parts.push(row, Scalar::of(text));
        }
    }
    out.extend(parts.finish(rows).into_iter().map(|(kind, array)| {
        let field = Arc::new(kind.field(column.field.name()));
        (kind, Named { path: column.path.clone(), field, array, is_constant: column.is_constant })
    }));
}

/// Builders of the kinds that have come.
#[derive(Default)]
struct Parts {
    text: StringBuilder,
    json: StringBuilder,
    bytes: BinaryBuilder,
    int: Int64Builder,
    float: Float64Builder,
    boolean: BooleanBuilder,
    time: TimestampNanosecondBuilder,
}

/// Fills up with nulls, and appends.
macro_rules! put {
    ($builder:expr, $row:expr, $value:expr) => {{
        use arrow_array::builder::ArrayBuilder;
        let missing = $row - $builder.len();
        $builder.append_nulls(missing);
        $builder.append_value($value);
    }};
}

impl Parts {
    fn push(&mut self, row: usize, value: Scalar<'_>) {
        match value {
            Scalar::Text(text) => put!(self.text, row, text),
            Scalar::Bytes(bytes) => put!(self.bytes, row, bytes),
            Scalar::Int(value) => put!(self.int, row, value),
            Scalar::Float(value) => put!(self.float, row, value),
            Scalar::Boolean(value) => put!(self.boolean, row, value),
            Scalar::Time(ns) => put!(self.time, row, ns),
            Scalar::Json("null") => {}
            Scalar::Json(text) => put!(self.json, row, text),
        }
    }

    fn finish(mut self, rows: usize) -> Vec<(Kind, ArrayRef)> {
        let mut found: Vec<(Kind, ArrayRef)> = Vec::new();
        macro_rules! end {
            ($kind:expr, $builder:expr, $then:expr) => {{
                use arrow_array::builder::ArrayBuilder;
                if !$builder.is_empty() {
                    let missing = rows - $builder.len();
                    $builder.append_nulls(missing);
                    found.push(($kind, Arc::new($then($builder.finish()))));
                }
            }};
        }
        end!(Kind::Text, self.text, |array| array);
        end!(Kind::Json, self.json, |array| array);
        end!(Kind::Bytes, self.bytes, |array| array);
        end!(Kind::Int64, self.int, |array| array);
        end!(Kind::Float64, self.float, |array| array);
        end!(Kind::Boolean, self.boolean, |array| array);
        end!(Kind::Timestamp, self.time, |array: arrow_array::TimestampNanosecondArray| array
            .with_timezone("UTC"));
        found
    }
}
