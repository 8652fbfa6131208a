//! The fast lane: records whose members are texts with the names of the record before, in its order.
//!
//! Nearly all that loggers send is so. In the lane a member costs a comparison of names and a copy; nothing is noted
//! about it unless the record then turns out to be another.

use super::tree::{NONE, ROOT};
use super::{Builder, Handle, Open};

/// Most members that are looked for in the lane.
const MOST: usize = 64;
/// How often the lane is laid anew in one batch. Records that differ from each other gain nothing by it.
const LAID: u8 = 16;

/// The members that the next record is expected to begin with.
#[derive(Debug)]
pub(super) struct Lane {
    members: Vec<Member>,
    /// How many of them the record that is open has.
    pub(super) taken: usize,
    /// Whether the record before was not the one that was expected.
    stale: bool,
    /// How often it was laid in this batch.
    laid: u8,
}

#[derive(Debug)]
struct Member {
    name: Box<[u8]>,
    node: u32,
    column: u32,
}

impl Lane {
    pub(super) fn new() -> Lane {
        Lane { members: Vec::new(), taken: 0, stale: true, laid: 0 }
    }

    /// Another batch begins.
    pub(super) fn restart(&mut self) {
        (self.stale, self.laid) = (true, 0);
    }

    /// Columns and nodes have other numbers now.
    pub(super) fn forget(&mut self) {
        self.members.clear();
        self.taken = 0;
        self.restart();
    }
}

impl Builder {
    /// Takes texts at the head of the record that was just begun, for as long as `next` answers one for the name that
    /// is expected, `most` of them at most. Answers how many.
    ///
    /// What comes after them goes the usual way, by [`Builder::key`].
    #[inline]
    pub fn expected_texts<'a>(
        &mut self,
        most: usize,
        mut next: impl FnMut(&[u8]) -> Option<&'a [u8]>,
    ) -> usize {
        debug_assert!(self.open.len() == 1 && self.open[0].members == 0, "the record has members already");
        let row = self.rows;
        if self.lane.stale && row > 0 && self.lane.laid < LAID {
            self.lay_lane();
        }
        let (mut taken, mut bytes) = (0, 0);
        for member in self.lane.members.iter().take(most) {
            let column = &mut self.columns[member.column as usize];
            let Some(to) = column.texts(row) else { break };
            let Some(text) = next(&member.name) else { break };
            to.push(text);
            column.has_row();
            bytes += text.len() + 4;
            taken += 1;
        }
        self.bytes += bytes;
        self.lane.taken = taken;
        self.lane.stale |= taken < most.min(self.lane.members.len());
        if taken > 0 {
            self.guess = NONE;
        }
        taken
    }

    /// Adds a record of a time and a text and nothing else, the short way where both columns have such values already.
    #[inline]
    pub fn timed_text(&mut self, (time, ns): (Handle, i64), (text, value): (Handle, &[u8])) {
        if self.put_timed_text((time, ns), (text, value)).is_none() {
            self.begin_record();
            self.at(time).timestamp(ns);
            self.at(text).text(value);
            self.end_record();
        }
    }

    #[inline]
    fn put_timed_text(&mut self, (time, ns): (Handle, i64), (text, value): (Handle, &[u8])) -> Option<()> {
        let column =
            |handle: Handle| self.tree.nodes[self.handles[handle.0 as usize] as usize].column as usize;
        let (time, text) = (column(time), column(text));
        if time == text {
            return None;
        }
        let row = self.rows;
        self.columns.get_mut(text)?.texts(row)?;
        self.columns.get_mut(time)?.times(row)?.push(ns);
        self.columns[time].has_row();
        self.columns[text].texts(row)?.push(value);
        self.columns[text].has_row();
        self.bytes += 8 + value.len() + 4;
        self.rows += 1;
        Some(())
    }

    /// Notes the members that came by the lane as if they had come by [`Builder::key`].
    #[cold]
    pub(super) fn leave_lane(&mut self) {
        let taken = std::mem::take(&mut self.lane.taken);
        for member in &self.lane.members[..taken] {
            self.stamp += 1;
            self.tree.nodes[member.node as usize].stamp = self.stamp;
        }
        if let Some(last) = self.lane.members[..taken].last() {
            self.open[0] = Open { node: ROOT, members: taken, previous: last.node };
            self.guess = self.tree.nodes[last.node as usize].guess_after;
        }
    }

    /// Makes the lane for records like the one before.
    #[inline(never)]
    fn lay_lane(&mut self) {
        self.lane.stale = false;
        self.lane.laid += 1;
        let before = self.before..self.began;
        let mut node = self.tree.nodes[ROOT as usize].guess_inside;
        let mut place = 0;
        while let Some(named) = self.tree.nodes.get(node as usize) {
            let is_text = self.columns.get(named.column as usize).is_some_and(|c| c.is_text());
            let lane = &mut self.lane.members;
            if place == MOST
                || named.parent != ROOT
                || !before.contains(&named.stamp)
                || node == self.time
                || !is_text
                || lane[..place].iter().any(|m| m.node == node)
            {
                break;
            }
            if lane.get(place).is_none_or(|m| m.node != node || m.column != named.column) {
                lane.truncate(place);
                lane.push(Member { name: self.tree.name(node).into(), node, column: named.column });
            }
            place += 1;
            node = named.guess_after;
        }
        self.lane.members.truncate(place);
    }
}

#[cfg(test)]
mod tests;
