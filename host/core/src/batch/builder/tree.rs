//! The names that a builder has seen, as a tree, each with a guess about which comes next.
//!
//! Records of one source repeat their names in the same order, so most look-ups are one comparison with the name that
//! stood in this place in the record before. The rest go through a hash table.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::batch::json::plain_prefix;
use crate::batch::path::{push_name, split, surrogate, unescape};

/// Stands for no node and no column.
pub(super) const NONE: u32 = u32::MAX;
/// Stands for a member past the limits of its record.
pub(super) const PAST: u32 = u32::MAX - 1;
/// The record itself.
pub(super) const ROOT: u32 = 0;

#[derive(Debug)]
pub(super) struct Node {
    name: Box<[u8]>,
    /// Whether JSON writes the name without escapes.
    pub is_plain: bool,
    pub parent: u32,
    /// First of the members, and the next member of the same parent, in no order that matters.
    pub child: u32,
    pub sibling: u32,
    /// The name that came next in the record before: inside this object, and after it.
    pub guess_inside: u32,
    pub guess_after: u32,
    /// The next node whose hash is the same.
    same_hash: u32,
    pub column: u32,
    /// When it was named last.
    pub stamp: u64,
}

#[derive(Debug)]
pub(super) struct Tree {
    pub nodes: Vec<Node>,
    places: HashMap<u64, u32, ahash::RandomState>,
    hasher: ahash::RandomState,
}

impl Tree {
    pub fn new() -> Tree {
        let root = Node::new(Box::default(), NONE);
        Tree { nodes: vec![root], places: HashMap::default(), hasher: ahash::RandomState::new() }
    }

    /// Whether `node` is the member `name` of `parent`.
    #[inline]
    pub fn is(&self, node: u32, parent: u32, name: &[u8]) -> bool {
        self.nodes.get(node as usize).is_some_and(|n| n.parent == parent && same(&n.name, name))
    }

    /// The member `name` of `parent`, made where it is new.
    ///
    /// Bytes that are no UTF-8 become U+FFFD, so that no two names end as one column's.
    pub fn find(&mut self, parent: u32, name: &[u8]) -> u32 {
        let name = clean(name);
        let hash = self.hasher.hash_one((parent, &*name));
        if let Some(node) = self.with_hash(hash, parent, &name) {
            return node;
        }
        let id = self.nodes.len() as u32;
        let mut node = Node::new((&*name).into(), parent);
        node.same_hash = self.places.insert(hash, id).unwrap_or(NONE);
        node.sibling = std::mem::replace(&mut self.nodes[parent as usize].child, id);
        self.nodes.push(node);
        id
    }

    /// The node of a path of text.
    pub fn find_path(&mut self, path: &str) -> u32 {
        split(path).fold(ROOT, |parent, name| self.find(parent, unescape(name).as_bytes()))
    }

    /// The member `name` of `parent`, if it was seen.
    pub fn look_up(&self, parent: u32, name: &[u8]) -> Option<u32> {
        let name = clean(name);
        self.with_hash(self.hasher.hash_one((parent, &*name)), parent, &name)
    }

    fn with_hash(&self, hash: u64, parent: u32, name: &[u8]) -> Option<u32> {
        let mut node = self.places.get(&hash).copied().unwrap_or(NONE);
        while node != NONE {
            if self.is(node, parent, name) {
                return Some(node);
            }
            node = self.nodes[node as usize].same_hash;
        }
        None
    }

    /// The path of a node.
    pub fn path(&self, node: u32) -> String {
        let mut names = Vec::new();
        let mut at = node;
        while at != ROOT {
            names.push(at);
            at = self.nodes[at as usize].parent;
        }
        let mut path = String::new();
        for (place, node) in names.iter().rev().enumerate() {
            push_name(&mut path, self.name(*node), place == 0);
        }
        path
    }

    pub fn name(&self, node: u32) -> &[u8] {
        &self.nodes[node as usize].name
    }

    /// Forgets every node without a kept column at or below it. Answers the new number of each old node.
    pub fn retain(&mut self, keep: impl Fn(u32, &Node) -> bool) -> Vec<u32> {
        let old = std::mem::replace(self, Tree::new()).nodes;
        let mut kept: Vec<bool> = old.iter().enumerate().map(|(id, n)| keep(id as u32, n)).collect();
        kept[ROOT as usize] = true;
        // A parent stands before its members.
        for id in (1..old.len()).rev() {
            if kept[id] {
                kept[old[id].parent as usize] = true;
            }
        }
        let mut moved = vec![NONE; old.len()];
        moved[ROOT as usize] = ROOT;
        self.nodes[0].stamp = old[0].stamp;
        for (id, node) in old.into_iter().enumerate().skip(1) {
            if kept[id] {
                let new = self.find(moved[node.parent as usize], &node.name);
                self.nodes[new as usize].column = node.column;
                self.nodes[new as usize].stamp = node.stamp;
                moved[id] = new;
            }
        }
        moved
    }
}

/// A name without bytes that are no UTF-8, but for lone surrogates in WTF-8.
fn clean(name: &[u8]) -> Cow<'_, [u8]> {
    if std::str::from_utf8(name).is_ok() {
        return Cow::Borrowed(name);
    }
    let mut clean = Vec::with_capacity(name.len() + 2);
    let mut rest = name;
    while let Err(e) = std::str::from_utf8(rest) {
        let (valid, bad) = rest.split_at(e.valid_up_to());
        clean.extend_from_slice(valid);
        if surrogate(bad).is_some() {
            clean.extend_from_slice(&bad[..3]);
            rest = &bad[3..];
        } else {
            clean.extend_from_slice("\u{fffd}".as_bytes());
            rest = &bad[e.error_len().unwrap_or(bad.len())..];
        }
    }
    clean.extend_from_slice(rest);
    Cow::Owned(clean)
}

impl Node {
    #[inline]
    pub fn name_length(&self) -> usize {
        self.name.len()
    }

    fn new(name: Box<[u8]>, parent: u32) -> Node {
        Node {
            is_plain: plain_prefix(&name) == name.len(),
            name,
            parent,
            child: NONE,
            sibling: NONE,
            guess_inside: NONE,
            guess_after: NONE,
            same_hash: NONE,
            column: NONE,
            stamp: 0,
        }
    }
}

/// Whether two names are the same. Most are short, for which a call of `memcmp` costs more than the comparison.
#[inline]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    let length = a.len();
    if length != b.len() {
        return false;
    }
    match length {
        0 => true,
        1..4 => a[0] == b[0] && a[length / 2] == b[length / 2] && a[length - 1] == b[length - 1],
        4..8 => word::<4>(a, 0) == word::<4>(b, 0) && word::<4>(a, length - 4) == word::<4>(b, length - 4),
        8..=16 => word::<8>(a, 0) == word::<8>(b, 0) && word::<8>(a, length - 8) == word::<8>(b, length - 8),
        17..=32 => {
            word::<16>(a, 0) == word::<16>(b, 0) && word::<16>(a, length - 16) == word::<16>(b, length - 16)
        }
        _ => a == b,
    }
}

#[inline]
fn word<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}
