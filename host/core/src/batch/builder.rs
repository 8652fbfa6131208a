//! From values to columns: the one builder that sources use.
//!
//! A source tells the builder what it reads, value by value, and the builder keeps columns and nothing per record:
//!
//! ```
//! # use flitch_core::batch::{builder::Builder, constants::Constants, utf8::InvalidUtf8};
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
//! It is written by hand: the builders of arrow want the type of each column before the first value, and the readers of
//! arrow-json a schema, while here a name is first heard of in any record, and a record that turns out to be wrong takes
//! back what it wrote.
//!
//! What has no column type of its own becomes a json column, and so do values of several kinds that meet in one: each
//! keeps its own kind there, so that it means the same in whatever company it came (see [`super::mixed`]).
//!
//! A text named `@timestamp` at the top of a record is the event's time if it is RFC 3339 and int64 nanoseconds hold
//! it; the column then has the instant, and the text's own offset from UTC is gone. Any other value of that name goes
//! to `_@timestamp`, as Logstash has it, a `@tag` that is no text to `_@tag`, and [`REST`] of a record itself to `_@rest`.
//!
//! What a record costs is bounded by its size, whatever its names are: of its members those past [`MAX_NAMES`] stand
//! in one json column, [`REST`], and a batch is cut before its absent values outweigh those that came.

use super::value::Value;
use super::{REST, TAG, TIMESTAMP};
use column::{Column, Undo, size};
use lane::Lane;
use tree::{NONE, PAST, ROOT, Tree};

pub use finish::{Changed, Finished};
pub use flitch_model::{MAX_DEPTH, MAX_MEMBERS, MAX_NAMES};

pub use tree::same as same_name;

mod column;
mod finish;
mod lane;
mod limits;
mod nested;
mod scalars;
mod tree;

/// Most columns of a batch: one that would grow past them is cut.
pub const MAX_COLUMNS: usize = 512;

/// Names that were seen and are in no column of the batch are forgotten when they are more than this.
const MAX_UNUSED: usize = 4 * MAX_COLUMNS;
/// A column that a source fills in each record, named once: see [`Builder::raw_column`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(u32);

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
    /// The nodes of the host's own names, and where their values go that are none.
    time: u32,
    tag: u32,
    /// The record that was given its time, and its tag, by its source, as `began` has it. What the record says itself
    /// takes their place only if it has a right to the name.
    given: [u64; 2],
    misnamed: u64,
    rows: usize,
    bytes: usize,
    used: usize,
    /// Counts the names that records bring. A node whose stamp is not below `began` was named in this record, and the
    /// order of the stamps is that of the members.
    stamp: u64,
    began: u64,
    /// The stamp at which the record has all the names that become columns. What is stamped without a name of the record
    /// moves it on.
    limit: u64,
    /// `began` of the record before.
    before: u64,
    /// The objects that are open, the record first.
    open: Vec<Open>,
    /// The member whose value comes, and the guess which comes then.
    current: u32,
    current_column: u32,
    guess: u32,
    lane: Lane,
    undo: Undo,
    bytes_before: usize,
    misnamed_before: u64,
    /// The members of this record that are past [`MAX_NAMES`], each behind a comma.
    rest: Vec<u8>,
    /// The value that is written as JSON text, and how many objects and arrays of it are open.
    json: Vec<u8>,
    json_depth: usize,
    /// Whether that value is an object of which a part stood in columns before.
    folded: bool,
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
        let tag = tree.find(ROOT, TAG.as_bytes());
        Builder {
            tree,
            columns: Vec::new(),
            nodes: Vec::new(),
            handles: Vec::new(),
            time,
            tag,
            given: [0; 2],
            misnamed: 0,
            rows: 0,
            bytes: 0,
            used: 0,
            stamp: 0,
            began: 0,
            limit: MAX_NAMES as u64,
            before: 0,
            open: vec![Open { node: ROOT, members: 0, previous: NONE }],
            current: NONE,
            current_column: NONE,
            guess: NONE,
            lane: Lane::new(),
            undo: Undo::new(),
            bytes_before: 0,
            misnamed_before: 0,
            rest: Vec::new(),
            json: Vec::new(),
            json_depth: 0,
            folded: false,
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

    /// Starts a record.
    pub fn begin_record(&mut self) {
        debug_assert!(self.open.len() == 1 && self.json_depth == 0, "the record before is not ended");
        self.stamp += 1;
        (self.before, self.began) = (self.began, self.stamp);
        self.limit = self.stamp + MAX_NAMES as u64;
        self.open[0].members = 0;
        self.open[0].previous = NONE;
        self.current = NONE;
        self.current_column = NONE;
        self.guess = self.tree.nodes[ROOT as usize].guess_inside;
        self.lane.taken = 0;
        self.bytes_before = self.bytes;
        self.misnamed_before = self.misnamed;
    }

    /// Ends the record: it is one more row. What was left open is closed.
    pub fn end_record(&mut self) {
        while self.json_depth > 0 {
            self.end_array();
        }
        while self.open.len() > 1 {
            self.end_object();
        }
        if !self.rest.is_empty() {
            self.put_rest();
        }
        self.undo.clear();
        self.rows += 1;
        if self.tree.nodes.len() > self.used + MAX_UNUSED {
            self.forget_unused();
        }
    }

    /// Forgets the record that was begun; the batch is as it was before it.
    pub fn cancel_record(&mut self) {
        self.json_depth = 0;
        self.folded = false;
        self.open.truncate(1);
        self.rest.clear();
        self.bytes = self.bytes_before;
        self.misnamed = self.misnamed_before;
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
        self.misnamed_before = 0;
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
    pub fn guessed_key(&mut self, rest: &[u8]) -> Option<usize> {
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
        // What stands under that name is written at the top of the record.
        let name = if self.open.len() == 1 && name == REST.as_bytes() { b"_@rest" } else { name };
        if self.lane.taken > 0 {
            self.leave_lane();
            if self.tree.is(self.guess, ROOT, name) {
                return self.key_of(self.guess);
            }
        }
        let Open { node: parent, previous, .. } = self.open[self.open.len() - 1];
        if parent == ROOT && self.has_names_enough() {
            return self.key_of_rest(name);
        }
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
        let enough = self.has_names_enough();
        let open = &mut self.open[last];
        open.previous = node;
        open.members += 1;
        if enough || open.members > MAX_MEMBERS && open.node != ROOT {
            return self.key_past_limits(node);
        }
        self.enter(node);
    }

    /// Whether the record has all the names that become columns.
    #[inline]
    fn has_names_enough(&self) -> bool {
        self.stamp >= self.limit
    }

    /// A handle on the value at `path` in each record, for [`Builder::at`]. The builder remembers it for good, so it is
    /// meant for the handful of columns that a source always fills.
    pub fn raw_column(&mut self, path: &str) -> Handle {
        let node = self.tree.find_path(path);
        let handle = self.handles.iter().position(|n| *n == node).unwrap_or_else(|| {
            self.handles.push(node);
            self.handles.len() - 1
        });
        Handle(handle as u32)
    }

    /// The same as [`Builder::key`] with the handle's name, called at the top of the record only, and faster.
    #[inline]
    pub fn at(&mut self, handle: Handle) -> &mut Builder {
        debug_assert!(
            self.open.len() == 1 && self.json_depth == 0,
            "a handle names a member of the record itself"
        );
        let guess = self.guess;
        let node = self.handles[handle.0 as usize];
        self.enter(node);
        self.limit += 1;
        if node == self.time || node == self.tag {
            self.given[usize::from(node == self.tag)] = self.began;
        }
        self.guess = guess;
        self
    }

    #[inline]
    fn enter(&mut self, node: u32) {
        if self.tree.nodes[node as usize].stamp >= self.began {
            self.unset_named(node);
        }
        self.stamp += 1;
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
            if node.stamp < self.began {
                continue;
            }
            node.stamp = 0;
            if let Some(column) = self.columns.get_mut(node.column as usize) {
                column.truncate(self.rows);
                // A column that this record alone had a value for is none any more.
                if column.is_used() && column.first() == self.rows {
                    column.clear();
                    self.used -= 1;
                }
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
        if self.current_column == NONE && !self.find_column(value) {
            return;
        }
        let id = self.current_column;
        self.bytes += size(value);
        if self.columns[id as usize].put(self.rows, value, id, &mut self.undo) {
            self.used += 1;
        }
    }

    /// The column of a name that has none yet; false where the value has another place already.
    #[cold]
    fn find_column(&mut self, value: Value<'_>) -> bool {
        debug_assert_ne!(self.current, NONE, "a value without a key");
        match self.current {
            NONE => false,
            PAST => {
                value.write_json(&mut self.rest);
                self.bytes += size(value);
                false
            }
            node => {
                self.current_column = self.add_column(node);
                true
            }
        }
    }

    fn add_column(&mut self, node: u32) -> u32 {
        let id = self.columns.len() as u32;
        self.columns.push(Column::new(self.tree.path(node)));
        self.nodes.push(node);
        self.tree.nodes[node as usize].column = id;
        id
    }

    /// Whether the members of an object that begins here become columns.
    pub fn takes_members(&self) -> bool {
        self.json_depth == 0 && self.open.len() < MAX_DEPTH && (self.current as usize) < self.tree.nodes.len()
    }

    pub(crate) fn take_scratch(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.scratch)
    }

    pub(crate) fn give_scratch(&mut self, scratch: Vec<u8>) {
        self.scratch = scratch;
    }

    /// The value is an object; its members follow.
    pub fn begin_object(&mut self) {
        if self.json_depth == 0 && (self.current == self.time || self.current == self.tag) {
            self.misname();
        }
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
        if self.json_depth == 0 && (self.current == self.time || self.current == self.tag) {
            self.misname();
        }
        self.json_begin(b'[');
    }

    /// The array's values are complete.
    pub fn end_array(&mut self) {
        self.json_end(b']');
    }
}

#[cfg(test)]
mod tests;
