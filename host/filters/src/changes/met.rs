//! Which columns a path meets: those at it, below it and above it.

use std::collections::{HashMap, HashSet};

use super::slot::Slot;
use flitch_core::batch::{Kind, REST, path};

/// Paths times columns from which on it is worth to know the columns by their names.
pub(super) const MANY: usize = 4096;

/// The columns by their names, where an answer has many of them: to look at each column for each name takes as long as all names
/// times all columns.
pub(super) struct Met {
    known: Option<Known>,
}

/// By hashes of their names, of which no two are the same.
#[derive(Default)]
struct Known {
    state: ahash::RandomState,
    places: HashMap<u64, usize, ahash::RandomState>,
    /// The paths above columns.
    above: HashSet<u64, ahash::RandomState>,
    rest: Option<usize>,
}

impl Met {
    /// For so many paths.
    pub(super) fn of(slots: &[Slot], paths: usize) -> Met {
        let is_many = paths.saturating_mul(slots.len().saturating_add(paths)) >= MANY;
        let mut met = Met { known: is_many.then(Known::default) };
        met.learn(slots);
        met
    }

    /// The columns are others now.
    pub(super) fn learn(&mut self, slots: &[Slot]) {
        let Some(known) = &mut self.known else { return };
        (known.rest, known.places, known.above) = Default::default();
        let mut all = slots.iter().enumerate();
        if !all.all(|(place, slot)| known.add(slot.name(), place)) {
            self.known = None;
        }
    }

    /// There is one more column, the last one.
    pub(super) fn add(&mut self, slots: &[Slot]) {
        if let (Some(known), Some(slot)) = (&mut self.known, slots.last())
            && !known.add(slot.name(), slots.len() - 1)
        {
            self.known = None;
        }
    }

    /// Takes these columns out, whose places are in order.
    pub(super) fn remove(&mut self, slots: &mut Vec<Slot>, gone: &[usize]) {
        if gone.is_empty() {
            return;
        }
        let mut place = 0;
        slots.retain(|_| {
            place += 1;
            gone.binary_search(&(place - 1)).is_err()
        });
        self.learn(slots);
    }

    /// The place of the column of this path.
    pub(super) fn at(&self, slots: &[Slot], name: &str) -> Option<usize> {
        let is_it = |place: &usize| slots[*place].name() == name;
        match &self.known {
            Some(known) => known.places.get(&known.state.hash_one(name)).copied().filter(is_it),
            None => (0..slots.len()).find(is_it),
        }
    }

    /// The places of the columns of this path, below it and above it, in their order.
    pub(super) fn all(&self, slots: &[Slot], name: &str) -> Vec<usize> {
        let mut all = self.kin(slots, name);
        all.extend(self.at(slots, name));
        all.sort_unstable();
        all
    }

    /// The same, but those above it.
    pub(super) fn within(&self, slots: &[Slot], name: &str) -> Vec<usize> {
        let mut within = self.all(slots, name);
        within.retain(|place| slots[*place].name() == name || path::is_below(slots[*place].name(), name));
        within
    }

    /// The places of the columns that lie below this path, and of those above it, in their order.
    pub(super) fn kin(&self, slots: &[Slot], name: &str) -> Vec<usize> {
        let is_above = |slot: &Slot| {
            path::is_below(name, slot.name()) || slot.kind == Kind::Json && path::is_above(slot.name(), name)
        };
        let is_kin = |slot: &Slot| path::is_below(slot.name(), name) || is_above(slot);
        let search = || (0..slots.len()).filter(|place| is_kin(&slots[*place])).collect();
        let Some(known) = &self.known else { return search() };
        if known.above.contains(&known.state.hash_one(name)) {
            return search();
        }
        let above = ends(name).filter_map(|end| known.places.get(&known.state.hash_one(&name[..end])));
        let mut places: Vec<usize> =
            above.copied().chain(known.rest).filter(|place| is_kin(&slots[*place])).collect();
        places.sort_unstable();
        places
    }
}

impl Known {
    /// False where another name has the same hash.
    fn add(&mut self, name: &str, place: usize) -> bool {
        self.above.extend(ends(name).map(|end| self.state.hash_one(&name[..end])));
        if name == REST {
            self.rest = Some(place);
        }
        self.places.insert(self.state.hash_one(name), place).is_none()
    }
}

/// Where the paths above a path end, and maybe more.
fn ends(name: &str) -> impl Iterator<Item = usize> {
    name.bytes().enumerate().filter(|(_, byte)| *byte == b'.').map(|(place, _)| place)
}

#[cfg(test)]
mod tests;
