//! What an answer sets as `@rest`: its members stand at the top of the record, beside all columns, and in each record a name
//! stands once.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::BooleanBuffer;
use arrow_schema::FieldRef;

use super::in_time;
use super::slot::Slot;
use crate::columns;
use crate::guest::Fault;
use crate::guest::limits::Bounds;
use crate::guest::voice::cut;
use flitch_core::batch::object::{Written, joined, of_written, written};
use flitch_core::batch::{Kind, REST, TAG, TIMESTAMP, path};

/// The members of a text, each with its path.
type Members<'a> = Vec<(Cow<'a, str>, Written<'a>)>;

/// Hashes of the names that records have in `@rest`, by their rows: an answer may set hundreds of columns, and remove as
/// many fields, none of which is among thousands of members, and to look for each of them in the texts would take as long as all
/// texts times all columns.
#[derive(Default)]
pub(super) struct Names {
    state: ahash::RandomState,
    known: Option<Known>,
}

struct Known {
    rows: Vec<Hashes>,
    /// Those of all rows.
    all: Hashes,
}

type Hashes = HashSet<u64, ahash::RandomState>;

impl Names {
    /// Of the rows in `only`, or of all, those whose text in the column of `@rest` may have a member of this name. What was found
    /// once holds until [`forget`](Self::forget), though a member may be gone by then.
    pub(super) fn among(
        &mut self,
        slot: &Slot,
        rows: usize,
        only: Option<&BooleanBuffer>,
        name: &str,
    ) -> BooleanBuffer {
        let Names { state, known } = self;
        let Known { rows: known, all } = known.get_or_insert_with(|| {
            let texts = slot.array.as_string::<i32>();
            let of_row = |row: usize| -> Hashes {
                let place = if slot.constant { 0 } else { row };
                let text = texts.is_valid(place).then(|| texts.value(place));
                let members = text.and_then(written).unwrap_or_default();
                members.iter().map(|member| state.hash_one(path::unescape(&member.path()))).collect()
            };
            let rows: Vec<Hashes> = (0..rows).map(of_row).collect();
            let all = rows.iter().flatten().copied().collect();
            Known { rows, all }
        });
        let hash = state.hash_one(name);
        if !all.contains(&hash) {
            return BooleanBuffer::new_unset(rows);
        }
        let is_meant = |row: usize| only.is_none_or(|only| only.value(row));
        (0..rows).map(|row| is_meant(row) && known[row].contains(&hash)).collect()
    }

    /// The texts are others now.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }
}

/// Writes each member as a column of its own would be: it replaces what stands at or below its path, be it in a column or among
/// the members that the record has there already.
///
/// # Errors
/// A text that is no object, or a member that has one of the host's names; and work that lasts too long.
pub(super) fn set(
    slots: &mut Vec<Slot>,
    field: FieldRef,
    array: ArrayRef,
    rows: usize,
    bounds: &Bounds,
) -> Result<(), Fault> {
    let place = slots.iter().position(|slot| slot.name() == REST);
    if let Some(place) = place {
        slots[place].expand(rows);
    }
    let columns = by_first_name(slots);
    let old = place.map(|place| slots[place].array.as_string::<i32>());
    let new = array.as_string::<i32>();
    // For each column the rows in which it stays, once there is one in which it does not.
    let mut stays: Vec<Option<Vec<bool>>> = vec![None; slots.len()];
    let mut texts = Vec::with_capacity(rows);
    for row in 0..rows {
        let before = old.filter(|old| old.is_valid(row)).map(|old| old.value(row));
        if new.is_null(row) {
            texts.push(before.map(str::to_owned));
            continue;
        }
        in_time(bounds)?;
        let members = of_answer(new.value(row))?;
        for place in members.iter().filter_map(|(path, _)| columns.get(&**path)).flatten() {
            let slot = &slots[*place];
            if slot.constant || slot.array.is_valid(row) {
                stays[*place].get_or_insert_with(|| vec![true; rows])[row] = false;
            }
        }
        let before = before.and_then(members_of).unwrap_or_default();
        let all = joined(&before, &members);
        texts.push((!all.is_empty()).then(|| of_written(all)));
    }
    drop(columns);
    let array = columns::json(texts);
    match place {
        Some(place) => slots[place].array = array,
        None => slots.push(Slot { field, kind: Kind::Json, array, constant: false }),
    }
    let mut stays = stays.into_iter();
    slots.retain_mut(|slot| match stays.next().flatten() {
        Some(stays) => slot.mask(&BooleanBuffer::from(stays)),
        None => slot.name() != REST || !columns::is_empty(&slot.array),
    });
    Ok(())
}

/// The places of the columns by the first names of their paths.
fn by_first_name(slots: &[Slot]) -> HashMap<&str, Vec<usize>, ahash::RandomState> {
    let mut columns: HashMap<&str, Vec<usize>, ahash::RandomState> = HashMap::default();
    for (place, slot) in slots.iter().enumerate() {
        if let Some(first) = path::split(slot.name()).next().filter(|first| *first != REST) {
            columns.entry(first).or_default().push(place);
        }
    }
    columns
}

fn members_of(text: &str) -> Option<Members<'_>> {
    Some(written(text)?.into_iter().map(|member| (member.path(), member)).collect())
}

/// The same of a text that an answer has, where no member may have a name of the host's.
fn of_answer(text: &str) -> Result<Members<'_>, Fault> {
    let members =
        members_of(text).ok_or_else(|| Fault::nonsense(format_args!("`{REST}` must be a JSON object")))?;
    match members.iter().find(|(path, _)| [REST, TIMESTAMP, TAG].contains(&&**path)) {
        Some((own, _)) => Err(Fault::nonsense(format_args!(
            "`{REST}` has a member `{}`, a name of the host's",
            cut(own, 100)
        ))),
        None => Ok(members),
    }
}

#[cfg(test)]
mod tests;
