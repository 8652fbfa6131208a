//! Columns where their paths put them: the objects that the records of a batch have.

use std::collections::HashMap;

use arrow_array::Array;
use arrow_array::cast::AsArray;

use crate::batch::path::{MAX_DEPTH, split};
use crate::batch::{Column, Kind, REST};

/// All columns of a batch.
pub(super) struct Tree<'a> {
    /// Those that have a place in records.
    pub root: Group<'a>,
    /// The one whose members stand at the top of records: [`REST`].
    pub rest: Option<Column<'a>>,
    /// Bytes that the values take, about.
    pub bytes: usize,
}

/// The members of an object, in the order in which their columns stand.
#[derive(Default)]
pub(super) struct Group<'a> {
    pub members: Vec<Member<'a>>,
    /// Where each member stands, for hostile records with many thousands of them.
    places: HashMap<String, usize, ahash::RandomState>,
}

/// A member of an object: a value, an object, or perhaps both.
pub(super) struct Member<'a> {
    /// Its name as paths have it, escaped.
    pub name: String,
    pub value: Option<Column<'a>>,
    pub group: Group<'a>,
}

impl<'a> Tree<'a> {
    /// Of columns by their paths, no two of which are the same.
    pub fn of(columns: impl Iterator<Item = (String, Column<'a>)>) -> Tree<'a> {
        let mut tree = Tree { root: Group::default(), rest: None, bytes: 0 };
        for (path, column) in columns {
            tree.bytes += size_of(column);
            match path == REST {
                true => tree.rest = Some(column),
                false => tree.root.put(&path, column),
            }
        }
        tree
    }
}

impl<'a> Group<'a> {
    fn member(&mut self, name: &str) -> &mut Member<'a> {
        let place = match self.places.get(name) {
            Some(&place) => place,
            None => {
                let place = self.members.len();
                self.places.insert(name.to_owned(), place);
                self.members.push(Member { name: name.to_owned(), value: None, group: Group::default() });
                place
            }
        };
        &mut self.members[place]
    }

    /// Puts a column where its path says. Past the depth that paths have the rest of it is one name, so that no path,
    /// whoever made it up, is deeper than the stack.
    fn put(&mut self, path: &str, column: Column<'a>) {
        let mut group = self;
        let mut at = 0;
        for (depth, name) in split(path).enumerate() {
            let is_last = at + name.len() == path.len() || depth + 1 == MAX_DEPTH;
            let member = group.member(if is_last { &path[at..] } else { name });
            if is_last {
                member.value = Some(column);
                return;
            }
            at += name.len() + 1;
            group = &mut member.group;
        }
    }
}

fn size_of(column: Column<'_>) -> usize {
    match column {
        Column::Constant(..) => 0,
        Column::Rows(field, array) => match Kind::of(field) {
            Some(Kind::Text | Kind::Json) => {
                let offsets = array.as_string::<i32>().offsets();
                (offsets[offsets.len() - 1] - offsets[0]) as usize
            }
            Some(Kind::Bytes) => {
                let offsets = array.as_binary::<i32>().offsets();
                (offsets[offsets.len() - 1] - offsets[0]) as usize * 2
            }
            Some(Kind::Timestamp) => array.len() * 32,
            _ => array.len() * 12,
        },
    }
}
