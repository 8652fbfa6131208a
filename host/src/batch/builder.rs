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

use super::{Cut, Records, TIMESTAMP, time};
use column::{Column, Undo};
use lane::Lane;
use tree::{NONE, ROOT, Tree};

pub(crate) use column::Value;
pub(crate) use tree::same as same_name;

mod column;
mod finish;
mod lane;
mod nested;
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
    current_column: u32,
    guess: u32,
    lane: Lane,
    undo: Undo,
    bytes_before: usize,
    /// The objects that had too many members in a record of this batch: they stay json to its end.
    wide: Vec<u32>,
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
            current_column: NONE,
            guess: NONE,
            lane: Lane::new(),
            undo: Undo::new(),
            bytes_before: 0,
            wide: Vec::new(),
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
        self.current_column = NONE;
        self.guess = self.tree.nodes[ROOT as usize].guess_inside;
        self.lane.taken = 0;
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
        self.narrow();
    }

    /// Names the member whose value comes: the name itself, without escapes. Bytes that are not UTF-8 become U+FFFD,
    /// but a lone surrogate in WTF-8 is kept.
    #[inline]
    pub fn key(&mut self, name: &[u8]) -> &mut Builder {
        if self.json_depth > 0 {
            self.json_key(name);
            return self;
        }
        let open = &self.open[self.open.len() - 1];
        if self.tree.is(self.guess, open.node, name) {
            self.key_of(self.guess);
        } else {
            self.find_key(name);
        }
        self
    }

    /// The same with the name that stands at the head of `rest` up to a quote, if it is the one that is guessed.
    /// Answers its length.
    #[inline]
    pub(crate) fn guessed_key(&mut self, rest: &[u8]) -> Option<usize> {
        let node = self.tree.nodes.get(self.guess as usize)?;
        let length = node.name_length();
        if self.json_depth > 0
            || rest.get(length) != Some(&b'"')
            || !node.is_plain
            || !self.tree.is(self.guess, self.open[self.open.len() - 1].node, &rest[..length])
        {
            return None;
        }
        self.key_of(self.guess);
        Some(length)
    }

    #[inline(never)]
    fn find_key(&mut self, name: &[u8]) {
        if self.lane.taken > 0 {
            self.leave_lane();
            if self.tree.is(self.guess, ROOT, name) {
                return self.key_of(self.guess);
            }
        }
        let Open { node: parent, previous, .. } = self.open[self.open.len() - 1];
        let node = self.tree.find(parent, name);
        let nodes = &mut self.tree.nodes;
        match previous {
            NONE => nodes[parent as usize].guess_inside = node,
            _ => nodes[previous as usize].guess_after = node,
        }
        self.key_of(node);
    }

    #[inline]
    fn key_of(&mut self, node: u32) {
        let last = self.open.len() - 1;
        let open = &mut self.open[last];
        open.previous = node;
        open.members += 1;
        if open.members > MAX_MEMBERS && open.node != ROOT {
            let name = self.tree.name(node).to_vec();
            self.fold();
            self.json_key(&name);
            return;
        }
        self.enter(node);
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
        let guess = self.guess;
        self.enter(self.handles[handle.0 as usize]);
        self.guess = guess;
        self
    }

    #[inline]
    fn enter(&mut self, node: u32) {
        if self.tree.nodes[node as usize].stamp == self.stamp {
            self.unset(node);
        }
        let named = &mut self.tree.nodes[node as usize];
        named.stamp = self.stamp;
        self.guess = named.guess_after;
        self.current_column = named.column;
        self.current = node;
    }

    /// Goes back to a member whose value is complete or comes now.
    fn return_to(&mut self, node: u32) {
        let named = &self.tree.nodes[node as usize];
        self.guess = named.guess_after;
        self.current_column = named.column;
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

    // Inlined into each method for one kind of value, so that nothing is left of the choice between kinds.
    #[inline(always)]
    fn put(&mut self, value: Value<'_>) {
        if self.json_depth > 0 {
            return self.put_json(value);
        }
        if self.current_column == NONE {
            debug_assert_ne!(self.current, NONE, "a value without a key");
            if self.current == NONE {
                return;
            }
            self.current_column = self.add_column(self.current);
        }
        let id = self.current_column;
        self.bytes += value.size();
        if self.columns[id as usize].put(self.rows, value, id, &mut self.undo) {
            self.used += 1;
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
        self.json_depth == 0
            && self.open.len() < MAX_DEPTH
            && self.tree.nodes.get(self.current as usize).is_some_and(|node| !node.is_wide)
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
        self.return_to(closed.node);
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
}

#[cfg(test)]
mod tests;
