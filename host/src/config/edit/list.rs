//! Lists, of which entries come and go.

use serde_json::Value as Json;

use super::super::tree::{Entry, Node, Value};
use super::yaml::flow;
use super::{ANCHOR, COMMENTS, Editor, Fixed, LAYOUT, own_value};

/// What becomes of an entry of a list.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It stays as it is.
    Stays,
    /// It becomes another value.
    Becomes(Json),
    /// It goes.
    Goes,
}

/// What becomes of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListChange {
    /// Of each entry that is there.
    pub old: Vec<Fate>,
    /// What is new. Where something is, nothing goes.
    pub new: Vec<Json>,
    /// Before which of the old ones it comes; after all at their number.
    pub at: usize,
}

impl ListChange {
    /// Whether all stays as it is.
    pub fn is_none(&self) -> bool {
        self.new.is_empty() && self.old.iter().all(|fate| *fate == Fate::Stays)
    }

    /// The list that it makes of this one.
    pub fn of<T: Clone>(&self, old: &[T], read: impl Fn(&Json) -> T) -> Vec<T> {
        let mut list = Vec::new();
        for (place, (one, fate)) in old.iter().zip(&self.old).enumerate() {
            if place == self.at {
                list.extend(self.new.iter().map(&read));
            }
            match fate {
                Fate::Stays => list.push(one.clone()),
                Fate::Becomes(json) => list.push(read(json)),
                Fate::Goes => {}
            }
        }
        if self.at >= old.len() {
            list.extend(self.new.iter().map(&read));
        }
        list
    }
}

impl Editor<'_> {
    /// Changes a list, the value of an entry.
    pub fn list(&mut self, entry: &Entry, change: &ListChange) -> Result<(), Fixed> {
        let node = &entry.value;
        let Value::Seq(items) = &node.value else { return Err(LAYOUT) };
        own_value(entry)?;
        self.is_here(node)?;
        let is_flow = self.text[node.location.start..].starts_with('[');
        let same_number = change.new.is_empty() && !change.old.contains(&Fate::Goes);
        if is_flow && !same_number {
            return self.rewrite(entry, items, change);
        }
        if !is_flow && change.new.is_empty() && change.old.iter().all(|fate| *fate == Fate::Goes) {
            let (start, end) = (self.after_colon(entry)?, self.end(node));
            self.has_no_comment(start, end)?;
            self.replace(start, end, " []");
            return Ok(());
        }
        for (item, fate) in items.iter().zip(&change.old) {
            match fate {
                Fate::Stays => {}
                Fate::Becomes(new) => self.value(item, new)?,
                Fate::Goes => {
                    let (start, _) = self.dash(item)?;
                    self.replace(start, (self.line_end(self.end(item)) + 1).min(self.text.len()), "");
                }
            }
        }
        let Some(first) = items.first().filter(|_| !change.new.is_empty()) else { return Ok(()) };
        let (start, indent) = self.dash(first)?;
        if change.at == 0 {
            let lines: String = change.new.iter().map(|new| format!("{indent}- {}\n", flow(new))).collect();
            self.replace(start, start, lines);
        } else {
            let place = self.line_end(self.end(&items[change.at.min(items.len()) - 1]));
            let lines: String = change.new.iter().map(|new| format!("\n{indent}- {}", flow(new))).collect();
            self.replace(place, place, lines);
        }
        Ok(())
    }

    /// Writes a list in brackets anew, of which entries come and go.
    fn rewrite(&mut self, entry: &Entry, items: &[Node], change: &ListChange) -> Result<(), Fixed> {
        let node = &entry.value;
        let (start, end) = (node.location.start, self.end(node));
        let mut parts = Vec::new();
        let mut from = start + 1;
        for (place, (item, fate)) in items.iter().zip(&change.old).enumerate() {
            let (first, past) = (item.location.start, self.end(item));
            let between = self.text.get(from..first).ok_or(ANCHOR)?;
            if between.contains('#') {
                return Err(COMMENTS);
            }
            if between.contains(['&', '*', '!']) {
                return Err(ANCHOR);
            }
            from = past;
            if place == change.at {
                parts.extend(change.new.iter().map(flow));
            }
            match fate {
                Fate::Stays => parts.push(self.text[first..past].to_owned()),
                Fate::Becomes(new) => parts.push(self.written(item, new)?),
                Fate::Goes => {}
            }
        }
        if self.text[from..end].contains('#') {
            return Err(COMMENTS);
        }
        if change.at >= items.len() {
            parts.extend(change.new.iter().map(flow));
        }
        match self.indent(entry.key_location.start) {
            // It was empty, and may become long: a line for each.
            Some(indent) if items.is_empty() => {
                let lines: String = parts.iter().map(|part| format!("\n{indent}  - {part}")).collect();
                self.replace(self.after_colon(entry)?, end, lines);
            }
            Some(indent) if self.text[start..end].contains('\n') && !parts.is_empty() => {
                let lines: String = parts.iter().map(|part| format!("\n{indent}  {part},")).collect();
                self.replace(start, end, format!("[{lines}\n{indent}]"));
            }
            _ => self.replace(start, end, format!("[{}]", parts.join(", "))),
        }
        Ok(())
    }
}
