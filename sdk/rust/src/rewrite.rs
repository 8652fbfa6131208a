//! Records as trees, for filters that run somebody's program over a record: the program has the whole record in values of
//! its own language, and leaves another one. What it leaves as it was is not written again, and keeps its type.

mod large;

use crate::bitmap::BitmapBuilder;
use crate::json::{Decoded, MAX_DEPTH, MAX_MEMBERS, decode};
use crate::{Batch, Changes, Column, ColumnSet, Removal, Value, path};
use flitch_model::object::written;
use flitch_model::path::{push_text, unescape};
use flitch_model::{REST, TAG, TIMESTAMP};
use std::collections::HashMap;

/// How many members there are, and they.
pub type Members<'n, N> = (usize, Box<dyn Iterator<Item = (&'n str, &'n N)> + 'n>);

/// The values of a language.
pub trait Tree {
    /// One of them.
    type Node: Clone + PartialEq;

    /// An object without members.
    fn object() -> Self::Node;

    /// The value of a field. Of a `Json` it is an array, an object, null or a number that fits no other type; the text is
    /// right.
    fn of(value: Value<'_>) -> Self::Node;

    /// Whether it is an object.
    fn is_object(node: &Self::Node) -> bool;

    /// The members of an object, and how many they are; none of what is no object.
    fn members(node: &Self::Node) -> Members<'_, Self::Node>;

    /// A member of an object.
    fn member<'n>(node: &'n Self::Node, name: &str) -> Option<&'n Self::Node>;

    /// The place of a member of an object, which is made, an empty object, if it is not there. None of what is no object.
    fn place<'n>(node: &'n mut Self::Node, name: &str) -> Option<&'n mut Self::Node>;

    /// Takes a member out of an object.
    fn remove(node: &mut Self::Node, name: &str) -> Option<Self::Node>;

    /// What is no object, as the value of a field; none where only JSON can say it.
    fn field(node: &Self::Node) -> Option<Value<'_>>;

    /// Any of them as JSON.
    fn json(node: &Self::Node) -> String;
}

/// A column of the batch, with the names of its path.
struct Input<'a> {
    column: &'a Column,
    names: Vec<String>,
}

/// A record before a program has run.
#[derive(Debug)]
pub struct Before<N> {
    /// The record, `@timestamp` and `@tag` included.
    pub record: N,
    /// What each column has of it, but `@rest`.
    values: Vec<Option<N>>,
    /// Its members in `@rest`, in their order there, where it has one.
    rest: Option<Vec<(String, N)>>,
}

/// What becomes of a batch, while its records go through a program.
pub struct Rewriter<'a, T: Tree> {
    inputs: Vec<Input<'a>>,
    index: HashMap<&'a str, usize>,
    set: ColumnSet,
    /// For each column of the batch, from which of the rows that go on it goes.
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
        let inputs: Vec<Input<'a>> =
            batch.columns.iter().map(|column| Input { column, names: path::split(&column.name) }).collect();
        Self {
            index: inputs
                .iter()
                .enumerate()
                .map(|(place, input)| (input.column.name.as_str(), place))
                .collect(),
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
        let mut record = T::object();
        let mut rest = None;
        let mut values = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            let value = input.column.value(row);
            if input.column.name == REST {
                rest = value;
                values.push(None);
                continue;
            }
            let value = value.map(|value| node::<T>(Decoded::from(value)));
            if let Some(value) = &value {
                put::<T>(&mut record, &input.names, value.clone());
            }
            values.push(value);
        }
        let rest = rest.map(|rest| {
            let Value::Json(text) = rest else { return Vec::new() };
            let members = written(text).unwrap_or_default().into_iter();
            members.map(|member| (unescape(&member.path()), node::<T>(decode(member.value)))).collect()
        });
        for (name, value) in rest.iter().flatten() {
            put::<T>(&mut record, std::slice::from_ref(name), value.clone());
        }
        Before { record, values, rest }
    }

    /// What the record of `before` has in the column of this path.
    pub fn value<'n>(&self, before: &'n Before<T::Node>, name: &str) -> Option<&'n T::Node> {
        before.values[*self.index.get(name)?].as_ref()
    }

    /// The record goes on as it came.
    pub fn pass(&mut self, row: usize) {
        self.gone.iter_mut().for_each(|gone| gone.push(false));
        self.take.push(row as u32);
    }

    /// The record goes nowhere: dropped on purpose.
    pub fn discard(&mut self) {
        self.is_reordered = true;
    }

    /// The record becomes these ones, each an object. `time` is the new time of the event, if it gets one; a `@timestamp`
    /// in the record is none. A tag that a record lacks stays as it was.
    pub fn put(&mut self, row: usize, before: &Before<T::Node>, records: Vec<(T::Node, Option<i64>)>) {
        self.is_reordered |= records.len() != 1;
        for (record, time) in records {
            self.record(row, before, record, time);
        }
    }

    fn record(&mut self, row: usize, before: &Before<T::Node>, mut record: T::Node, time: Option<i64>) {
        let out = self.take.len();
        self.set.begin_row();
        T::remove(&mut record, TIMESTAMP);
        if let Some(time) = time {
            self.set.set(out, TIMESTAMP, Value::Timestamp(time));
        }
        let is_text = |node| matches!(T::field(node), Some(Value::Text(_)));
        if T::member(&record, TAG).is_some_and(|tag| !is_text(tag))
            && let Some(other) = T::remove(&mut record, TAG)
        {
            put::<T>(&mut record, &[format!("_{TAG}")], other);
        }
        if let Some(other) = T::remove(&mut record, REST) {
            put::<T>(&mut record, &[format!("_{REST}")], other);
        }
        for (place, input) in self.inputs.iter().enumerate() {
            let value = before.values[place].as_ref();
            let is_own = input.column.name == TIMESTAMP;
            self.kept[place] = !is_own && value.is_some() && find::<T>(&record, &input.names) == value;
        }
        let rest_goes = if before.rest.is_some() || large::is_large::<T>(&record) {
            self.large(row, before, &record)
        } else {
            self.members(&record, "", 1);
            false
        };
        for (place, input) in self.inputs.iter().enumerate() {
            let stays = self.kept[place] || matches!(input.column.name.as_str(), TIMESTAMP | TAG);
            let goes = match input.column.name == REST {
                // What is set joins the members that are there.
                true => rest_goes,
                // What is set takes the place of what was there.
                false => {
                    !stays
                        && before.values[place].is_some()
                        && self.set.get(out, &input.column.name).is_none()
                }
            };
            self.gone[place].push(goes);
        }
        self.take.push(row as u32);
    }

    /// Whether what stands at a path has a column already, and stays there.
    fn is_kept(&self, place: &str) -> bool {
        path::and_above(place).any(|place| self.index.get(place).is_some_and(|place| self.kept[*place]))
    }

    fn members(&mut self, node: &T::Node, above: &str, depth: usize) {
        for (name, node) in T::members(node).1 {
            let place = below(above, name, depth);
            if self.is_kept(&place) {
                continue;
            }
            if is_open::<T>(node, depth) {
                self.members(node, &place, depth + 1);
            } else {
                self.leaf(&place, node);
            }
        }
    }

    /// Writes a value into the column of this path.
    fn leaf(&mut self, place: &str, node: &T::Node) {
        let out = self.take.len();
        match T::field(node) {
            Some(value) => self.set.set(out, place, value),
            None => self.set.set(out, place, Value::Json(&T::json(node))),
        }
    }

    /// Writes all of it into the changes.
    pub fn finish(self, changes: &mut Changes) {
        let rows = self.take.len();
        for (input, gone) in self.inputs.iter().zip(self.gone) {
            let rows = gone.finish();
            if rows.iter().any(|byte| *byte != 0) {
                changes.remove.push(Removal { name: input.column.name.clone(), rows: Some(rows) });
            }
        }
        if self.is_reordered {
            changes.take(self.take);
        }
        changes.set.extend(self.set.finish(rows));
    }
}

/// The path of a member of the object at `above`, which is so deep; 1 is the record itself. A name may be empty, and a path.
fn below(above: &str, name: &str, depth: usize) -> String {
    let mut place = above.to_owned();
    push_text(&mut place, name, depth == 1);
    place
}

/// Whether the members of a value that stands so deep have columns of their own.
fn is_open<T: Tree>(node: &T::Node, depth: usize) -> bool {
    T::is_object(node) && depth < MAX_DEPTH && (1..=MAX_MEMBERS).contains(&T::members(node).0)
}

fn node<T: Tree>(value: Decoded<'_>) -> T::Node {
    match value {
        Decoded::Text(text) => T::of(Value::Text(&text)),
        Decoded::Bytes(bytes) => T::of(Value::Bytes(&bytes)),
        Decoded::Other(value) => T::of(value),
    }
}

/// Puts a value at a path; not below what is no object.
fn put<T: Tree>(record: &mut T::Node, names: &[String], value: T::Node) {
    let place = names.iter().try_fold(record, |node, name| T::place(node, name));
    if let Some(place) = place {
        *place = value;
    }
}

/// What stands at a path.
fn find<'n, T: Tree>(record: &'n T::Node, names: &[String]) -> Option<&'n T::Node> {
    names.iter().try_fold(record, |node, name| T::member(node, name))
}

#[cfg(test)]
mod tests;
