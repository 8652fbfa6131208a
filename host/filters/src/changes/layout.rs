//! Where the columns of an answer stand among those of a batch, kept for the next one.
//!
//! Nearly all batches of a filter have the columns of the one before, and so have its answers; and mostly no column of an answer
//! meets one that stays. Then there is nothing to be done but to put arrays side by side, and of a batch of one row that is all the
//! same much of what it costs: names that are compared with each other, lists, a schema.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, FieldRef, Schema, SchemaRef};

use super::met::MANY;
use super::{apply, check_names, columns};
use crate::guest::Fault;
use crate::guest::answer::{Remove, SetColumn};
use crate::guest::limits::Bounds;
use flitch_core::batch::path::{is_above, is_below};
use flitch_core::batch::{Kind, REST, Records};

/// Most columns and bytes of names of which a layout is kept.
const MOST: (usize, usize) = (128, 8192);

/// The layout of the last answer of a filter.
#[derive(Debug, Default)]
pub struct Layouts(Option<Layout>);

/// Where columns stand of which none meets another.
#[derive(Debug)]
struct Layout {
    /// The columns of the batch, and its constants.
    batch: [SchemaRef; 2],
    /// The columns that are set.
    set: Vec<FieldRef>,
    /// The fields that are removed.
    remove: Vec<String>,
    /// Columns that are set in the place of one that stood there, which they only do where each row has a value.
    replacing: Vec<usize>,
    /// The columns that come of it. Behind these places those stand that are set and replace nothing.
    columns: SchemaRef,
    places: Vec<Place>,
    /// The constants that stay; none where all do.
    constants: Option<(SchemaRef, Vec<usize>)>,
}

/// Where a column comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The constant of the batch at this place.
    Constant(usize),
    /// The column of the batch at this place.
    Rows(usize),
    /// The column of the answer at this place.
    Set(usize),
}

impl Layouts {
    /// The same as [`apply`](super::apply).
    ///
    /// # Errors
    /// The same.
    pub fn apply(
        &mut self,
        records: &Records,
        take: Option<&[u32]>,
        set: Vec<SetColumn>,
        remove: &[Remove],
        bounds: &Bounds,
    ) -> Result<Records, Fault> {
        if take.is_some() || set.is_empty() && remove.is_empty() {
            return apply(records, take, set, remove, bounds);
        }
        if !self.0.as_ref().is_some_and(|layout| layout.is_of(records, &set, remove)) {
            self.0 = Layout::of(records, &set, remove);
        }
        match &self.0 {
            Some(layout) if layout.holds(&set) => {
                check_names(&set, records.rows(), bounds)?;
                layout.lay(records, set)
            }
            _ => apply(records, take, set, remove, bounds),
        }
    }
}

impl Layout {
    /// None where something meets something, or there is too much of it.
    fn of(records: &Records, set: &[SetColumn], remove: &[Remove]) -> Option<Layout> {
        let constants = records.constants().num_columns();
        let (before, paths) = (constants + records.columns().num_columns(), set.len() + remove.len());
        let bytes = set.iter().map(|column| column.field.name().len()).sum::<usize>()
            + remove.iter().map(|remove| remove.name.len()).sum::<usize>()
            + records.iter().map(|column| column.field().name().len()).sum::<usize>();
        if paths * (before + paths) >= MANY || before + paths > MOST.0 || bytes > MOST.1 {
            return None;
        }
        if remove.iter().any(|remove| remove.rows.is_some()) {
            return None;
        }
        let mut all: Vec<(&FieldRef, Kind, Place)> = Vec::with_capacity(before + set.len());
        for (place, column) in records.iter().enumerate() {
            let (name, kind) = (column.field().name(), Kind::of(column.field())?);
            if remove.iter().any(|remove| *name == remove.name || is_below(name, &remove.name)) {
                continue;
            }
            if kind == Kind::Json && remove.iter().any(|remove| is_above(name, &remove.name)) {
                return None;
            }
            let place = place.checked_sub(constants).map_or(Place::Constant(place), Place::Rows);
            all.push((column.field(), kind, place));
        }
        let mut replacing = Vec::new();
        for (place, SetColumn { field, kind, .. }) in set.iter().enumerate() {
            let name = field.name();
            let meets = |(other, kind, _): &(&FieldRef, Kind, Place)| {
                is_below(other.name(), name)
                    || is_below(name, other.name())
                    || *kind == Kind::Json && is_above(other.name(), name)
            };
            if name == REST || all.iter().any(meets) {
                return None;
            }
            match all.iter_mut().find(|(other, ..)| other.name() == name) {
                Some((_, _, Place::Set(_))) => return None,
                Some(other) => {
                    *other = (field, *kind, Place::Set(place));
                    replacing.push(place);
                }
                None => all.push((field, *kind, Place::Set(place))),
            }
        }
        let fields = |are_constant: bool| -> Vec<FieldRef> {
            let these = |(_, _, place): &&(&FieldRef, Kind, Place)| {
                matches!(place, Place::Constant(_)) == are_constant
            };
            all.iter().filter(these).map(|(field, ..)| (*field).clone()).collect()
        };
        let is_new = |place: &Place| matches!(place, Place::Set(place) if !replacing.contains(place));
        let is_constant = |place: &Place| matches!(place, Place::Constant(_));
        let places = all.iter().map(|(_, _, place)| *place);
        let stay: Vec<usize> = places
            .clone()
            .filter_map(|place| match place {
                Place::Constant(place) => Some(place),
                Place::Rows(_) | Place::Set(_) => None,
            })
            .collect();
        Some(Layout {
            batch: [records.columns().schema(), records.constants().schema()],
            set: set.iter().map(|column| column.field.clone()).collect(),
            remove: remove.iter().map(|remove| remove.name.clone()).collect(),
            columns: Arc::new(Schema::new(fields(false))),
            places: places.filter(|place| !is_new(place) && !is_constant(place)).collect(),
            constants: (stay.len() < constants).then(|| (Arc::new(Schema::new(fields(true))), stay)),
            replacing,
        })
    }

    /// Whether it is that of a batch and an answer with these columns.
    fn is_of(&self, records: &Records, set: &[SetColumn], remove: &[Remove]) -> bool {
        let same =
            |one: &SchemaRef, other: &SchemaRef| Arc::ptr_eq(one, other) || one.fields() == other.fields();
        self.set.len() == set.len()
            && self.remove.len() == remove.len()
            && same(&self.batch[0], records.columns().schema_ref())
            && same(&self.batch[1], records.constants().schema_ref())
            && self.set.iter().zip(set).all(|(field, column)| *field == column.field)
            && self
                .remove
                .iter()
                .zip(remove)
                .all(|(name, remove)| *name == remove.name && remove.rows.is_none())
    }

    /// Whether columns that are set stand as they did the last time: one without a value is not there, and one that has gaps leaves
    /// in them what stood there.
    fn holds(&self, set: &[SetColumn]) -> bool {
        set.iter().all(|column| !columns::is_empty(&column.array))
            && self.replacing.iter().all(|place| set[*place].array.null_count() == 0)
    }

    fn lay(&self, records: &Records, set: Vec<SetColumn>) -> Result<Records, Fault> {
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.fields().len());
        arrays.extend(self.places.iter().filter_map(|place| match place {
            Place::Rows(place) => Some(records.columns().column(*place).clone()),
            Place::Set(place) => Some(set[*place].array.clone()),
            Place::Constant(_) => None,
        }));
        let is_new =
            |(place, column): (usize, SetColumn)| (!self.replacing.contains(&place)).then_some(column.array);
        arrays.extend(set.into_iter().enumerate().filter_map(is_new));
        let columns = batch_of(&self.columns, arrays, records.rows());
        let constants = match &self.constants {
            None => Ok(records.constants().clone()),
            Some((schema, stay)) => {
                let stay = stay.iter().map(|place| records.constants().column(*place).clone());
                batch_of(schema, stay.collect(), 1)
            }
        };
        let columns = columns.and_then(|columns| Ok(Records::new(columns, constants?)));
        Ok(columns.map_err(Fault::nonsense)?.with_origins(records.origins().cloned()))
    }
}

fn batch_of(schema: &SchemaRef, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), arrays, &options)
}

#[cfg(test)]
mod tests;
