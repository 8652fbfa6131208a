//! The origins of the records that are gathered: entries are numbered in their chunk.

use flitch_core::batch::origin::{Numbering, Origins, Root};

/// The origins of a batch in the making.
#[derive(Debug, Default)]
pub struct Numbers {
    numbering: Numbering,
    /// The root of the last record that has one, and its place in this batch.
    last: Option<(Root, u32)>,
    /// How many entries of the message came before.
    entry: u64,
}

impl Numbers {
    /// The entries of another message come.
    pub fn begin_message(&mut self) {
        self.entry = 0;
    }

    /// Another entry comes, whatever became of this one.
    #[inline]
    pub fn next_entry(&mut self) {
        self.entry += 1;
    }

    /// The entry is a record, in the chunk of this root; where there is none, of a number that no other record has.
    #[inline]
    pub fn push(&mut self, root: Option<Root>) {
        match (root, self.last) {
            (None, _) => self.numbering.push_drawn(),
            (Some(root), Some((last, place))) if root == last => self.numbering.push(place, self.entry),
            (Some(root), _) => {
                let place = self.numbering.root(root);
                self.last = Some((root, place));
                self.numbering.push(place, self.entry);
            }
        }
    }

    /// Bytes of memory that they take.
    pub fn memory(&self) -> usize {
        self.numbering.memory()
    }

    /// The origins of the batch. The next one begins, perhaps within the same message.
    pub fn finish(&mut self) -> Origins {
        self.last = None;
        self.numbering.finish()
    }
}
