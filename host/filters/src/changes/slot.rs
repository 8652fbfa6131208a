//! A column while changes are made.

use arrow_array::ArrayRef;
use arrow_buffer::BooleanBuffer;
use arrow_schema::FieldRef;

use crate::columns;
use flitch_core::batch::{Column, Kind};

/// A column while the changes are made.
pub struct Slot {
    /// Name and type.
    pub field: FieldRef,
    /// What its values are.
    pub kind: Kind,
    /// The values; one where it is constant.
    pub array: ArrayRef,
    /// One value for all rows.
    pub constant: bool,
}

impl Slot {
    /// Its path.
    pub fn name(&self) -> &str {
        self.field.name()
    }

    /// A column as it came.
    pub fn of(column: Column<'_>) -> Option<Slot> {
        let kind = Kind::of(column.field())?;
        let constant = matches!(column, Column::Constant(..));
        Some(Slot { field: column.field().clone(), kind, array: column.array().clone(), constant })
    }

    /// A value for each row.
    pub fn expand(&mut self, rows: usize) {
        if std::mem::take(&mut self.constant) {
            self.array = columns::repeat(&self.array, rows);
        }
    }

    /// Leaves the values of the rows in `keep`; false if none is left.
    pub fn mask(&mut self, keep: &BooleanBuffer) -> bool {
        self.expand(keep.len());
        self.array = columns::mask(&self.array, keep);
        !columns::is_empty(&self.array)
    }
}
