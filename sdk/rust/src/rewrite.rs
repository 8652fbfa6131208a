//! Records as trees, for filters that run somebody's program over a record: the program has the whole record in values of
//! its own language, and leaves another one. What it leaves as it was is not written again, and keeps its type.

mod large;
mod place;

use crate::bitmap::BitmapBuilder;
use crate::json::{Decoded, MAX_DEPTH, MAX_MEMBERS, decode};
use crate::{Batch, Changes, Column, ColumnSet, Value};
use flitch_model::object::written;
use flitch_model::path::{push_text, unescape};
use flitch_model::{REST, TAG, TIMESTAMP};
use place::Place;

/// The values of a language.
pub trait Tree {
    /// One of them.
    type Node: Clone + PartialEq;

    /// An object of these members; of two of one name it has the last one.
    fn object<'m>(members: impl Iterator<Item = (&'m str, Self::Node)>) -> Self::Node;

    /// The value of a field. Of a `Json` it is an array, an object, null or a number that fits no other type; the text is
    /// right.
    fn of(value: Value<'_>) -> Self::Node;

    /// Whether a value is that of a field, as [`of`](Self::of) makes it.
    fn is(node: &Self::Node, value: Value<'_>) -> bool {
        *node == Self::of(value)
    }

    /// The members of an object; none where it is no object.
    fn members(node: &Self::Node) -> Option<impl ExactSizeIterator<Item = (&str, &Self::Node)>>;

    /// A member of an object.
    fn member<'n>(node: &'n Self::Node, name: &str) -> Option<&'n Self::Node>;

    /// Puts a member into an object, in place of the one that has its name.
    fn put(node: &mut Self::Node, name: &str, value: Self::Node);

    /// Takes a member out of an object.
    fn remove(node: &mut Self::Node, name: &str) -> Option<Self::Node>;

    /// What is no object, as the value of a field; none where only JSON can say it.
    fn field(node: &Self::Node) -> Option<Value<'_>>;

    /// Any of them as JSON.
    fn json(node: &Self::Node) -> String;
}

/// A column of the batch.
struct Input<'a> {
    column: &'a Column,
    own: Own,
}

/// What a column is to the host.
#[derive(Clone, Copy, PartialEq)]
enum Own {
    Field,
    Time,
    Tag,
    Rest,
}

impl<'a> Input<'a> {
    fn of(column: &'a Column) -> Self {
        let own = match column.name.as_str() {
            TIMESTAMP => Own::Time,
            TAG => Own::Tag,
            REST => Own::Rest,
            _ => Own::Field,
        };
        Self { column, own }
    }
}

/// A record before a program has run.
#[derive(Debug)]
pub struct Before<N> {
    /// The record, `@timestamp` and `@tag` included.
    pub record: N,
    /// What it has that only JSON can say, each with the number of its column.
    whole: Vec<(usize, N)>,
    /// Its members in `@rest`, in their order there, where it has one.
    rest: Option<Vec<(String, N)>>,
}

/// What becomes of a batch, while its records go through a program.
pub struct Rewriter<'a, T: Tree> {
    inputs: Vec<Input<'a>>,
    /// Where they stand in a record; `@rest` stands nowhere.
    places: Place,
    set: ColumnSet,
    /// For each column of the batch, from which of the rows that go on it goes, up to the last one of them.
    gone: Vec<BitmapBuilder>,
    take: Vec<u32>,
    /// Whether the rows that go on are others than those that were not rejected.
    is_reordered: bool,
    /// For each column of the batch, whether the record that is written has the same there.
    kept: Vec<bool>,
    tree: std::marker::PhantomData<T>,
}

impl<'a, T: Tree> Rewriter<'a, T> {
    /// Nothing has become of it yet.
    pub fn new(batch: &'a Batch) -> Self {
        let inputs: Vec<Input<'a>> = batch.columns.iter().map(Input::of).collect();
        let paths = inputs.iter().enumerate().filter(|(_, input)| input.own != Own::Rest);
        Self {
            places: Place::of(paths.map(|(number, input)| (number, input.column.name.as_str()))),
            set: ColumnSet::default(),
            gone: vec![BitmapBuilder::default(); inputs.len()],
            take: Vec::with_capacity(batch.len()),
            is_reordered: false,
            kept: vec![false; inputs.len()],
            inputs,
            tree: std::marker::PhantomData,
        }
    }

    /// The record of row `row`.
    pub fn before(&self, row: usize) -> Before<T::Node> {
        let rest = self.inputs.iter().find(|input| input.own == Own::Rest);
        let rest = rest.and_then(|input| input.column.value(row)).map(|rest| {
            let Value::Json(text) = rest else { return Vec::new() };
            let members = written(text).unwrap_or_default().into_iter();
            members.map(|member| (unescape(&member.path()), node::<T>(decode(member.value)))).collect()
        });
        let mut whole = Vec::new();
        let record = self.object(&self.places, row, &mut whole);
        let mut record = record.unwrap_or_else(|| T::object(std::iter::empty()));
        for (name, value) in rest.iter().flatten() {
            T::put(&mut record, name, value.clone());
        }
        Before { record, whole, rest }
    }

    /// The object of those members at a place that row `row` has, if it has any.
    fn object(&self, place: &Place, row: usize, whole: &mut Vec<(usize, T::Node)>) -> Option<T::Node> {
        let mut has_any = false;
        let members = place.inside.iter().filter_map(|place| {
            let mut own = None;
            for column in &place.columns {
                let Some(value) = self.inputs[*column].column.value(row) else { continue };
                let value = Decoded::from(value);
                let is_whole = is_whole(&value);
                let node = own.insert(node::<T>(value));
                if is_whole {
                    whole.push((*column, node.clone()));
                }
            }
            let node = match own {
                Some(node) => node,
                None => self.object(place, row, whole)?,
            };
            has_any = true;
            Some((place.name.as_str(), node))
        });
        let object = T::object(members);
        has_any.then_some(object)
    }

    /// What the record of row `row` has in the column of this path.
    pub fn value(&self, row: usize, name: &str) -> Option<T::Node> {
        let input = self.inputs.iter().find(|input| input.column.name == name && input.own != Own::Rest)?;
        input.column.value(row).map(|value| node::<T>(Decoded::from(value)))
    }

    /// The record goes on as it came.
    pub fn pass(&mut self, row: usize) {
        self.take.push(row as u32);
    }

    /// The record goes nowhere: dropped on purpose.
    pub fn discard(&mut self) {
        self.is_reordered = true;
    }

    /// The record of row `row`, which was `before`, becomes these ones, each an object. `time` is the new time of the event, if it
    /// gets one; a `@timestamp` in the record is none. A tag that a record lacks stays as it was.
    pub fn put(&mut self, row: usize, before: &Before<T::Node>, records: Vec<(T::Node, Option<i64>)>) {
        self.is_reordered |= records.len() != 1;
        for (record, time) in records {
            self.record(row, before, record, time);
        }
    }

    /// The record of row `row` goes on with other values in some columns, or with none there, each by its number in the batch, and
    /// with new members, of which none has a column in the batch. `time` is the new time of the event, if it gets one.
    pub fn change(
        &mut self,
        row: usize,
        changes: Vec<(usize, Option<T::Node>)>,
        new: Vec<(String, T::Node)>,
        time: Option<i64>,
    ) {
        let out = self.take.len();
        self.begin(time);
        for (column, node) in changes {
            match node {
                Some(node) => write::<T>(&mut self.set, out, &self.inputs[column].column.name, &node),
                None => mark(&mut self.gone[column], out),
            }
        }
        for (name, node) in new {
            let mut path = String::new();
            push_text(&mut path, &name, true);
            self.leaf(&path, &node);
        }
        self.take.push(row as u32);
    }

    /// The next row is written.
    fn begin(&mut self, time: Option<i64>) {
        self.set.begin_row();
        if let Some(time) = time {
            self.set.set(self.take.len(), TIMESTAMP, Value::Timestamp(time));
        }
    }

    fn record(&mut self, row: usize, before: &Before<T::Node>, mut record: T::Node, time: Option<i64>) {
        let out = self.take.len();
        self.begin(time);
        T::remove(&mut record, TIMESTAMP);
        let is_text = |node| matches!(T::field(node), Some(Value::Text(_)));
        if T::member(&record, TAG).is_some_and(|tag| !is_text(tag))
            && let Some(other) = T::remove(&mut record, TAG)
        {
            T::put(&mut record, &format!("_{TAG}"), other);
        }
        if let Some(other) = T::remove(&mut record, REST) {
            T::put(&mut record, &format!("_{REST}"), other);
        }
        self.kept.fill(false);
        // Whoever walks through the places writes columns meanwhile.
        let places = std::mem::take(&mut self.places);
        let came = Came { row, before };
        let rest_goes = if before.rest.is_some() || large::is_large::<T>(&record) {
            self.large(&came, &record, &places)
        } else {
            self.members(&came, &record, &places, &mut String::new(), 1);
            false
        };
        self.places = places;
        for (number, input) in self.inputs.iter().enumerate() {
            let goes = match input.own {
                Own::Time | Own::Tag => false,
                // What is set joins the members that are there.
                Own::Rest => rest_goes,
                // What is set takes the place of what was there.
                Own::Field => {
                    !self.kept[number]
                        && input.column.is_present(row)
                        && self.set.get(out, &input.column.name).is_none()
                }
            };
            if goes {
                mark(&mut self.gone[number], out);
            }
        }
        self.take.push(row as u32);
    }

    /// Whether a value at a place is what the record came with there. It stays then, in the column that it has.
    fn keep(&mut self, came: &Came<'_, T::Node>, node: &T::Node, place: &Place) -> bool {
        let mut is_kept = false;
        for column in &place.columns {
            if self.is_same(came, node, *column) {
                self.kept[*column] = true;
                is_kept = true;
            }
        }
        is_kept
    }

    fn is_same(&self, came: &Came<'_, T::Node>, node: &T::Node, column: usize) -> bool {
        match self.inputs[column].column.value(came.row).map(Decoded::from) {
            None => false,
            Some(value) if is_whole(&value) => {
                came.before.whole.iter().any(|(own, whole)| *own == column && whole == node)
            }
            Some(value) => T::is(node, value.value()),
        }
    }

    fn members(
        &mut self,
        came: &Came<'_, T::Node>,
        node: &T::Node,
        place: &Place,
        path: &mut String,
        depth: usize,
    ) {
        let mut next = 0;
        for (name, node) in T::members(node).into_iter().flatten() {
            let place = place.member(name, &mut next);
            if self.keep(came, node, place) {
                continue;
            }
            let above = path.len();
            push_text(path, name, depth == 1);
            if is_open::<T>(node, depth) {
                self.members(came, node, place, path, depth + 1);
            } else {
                self.leaf(path, node);
            }
            path.truncate(above);
        }
    }

    /// Writes a value into the column of this path.
    fn leaf(&mut self, path: &str, node: &T::Node) {
        write::<T>(&mut self.set, self.take.len(), path, node);
    }

    /// Writes all of it into the changes.
    pub fn finish(self, changes: &mut Changes) {
        let rows = self.take.len();
        for (input, mut gone) in self.inputs.iter().zip(self.gone) {
            if !gone.is_empty() {
                gone.pad(rows);
                changes.remove_from(input.column.name.clone(), gone.finish());
            }
        }
        if self.is_reordered {
            changes.take(self.take);
        }
        changes.set.extend(self.set.finish(rows));
    }
}

/// Sets the bit of a row, which is the last one so far.
fn mark(rows: &mut BitmapBuilder, row: usize) {
    rows.pad(row);
    rows.push(true);
}

/// Writes a value into the column of this path.
fn write<T: Tree>(set: &mut ColumnSet, row: usize, path: &str, node: &T::Node) {
    match T::field(node) {
        Some(value) => set.set(row, path, value),
        None => set.set(row, path, Value::Json(&T::json(node))),
    }
}

/// How a record came.
struct Came<'b, N> {
    row: usize,
    before: &'b Before<N>,
}

/// Whether the members of a value that stands so deep have columns of their own.
fn is_open<T: Tree>(node: &T::Node, depth: usize) -> bool {
    depth < MAX_DEPTH && T::members(node).is_some_and(|members| (1..=MAX_MEMBERS).contains(&members.len()))
}

/// Whether only JSON can say it.
fn is_whole(value: &Decoded<'_>) -> bool {
    matches!(value, Decoded::Other(Value::Json(_)))
}

fn node<T: Tree>(value: Decoded<'_>) -> T::Node {
    T::of(value.value())
}

#[cfg(test)]
mod tests;
