//! Values that are written as JSON text: arrays, and objects that are too deep or too wide for columns.

use super::Builder;
use super::tree::NONE;
use crate::batch::json::{keep_last_members, write_name};
use crate::batch::value::Value;

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
            let mut text = std::mem::take(&mut self.json);
            if std::mem::take(&mut self.folded) {
                keep_last_members(&mut text);
            }
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
        write_name(name, &mut self.json);
    }

    /// Takes the members of the innermost object out of their columns and goes on with it as JSON text.
    #[cold]
    pub(super) fn fold(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let mut text = std::mem::take(&mut self.json);
        text.clear();
        self.write_members(open.node, &mut text);
        text.pop();
        self.json = text;
        self.json_depth = 1;
        self.folded = true;
        self.unset(open.node);
        self.stamp += 1;
        self.limit += 1;
        self.tree.nodes[open.node as usize].stamp = self.stamp;
        self.return_to(open.node);
    }

    /// Writes what this record has set below a node as one JSON object, in the order in which it came.
    fn write_members(&self, node: u32, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut members: Vec<(u64, u32)> = self.named_below(node).collect();
        members.sort_unstable();
        for (_, child) in members {
            let start = out.len();
            if out[start - 1] != b'{' {
                out.push(b',');
            }
            write_name(self.tree.name(child), out);
            let column = self.tree.nodes[child as usize].column;
            match self.columns.get(column as usize).and_then(|c| c.get(self.rows)) {
                Some(value) => value.write_json(out),
                None if self.named_below(child).next().is_some() => self.write_members(child, out),
                None => out.truncate(start),
            }
        }
        out.push(b'}');
    }

    /// The members of a node that this record has named, and when.
    fn named_below(&self, node: u32) -> impl Iterator<Item = (u64, u32)> {
        let mut child = self.tree.nodes[node as usize].child;
        std::iter::from_fn(move || {
            while child != NONE {
                let (id, named) = (child, &self.tree.nodes[child as usize]);
                child = named.sibling;
                if named.stamp >= self.began {
                    return Some((named.stamp, id));
                }
            }
            None
        })
    }
}
