//! Where the columns of a batch have their values in a record.

use crate::path;

/// A place in a record, and the columns that have their values at it or within it.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) name: String,
    /// The columns of this place, by their numbers. More than one only where names differ in what no text can say.
    pub(super) columns: Vec<usize>,
    /// The members of the object that stands here, in the order of their names.
    pub(super) inside: Vec<Place>,
}

/// A place that no column has.
pub(super) static NOWHERE: Place = Place { name: String::new(), columns: Vec::new(), inside: Vec::new() };

impl Place {
    /// The places of the columns of these paths, each with its number, in a record.
    pub(super) fn of<'p>(paths: impl Iterator<Item = (usize, &'p str)>) -> Self {
        let mut record = Self::default();
        for (column, path) in paths {
            let names = path::split(path).into_iter();
            names.fold(&mut record, Self::at).columns.push(column);
        }
        record
    }

    fn at(&mut self, name: String) -> &mut Self {
        // Columns come in the order of their names mostly, by whoever made the record.
        let place = match self.inside.last().map(|last| last.name.as_str().cmp(&name)) {
            None | Some(std::cmp::Ordering::Less) => Err(self.inside.len()),
            _ => self.inside.binary_search_by(|inside| inside.name.as_str().cmp(&name)),
        };
        let place = place.unwrap_or_else(|place| {
            self.inside.insert(place, Self { name, ..Self::default() });
            place
        });
        &mut self.inside[place]
    }

    /// The place of a member. `next` is the one that is likely to be it: programs leave members in the order of their names.
    pub(super) fn member(&self, name: &str, next: &mut usize) -> &Self {
        let is_it = |place: &Self| place.name == name;
        let place = match self.inside.get(*next) {
            Some(place) if is_it(place) => Some(*next),
            _ => self.inside.binary_search_by(|place| place.name.as_str().cmp(name)).ok(),
        };
        match place {
            Some(place) => {
                *next = place + 1;
                &self.inside[place]
            }
            None => &NOWHERE,
        }
    }
}
