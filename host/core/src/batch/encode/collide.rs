//! Columns that an encoding writes at one path. Each row has the value of the first of them that it has one of: the
//! event's time and tag, then what came there under another name, then what stood there.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::FieldRef;

use crate::batch::convert::convert;
use crate::batch::{Column, Kind, TAG, TIMESTAMP};

/// For each path that several columns have, the one column of their values.
pub(super) fn joined(columns: &[(String, Column<'_>)], rows: usize) -> Vec<(FieldRef, ArrayRef)> {
    let mut at: BTreeMap<&str, Vec<Column<'_>>> = BTreeMap::new();
    for (path, column) in columns {
        at.entry(path).or_default().push(*column);
    }
    let several = at.into_iter().filter(|(_, columns)| columns.len() > 1);
    several.map(|(path, columns)| (Arc::new(Kind::Json.field(path)), join(path, columns, rows))).collect()
}

fn join(path: &str, mut columns: Vec<Column<'_>>, rows: usize) -> ArrayRef {
    columns.sort_by_key(|column| match column.field().name().as_str() {
        TIMESTAMP | TAG => 0,
        name if name != path => 1,
        _ => 2,
    });
    let texts: Vec<(Column<'_>, ArrayRef)> = columns
        .into_iter()
        .filter_map(|column| {
            let kind = Kind::of(column.field())?;
            Some((column, convert(column.array(), kind, Kind::Json)))
        })
        .collect();
    let mut out = StringBuilder::with_capacity(rows, 0);
    for row in 0..rows {
        out.append_option(texts.iter().find_map(|(column, array)| {
            let (array, place) = (array.as_string::<i32>(), column.place(row));
            array.is_valid(place).then(|| array.value(place))
        }));
    }
    Arc::new(out.finish())
}
