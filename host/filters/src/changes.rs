//! A checked answer applied to the records that it is about: take, then remove, then set.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::BooleanBuffer;

use super::columns;
use super::guest::answer::{Remove, SetColumn};
use super::guest::limits::Bounds;
use super::guest::{Fault, FaultKind};
use flitch_core::batch::path::{is_above, names_between};
use flitch_core::batch::{Kind, REST, Records, object, path};

mod layout;
mod met;
mod rest;
mod slot;
mod take;

pub use layout::Layouts;

use met::Met;
use slot::Slot;

/// Bytes of names in each record that an answer may bring along for nothing.
const FREE_NAMES: usize = 4096;

/// The records that go on, with the columns of `set` and without those of `remove`. `take` are the rows that go on,
/// none where all do.
///
/// # Errors
/// Rows that are taken so often, or names so long, that the records would outgrow `bounds`; and work that lasts longer.
pub fn apply(
    records: &Records,
    take: Option<&[u32]>,
    set: Vec<SetColumn>,
    remove: &[Remove],
    bounds: &Bounds,
) -> Result<Records, Fault> {
    if take.is_none() && set.is_empty() && remove.is_empty() {
        return Ok(records.slice(0, records.rows()));
    }
    check_names(&set, records.rows(), bounds)?;
    let rows = take.map_or(records.rows(), <[u32]>::len);
    let mut slots: Vec<Slot> = Vec::with_capacity(records.iter().count() + set.len());
    slots.extend(records.iter().filter_map(Slot::of));
    // What goes as a whole goes first, so that nothing is done to it.
    let mut met = Met::of(&slots, set.len() + remove.len());
    let whole = remove.iter().filter(|remove| remove.rows.is_none());
    let mut gone: Vec<usize> = whole.flat_map(|remove| met.within(&slots, &remove.name)).collect();
    gone.sort_unstable();
    met.remove(&mut slots, &gone);
    if let Some(take) = take {
        take::rows(&mut slots, take, records.rows(), bounds)?;
    }
    let mut names = rest::Names::default();
    for remove in remove {
        in_time(bounds)?;
        remove_rows(&mut slots, &mut met, remove, rows, &mut names, bounds)?;
    }
    for (place, column) in set.into_iter().enumerate() {
        // Each takes little, but where texts are written again, which looks at the clock by itself.
        if place % 16 == 0 {
            in_time(bounds)?;
        }
        set_column(&mut slots, &mut met, column, rows, &mut names, bounds)?;
    }
    let origins = records.origins().map(|origins| match take {
        Some(take) => origins.take(take),
        None => origins.clone(),
    });
    Ok(records_of(slots, rows)?.with_origins(origins))
}

fn records_of(slots: Vec<Slot>, rows: usize) -> Result<Records, Fault> {
    let (mut columns, mut constants) = (Vec::with_capacity(slots.len()), Vec::new());
    for Slot { field, array, constant, .. } in slots {
        let pairs = if constant { &mut constants } else { &mut columns };
        pairs.push((field, array));
    }
    Records::of(rows, columns, constants).map_err(Fault::nonsense)
}

fn in_time(bounds: &Bounds) -> Result<(), Fault> {
    if bounds.is_late() {
        return Err(Fault::new(
            FaultKind::Deadline,
            "what it answers takes the host longer than the filter may take",
        ));
    }
    Ok(())
}

/// A name stands in an answer once, and in each record that has a value under it.
fn check_names(set: &[SetColumn], rows: usize, bounds: &Bounds) -> Result<(), Fault> {
    let names = |c: &SetColumn| c.field.name().len().saturating_mul(c.array.len() - c.array.null_count());
    let bytes = set.iter().map(names).fold(0, usize::saturating_add);
    let most = bounds.bytes.saturating_add(rows.saturating_mul(FREE_NAMES));
    if bytes > most {
        return Err(Fault::nonsense(format_args!(
            "the names of its columns would take {bytes} bytes in the records; it may have {most}"
        )));
    }
    Ok(())
}

/// Removes a field and what lies below it, also where it lies in an object that stayed one json value.
fn remove_rows(
    slots: &mut Vec<Slot>,
    met: &mut Met,
    remove: &Remove,
    rows: usize,
    in_rest: &mut rest::Names,
    bounds: &Bounds,
) -> Result<(), Fault> {
    let mut done = Ok(());
    let keep = remove.rows.as_ref().map(|rows| !rows);
    let mut stays = |slot: &mut Slot| {
        if slot.name() == remove.name || path::is_below(slot.name(), &remove.name) {
            return keep.as_ref().is_some_and(|keep| slot.mask(keep));
        }
        if slot.kind == Kind::Json && is_above(slot.name(), &remove.name) {
            let names = names_between(slot.name(), &remove.name);
            let is_rest = slot.name() == REST;
            let among = is_rest.then(|| in_rest.among(slot, rows, remove.rows.as_ref(), &names[0]));
            if among.as_ref().is_some_and(|among| among.count_set_bits() == 0) {
                return true;
            }
            let only = among.as_ref().or(remove.rows.as_ref());
            let written = rewrite(slot, rows, only, bounds, |_, text| {
                let left = object::remove(text, &names).unwrap_or_else(|| text.to_owned());
                (!is_rest || left != "{}").then_some(left)
            });
            done = std::mem::replace(&mut done, Ok(())).and(written);
            return !columns::is_empty(&slot.array);
        }
        true
    };
    let mut gone = met.all(slots, &remove.name);
    gone.retain(|place| !stays(&mut slots[*place]));
    met.remove(slots, &gone);
    done
}

/// Writes the JSON texts of a column again in the rows of `only`, or in all.
fn rewrite(
    slot: &mut Slot,
    rows: usize,
    only: Option<&BooleanBuffer>,
    bounds: &Bounds,
    mut new: impl FnMut(usize, &str) -> Option<String>,
) -> Result<(), Fault> {
    if only.is_some() {
        slot.expand(rows);
    }
    let array = slot.array.as_string::<i32>();
    let texts = array.iter().enumerate().map(|(row, text)| {
        let Some(text) = text else { return Ok(None) };
        if only.is_some_and(|only| !only.value(row)) {
            return Ok(Some(text.to_owned()));
        }
        in_time(bounds)?;
        Ok(new(row, text))
    });
    slot.array = columns::json(texts.collect::<Result<_, Fault>>()?);
    Ok(())
}

/// Writes a column: a value replaces whatever stood at or below its path, and what stood above unless that is an
/// object, into which it is put. So does each member of what is set as [`REST`].
fn set_column(
    slots: &mut Vec<Slot>,
    met: &mut Met,
    column: SetColumn,
    rows: usize,
    names: &mut rest::Names,
    bounds: &Bounds,
) -> Result<(), Fault> {
    let SetColumn { field, kind, mut array } = column;
    if columns::is_empty(&array) {
        return Ok(());
    }
    if field.name() == REST {
        names.forget();
        rest::set(slots, field, array, rows, bounds)?;
        met.learn(slots);
        return Ok(());
    }
    let name = field.name();
    let full = array.null_count() == 0;
    let mut kin = met.kin(slots, name);
    if !kin.is_empty() {
        let has = columns::present(&array);
        let keep = !&has;
        let mut done = Ok(());
        kin.retain(|place| {
            let slot = &mut slots[*place];
            if slot.kind == Kind::Json && is_above(slot.name(), name) {
                let put = put_into(slot, &has, (name, kind), &mut array, (rows, &mut *names), bounds);
                done = std::mem::replace(&mut done, Ok(())).and(put);
                columns::is_empty(&slot.array)
            } else {
                full || !slot.mask(&keep)
            }
        });
        met.remove(slots, &kin);
        done?;
        if columns::is_empty(&array) {
            return Ok(());
        }
    }
    match met.at(slots, name).map(|place| &mut slots[place]) {
        Some(slot) => {
            if !full {
                slot.expand(rows);
            }
            let (merged, both) =
                columns::merge((kind, &array), (slot.kind, &slot.array)).map_err(Fault::nonsense)?;
            let field = if merged == kind { field } else { Arc::new(merged.field(name)) };
            *slot = Slot { field, kind: merged, array: both, constant: false };
        }
        None => {
            slots.push(Slot { field, kind, array, constant: false });
            met.add(slots);
        }
    }
    Ok(())
}

/// Puts values into the objects of a json column that stand above them: those values leave `array`. Other values that
/// stand above make room. Of the members of a record that have no columns of their own only the one above does, and what
/// is no part of an object among them does not go there.
fn put_into(
    slot: &mut Slot,
    has: &BooleanBuffer,
    (name, kind): (&str, Kind),
    array: &mut ArrayRef,
    (rows, in_rest): (usize, &mut rest::Names),
    bounds: &Bounds,
) -> Result<(), Fault> {
    let names = names_between(slot.name(), name);
    let is_rest = slot.name() == REST;
    let among = is_rest.then(|| in_rest.among(slot, rows, Some(has), &names[0]));
    let met = among.as_ref().unwrap_or(has);
    if met.count_set_bits() == 0 {
        return Ok(());
    }
    let is_object = |text: &str| object::member(text, &names[0]).is_some_and(|value| value.starts_with('{'));
    let mut left: Vec<bool> = has.iter().collect();
    rewrite(slot, rows, Some(met), bounds, |row, text| {
        if !is_rest || names.len() > 1 && is_object(text) {
            let mut value = Vec::new();
            columns::value(array, kind, row)?.write_json(&mut value);
            if let Some(written) = object::set(text, &names, &String::from_utf8_lossy(&value)) {
                left[row] = false;
                return Some(written);
            }
        }
        if !is_rest {
            return None;
        }
        let rest = object::remove(text, &names[..1]);
        rest.map_or_else(|| Some(text.to_owned()), |rest| (rest != "{}").then_some(rest))
    })?;
    *array = columns::mask(array, &BooleanBuffer::from(left));
    Ok(())
}

/// The records with one more column of text.
pub fn with_text(records: &Records, name: &str, texts: &[Arc<str>]) -> Result<Records, Fault> {
    let field = Arc::new(Kind::Text.field(name));
    let array: ArrayRef = Arc::new(arrow_array::StringArray::from_iter_values(texts));
    let column = SetColumn { field, kind: Kind::Text, array };
    apply(records, None, vec![column], &[], &Bounds::none())
}

#[cfg(test)]
mod tests;
