//! One record at a time, over columns.

use crate::bitmap::{BitmapBuilder, ones};
use crate::json::Decoded;
use crate::{
    Batch, Changes, Column, ColumnSet, Fields, Rejection, Removal, Result, Value, View, err, json, path,
};
use flitch_model::object::written;
use flitch_model::path::{is_above, push_text};
use flitch_model::{MAX_DEPTH, REST, TAG, TIMESTAMP};
use std::cell::OnceCell;
use std::collections::BTreeMap;

/// A record, and what becomes of it. Reads see what was set before.
///
/// Fields are named by their path: `status`, `kubernetes.labels.app`, with a dot in a name
/// written `\.`. The event's time is `@timestamp`, its tag `@tag`.
#[derive(Debug)]
pub struct Record<'a> {
    columns: BTreeMap<&'a str, Field<'a>>,
    /// The columns whose objects may hold fields that the filter has not named: it has asked for all.
    outer: Vec<&'a Column>,
    /// What the objects of the record have within them, by their paths, once somebody has asked for one.
    inside: OnceCell<BTreeMap<String, Decoded<'a>>>,
    /// Row of the batch handed in.
    row: usize,
    /// Row among those that go on, and where this record's rows began.
    out: usize,
    start: usize,
    set: ColumnSet,
    removed: Vec<(String, BitmapBuilder)>,
    take: Vec<u32>,
    rejected: Vec<Rejection>,
    dropped: bool,
    refusal: Option<String>,
    /// Whether the rows that go on are others than those that were not rejected.
    reordered: bool,
}

/// A field of all records.
#[derive(Debug)]
enum Field<'a> {
    Column(&'a Column),
    /// Of a json column, each value as its own type.
    Decoded(Vec<Option<Decoded<'a>>>),
}

impl<'a> Field<'a> {
    fn of(column: &'a Column) -> Self {
        match column.view() {
            View::Json(texts) => Self::Decoded(texts.iter().map(|text| text.map(json::decode)).collect()),
            _ => Self::Column(column),
        }
    }

    fn value(&self, row: usize) -> Option<Value<'_>> {
        match self {
            Self::Column(column) => column.value(row),
            Self::Decoded(values) => values[row].as_ref().map(Decoded::value),
        }
    }
}

impl<'a> Record<'a> {
    /// The records of a batch, with the fields that the filter has asked for.
    pub(crate) fn new(batch: &'a Batch, fields: &Fields) -> Self {
        let is_outer = |column: &&Column| matches!((fields, column.view()), (Fields::All, View::Json(_)));
        Self {
            columns: batch.columns.iter().map(|column| (column.name.as_str(), Field::of(column))).collect(),
            outer: batch.columns.iter().filter(is_outer).collect(),
            inside: OnceCell::new(),
            row: 0,
            out: 0,
            start: 0,
            set: ColumnSet::default(),
            removed: Vec::new(),
            take: Vec::with_capacity(batch.len()),
            rejected: Vec::new(),
            dropped: false,
            refusal: None,
            reordered: false,
        }
    }

    /// The value of a field, or none where it is absent.
    pub fn get(&self, name: &str) -> Option<Value<'_>> {
        if let Some(value) = self.set.get(self.out, name) {
            return Some(value);
        }
        if self.is_replaced(name) {
            return None;
        }
        self.in_its_column(name).or_else(|| self.in_an_object(name))
    }

    fn in_its_column(&self, name: &str) -> Option<Value<'_>> {
        self.columns.get(name)?.value(self.row)
    }

    /// The value inside of an object of the record that has no columns for its members.
    fn in_an_object(&self, name: &str) -> Option<Value<'_>> {
        let is_gone = |outer: &str| outer == REST && self.removed_here().any(|removed| removed == REST);
        let is_inside = |column: &&Column| is_above(&column.name, name) && !is_gone(&column.name);
        self.outer.iter().find(|column| is_inside(column))?;
        self.inside.get_or_init(|| inside(&self.outer, self.row)).get(name).map(Decoded::value)
    }

    /// Whether the record has the field.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The field's text, or none where it is absent or no text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The field's text.
    ///
    /// # Errors
    /// When the field is absent or no text: with `?` the record is rejected and says so.
    pub fn need_text(&self, name: &str) -> Result<&str> {
        match self.get(name) {
            Some(Value::Text(text)) => Ok(text),
            Some(_) => Err(err!("the field `{name}` is not text")),
            None => Err(err!("the field `{name}` is missing")),
        }
    }

    /// The field's whole number, or none where it is absent or none.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::Int64(number) => Some(number),
            _ => None,
        }
    }

    /// The field's number as a float, or none where it is absent or no number.
    pub fn float(&self, name: &str) -> Option<f64> {
        match self.get(name)? {
            Value::Float64(number) => Some(number),
            Value::Int64(number) => Some(number as f64),
            _ => None,
        }
    }

    /// The field's boolean, or none where it is absent or none.
    pub fn bool(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Boolean(boolean) => Some(boolean),
            _ => None,
        }
    }

    /// The field's instant in nanoseconds since 1970-01-01T00:00:00Z, or none where it is
    /// absent or none.
    pub fn timestamp(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::Timestamp(nanos) => Some(nanos),
            _ => None,
        }
    }

    /// The field as JSON, whatever its type, or none where it is absent.
    pub fn json(&self, name: &str) -> Option<serde_json::Value> {
        json::read(&json::text_of(self.get(name)?)).ok()
    }

    /// All fields of the record that the filter sees, in the order of their names, then those
    /// that it has added. What stands in `@rest` is one of them, whatever has columns in other records.
    pub fn fields(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        let stands = |name: &str| match self.set.get(self.out, name) {
            None if self.is_replaced(name) => None,
            None => self.in_its_column(name),
            set => set,
        };
        let seen = self.columns.keys().filter_map(move |name| Some((*name, stands(name)?)));
        let added = self.set.row(self.out).filter(|(name, _)| !self.columns.contains_key(name));
        seen.chain(added)
    }

    /// Sets a field. The value replaces whatever stood at, above or below its path.
    ///
    /// A value that has no right to a name of the host's (a `@timestamp` that is no time, a `@tag` that is no text) rejects the
    /// record, and no other: the host would take the whole answer for none.
    pub fn set<'v>(&mut self, name: &str, value: impl Into<Value<'v>>) {
        let value = value.into();
        if name.starts_with('@')
            && let Some(wrong) = no_right(name, &value)
        {
            return self.reject(wrong);
        }
        self.set.set(self.out, name, value);
    }

    /// Sets a field to a JSON value. The members of an object become fields of their own.
    pub fn set_json(&mut self, name: &str, value: &serde_json::Value) {
        use serde_json::Value as Json;
        match value {
            Json::String(text) => self.set(name, text),
            Json::Bool(boolean) => self.set(name, *boolean),
            // What is set as `@rest` is one object; the other names of the host's are never one.
            Json::Object(members) if !members.is_empty() && ![REST, TIMESTAMP, TAG].contains(&name) => {
                self.remove(name);
                for (member, value) in members {
                    let mut below = name.to_owned();
                    push_text(&mut below, member, false);
                    self.set_json(&below, value);
                }
            }
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => self.set(name, number),
                (None, Some(float)) if number.is_f64() => self.set(name, float),
                _ => self.set(name, Value::Json(&number.to_string())),
            },
            value => self.set(name, Value::Json(&value.to_string())),
        }
    }

    /// Removes a field, and what lies below it. The event's time and tag cannot be removed: the record is rejected then.
    pub fn remove(&mut self, name: &str) {
        if name.starts_with('@')
            && let Some(wrong) = cannot_be_removed(name)
        {
            return self.reject(wrong);
        }
        self.set.unset(self.out, name);
        let at = self.removed.iter().position(|(removed, _)| removed == name).unwrap_or_else(|| {
            self.removed.push((name.to_owned(), BitmapBuilder::default()));
            self.removed.len() - 1
        });
        let rows = &mut self.removed[at].1;
        rows.truncate(self.out);
        rows.pad(self.out);
        rows.push(true);
    }

    /// Drops the record: it goes nowhere, and the host counts it as dropped on purpose.
    pub fn discard(&mut self) {
        self.dropped = true;
    }

    /// Rejects the record, as an error from `apply` does. Of several reasons the first one is told.
    pub fn reject(&mut self, reason: impl Into<String>) {
        self.refusal.get_or_insert_with(|| reason.into());
    }

    /// Splits the record: one record for each part, in order, each beginning with what was
    /// changed before the split, and changed further by `edit`. No parts at all drop the record.
    ///
    /// # Errors
    /// The first error of `edit`.
    pub fn split<T>(
        &mut self,
        parts: impl IntoIterator<Item = T>,
        mut edit: impl FnMut(&mut Self, T) -> Result<()>,
    ) -> Result<()> {
        let mut base = ColumnSet::default();
        for (name, value) in self.set.row(self.out) {
            base.set(0, name, value);
        }
        let removed: Vec<String> = self.removed_here().map(str::to_owned).collect();
        let mut first = true;
        for part in parts {
            if !std::mem::replace(&mut first, false) {
                self.close_copy();
                removed.iter().for_each(|name| self.remove(name));
                for (name, value) in base.row(0) {
                    self.set.set(self.out, name, value);
                }
                self.reordered = true;
            }
            edit(self, part)?;
        }
        self.dropped |= first;
        Ok(())
    }

    fn removed_here(&self) -> impl Iterator<Item = &str> {
        let out = self.out;
        let here = move |rows: &BitmapBuilder| rows.len() == out + 1 && rows.get(out);
        self.removed.iter().filter(move |(_, rows)| here(rows)).map(|(name, _)| name.as_str())
    }

    /// Whether what the record had under this name is gone.
    fn is_replaced(&self, name: &str) -> bool {
        self.removed_here().any(|removed| removed == name || path::is_below(name, removed))
            || (!self.set.is_empty() && self.set.row(self.out).any(|(set, _)| path::overlap(set, name)))
    }

    /// Runs a filter over row `row` of the batch.
    pub(crate) fn run(&mut self, row: usize, apply: impl FnOnce(&mut Self) -> Result<()>) {
        self.row = row;
        self.inside.take();
        self.start = self.out;
        self.set.begin_row();
        if let Err(error) = apply(self) {
            self.refusal.get_or_insert_with(|| error.into());
        }
        match self.refusal.take() {
            Some(reason) => {
                self.dropped = false;
                self.forget_from(self.start);
                self.rejected.push(Rejection { row: row as u32, reason });
            }
            None => self.close_copy(),
        }
    }

    fn close_copy(&mut self) {
        if std::mem::take(&mut self.dropped) {
            self.reordered = true;
            self.forget_from(self.out);
        } else {
            self.take.push(self.row as u32);
            self.out += 1;
        }
    }

    fn forget_from(&mut self, out: usize) {
        self.out = out;
        self.take.truncate(out);
        self.set.truncate(out);
        self.removed.iter_mut().for_each(|(_, rows)| rows.truncate(out));
    }

    pub(crate) fn finish(self) -> Changes {
        let rows = self.out;
        let remove = self.removed.into_iter().filter_map(|(name, mut bits)| {
            bits.pad(rows);
            let bits = bits.finish();
            let any = bits.iter().any(|byte| *byte != 0);
            any.then(|| Removal { name, rows: (bits != ones(rows)).then_some(bits) })
        });
        Changes {
            remove: remove.collect(),
            take: self.reordered.then_some(self.take),
            set: self.set.finish(rows),
            rejected: self.rejected,
        }
    }
}

/// Why a value may not have a name that begins with `@`.
#[cold]
fn no_right(name: &str, value: &Value<'_>) -> Option<String> {
    match (name, value) {
        (TIMESTAMP, Value::Timestamp(_)) | (TAG, Value::Text(_)) => None,
        (REST, Value::Json(text)) if text.starts_with('{') => None,
        (TIMESTAMP, _) => Some(format!("`{name}` must be a time")),
        (TAG, _) => Some(format!("`{name}` must be text")),
        (REST, _) => Some(format!("`{name}` must be a JSON object")),
        _ => below_the_hosts(name),
    }
}

/// Why there is nothing to remove under a name that begins with `@`.
#[cold]
fn cannot_be_removed(name: &str) -> Option<String> {
    match name {
        TIMESTAMP | TAG => Some(format!("`{name}` cannot be removed")),
        _ => below_the_hosts(name),
    }
}

/// Why nothing has a name that lies below one of the host's.
fn below_the_hosts(name: &str) -> Option<String> {
    let is_below = [TIMESTAMP, TAG, REST].iter().any(|outer| path::is_below(name, outer));
    is_below.then(|| format!("`{name}` lies below a name of the host's"))
}

/// What the objects in these columns have within them in a row, by their paths.
fn inside<'a>(outer: &[&'a Column], row: usize) -> BTreeMap<String, Decoded<'a>> {
    fn members<'a>(
        text: &'a str,
        above: &str,
        is_top: bool,
        depth: usize,
        all: &mut BTreeMap<String, Decoded<'a>>,
    ) {
        for member in written(text).unwrap_or_default() {
            let path = if is_top { member.path().into_owned() } else { format!("{above}.{}", member.path()) };
            // What lies deeper is a value of the one above it.
            if depth < MAX_DEPTH && member.value.starts_with('{') {
                members(member.value, &path, false, depth + 1, all);
            }
            all.insert(path, json::decode(member.value));
        }
    }
    let mut all = BTreeMap::new();
    for column in outer {
        if let Some(Value::Json(text)) = column.value(row) {
            members(text, &column.name, column.name == REST, 1, &mut all);
        }
    }
    all
}

macro_rules! value_from {
    ($($ty:ty => |$value:ident| $make:expr;)+) => {$(
        impl<'v> From<$ty> for Value<'v> {
            fn from($value: $ty) -> Self {
                $make
            }
        }
    )+};
}

value_from! {
    &'v str => |text| Self::Text(text);
    &'v String => |text| Self::Text(text);
    &'v [u8] => |bytes| Self::Bytes(bytes);
    &'v Vec<u8> => |bytes| Self::Bytes(bytes);
    i64 => |number| Self::Int64(number);
    i32 => |number| Self::Int64(number.into());
    u32 => |number| Self::Int64(number.into());
    f64 => |number| Self::Float64(number);
    bool => |boolean| Self::Boolean(boolean);
}

#[cfg(test)]
mod tests;
