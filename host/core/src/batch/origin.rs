//! Where records come from, for good: what is read, sent or written again is known by it for the same.
//!
//! The origin of a record is a number in a [`Root`]: the place of a line in its file, of a message in its partition, of an
//! entry in its chunk. Where a source knows nothing of that kind, a number is drawn that no other record has. The
//! [`Origins`] of a batch go with its rows through filters, cuts and buffers, and an output that must not write a record
//! twice makes an id of them.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{BooleanArray, UInt32Array, UInt64Array};
use arrow_buffer::ScalarBuffer;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

mod numbering;

pub use numbering::Numbering;

/// What records are numbered in: a file, a partition, a chunk. 128 bits, the same in each process and each version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Root(u128);

impl Root {
    /// The root that these parts name; others name another one.
    pub fn of(kind: &str, parts: &[&[u8]]) -> Root {
        let mut hash = Sha256::new();
        for part in std::iter::once(kind.as_bytes()).chain(parts.iter().copied()) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        Root(u128::from_be_bytes(*digest.first_chunk().expect("a digest has 32 bytes")))
    }

    /// A root that nobody else has, and that nobody finds again.
    pub fn random() -> Root {
        // Its keys come from the system, and differ with each call.
        let chance = || RandomState::new().hash_one(std::process::id()).to_be_bytes();
        Root::of("random", &[&chance(), &chance(), &chance()])
    }

    /// The root of what came out of this one by `way`.
    #[must_use]
    pub fn along(self, way: Root) -> Root {
        Root(mixed(self.0, way.0))
    }

    /// The root of the records of this number among several that have one number.
    #[must_use]
    pub fn part(self, number: u64) -> Root {
        Root(mixed(self.0, u128::from(number)))
    }

    /// The root of the pieces of this number of records that were split.
    fn piece(self, number: u32) -> Root {
        Root(mixed(self.0, 1 << 64 | u128::from(number)))
    }

    /// That of these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Root {
        Root(u128::from_be_bytes(bytes))
    }

    /// The bytes that stand for it.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The id of a record: 128 bits that no other record has, by all that is likely. Records of one root have ids that
    /// follow each other as their numbers do, which stores like better than ids that are scattered.
    #[inline]
    pub fn id(self, number: u64) -> u128 {
        self.0.wrapping_add(u128::from(number))
    }
}

impl Serialize for Root {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:032x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Root, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Root).map_err(D::Error::custom)
    }
}

/// Four rounds of a Feistel network: for one key no two values become the same one.
fn mixed(value: u128, key: u128) -> u128 {
    let (mut left, mut right) = ((value >> 64) as u64, value as u64);
    let keys = [key as u64, (key >> 64) as u64];
    for round in 0..4u64 {
        let key = keys[(round % 2) as usize].wrapping_add(round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        (left, right) = (right, left ^ scattered(right ^ key));
    }
    u128::from(left) << 64 | u128::from(right)
}

/// The last steps of MurmurHash3, which change half of the bits where one changes.
fn scattered(mut bits: u64) -> u64 {
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        bits = (bits ^ bits >> 33).wrapping_mul(factor);
    }
    bits ^ bits >> 33
}

/// The root of this process, and the first of so many numbers in it that nobody else gets.
fn draw(numbers: usize) -> (Root, u64) {
    static PROCESS: LazyLock<Root> = LazyLock::new(Root::random);
    static NEXT: AtomicU64 = AtomicU64::new(0);
    (*PROCESS, NEXT.fetch_add(numbers as u64, Ordering::Relaxed))
}

/// Where the records of a batch come from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Origins {
    roots: Arc<[Root]>,
    /// Which of the roots is that of each row, where there are several.
    which: Option<ScalarBuffer<u32>>,
    numbers: ScalarBuffer<u64>,
}

impl Origins {
    /// Those of rows of one root, by their numbers.
    pub fn of(root: Root, numbers: Vec<u64>) -> Origins {
        Origins { roots: [root].into(), which: None, numbers: numbers.into() }
    }

    /// Those of rows that follow each other in one root.
    pub fn counted(root: Root, from: u64, rows: usize) -> Origins {
        Origins::of(root, (from..from + rows as u64).collect())
    }

    /// Those of rows of which nothing is known: no other record has them.
    pub fn drawn(rows: usize) -> Origins {
        let (root, from) = draw(rows);
        Origins::counted(root, from, rows)
    }

    /// Those of parts as they stand on disk; none where they contradict each other.
    pub fn of_parts(
        roots: Vec<Root>,
        which: Option<ScalarBuffer<u32>>,
        numbers: ScalarBuffer<u64>,
    ) -> Option<Origins> {
        let fits = match &which {
            None => roots.len() == 1,
            Some(which) => {
                which.len() == numbers.len() && which.iter().all(|place| (*place as usize) < roots.len())
            }
        };
        fits.then(|| Origins { roots: roots.into(), which, numbers })
    }

    /// How many rows they are of.
    pub fn rows(&self) -> usize {
        self.numbers.len()
    }

    /// The roots, of which the rows have each one.
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// Which of the roots is that of each row; none where there is but one.
    pub fn which(&self) -> Option<&ScalarBuffer<u32>> {
        self.which.as_ref()
    }

    /// The numbers.
    pub fn numbers(&self) -> &ScalarBuffer<u64> {
        &self.numbers
    }

    /// Root and number of a row.
    #[inline]
    pub fn row(&self, row: usize) -> (Root, u64) {
        (self.roots[self.place(row) as usize], self.numbers[row])
    }

    /// See [`Root::id`].
    #[inline]
    pub fn id(&self, row: usize) -> u128 {
        let (root, number) = self.row(row);
        root.id(number)
    }

    #[inline]
    fn place(&self, row: usize) -> u32 {
        self.which.as_ref().map_or(0, |which| which[row])
    }

    /// Bytes of memory that they take.
    pub fn memory(&self) -> usize {
        let which = self.which.as_ref().map_or(0, |which| which.len() * size_of::<u32>());
        which + self.rows() * size_of::<u64>() + self.roots.len() * size_of::<Root>()
    }

    /// Those of the rows `from..from + rows`.
    pub fn slice(&self, from: usize, rows: usize) -> Origins {
        let which = self.which.as_ref().map(|which| which.slice(from, rows));
        Origins { roots: self.roots.clone(), which, numbers: self.numbers.slice(from, rows) }.tidied()
    }

    /// Those of the rows whose bit is set.
    pub fn filter(&self, keep: &BooleanArray) -> Origins {
        let numbers = UInt64Array::new(self.numbers.clone(), None);
        let kept = arrow_select::filter::filter(&numbers, keep).expect("a bit for each row");
        let numbers = kept.as_primitive::<UInt64Type>().values().clone();
        let which = self.which.as_ref().map(|which| {
            let kept = arrow_select::filter::filter(&UInt32Array::new(which.clone(), None), keep);
            kept.expect("a bit for each row").as_primitive::<UInt32Type>().values().clone()
        });
        Origins { roots: self.roots.clone(), which, numbers }.tidied()
    }

    /// Those of the rows of these numbers, in this order. A row that is named several times is split: each of its pieces has
    /// an origin of its own.
    pub fn take(&self, rows: &[u32]) -> Origins {
        let numbers = rows.iter().map(|row| self.numbers[*row as usize]).collect();
        let which = self.which.as_ref();
        let which = which.map(|which| rows.iter().map(|row| which[*row as usize]).collect());
        let taken = Origins { roots: self.roots.clone(), which, numbers };
        if rows.is_sorted_by(|one, next| one < next) {
            return taken.tidied();
        }
        taken.told_apart(rows, self.rows()).tidied()
    }

    /// Gives each piece of rows that stand several times among `rows`, which are rows of `of`, a root of its own.
    fn told_apart(self, rows: &[u32], of: usize) -> Origins {
        let mut times = vec![0u32; of];
        rows.iter().for_each(|row| times[*row as usize] += 1);
        if times.iter().all(|times| *times < 2) {
            return self;
        }
        let mut pieces = HashMap::with_hasher(ahash::RandomState::new());
        let (mut roots, mut which) = (self.roots.to_vec(), self.places());
        let mut before = vec![0u32; of];
        let rows = rows.iter().map(|row| *row as usize).enumerate();
        for (place, row) in rows.filter(|(_, row)| times[*row] > 1) {
            let (root, piece) = (which[place], before[row]);
            before[row] += 1;
            which[place] = *pieces.entry((root, piece)).or_insert_with(|| {
                roots.push(self.roots[root as usize].piece(piece));
                roots.len() as u32 - 1
            });
        }
        Origins { roots: roots.into(), which: Some(which.into()), numbers: self.numbers }
    }

    fn places(&self) -> Vec<u32> {
        self.which.as_ref().map_or_else(|| vec![0; self.rows()], |which| which.to_vec())
    }

    /// The same without roots that no row has, where there are many.
    fn tidied(self) -> Origins {
        let Some(which) = &self.which else { return self };
        if self.roots.len() <= self.rows().max(1) {
            return self;
        }
        let mut places = vec![u32::MAX; self.roots.len()];
        let mut roots = Vec::new();
        let which = which.iter().map(|old| {
            let place = &mut places[*old as usize];
            if *place == u32::MAX {
                *place = roots.len() as u32;
                roots.push(self.roots[*old as usize]);
            }
            *place
        });
        let which: ScalarBuffer<u32> = which.collect();
        Origins { roots: roots.into(), which: Some(which), numbers: self.numbers }
    }

    /// Those of all rows of `parts`, one part behind the other.
    pub fn concat(parts: &[&Origins]) -> Origins {
        let numbers = parts.iter().flat_map(|part| part.numbers.iter().copied()).collect();
        let Some(first) = parts.first() else { return Origins::drawn(0) };
        if parts.iter().all(|part| part.roots == first.roots) {
            let has_several = parts.iter().any(|part| part.which.is_some());
            let which = has_several.then(|| parts.iter().flat_map(|part| part.places()).collect());
            return Origins { roots: first.roots.clone(), which, numbers };
        }
        let mut all: Vec<Root> = Vec::new();
        let mut known = HashMap::with_hasher(ahash::RandomState::new());
        let mut which: Vec<u32> = Vec::new();
        for part in parts {
            let places: Vec<u32> = part
                .roots
                .iter()
                .map(|root| {
                    *known.entry(*root).or_insert_with(|| {
                        all.push(*root);
                        all.len() as u32 - 1
                    })
                })
                .collect();
            which.extend((0..part.rows()).map(|row| places[part.place(row) as usize]));
        }
        Origins { roots: all.into(), which: Some(which.into()), numbers }
    }

    /// Those of what came out of these by `way`.
    #[must_use]
    pub fn along(&self, way: Root) -> Origins {
        Origins { roots: self.roots.iter().map(|root| root.along(way)).collect(), ..self.clone() }
    }
}

impl PartialEq for Origins {
    fn eq(&self, other: &Origins) -> bool {
        self.rows() == other.rows() && (0..self.rows()).all(|row| self.row(row) == other.row(row))
    }
}

#[cfg(test)]
mod tests;
