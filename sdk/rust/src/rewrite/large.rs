//! Records with more names than columns are made for, of which some stand in `@rest`.

use super::{Before, Rewriter, Tree, below, is_open};
use crate::json::{MAX_DEPTH, MAX_MEMBERS, MAX_NAMES};
use crate::{Value, path};
use flitch_model::object::{Written, of_written, written};
use flitch_model::{REST, TAG, json};
use std::collections::HashSet;

impl<'a, T: Tree> Rewriter<'a, T> {
    /// Writes a record: what a column or `@rest` has already stays there as it is written, columns are made while there are names
    /// left, and what is past them stands in `@rest`. Answers whether the one that the record came with is to go.
    pub(super) fn large(&mut self, row: usize, before: &Before<T::Node>, record: &T::Node) -> bool {
        let old = before.rest.as_deref().unwrap_or_default();
        let texts = self.old_members(row);
        let same: Vec<bool> = old.iter().map(|(name, node)| T::member(record, name) == Some(node)).collect();
        let mut is_same = same.iter().all(|same| *same);
        let in_rest: HashSet<&str> =
            old.iter().zip(&same).filter(|(_, same)| **same).map(|((name, _), _)| name.as_str()).collect();
        let kept =
            self.inputs.iter().zip(&self.kept).filter(|(input, kept)| **kept && input.column.name != TAG);
        let mut left = MAX_NAMES.saturating_sub(kept.count());
        let mut new: Vec<(String, String)> = Vec::new();
        for (name, node) in T::members(record).1 {
            let place = below("", name, 1);
            if in_rest.contains(name) || self.is_kept(&place) {
                continue;
            }
            if place == TAG {
                self.leaf(&place, node);
            } else if left == 0 && !self.has_kept_below(&place) {
                new.push((json::quoted(name), T::json(node)));
                is_same = false;
            } else {
                self.within(node, &place, 1, &mut left);
            }
        }
        if is_same {
            return false;
        }
        let kept = texts.into_iter().zip(same).filter(|(_, same)| *same).map(|(text, _)| text);
        let new = new.iter().map(|(name, value)| Written { name, value });
        let rest = of_written(kept.chain(new));
        if rest != "{}" {
            self.set.set(self.take.len(), REST, Value::Json(&rest));
        }
        before.rest.is_some()
    }

    /// The members of `@rest` as the record came with it.
    fn old_members(&self, row: usize) -> Vec<Written<'a>> {
        let rest = self.index.get(REST).and_then(|place| self.inputs[*place].column.value(row));
        match rest {
            Some(Value::Json(text)) => written(text).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// Writes a value at a path: the members of an object into columns of their own, if there are names for them or some of them
    /// stay where they are.
    fn within(&mut self, node: &T::Node, place: &str, depth: usize, left: &mut usize) {
        if is_open::<T>(node, depth) && (names::<T>(node, depth + 1) <= *left || self.has_kept_below(place)) {
            for (name, node) in T::members(node).1 {
                let place = below(place, name, depth + 1);
                if !self.is_kept(&place) {
                    self.within(node, &place, depth + 1, left);
                }
            }
        } else {
            self.leaf(place, node);
        }
        *left = left.saturating_sub(1);
    }

    fn has_kept_below(&self, place: &str) -> bool {
        let kept = self.inputs.iter().zip(&self.kept).filter(|(_, kept)| **kept);
        kept.into_iter().any(|(input, _)| path::is_below(&input.column.name, place))
    }
}

/// Whether a record has more names than columns are made for: those of objects and of their members.
pub(super) fn is_large<T: Tree>(record: &T::Node) -> bool {
    names::<T>(record, 1) > MAX_NAMES
}

/// The names in an object so deep, and in those within it.
fn names<T: Tree>(node: &T::Node, depth: usize) -> usize {
    let (count, members) = T::members(node);
    if depth > 1 && (depth > MAX_DEPTH || count > MAX_MEMBERS) {
        return 0;
    }
    members.map(|(_, node)| 1 + names::<T>(node, depth + 1)).sum()
}
