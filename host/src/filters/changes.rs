//! A checked answer applied to the records that it is about: take, then remove, then set.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_buffer::BooleanBuffer;
use arrow_schema::FieldRef;

use super::answer::{Remove, SetColumn};
use super::columns;
use crate::batch::lift::{is_above, names_between};
use crate::batch::{Column, Kind, REST, Records, object, path};

/// A column while the changes are made.
struct Slot {
    field: FieldRef,
    kind: Kind,
    array: ArrayRef,
    /// One value for all rows.
    constant: bool,
}

impl Slot {
    fn name(&self) -> &str {
        self.field.name()
    }

    fn of(column: Column<'_>) -> Option<Slot> {
        let kind = Kind::of(column.field())?;
        let constant = matches!(column, Column::Constant(..));
        Some(Slot { field: column.field().clone(), kind, array: column.array().clone(), constant })
    }

    /// A value for each row.
    fn expand(&mut self, rows: usize) {
        if std::mem::take(&mut self.constant) {
            self.array = columns::repeat(&self.array, rows);
        }
    }

    /// Leaves the values of the rows in `keep`; false if none is left.
    fn mask(&mut self, keep: &BooleanBuffer) -> bool {
        self.expand(keep.len());
        self.array = columns::mask(&self.array, keep);
        !columns::is_empty(&self.array)
    }
}

/// The records that go on, with the columns of `set` and without those of `remove`. `take` are the rows that go on,
/// none where all do. They may take at most `most` bytes where a row stands twice.
pub fn apply(
    records: &Records,
    take: Option<&[u32]>,
    set: Vec<SetColumn>,
    remove: &[Remove],
    most: usize,
) -> Result<Records, String> {
    if take.is_none() && set.is_empty() && remove.is_empty() {
        return Ok(records.slice(0, records.rows()));
    }
    let rows = take.map_or(records.rows(), <[u32]>::len);
    let mut slots: Vec<Slot> = records.iter().filter_map(Slot::of).collect();
    // What goes as a whole goes first, so that nothing is done to it.
    for remove in remove.iter().filter(|r| r.rows.is_none()) {
        slots.retain(|slot| slot.name() != remove.name && !path::is_below(slot.name(), &remove.name));
    }
    if let Some(take) = take {
        take_rows(&mut slots, take, records.rows(), most)?;
    }
    for remove in remove {
        remove_rows(&mut slots, remove, rows);
    }
    for column in set {
        set_column(&mut slots, column, rows)?;
    }
    records_of(slots, rows)
}

fn records_of(slots: Vec<Slot>, rows: usize) -> Result<Records, String> {
    let (constants, columns): (Vec<Slot>, Vec<Slot>) = slots.into_iter().partition(|slot| slot.constant);
    let pairs = |slots: Vec<Slot>| slots.into_iter().map(|slot| (slot.field, slot.array)).collect();
    Records::of(rows, pairs(columns), pairs(constants)).map_err(|e| e.to_string())
}

fn take_rows(slots: &mut [Slot], take: &[u32], rows: usize, most: usize) -> Result<(), String> {
    if take.len() > rows {
        let bytes: usize = slots.iter().filter(|s| !s.constant).map(|s| size_of_rows(&s.array, take)).sum();
        if bytes > most {
            return Err(format!(
                "it takes rows so often that they would need {bytes} bytes; it may have {most}"
            ));
        }
    }
    let take = UInt32Array::from(take.to_vec());
    for slot in slots.iter_mut().filter(|slot| !slot.constant) {
        slot.array = arrow_select::take::take(&slot.array, &take, None).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Bytes that these rows of a column need.
fn size_of_rows(array: &ArrayRef, rows: &[u32]) -> usize {
    if let Some(text) = array.as_string_opt::<i32>() {
        rows.iter().map(|row| text.value_length(*row as usize) as usize + 4).sum()
    } else if let Some(bytes) = array.as_binary_opt::<i32>() {
        rows.iter().map(|row| bytes.value_length(*row as usize) as usize + 4).sum()
    } else {
        rows.len() * 8
    }
}

/// Removes a field and what lies below it, also where it lies in an object that stayed one json value.
fn remove_rows(slots: &mut Vec<Slot>, remove: &Remove, rows: usize) {
    let keep = remove.rows.as_ref().map(|rows| !rows);
    slots.retain_mut(|slot| {
        if slot.name() == remove.name || path::is_below(slot.name(), &remove.name) {
            return keep.as_ref().is_some_and(|keep| slot.mask(keep));
        }
        if slot.kind == Kind::Json && is_above(slot.name(), &remove.name) {
            let names = names_between(slot.name(), &remove.name);
            rewrite(slot, rows, remove.rows.as_ref(), |_, text| {
                Some(object::remove(text, &names).unwrap_or_else(|| text.to_owned()))
            });
        }
        true
    });
}

/// Writes the JSON texts of a column again in the rows of `only`, or in all.
fn rewrite(
    slot: &mut Slot,
    rows: usize,
    only: Option<&BooleanBuffer>,
    mut new: impl FnMut(usize, &str) -> Option<String>,
) {
    if only.is_some() {
        slot.expand(rows);
    }
    let array = slot.array.as_string::<i32>();
    let texts = array.iter().enumerate().map(|(row, text)| {
        let text = text?;
        if only.is_none_or(|only| only.value(row)) { new(row, text) } else { Some(text.to_owned()) }
    });
    slot.array = columns::json(texts.collect());
}

/// Writes a column: a value replaces whatever stood at or below its path, and what stood above unless that is an
/// object, into which it is put.
fn set_column(slots: &mut Vec<Slot>, column: SetColumn, rows: usize) -> Result<(), String> {
    let SetColumn { field, kind, mut array } = column;
    if columns::is_empty(&array) {
        return Ok(());
    }
    let name = field.name();
    let full = array.null_count() == 0;
    let met = |slot: &Slot| {
        path::is_below(slot.name(), name)
            || is_above(slot.name(), name) && slot.kind == Kind::Json
            || path::is_below(name, slot.name())
    };
    if slots.iter().any(met) {
        let has = columns::present(&array);
        let keep = !&has;
        slots.retain_mut(|slot| {
            if slot.name() == REST && slot.kind == Kind::Json {
                make_room(slot, &has, name, kind, &mut array, rows);
                !columns::is_empty(&slot.array)
            } else if path::is_below(name, slot.name()) && slot.kind == Kind::Json {
                put_into(slot, &has, name, kind, &mut array, rows);
                !columns::is_empty(&slot.array)
            } else if met(slot) {
                !full && slot.mask(&keep)
            } else {
                true
            }
        });
        if columns::is_empty(&array) {
            return Ok(());
        }
    }
    match slots.iter_mut().find(|slot| slot.name() == name) {
        Some(slot) if name == REST && slot.kind == Kind::Json => {
            slot.expand(rows);
            let old = slot.array.as_string::<i32>();
            let new = array.as_string::<i32>();
            let joined = old.iter().zip(new).map(|(old, new)| match (old, new) {
                (Some(old), Some(new)) => Some(object::joined(old, new)),
                (old, new) => new.or(old).map(str::to_owned),
            });
            slot.array = columns::json(joined.collect());
        }
        Some(slot) => {
            if !full {
                slot.expand(rows);
            }
            let (merged, both) =
                columns::merge((kind, &array), (slot.kind, &slot.array)).map_err(|e| e.to_string())?;
            let field = if merged == kind { field } else { Arc::new(merged.field(name)) };
            *slot = Slot { field, kind: merged, array: both, constant: false };
        }
        None => slots.push(Slot { field, kind, array, constant: false }),
    }
    Ok(())
}

/// Puts values into the objects of a json column that stand above them: those values leave `array`. Other values that
/// stand above make room.
fn put_into(slot: &mut Slot, has: &BooleanBuffer, name: &str, kind: Kind, array: &mut ArrayRef, rows: usize) {
    let names = names_between(slot.name(), name);
    let mut left: Vec<bool> = has.iter().collect();
    rewrite(slot, rows, Some(has), |row, text| {
        let mut value = Vec::new();
        columns::value(array, kind, row)?.write_json(&mut value);
        let written = object::set(text, &names, &String::from_utf8_lossy(&value))?;
        left[row] = false;
        Some(written)
    });
    *array = columns::mask(array, &BooleanBuffer::from(left));
}

/// Takes the value at `name` out of the members of the record that have no columns of their own, since it gets another;
/// where it lies in an object among them, it is put there and leaves `array`.
fn make_room(
    slot: &mut Slot,
    has: &BooleanBuffer,
    name: &str,
    kind: Kind,
    array: &mut ArrayRef,
    rows: usize,
) {
    let names = names_between(REST, name);
    if names.len() > 1 {
        let mut left: Vec<bool> = has.iter().collect();
        rewrite(slot, rows, Some(has), |row, text| {
            let mut value = Vec::new();
            columns::value(array, kind, row)?.write_json(&mut value);
            let inside = object::member(text, &names[0]).filter(|value| value.starts_with('{'));
            let written = inside
                .and_then(|_| object::set(text, &names, &String::from_utf8_lossy(&value)))
                .inspect(|_| left[row] = false);
            Some(
                written
                    .unwrap_or_else(|| object::remove(text, &names[..1]).unwrap_or_else(|| text.to_owned())),
            )
        });
        *array = columns::mask(array, &BooleanBuffer::from(left));
        return;
    }
    rewrite(slot, rows, Some(has), |_, text| {
        let rest = object::remove(text, &names);
        rest.map_or_else(|| Some(text.to_owned()), |rest| (rest != "{}").then_some(rest))
    });
}

/// The records with one more column of text; a row without a text keeps what it has.
pub fn with_text(records: &Records, name: &str, texts: Vec<Option<String>>) -> Result<Records, String> {
    let field = Arc::new(Kind::Text.field(name));
    let array: ArrayRef = Arc::new(arrow_array::StringArray::from(texts));
    let column = SetColumn { field, kind: Kind::Text, array };
    apply(records, None, vec![column], &[], usize::MAX)
}

#[cfg(test)]
mod tests;
