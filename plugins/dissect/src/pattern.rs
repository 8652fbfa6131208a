//! A pattern such as `%{remote} - %{user} [%{time}] "%{request:request}" %{status:int}`: fields,
//! and the delimiters between them.

use flitch_sdk::parse::{Becomes, Kind, Part, Span};
use flitch_sdk::scan::find;
use flitch_sdk::{Result, bail, err, path};

/// The delimiter behind a field.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Delimiter {
    /// Its text; empty behind a field that takes the rest.
    text: String,
    /// The text in eight bytes, and which of them it takes; neither where it is longer.
    word: Option<(u64, u64)>,
    /// Whether it may stand several times in a row.
    padded: bool,
    /// Whether the field stands in double quotes, where `\"` does not end it.
    quoted: bool,
}

/// A pattern, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    start: String,
    /// The fields in order.
    pub parts: Vec<Part>,
    /// The delimiter behind each of them.
    delimiters: Vec<Delimiter>,
    /// The fields that go on up to the end of another part.
    longer: Vec<(usize, usize)>,
}

/// Why a text does not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// It does not begin as it should.
    Start,
    /// The delimiter behind this part is not there.
    Delimiter(usize),
    /// It goes on behind the end of the pattern.
    End,
}

impl Pattern {
    /// Takes a pattern apart.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self> {
        let (start, mut rest) =
            text.split_once("%{").ok_or_else(|| err!("there is no %{{field}} in the pattern"))?;
        let mut parts: Vec<Part> = Vec::new();
        let mut delimiters = Vec::new();
        let mut longer: Vec<(usize, usize)> = Vec::new();
        let mut before = start;
        loop {
            let (inside, after) =
                rest.split_once('}').ok_or_else(|| err!("%{{{rest} has no closing brace"))?;
            let (until, next) = match after.split_once("%{") {
                Some((until, next)) => (until, Some(next)),
                None => (after, None),
            };
            if until.is_empty() && next.is_some() {
                bail!("there is no delimiter behind %{{{inside}}}");
            }
            let (inside, padded) = match inside.strip_suffix("->") {
                Some(inside) => (inside, true),
                None => (inside, false),
            };
            if let Some(name) = inside.strip_prefix('+').map(path::of_brackets) {
                let last = parts.len().checked_sub(1).ok_or_else(|| no_field_before(inside, &name))?;
                let field = match longer.last() {
                    Some((field, end)) if *end == last => *field,
                    _ => last,
                };
                if name.is_empty() || parts[field].name != name {
                    return Err(no_field_before(inside, &name));
                }
                longer.retain(|(known, _)| *known != field);
                longer.push((field, parts.len()));
            }
            let part = part(inside)?;
            if !part.name.is_empty() && parts.iter().any(|other| other.name == part.name) {
                bail!("the field `{}` stands twice in the pattern", part.name);
            }
            parts.push(part);
            let quoted = before.ends_with('"') && until.starts_with('"');
            delimiters.push(Delimiter {
                text: until.to_owned(),
                word: word(until.as_bytes()),
                padded,
                quoted,
            });
            before = until;
            match next {
                Some(next) => rest = next,
                None => return Ok(Self { start: start.to_owned(), parts, delimiters, longer }),
            }
        }
    }

    /// Finds the fields of the text `data[from..to]`: where they lie is written to `spans`, which has a place for each.
    ///
    /// # Errors
    /// When the text does not match.
    // By itself, so that its loops have the registers.
    #[inline(never)]
    pub fn split(&self, data: &[u8], from: usize, to: usize, spans: &mut [Span]) -> Result<(), Mismatch> {
        if !starts_with(data, from, to, self.start.as_bytes()) {
            return Err(Mismatch::Start);
        }
        let mut at = from + self.start.len();
        for (number, (delimiter, span)) in self.delimiters.iter().zip(&mut *spans).enumerate() {
            let Some(first) = delimiter.text.as_bytes().first() else {
                *span = (at, to);
                at = to;
                break;
            };
            let mut end = at;
            loop {
                end = find(data, end, to, *first);
                if end == to {
                    return Err(Mismatch::Delimiter(number));
                }
                if delimiter.is_at(data, end, to) && !(delimiter.quoted && is_escaped(data, at, end)) {
                    break;
                }
                end += 1;
            }
            *span = (at, end);
            at = end + delimiter.text.len();
            if delimiter.padded {
                while delimiter.is_at(data, at, to) {
                    at += delimiter.text.len();
                }
            }
        }
        if at != to {
            return Err(Mismatch::End);
        }
        for (field, end) in &self.longer {
            spans[*field].1 = spans[*end].1;
        }
        Ok(())
    }

    /// A mismatch in words.
    pub fn describe(&self, mismatch: Mismatch) -> String {
        match mismatch {
            Mismatch::Start => format!("the text does not begin with {:?}", self.start),
            Mismatch::End => "the text goes on behind the end of the pattern".to_owned(),
            Mismatch::Delimiter(number) => {
                let text = &self.delimiters[number].text;
                match self.parts[number].name.as_str() {
                    "" => format!("no {text:?} behind field {} of the pattern", number + 1),
                    name => format!("no {text:?} behind `{name}`"),
                }
            }
        }
    }
}

impl Delimiter {
    /// Whether `data[at..to]` begins with it.
    #[inline(always)]
    fn is_at(&self, data: &[u8], at: usize, to: usize) -> bool {
        match (self.word, data.get(at..).and_then(<[u8]>::first_chunk)) {
            (Some((word, mask)), Some(eight)) => {
                to - at >= self.text.len() && u64::from_le_bytes(*eight) & mask == word
            }
            _ => starts_with(data, at, to, self.text.as_bytes()),
        }
    }
}

/// A text of at most eight bytes as one number, and which bytes of it count.
fn word(text: &[u8]) -> Option<(u64, u64)> {
    let number = |byte: &dyn Fn(u8) -> u8| {
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(text).for_each(|(to, from)| *to = byte(*from));
        u64::from_le_bytes(bytes)
    };
    (text.len() <= 8).then(|| (number(&|byte| byte), number(&|_| 0xff)))
}

#[cold]
fn no_field_before(inside: &str, name: &str) -> flitch_sdk::Error {
    err!("%{{{inside}}}: it does not stand right behind %{{{name}}}, which it goes on with")
}

/// What stands between the braces: a name and a type.
fn part(inside: &str) -> Result<Part> {
    if inside.is_empty() || inside.starts_with(['?', '+']) {
        return Ok(Part { name: String::new(), becomes: Becomes::Nothing });
    }
    if let Some(modifier @ ('*' | '&' | '/')) = inside.chars().next() {
        bail!("%{{{inside}}}: the modifier `{modifier}` is not supported");
    }
    let (name, kind) = inside.split_once(':').unwrap_or((inside, "text"));
    if name.is_empty() {
        bail!("%{{{inside}}}: a field with a type needs a name");
    }
    if let Some((name, _)) = name.split_once('|') {
        bail!("%{{{inside}}}: a type stands behind a colon, as in %{{{name}:int}}");
    }
    let becomes = match (kind, Kind::named(kind)) {
        ("request", _) => Becomes::Request,
        (_, Some(kind)) => Becomes::Field(kind),
        _ => bail!("%{{{inside}}}: there is no type `{kind}`; there are text, int, float, bool and request"),
    };
    Ok(Part { name: path::of_brackets(name), becomes })
}

/// Whether `data[at..to]` begins with `literal`. Written out, for literals are a few bytes, and a
/// call to `memcmp` costs more than they do.
#[inline(always)]
fn starts_with(data: &[u8], at: usize, to: usize, literal: &[u8]) -> bool {
    to - at >= literal.len() && data[at..to].iter().zip(literal).all(|(a, b)| a == b)
}

/// Whether the byte at `at` is escaped by an odd number of backslashes before it.
#[inline(always)]
fn is_escaped(data: &[u8], from: usize, at: usize) -> bool {
    at > from && data[at - 1] == b'\\' && is_odd(data, from, at)
}

#[cold]
fn is_odd(data: &[u8], from: usize, at: usize) -> bool {
    data[from..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests;
