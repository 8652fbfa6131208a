//! Out of columns: the object that those below a path make.

use std::collections::HashMap;

use crate::path::{self, MAX_DEPTH};
use crate::value::Scalar;

/// The columns of a field, put where their paths say: its own, and those below it.
///
/// Whether an object's members are columns depends on how wide and how deep it is; what its text says does not. Members that are
/// columns come by their names: the order of the columns is that of whatever record came first.
#[derive(Debug)]
pub struct Whole {
    /// The field first, each object before its members.
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// `"name":`; nothing for the field itself.
    key: Vec<u8>,
    column: Option<usize>,
    members: Vec<usize>,
}

impl Whole {
    /// Of columns by their paths, each `field` or below it. Past the depth that paths have the rest of one is one name.
    pub fn of<'p>(field: &str, columns: impl Iterator<Item = &'p str>) -> Whole {
        let mut nodes = vec![Node::default()];
        let mut places: HashMap<(usize, &str), usize> = HashMap::new();
        for (column, path) in columns.enumerate() {
            let mut node = 0;
            if let Some(below) = path.get(field.len() + 1..) {
                let mut at = 0;
                for (depth, name) in path::split(below).enumerate() {
                    let name = if depth + 1 == MAX_DEPTH { &below[at..] } else { name };
                    at += name.len() + 1;
                    let next = nodes.len();
                    let member = *places.entry((node, name)).or_insert(next);
                    if member == next {
                        nodes.push(Node::named(name));
                        nodes[node].members.push(member);
                    }
                    node = member;
                    if depth + 1 == MAX_DEPTH {
                        break;
                    }
                }
            }
            nodes[node].column = Some(column);
        }
        let keys: Vec<Vec<u8>> = nodes.iter().map(|node| node.key.clone()).collect();
        nodes.iter_mut().for_each(|node| node.members.sort_by(|a, b| keys[*a].cmp(&keys[*b])));
        Whole { nodes }
    }

    /// The object of a row, as JSON, whose values `value` has by the places of the columns. None where no column below the field
    /// has one. A value that is an object itself joins the members of its path, any other gives way to them.
    pub fn of_row<'v>(&self, value: impl Fn(usize) -> Option<Scalar<'v>>) -> Option<String> {
        let mut out = Vec::new();
        let is_there = self.write_object(0, &value, &mut out);
        is_there.then(|| String::from_utf8_lossy(&out).into_owned())
    }

    /// Appends the object whose members lie below a node; false, and nothing, where none of them has a value.
    fn write_object<'v>(
        &self,
        node: usize,
        value: &impl Fn(usize) -> Option<Scalar<'v>>,
        out: &mut Vec<u8>,
    ) -> bool {
        let node = &self.nodes[node];
        let start = out.len();
        for member in &node.members {
            let before = out.len();
            out.push(if before == start { b'{' } else { b',' });
            out.extend_from_slice(&self.nodes[*member].key);
            if !self.write(*member, value, out) {
                out.truncate(before);
            }
        }
        if out.len() == start {
            return false;
        }
        if let Some(Scalar::Json(own)) = node.column.and_then(value)
            && let Some(members) = own.strip_prefix('{').and_then(|own| own.strip_suffix('}'))
            && !members.trim_ascii().is_empty()
        {
            out.splice(start + 1..start + 1, members.bytes().chain([b',']));
        }
        out.push(b'}');
        true
    }

    /// Appends what stands at a node; false, and nothing, where the row has nothing there.
    fn write<'v>(
        &self,
        node: usize,
        value: &impl Fn(usize) -> Option<Scalar<'v>>,
        out: &mut Vec<u8>,
    ) -> bool {
        if self.write_object(node, value, out) {
            return true;
        }
        let own = self.nodes[node].column.and_then(value);
        own.inspect(|own| own.write_json(out)).is_some()
    }
}

impl Node {
    fn named(name: &str) -> Node {
        let mut key = Vec::with_capacity(name.len() + 3);
        path::write_json_name(name, &mut key);
        key.push(b':');
        Node { key, ..Node::default() }
    }
}

#[cfg(test)]
mod tests;
