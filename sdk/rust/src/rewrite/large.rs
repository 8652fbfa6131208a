//! Records with more names than columns are made for, of which some stand in `@rest`.

use super::place::Place;
use super::{Came, Own, Rewriter, Tree, is_open};
use crate::Value;
use crate::json::{MAX_DEPTH, MAX_MEMBERS, MAX_NAMES};
use flitch_model::object::{Written, of_written, written};
use flitch_model::path::push_text;
use flitch_model::{REST, TAG, json};
use std::collections::HashSet;

impl<'a, T: Tree> Rewriter<'a, T> {
    /// Writes a record: what a column or `@rest` has already stays there as it is written, columns are made while there are names
    /// left, and what is past them stands in `@rest`. Answers whether the one that the record came with is to go.
    pub(super) fn large(&mut self, came: &Came<'_, T::Node>, record: &T::Node, places: &Place) -> bool {
        self.keep_all(came, record, places);
        let old = came.before.rest.as_deref().unwrap_or_default();
        let texts = self.old_members(came.row);
        let same: Vec<bool> = old.iter().map(|(name, node)| T::member(record, name) == Some(node)).collect();
        let mut is_same = same.iter().all(|same| *same);
        let in_rest: HashSet<&str> =
            old.iter().zip(&same).filter(|(_, same)| **same).map(|((name, _), _)| name.as_str()).collect();
        let kept = self.inputs.iter().zip(&self.kept).filter(|(input, kept)| **kept && input.own != Own::Tag);
        let mut left = MAX_NAMES.saturating_sub(kept.count());
        let mut new: Vec<(String, String)> = Vec::new();
        let (mut path, mut next) = (String::new(), 0);
        for (name, node) in T::members(record).into_iter().flatten() {
            let place = places.member(name, &mut next);
            if in_rest.contains(name) || self.is_kept(place) {
                continue;
            }
            path.clear();
            push_text(&mut path, name, true);
            if path == TAG {
                self.leaf(&path, node);
            } else if left == 0 && !self.has_kept_below(place) {
                new.push((json::quoted(name), T::json(node)));
                is_same = false;
            } else {
                self.within(node, place, &mut path, 1, &mut left);
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
        came.before.rest.is_some()
    }

    /// Notes all values that are what the record came with.
    fn keep_all(&mut self, came: &Came<'_, T::Node>, node: &T::Node, place: &Place) {
        let mut next = 0;
        for (name, node) in T::members(node).into_iter().flatten() {
            let place = place.member(name, &mut next);
            self.keep(came, node, place);
            if !place.inside.is_empty() {
                self.keep_all(came, node, place);
            }
        }
    }

    /// The members of `@rest` as the record came with it.
    fn old_members(&self, row: usize) -> Vec<Written<'a>> {
        let rest = self.inputs.iter().find(|input| input.own == Own::Rest);
        match rest.and_then(|rest| rest.column.value(row)) {
            Some(Value::Json(text)) => written(text).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// Writes a value at a path: the members of an object into columns of their own, if there are names for them or some of them
    /// stay where they are.
    fn within(&mut self, node: &T::Node, place: &Place, path: &mut String, depth: usize, left: &mut usize) {
        let members = T::members(node).filter(|_| {
            is_open::<T>(node, depth) && (names::<T>(node, depth + 1) <= *left || self.has_kept_below(place))
        });
        match members {
            Some(members) => {
                let mut next = 0;
                for (name, node) in members {
                    let place = place.member(name, &mut next);
                    if !self.is_kept(place) {
                        let above = path.len();
                        push_text(path, name, false);
                        self.within(node, place, path, depth + 1, left);
                        path.truncate(above);
                    }
                }
            }
            None => self.leaf(path, node),
        }
        *left = left.saturating_sub(1);
    }

    /// Whether what stands at a place has a column already, and stays there.
    fn is_kept(&self, place: &Place) -> bool {
        place.columns.iter().any(|column| self.kept[*column])
    }

    fn has_kept_below(&self, place: &Place) -> bool {
        place.inside.iter().any(|place| self.is_kept(place) || self.has_kept_below(place))
    }
}

/// Whether a record has more names than columns are made for: those of objects and of their members.
pub(super) fn is_large<T: Tree>(record: &T::Node) -> bool {
    names::<T>(record, 1) > MAX_NAMES
}

/// The names in an object so deep, and in those within it.
fn names<T: Tree>(node: &T::Node, depth: usize) -> usize {
    let Some(members) = T::members(node) else { return 0 };
    if depth > 1 && (depth > MAX_DEPTH || members.len() > MAX_MEMBERS) {
        return 0;
    }
    members.map(|(_, node)| 1 + names::<T>(node, depth + 1)).sum()
}
