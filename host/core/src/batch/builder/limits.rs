//! What a record has past the limits, and values that have no right to their name.

use super::tree::{NONE, PAST, ROOT};
use super::{Builder, MAX_COLUMNS, REST};
use crate::batch::value::Value;
use crate::batch::{COLUMN_BYTES, Cut, TAG, TIMESTAMP, json};

/// Places in columns, rows by columns, that a batch may have whatever its bytes are.
pub(super) const FREE_CELLS: usize = 1 << 16;
/// What a name takes that is remembered.
const NAME_BYTES: usize = 160;

/// No column may come near the 2 GiB that Arrow's offsets address.
const MAX_BYTES: usize = 1 << 30;

impl Builder {
    /// Bytes of memory that the batch takes so far, about: each column has a place for each row, and takes something
    /// by itself.
    pub fn memory(&self) -> usize {
        self.bytes + self.rows * self.used * 8 + self.used * COLUMN_BYTES + self.tree.nodes.len() * NAME_BYTES
    }

    /// Whether the batch is to be finished before the next record: it has the rows or bytes of `cut`, or
    /// [`MAX_COLUMNS`], or more places without a value than its bytes are worth. (A single record may bring more
    /// columns than [`MAX_COLUMNS`] leaves, by [`MAX_NAMES`].)
    pub fn full(&self, cut: &Cut) -> bool {
        self.rows >= cut.rows
            || self.bytes >= cut.bytes.min(MAX_BYTES)
            || self.used >= MAX_COLUMNS
            || self.rows * self.used > FREE_CELLS + self.bytes / 2
    }

    /// The member whose value comes is one too many: of its object, or of the record.
    #[cold]
    pub(super) fn key_past_limits(&mut self, node: u32) {
        let name = self.tree.name(node).to_vec();
        if self.open.len() > 1 {
            self.fold();
            return self.json_key(&name);
        }
        self.key_of_rest(&name);
    }

    /// Names a member of the record that has no column of its own any more. The host's own names always have.
    #[cold]
    pub(super) fn key_of_rest(&mut self, name: &[u8]) {
        if let Some(node) = self.tree.look_up(ROOT, name) {
            if node == self.time || node == self.tag {
                return self.enter(node);
            }
            self.unset(node);
        }
        let mut rest = std::mem::take(&mut self.rest);
        rest.push(b',');
        json::write_name(name, &mut rest);
        self.rest = rest;
        (self.current, self.current_column, self.guess) = (PAST, NONE, NONE);
    }

    /// Puts the members without a column into the column that they share.
    #[cold]
    pub(super) fn put_rest(&mut self) {
        let mut rest = std::mem::take(&mut self.rest);
        rest[0] = b'{';
        rest.push(b'}');
        json::keep_last_members(&mut rest);
        let node = self.tree.find(ROOT, REST.as_bytes());
        self.enter(node);
        // Its values are counted already.
        let bytes = self.bytes;
        self.put(Value::Json(&rest));
        self.bytes = bytes;
        rest.clear();
        self.rest = rest;
    }

    /// The value that comes is no time, or no text, and stands under one of the host's names: it gets another.
    #[cold]
    pub(super) fn misname(&mut self) {
        let named = self.current;
        if !self.is_given(named) {
            self.unset(named);
        }
        self.misnamed += 1;
        let node = self.misnamed_node(named);
        self.enter(node);
        self.limit += 1;
        // Another value under this name would take the place of this one.
        self.tree.nodes[named as usize].stamp = self.stamp;
    }

    /// Where the values go that have no right to the name of `node`, which is one of the host's.
    fn misnamed_node(&mut self, node: u32) -> u32 {
        let name = if node == self.time { TIMESTAMP } else { TAG };
        self.tree.find(ROOT, format!("_{name}").as_bytes())
    }

    /// Whether the source said the time or the tag of this record that stands at `node`.
    fn is_given(&self, node: u32) -> bool {
        node == self.time && self.given[0] == self.began || node == self.tag && self.given[1] == self.began
    }

    /// Takes back what this record has under a name that comes again; also what had no right to that name. What the
    /// source said stays until a value comes that takes its place.
    #[cold]
    pub(super) fn unset_named(&mut self, node: u32) {
        if !self.is_given(node) {
            self.unset(node);
        }
        if (node == self.time || node == self.tag) && self.misnamed > self.misnamed_before {
            let node = self.misnamed_node(node);
            self.unset(node);
        }
    }
}
