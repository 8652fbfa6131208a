//! Values that are written as JSON text: arrays, and objects that are too deep or too wide for columns.

use super::Builder;
use super::column::Value;
use super::tree::NONE;
use crate::batch::json::write_string;
use crate::batch::path::{push_name, write_json_name};

impl Builder {
    #[inline(never)]
    pub(super) fn put_json(&mut self, value: Value<'_>) {
        self.json_comma();
        value.write_json(&mut self.json);
    }

    pub(super) fn json_begin(&mut self, bracket: u8) {
        if self.json_depth == 0 {
            self.json.clear();
        } else {
            self.json_comma();
        }
        self.json.push(bracket);
        self.json_depth += 1;
    }

    pub(super) fn json_end(&mut self, bracket: u8) {
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
    pub(super) fn json_comma(&mut self) {
        if !matches!(self.json.last(), Some(b'{' | b'[' | b':')) {
            self.json.push(b',');
        }
    }

    pub(super) fn json_key(&mut self, name: &[u8]) {
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
    pub(super) fn fold(&mut self) {
        let Some(open) = self.open.pop() else { return };
        self.tree.nodes[open.node as usize].is_wide = true;
        self.wide.push(open.node);
        let mut text = std::mem::take(&mut self.json);
        text.clear();
        self.write_members(open.node, &mut text);
        text.pop();
        self.json = text;
        self.json_depth = 1;
        self.unset(open.node);
        self.tree.nodes[open.node as usize].stamp = self.stamp;
        self.return_to(open.node);
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

    /// Lets the members of every object be columns again.
    pub(super) fn narrow(&mut self) {
        for node in self.wide.drain(..) {
            self.tree.nodes[node as usize].is_wide = false;
        }
    }
}
