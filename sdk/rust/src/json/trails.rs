//! What a program writes between the values of its texts.
//!
//! Texts of one program differ in their values; what stands between two of them (a quote, a comma, a name, a colon, braces) is
//! the same bytes each time. So once a text was read by the book it is noted which bytes lead from one value to the next one,
//! and the next text is compared with that. A text that goes another way is read by the book.

use super::scan::{Scanner, Token};
use crate::parse::eight_digits;
use crate::scan::{digits, find_special, same_as};
use flitch_model::number::Number;
use flitch_model::time;

/// Most values of a text that follows a trail: fewer than any limit of an object's members or of a text's names.
pub(super) const MOST_VALUES: usize = 64;
/// Most objects that are known: the bits of a number.
const MOST_OBJECTS: usize = u64::BITS as usize;
/// Most values that ways lead from and to.
const MOST_PLACES: usize = 256;
/// Most ways that lead on from one value.
const MOST_WAYS: usize = 8;
/// Most bytes of a way.
const MOST_BYTES: usize = 256;
/// Where a way leads that goes up to the end of the text.
const END: usize = usize::MAX;
/// Texts that may leave the trail, beyond as many as followed it, before it is no longer tried with each of them.
const PATIENCE: u32 = 64;
/// Of how many texts one tries it still.
const SELDOM: u32 = 16;

/// The trails of texts that are read in one way: with the same limits, and below the same prefix.
#[derive(Debug, Clone)]
pub(super) struct Trails {
    /// The first one is the beginning of a text.
    places: Vec<Place>,
    /// The paths of fields, by the numbers that places have.
    paths: Vec<String>,
    /// Hashes of the paths of objects.
    objects: Vec<u64>,
    /// The values of the text that was followed last.
    pub(super) values: Vec<Found>,
    /// Strings of that text without their escapes.
    pub(super) own: String,
    scratch: Vec<u8>,
    patience: u32,
    /// Texts since the last one that was tried.
    left: u32,
}

/// A value, and the ways that lead on from it.
#[derive(Debug, Clone)]
struct Place {
    kind: Kind,
    field: usize,
    /// How many objects of the text it stands in.
    depth: usize,
    ways: Vec<Way>,
}

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What is between two quotes.
    Text,
    /// The same where only a time may be.
    Time,
    /// Anything but a string.
    Other,
}

/// The bytes that lead from one value to another. Those that follow a string, or lead to one, have its quote.
#[derive(Debug, Clone)]
struct Way {
    head: [u8; 16],
    /// Which bytes of the head it has.
    mask: u32,
    len: usize,
    /// The place that it leads to.
    to: usize,
    /// The objects that are opened on it, by their numbers.
    opens: u64,
    /// What it has beyond its head.
    rest: Box<[u8]>,
}

/// A value that was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// The number of its field.
    pub(super) field: usize,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    /// From where to where it stands in the data.
    Text(usize, usize),
    /// The same among the trails' own strings.
    Own(usize, usize),
    Json(usize, usize),
    Int(i64),
    Float(f64),
    Boolean(bool),
    Time(i64),
}

/// What was met while a text was read by the book.
#[derive(Debug, Clone, Copy)]
pub(super) enum Met {
    /// An object, by the hash of its path.
    Object(u64),
    Value {
        kind: Kind,
        /// The number of its column.
        column: usize,
        depth: usize,
        from: usize,
        to: usize,
    },
}

impl Trails {
    pub(super) fn new() -> Self {
        Self {
            places: vec![Place::start()],
            paths: Vec::new(),
            objects: Vec::new(),
            values: Vec::with_capacity(MOST_VALUES),
            own: String::new(),
            scratch: Vec::new(),
            patience: PATIENCE,
            left: 0,
        }
    }

    pub(super) fn path(&self, field: usize) -> &str {
        &self.paths[field]
    }

    #[cfg(test)]
    pub(super) fn is_small(&self) -> bool {
        self.places.len() <= MOST_PLACES
            && self.paths.len() <= MOST_PLACES
            && self.objects.len() <= MOST_OBJECTS
            && self.places.iter().all(|place| place.ways.len() <= MOST_WAYS)
    }

    /// Whether the next text is to be tried, and noted down where it leaves the trail.
    #[inline]
    pub(super) fn is_worth_it(&mut self) -> bool {
        self.left += 1;
        if self.patience == 0 && self.left < SELDOM {
            return false;
        }
        self.left = 0;
        true
    }

    /// Follows the trail through the text `data[from..to]`, whose object lies in `above` others. Answers whether it led to the
    /// end; the values are there then.
    #[inline]
    pub(super) fn follow(&mut self, data: &str, from: usize, to: usize, above: usize) -> bool {
        let followed = self.walk(data, from, to, above).is_some();
        self.patience =
            if followed { (self.patience + 1).min(PATIENCE) } else { self.patience.saturating_sub(1) };
        followed
    }

    // By itself, so that its loop has the registers.
    #[inline(never)]
    fn walk(&mut self, text: &str, from: usize, to: usize, above: usize) -> Option<()> {
        let data = text.as_bytes();
        self.values.clear();
        self.own.clear();
        let Self { places, values, own, scratch, .. } = self;
        let (mut at, mut place, mut opened) = (from, places.first()?, 0);
        loop {
            let way = match place.way(data, at, to) {
                Some(way) => way,
                // The string may go on behind an escape.
                None => {
                    at = go_on(&text[from..to], from, at, values.last_mut()?, own, scratch)?;
                    place.way(data, at, to)?
                }
            };
            at += way.len;
            place = match places.get(way.to) {
                Some(place) => place,
                None => return Some(()),
            };
            if values.len() == MOST_VALUES || opened & way.opens != 0 {
                return None;
            }
            opened |= way.opens;
            let (what, end) = if place.kind == Kind::Text {
                let end = find_special(data, at, to);
                (What::Text(at, end), end)
            } else {
                place.other(text, at, from, to, above)?
            };
            at = end;
            values.push(Found { field: place.field, what });
        }
    }

    /// Notes the way of a text that was read by the book. `name` tells the names of columns. Answers whether all that was known
    /// is forgotten.
    #[cold]
    pub(super) fn learn<'c>(&mut self, text: &str, met: &[Met], name: impl Fn(usize) -> &'c str) -> bool {
        if met.len() > MOST_VALUES {
            return false;
        }
        let objects = met.iter().filter(|one| matches!(one, Met::Object(_))).count();
        let is_full =
            self.places.len() + met.len() > MOST_PLACES || self.objects.len() + objects > MOST_OBJECTS;
        if is_full {
            (self.places, self.paths, self.objects) = (vec![Place::start()], Vec::new(), Vec::new());
        }
        self.note(text, met, name);
        is_full
    }

    fn note<'c>(&mut self, text: &str, met: &[Met], name: impl Fn(usize) -> &'c str) {
        let (mut place, mut at, mut opens) = (0, 0, 0);
        for one in met {
            match *one {
                Met::Object(hash) => opens |= 1 << self.object(hash),
                Met::Value { kind, column, depth, from, to } => {
                    let next = self.place(kind, name(column), depth);
                    if !self.places[place].lead(&text.as_bytes()[at..from], next, opens) {
                        return;
                    }
                    (place, at, opens) = (next, to, 0);
                }
            }
        }
        self.places[place].lead(&text.as_bytes()[at..], END, 0);
    }

    /// The number of the object whose path has this hash.
    fn object(&mut self, hash: u64) -> usize {
        self.objects.iter().position(|known| *known == hash).unwrap_or_else(|| {
            self.objects.push(hash);
            self.objects.len() - 1
        })
    }

    /// The number of the place where the value of a path stands.
    fn place(&mut self, kind: Kind, path: &str, depth: usize) -> usize {
        let field = self.paths.iter().position(|known| known == path).unwrap_or_else(|| {
            self.paths.push(path.to_owned());
            self.paths.len() - 1
        });
        let found = self.places.iter().skip(1).position(|place| place.kind == kind && place.field == field);
        found.map_or_else(
            || {
                self.places.push(Place { kind, field, depth, ways: Vec::new() });
                self.places.len() - 1
            },
            |found| found + 1,
        )
    }
}

impl Place {
    /// Where a text begins.
    fn start() -> Self {
        Self { kind: Kind::Other, field: 0, depth: 0, ways: Vec::new() }
    }

    /// The way that goes on from here.
    #[inline(always)]
    fn way(&self, data: &[u8], at: usize, to: usize) -> Option<&Way> {
        let mut short = [0; 16];
        let next = match data.get(at..)?.first_chunk() {
            Some(next) => next,
            None => {
                short.iter_mut().zip(&data[at..]).for_each(|(to, from)| *to = *from);
                &short
            }
        };
        self.ways.iter().find(|way| {
            same_as(next, &way.head) & way.mask == way.mask
                && (way.len <= 16 || data.get(at + 16..).is_some_and(|next| next.starts_with(&way.rest)))
                && if way.to == END { at + way.len == to } else { at + way.len <= to }
        })
    }

    /// The value at `at`, which is no text, and where it ends.
    #[inline]
    fn other(&self, text: &str, at: usize, from: usize, to: usize, above: usize) -> Option<(What, usize)> {
        match number(text.as_bytes(), at, to) {
            Some((number, end)) if self.kind == Kind::Other => Some((What::Int(number), end)),
            _ => self.any(text, at, from, to, above),
        }
    }

    #[inline(never)]
    fn any(&self, text: &str, at: usize, from: usize, to: usize, above: usize) -> Option<(What, usize)> {
        if self.kind == Kind::Time {
            let end = find_special(text.as_bytes(), at, to);
            return Some((What::Time(time::parse(&text.as_bytes()[at..end])?), end));
        }
        if matches!(text.as_bytes()[at..to].first()?, b' ' | b'\t' | b'\n' | b'\r') {
            return None;
        }
        let mut scanner = Scanner::new(&text[from..to]);
        scanner.seek(at - from);
        let token = scanner.token().ok()?;
        let what = match token {
            Token::Number(Number::Int(number), _) => What::Int(number),
            Token::Number(Number::Float(number), _) => What::Float(number),
            Token::Number(Number::Other, text) => What::Json(at, at + text.len()),
            Token::Boolean(boolean) => What::Boolean(boolean),
            Token::Null => What::Json(at, at + 4),
            Token::Array => {
                scanner.seek(at - from);
                let raw = scanner.raw_value(above + self.depth).ok()?;
                What::Json(at, at + raw.len())
            }
            Token::Object if scanner.is_closed() => What::Json(at, at + 2),
            Token::Object | Token::String(_) => return None,
        };
        Some((what, from + scanner.place()))
    }

    /// Notes a way that leads on from here. False where it is too long.
    fn lead(&mut self, bytes: &[u8], to: usize, opens: u64) -> bool {
        let is_it = |way: &Way| way.to == to && way.is(bytes);
        if self.ways.iter().any(is_it) {
            return true;
        }
        if bytes.len() > MOST_BYTES {
            return false;
        }
        if self.ways.len() == MOST_WAYS {
            self.ways.clear();
        }
        // One way may be another one and a quote.
        let place = self.ways.partition_point(|way| way.len > bytes.len());
        self.ways.insert(place, Way::new(bytes, to, opens));
        true
    }
}

impl Way {
    fn new(bytes: &[u8], to: usize, opens: u64) -> Self {
        let mut head = [0; 16];
        head.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        let rest = bytes.get(16..).unwrap_or_default().into();
        Self { head, mask: (1 << bytes.len().min(16)) - 1, len: bytes.len(), to, opens, rest }
    }

    fn is(&self, bytes: &[u8]) -> bool {
        self.len == bytes.len()
            && bytes.starts_with(&self.head[..self.len.min(16)])
            && bytes[self.len.min(16)..] == *self.rest
    }
}

/// Reads on at an escape, where the value that was found last ends in one. Answers where it does end.
#[cold]
fn go_on(
    text: &str,
    shift: usize,
    at: usize,
    last: &mut Found,
    own: &mut String,
    scratch: &mut Vec<u8>,
) -> Option<usize> {
    let What::Text(from, _) = last.what else { return None };
    if text.as_bytes().get(at - shift) != Some(&b'\\') {
        return None;
    }
    let mut scanner = Scanner::new(text);
    scanner.seek(from - shift - 1);
    let Token::String(string) = scanner.token().ok()? else { return None };
    string.unescape(scratch).ok()?;
    // Half a surrogate pair is no text.
    let string = std::str::from_utf8(scratch).ok()?;
    let begin = own.len();
    own.push_str(string);
    last.what = What::Own(begin, own.len());
    Some(shift + scanner.place() - 1)
}

/// The whole number of at most eight digits at `at`, and where it ends. None where there is no such one, or more than digits.
#[inline(always)]
fn number(data: &[u8], at: usize, to: usize) -> Option<(i64, usize)> {
    let bytes: &[u8; 16] = data.get(at..)?.first_chunk()?;
    let len = digits(bytes);
    let end = at + len;
    let follows = bytes.get(len)?;
    if len.wrapping_sub(1) >= 8
        || end > to
        || matches!(follows, b'.' | b'e' | b'E')
        || (len > 1 && bytes[0] == b'0')
    {
        return None;
    }
    let word = u64::from_le_bytes(*bytes.first_chunk()?) << (64 - 8 * len);
    Some((eight_digits(word | ZEROS.checked_shr(8 * len as u32).unwrap_or(0))?, end))
}

const ZEROS: u64 = 0x3030_3030_3030_3030;
