//! What a record has past the limits, and values that have no right to their name.

use super::column::Value;
use super::nested::write_name;
use super::tree::{NONE, PAST, ROOT};
use super::{Builder, REST};
use crate::batch::{TAG, TIMESTAMP, json};

impl Builder {
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
        write_name(name, &mut rest);
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
        self.unset(named);
        self.misnamed += 1;
        let node = self.misnamed_node(named);
        self.enter(node);
        // Another value under this name would take the place of this one.
        self.tree.nodes[named as usize].stamp = self.stamp;
    }

    /// Where the values go that have no right to the name of `node`, which is one of the host's.
    fn misnamed_node(&mut self, node: u32) -> u32 {
        let name = if node == self.time { TIMESTAMP } else { TAG };
        self.tree.find(ROOT, format!("_{name}").as_bytes())
    }

    /// A value of this record under one of the host's names that had no right to it gives way to the one that comes.
    #[cold]
    pub(super) fn unset_misnamed(&mut self, named: u32) {
        if self.misnamed > self.misnamed_before {
            let node = self.misnamed_node(named);
            self.unset(node);
        }
    }
}
