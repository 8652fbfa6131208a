//! Origins of a batch that is gathered record by record.

use super::{Origins, Root, draw};

/// So many numbers are drawn at a time.
const DRAWN: usize = 1024;

/// The origins of the records so far.
#[derive(Debug, Default)]
pub struct Numbering {
    roots: Vec<Root>,
    /// Empty while all records are of the first root.
    which: Vec<u32>,
    numbers: Vec<u64>,
    /// Where the root of the process stands among the others.
    drawn: Option<u32>,
    /// What was drawn and is given to nobody yet.
    left: std::ops::Range<u64>,
    /// Records of the last batch.
    last: usize,
}

impl Numbering {
    /// How many records.
    pub fn rows(&self) -> usize {
        self.numbers.len()
    }

    /// Adds a root, of which records come next. Answers its place, which holds up to [`Numbering::finish`].
    pub fn root(&mut self, root: Root) -> u32 {
        self.roots.push(root);
        self.roots.len() as u32 - 1
    }

    /// Adds a record of the root at `place`.
    #[inline]
    pub fn push(&mut self, place: u32, number: u64) {
        if self.numbers.capacity() == 0 {
            // As much as the batch before took, so that whoever is at rest holds nothing.
            self.numbers.reserve(self.last);
        }
        if place != 0 || !self.which.is_empty() {
            self.which.resize(self.numbers.len(), 0);
            self.which.push(place);
        }
        self.numbers.push(number);
    }

    /// Adds a record of which nothing is known.
    #[inline]
    pub fn push_drawn(&mut self) {
        if self.drawn.is_none() || self.left.is_empty() {
            self.draw();
        }
        let place = self.drawn.unwrap_or_default();
        let number = self.left.next().unwrap_or_default();
        self.push(place, number);
    }

    #[cold]
    fn draw(&mut self) {
        if self.left.is_empty() {
            let from = draw(DRAWN).1;
            self.left = from..from + DRAWN as u64;
        }
        if self.drawn.is_none() {
            self.drawn = Some(self.root(draw(0).0));
        }
    }

    /// Bytes of memory that they take.
    pub fn memory(&self) -> usize {
        self.numbers.capacity() * size_of::<u64>()
            + self.which.capacity() * size_of::<u32>()
            + self.roots.capacity() * size_of::<Root>()
    }

    /// The origins of records of one root, whose places are the numbers of their parts. None of them is left.
    pub fn finish_parts(&mut self, root: Root) -> Origins {
        // Those that there are alone: the records may be the last of millions of parts.
        let mut parts = self.which.clone();
        parts.push(0);
        parts.sort_unstable();
        parts.dedup();
        for part in &mut self.which {
            *part = parts.binary_search(part).unwrap_or_default() as u32;
        }
        let of = |part: &u32| if *part == 0 { root } else { root.part(u64::from(*part)) };
        self.roots = parts.iter().map(of).collect();
        self.finish()
    }

    /// The origins of the records. None of them is left.
    pub fn finish(&mut self) -> Origins {
        let numbers = std::mem::take(&mut self.numbers);
        self.last = numbers.len();
        let roots = std::mem::take(&mut self.roots);
        let which = std::mem::take(&mut self.which);
        self.drawn = None;
        if roots.is_empty() {
            debug_assert!(numbers.is_empty(), "each record has a root");
            return Origins::drawn(numbers.len());
        }
        if which.is_empty() {
            return Origins::of(roots[0], numbers);
        }
        let which = Some(which.into());
        Origins { roots: roots.into(), which, numbers: numbers.into() }
    }

    /// Forgets the records.
    pub fn clear(&mut self) {
        (self.drawn, self.numbers, self.roots, self.which) = Default::default();
    }
}
