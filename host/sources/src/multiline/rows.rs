//! The rows of a batch: who wrote them, and other texts in them.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::StringBuilder;
use arrow_schema::{ArrowError, FieldRef};

use flitch_core::batch::convert::{repeat, scalar};
use flitch_core::batch::lift::Found;
use flitch_core::batch::{Column, Kind, Records};

/// What tells the writers of rows apart.
pub struct Keys<'a> {
    fields: Vec<Option<Found<'a>>>,
}

impl<'a> Keys<'a> {
    /// The keys of rows of these records, which those fields make.
    pub fn new(records: &'a Records, by: &[String]) -> Keys<'a> {
        Keys { fields: by.iter().map(|name| records.find_whole(name)).collect() }
    }

    /// Writes the key of a row.
    pub fn write(&self, row: usize, key: &mut Vec<u8>) {
        key.clear();
        for found in &self.fields {
            let from = key.len();
            key.extend_from_slice(&[0; 4]);
            if let Some(found) = found {
                let column = found.column();
                let kind = Kind::of(column.field());
                if let Some(value) = kind.and_then(|kind| scalar(column.array(), kind, column.place(row))) {
                    value.write_key(key);
                }
            }
            // A value's length stands before it, so that no two of them are another two.
            let length = (key.len() - from - 4) as u32;
            key[from..from + 4].copy_from_slice(&length.to_be_bytes());
        }
    }
}

/// The records with the field in a column of its own alone.
pub fn in_columns(records: Arc<Records>, field: &str) -> Result<Arc<Records>, ArrowError> {
    Ok(match records.lifted(std::iter::once(field))? {
        Some(lifted) => Arc::new(lifted.with_origins(records.origins().cloned())),
        None => records,
    })
}

/// The records with these texts in a column, where there are any.
pub fn with_texts(records: Records, field: &str, texts: &[Option<String>]) -> Result<Records, ArrowError> {
    if texts.iter().all(Option::is_none) {
        return Ok(records);
    }
    let rows = records.rows();
    let (mut columns, mut constants): (Vec<(FieldRef, ArrayRef)>, Vec<_>) = (Vec::new(), Vec::new());
    for column in records.iter() {
        let pair = (column.field().clone(), column.array().clone());
        match column {
            _ if column.field().name() == field => {
                let array = match column {
                    Column::Constant(..) => repeat(&pair.1, rows),
                    Column::Rows(..) => pair.1,
                };
                columns.push((pair.0.clone(), written(&array, &pair.0, texts)));
            }
            Column::Constant(..) => constants.push(pair),
            Column::Rows(..) => columns.push(pair),
        }
    }
    Ok(Records::of(rows, columns, constants)?.with_origins(records.origins().cloned()))
}

/// A column of texts, or of values of several kinds, with these texts in their rows.
fn written(array: &ArrayRef, field: &FieldRef, texts: &[Option<String>]) -> ArrayRef {
    use arrow_array::Array as _;
    use arrow_array::cast::AsArray as _;
    let before = array.as_string::<i32>();
    let is_json = Kind::of(field) == Some(Kind::Json);
    let mut out = StringBuilder::with_capacity(texts.len(), before.values().len());
    for (row, text) in texts.iter().enumerate() {
        match text {
            Some(text) if is_json => out.append_value(serde_json::Value::from(text.as_str()).to_string()),
            Some(text) => out.append_value(text),
            None if before.is_null(row) => out.append_null(),
            None => out.append_value(before.value(row)),
        }
    }
    Arc::new(out.finish())
}
