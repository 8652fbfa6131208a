//! From values to columns: the one builder that sources use.
//!
//! A source tells the builder what it reads, value by value, and the builder keeps columns and nothing per record:
//!
//! ```
//! # use flitch::batch::{builder::Builder, constants::Constants, utf8::InvalidUtf8};
//! let mut builder = Builder::new();
//! builder.begin_record();
//! builder.key(b"status").int(200);
//! builder.key(b"user").begin_object();
//! builder.key(b"name").text(b"ada");
//! builder.end_object();
//! builder.end_record();
//! let finished = builder.finish(InvalidUtf8::Replace, &Constants::new().text("@tag", "web"));
//! assert_eq!(finished.records.rows(), 1);
//! ```
//!
//! What has no column type of its own becomes a json column: see [`crate::batch`]. Whole numbers and floats that meet
//! in a column are float64 where that loses nothing (up to 2^53), else json. Text and bytes that meet are bytes.
//!
//! A text named `@timestamp` at the top of a record is the event's time if it is RFC 3339 and int64 nanoseconds hold
//! it; the column then has the instant, and the text's own offset from UTC is gone. Any other value stays as it is.

use super::constants::Constants;
use super::json::write_string;
use super::path::{push_name, write_json_name};
use super::utf8::InvalidUtf8;
use super::{Cut, Records, TIMESTAMP, record_batch, time};
use column::{Column, Undo};
use tree::{NONE, ROOT, Tree};

pub(crate) use column::Value;

mod column;
mod tree;

/// Most columns of a batch: one that would grow past them is cut.
pub const MAX_COLUMNS: usize = 512;
/// Most names in a path; an object whose members would lie deeper is one json value.
pub const MAX_DEPTH: usize = 8;
/// Most members of an object below the record itself; one with more is one json value.
pub const MAX_MEMBERS: usize = 64;

/// Names that were seen and are in no column of the batch are forgotten when they are more than this.
const MAX_UNUSED: usize = 4 * MAX_COLUMNS;
/// No column may come near the 2 GiB that Arrow's offsets address.
const MAX_BYTES: usize = 1 << 30;

/// A column that a source fills in each record, named once: see [`Builder::raw_column`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(u32);

/// A finished batch's records.
#[derive(Debug)]
pub struct Finished {
    /// The records.
    pub records: Records,
    /// Values in which bytes that are not UTF-8 became U+FFFD.
    pub replaced: u64,
}

/// An object that is open.
#[derive(Clone, Copy, Debug)]
struct Open {
    node: u32,
    members: usize,
    /// The member before the one that comes.
    previous: u32,
}

/// Builds batches, one after the other, from values.
///
/// The methods come in the order `begin_record`, then for each member `key` and one value, then `end_record`. A value
/// is one of the scalars, or `begin_object` .. `end_object` with members between, or `begin_array` .. `end_array` with
/// values between. Of two members with the same name the last stays.
#[derive(Debug)]
pub struct Builder {
    tree: Tree,
    columns: Vec<Column>,
    /// The node of each column.
    nodes: Vec<u32>,
    handles: Vec<u32>,
    time: u32,
    rows: usize,
    bytes: usize,
    used: usize,
    stamp: u64,
    /// The objects that are open, the record first.
    open: Vec<Open>,
    /// The member whose value comes, and the guess which comes then.
    current: u32,
    guess: u32,
    undo: Undo,
    bytes_before: usize,
    /// The value that is written as JSON text, and how many objects and arrays of it are open.
    json: Vec<u8>,
    json_depth: usize,
    /// Room for the decoder's strings without their escapes.
    scratch: Vec<u8>,
    schema: Option<arrow_schema::SchemaRef>,
}

impl Default for Builder {
    fn default() -> Self {
        Builder::new()
    }
}

impl Builder {
    /// An empty builder.
    pub fn new() -> Builder {
        let mut tree = Tree::new();
        let time = tree.find(ROOT, TIMESTAMP.as_bytes());
        Builder {
            tree,
            columns: Vec::new(),
            nodes: Vec::new(),
            handles: Vec::new(),
            time,
            rows: 0,
            bytes: 0,
            used: 0,
            stamp: 0,
            open: vec![Open { node: ROOT, members: 0, previous: NONE }],
            current: NONE,
            guess: NONE,
            undo: Undo::new(),
            bytes_before: 0,
            json: Vec::new(),
            json_depth: 0,
            scratch: Vec::new(),
            schema: None,
        }
    }

    /// Records that are complete.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that the values take, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Columns that the batch has so far.
    pub fn columns(&self) -> usize {
        self.used
    }

    /// Whether the batch is to be finished before the next record: it has the rows or bytes of `cut`, or
    /// [`MAX_COLUMNS`]. (A single record may bring more columns than that.)
    pub fn full(&self, cut: &Cut) -> bool {
        self.rows >= cut.rows || self.bytes >= cut.bytes.min(MAX_BYTES) || self.used >= MAX_COLUMNS
    }

    /// Starts a record.
    pub fn begin_record(&mut self) {
        debug_assert!(self.open.len() == 1 && self.json_depth == 0, "the record before is not ended");
        self.stamp += 1;
        self.open[0].members = 0;
        self.open[0].previous = NONE;
        self.current = NONE;
        self.guess = self.tree.nodes[ROOT as usize].guess_inside;
        self.bytes_before = self.bytes;
    }

    /// Ends the record: it is one more row. What was left open is closed.
    pub fn end_record(&mut self) {
        while self.json_depth > 0 {
            self.end_array();
        }
        while self.open.len() > 1 {
            self.end_object();
        }
        self.undo.clear();
        self.rows += 1;
    }

    /// Forgets the record that was begun; the batch is as it was before it.
    pub fn cancel_record(&mut self) {
        self.json_depth = 0;
        self.open.truncate(1);
        self.bytes = self.bytes_before;
        for column in &mut self.columns {
            column.truncate(self.rows);
        }
        while let Some((column, values)) = self.undo.pop() {
            self.columns[column as usize].restore(values);
        }
        self.used = self.columns.iter().filter(|c| c.is_used()).count();
        if self.tree.nodes.len() > self.used + MAX_UNUSED {
            self.forget_unused();
        }
    }

    /// Forgets all records of the batch.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.bytes_before = 0;
        self.cancel_record();
        for column in &mut self.columns {
            column.clear();
        }
        self.used = 0;
    }

    /// Names the member whose value comes: the name itself, without escapes. Bytes that are not UTF-8 become U+FFFD,
    /// but a lone surrogate in WTF-8 is kept.
    #[inline]
    pub fn key(&mut self, name: &[u8]) -> &mut Builder {
        if self.json_depth > 0 {
            self.json_key(name);
            return self;
        }
        let open = self.open.len() - 1;
        let Open { node: parent, previous, .. } = self.open[open];
        let mut node = self.guess;
        if !self.tree.is(node, parent, name) {
            node = self.tree.find(parent, name);
            let nodes = &mut self.tree.nodes;
            match previous {
                NONE => nodes[parent as usize].guess_inside = node,
                _ => nodes[previous as usize].guess_after = node,
            }
        }
        let open = &mut self.open[open];
        open.previous = node;
        open.members += 1;
        if open.members > MAX_MEMBERS && parent != ROOT {
            self.fold();
            self.json_key(name);
            return self;
        }
        self.guess = self.tree.nodes[node as usize].guess_after;
        self.enter(node);
        self
    }

    /// A handle on the member `name` at the top of each record, for [`Builder::at`]. The builder remembers it for
    /// good, so it is meant for the handful of columns that a source always fills.
    pub fn raw_column(&mut self, name: &str) -> Handle {
        let node = self.tree.find(ROOT, name.as_bytes());
        let handle = self.handles.iter().position(|n| *n == node).unwrap_or_else(|| {
            self.handles.push(node);
            self.handles.len() - 1
        });
        Handle(handle as u32)
    }

    /// The same as [`Builder::key`] with the handle's name, at the top of the record only, and faster.
    #[inline]
    pub fn at(&mut self, handle: Handle) -> &mut Builder {
        debug_assert!(
            self.open.len() == 1 && self.json_depth == 0,
            "a handle names a member of the record itself"
        );
        self.enter(self.handles[handle.0 as usize]);
        self
    }

    #[inline]
    fn enter(&mut self, node: u32) {
        if self.tree.nodes[node as usize].stamp == self.stamp {
            self.unset(node);
        }
        self.tree.nodes[node as usize].stamp = self.stamp;
        self.current = node;
    }

    /// Takes back what this record has set at and below a node.
    #[cold]
    fn unset(&mut self, node: u32) {
        let mut todo = vec![node];
        while let Some(node) = todo.pop() {
            let node = &mut self.tree.nodes[node as usize];
            if node.stamp != self.stamp {
                continue;
            }
            node.stamp = 0;
            if node.column != NONE {
                self.columns[node.column as usize].truncate(self.rows);
            }
            let mut child = node.child;
            while child != NONE {
                todo.push(child);
                child = self.tree.nodes[child as usize].sibling;
            }
        }
    }

    #[inline]
    fn put(&mut self, value: Value<'_>) {
        if self.json_depth > 0 {
            self.json_comma();
            value.write_json(&mut self.json);
            return;
        }
        debug_assert_ne!(self.current, NONE, "a value without a key");
        let Some(node) = self.tree.nodes.get(self.current as usize) else { return };
        let id = match node.column {
            NONE => self.add_column(self.current),
            id => id,
        };
        self.bytes += value.size();
        let undone = self.undo.len();
        self.columns[id as usize].put(self.rows, value, id, &mut self.undo);
        if self.undo.len() > undone {
            self.used = self.columns.iter().filter(|c| c.is_used()).count();
        }
    }

    #[cold]
    fn add_column(&mut self, node: u32) -> u32 {
        let id = self.columns.len() as u32;
        self.columns.push(Column::new(self.tree.path(node)));
        self.nodes.push(node);
        self.tree.nodes[node as usize].column = id;
        id
    }

    /// Text as it came. UTF-8 is checked when the batch is finished, a column at a time.
    #[inline]
    pub fn text(&mut self, text: &[u8]) {
        if self.current == self.time
            && self.json_depth == 0
            && let Some(ns) = time::parse(text)
        {
            return self.put(Value::Timestamp(ns));
        }
        self.put(Value::Text(text));
    }

    /// Bytes that are not meant as text.
    #[inline]
    pub fn bytes_value(&mut self, bytes: &[u8]) {
        self.put(Value::Bytes(bytes));
    }

    /// A whole number.
    #[inline]
    pub fn int(&mut self, value: i64) {
        self.put(Value::Int(value));
    }

    /// A whole number that is not negative; past int64 it is json.
    #[inline]
    pub fn unsigned(&mut self, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.put(Value::Int(value)),
            Err(_) => self.put(Value::Json(itoa::Buffer::new().format(value).as_bytes())),
        }
    }

    /// A floating-point number.
    #[inline]
    pub fn float(&mut self, value: f64) {
        self.put(Value::Float(value));
    }

    /// True or false.
    #[inline]
    pub fn boolean(&mut self, value: bool) {
        self.put(Value::Boolean(value));
    }

    /// A null that was written as such, which is not the same as absent: json `null`.
    #[inline]
    pub fn null(&mut self) {
        self.put(Value::Json(b"null"));
    }

    /// One JSON text, taken as it stands; the caller answers for its form.
    #[inline]
    pub fn json(&mut self, text: &str) {
        self.put(Value::Json(text.as_bytes()));
    }

    /// JSON text whose UTF-8 is not checked yet.
    #[inline]
    pub(crate) fn json_bytes(&mut self, text: &[u8]) {
        self.put(Value::Json(text));
    }

    /// A time, in ns since 1970-01-01T00:00:00Z.
    #[inline]
    pub fn timestamp(&mut self, ns: i64) {
        self.put(Value::Timestamp(ns));
    }

    /// Whether the members of an object that begins here become columns.
    pub(crate) fn takes_members(&self) -> bool {
        self.json_depth == 0 && self.open.len() < MAX_DEPTH
    }

    pub(crate) fn take_scratch(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.scratch)
    }

    pub(crate) fn give_scratch(&mut self, scratch: Vec<u8>) {
        self.scratch = scratch;
    }

    /// The value is an object; its members follow.
    pub fn begin_object(&mut self) {
        if !self.takes_members() {
            return self.json_begin(b'{');
        }
        let node = self.current;
        self.guess = self.tree.nodes[node as usize].guess_inside;
        self.open.push(Open { node, members: 0, previous: NONE });
    }

    /// The object's members are complete.
    pub fn end_object(&mut self) {
        if self.json_depth > 0 {
            return self.json_end(b'}');
        }
        debug_assert!(self.open.len() > 1, "no object is open");
        let Some(closed) = self.open.pop_if(|o| o.node != ROOT) else { return };
        self.current = closed.node;
        self.guess = self.tree.nodes[closed.node as usize].guess_after;
        if closed.members == 0 {
            self.put(Value::Json(b"{}"));
        }
    }

    /// The value is an array, kept as one json value; its values follow.
    pub fn begin_array(&mut self) {
        self.json_begin(b'[');
    }

    /// The array's values are complete.
    pub fn end_array(&mut self) {
        self.json_end(b']');
    }

    fn json_begin(&mut self, bracket: u8) {
        if self.json_depth == 0 {
            self.json.clear();
        } else {
            self.json_comma();
        }
        self.json.push(bracket);
        self.json_depth += 1;
    }

    fn json_end(&mut self, bracket: u8) {
        debug_assert!(self.json_depth > 0, "no array is open");
        self.json.push(bracket);
        self.json_depth = self.json_depth.saturating_sub(1);
        if self.json_depth == 0 {
            let text = std::mem::take(&mut self.json);
            self.put(Value::Json(&text));
            self.json = text;
        }
    }

    /// A comma, unless the value is the first of its array or follows a name.
    fn json_comma(&mut self) {
        if !matches!(self.json.last(), Some(b'{' | b'[' | b':')) {
            self.json.push(b',');
        }
    }

    fn json_key(&mut self, name: &[u8]) {
        self.json_comma();
        if std::str::from_utf8(name).is_ok() {
            write_string(name, &mut self.json);
        } else {
            let mut escaped = String::new();
            push_name(&mut escaped, name, true);
            write_json_name(&escaped, &mut self.json);
        }
        self.json.push(b':');
    }

    /// Takes the members of the innermost object out of their columns and goes on with it as JSON text.
    #[cold]
    fn fold(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let mut text = std::mem::take(&mut self.json);
        text.clear();
        self.write_members(open.node, &mut text);
        text.pop();
        self.json = text;
        self.json_depth = 1;
        self.unset(open.node);
        self.tree.nodes[open.node as usize].stamp = self.stamp;
        self.current = open.node;
        self.guess = self.tree.nodes[open.node as usize].guess_after;
    }

    /// Writes what this record has set below a node as one JSON object.
    fn write_members(&self, node: u32, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut child = self.tree.nodes[node as usize].child;
        while child != NONE {
            let member = &self.tree.nodes[child as usize];
            if member.stamp == self.stamp {
                let start = out.len();
                if out[start - 1] != b'{' {
                    out.push(b',');
                }
                let mut escaped = String::new();
                push_name(&mut escaped, self.tree.name(child), true);
                write_json_name(&escaped, out);
                out.push(b':');
                let value = self.columns.get(member.column as usize).and_then(|c| c.get(self.rows));
                match value {
                    Some(value) => value.write_json(out),
                    None if self.has_members(child) => self.write_members(child, out),
                    None => out.truncate(start),
                }
            }
            child = member.sibling;
        }
        out.push(b'}');
    }

    fn has_members(&self, node: u32) -> bool {
        let mut child = self.tree.nodes[node as usize].child;
        while child != NONE {
            let member = &self.tree.nodes[child as usize];
            if member.stamp == self.stamp {
                return true;
            }
            child = member.sibling;
        }
        false
    }

    /// The batch's records, with `constants` for every record that does not bring its own value of that name. The
    /// builder is empty after it, and remembers names and sizes for the next batch.
    pub fn finish(&mut self, invalid: InvalidUtf8, constants: &Constants) -> Finished {
        let rows = std::mem::take(&mut self.rows);
        let mut constants = constants.clone();
        let mut replaced = 0;
        let mut finished = Vec::with_capacity(self.used);
        for column in &mut self.columns {
            if column.is_used()
                && let Some(constant) = constants.take(column.path())
                && (0..rows).any(|row| column.get(row).is_none())
                && let Some(value) = constant.value()
            {
                column.fill(rows, value);
            }
            if let Some((field, array, mended)) = column.finish(rows, invalid) {
                replaced += mended;
                finished.push((field, array));
            }
        }
        let unused = self.tree.nodes.len().saturating_sub(self.used);
        self.bytes = 0;
        self.used = 0;
        if unused > MAX_UNUSED || self.columns.len() > 2 * finished.len() + 64 {
            let kept: Vec<_> = finished.iter().map(|(field, _)| field.name().as_str()).collect();
            self.forget_all_but(&kept);
        }
        let columns = match &self.schema {
            Some(schema)
                if schema.fields().len() == finished.len()
                    && schema
                        .fields()
                        .iter()
                        .zip(&finished)
                        .all(|(a, (b, _))| std::sync::Arc::ptr_eq(a, b)) =>
            {
                let arrays = finished.into_iter().map(|(_, array)| array).collect();
                super::with_rows(schema.clone(), arrays, rows)
            }
            _ => record_batch(rows, finished),
        };
        let columns = columns.expect("each column has its own name, and a place for each row");
        self.schema = Some(columns.schema());
        Finished { records: Records::new(columns, constants.into_batch()), replaced }
    }

    fn forget_unused(&mut self) {
        let used: Vec<String> =
            self.columns.iter().filter(|c| c.is_used()).map(|c| c.path().to_owned()).collect();
        let used: Vec<&str> = used.iter().map(String::as_str).collect();
        self.forget_all_but(&used);
    }

    /// Forgets every name and column but those of these paths and the handles.
    fn forget_all_but(&mut self, paths: &[&str]) {
        let paths: std::collections::HashSet<&str, ahash::RandomState> = paths.iter().copied().collect();
        let keep: Vec<bool> = self.columns.iter().map(|c| paths.contains(c.path())).collect();
        let (handles, time) = (&self.handles, self.time);
        let moved = self.tree.retain(|id, node| {
            id == time || handles.contains(&id) || (node.column != NONE && keep[node.column as usize])
        });
        self.time = moved[self.time as usize];
        for handle in &mut self.handles {
            *handle = moved[*handle as usize];
        }
        for node in &mut self.tree.nodes {
            node.column = NONE;
        }
        let nodes = std::mem::take(&mut self.nodes);
        let columns = std::mem::take(&mut self.columns);
        for ((column, node), keep) in columns.into_iter().zip(nodes).zip(keep) {
            if keep {
                let node = moved[node as usize];
                self.tree.nodes[node as usize].column = self.columns.len() as u32;
                self.nodes.push(node);
                self.columns.push(column);
            }
        }
        self.current = NONE;
        self.guess = NONE;
    }
}

#[cfg(test)]
mod tests;
