//! A text read by the book: each token looked at, each member written under its path.

use super::Limits;
use super::scan::{Scanner, Text, Token};
use super::trails::{Kind, Met};
use crate::{ColumnSet, Error, Result, Value};
use flitch_model::json::{keep_last_members, write_name};
use flitch_model::number::Number;
use flitch_model::{MAX_MEMBERS, REST, TAG, TIMESTAMP, path, time};

/// Objects that a path stands in, and itself.
pub(super) fn objects_of(prefix: &str) -> usize {
    if prefix.is_empty() { 0 } else { path::split(prefix).count() }
}

/// Reads a text by the book. Notes what was met where somebody asks and all of it was ordinary.
pub(super) fn read(
    text: &str,
    prefix: &str,
    row: usize,
    columns: &mut ColumnSet,
    limits: Limits,
    mut met: Option<&mut Vec<Met>>,
) -> Result<()> {
    columns.begin_row();
    let mut flattening = Flattening {
        scanner: Scanner::new(text),
        path: prefix.to_owned(),
        scratch: Vec::new(),
        columns,
        known: None,
        row,
        limits,
        above: objects_of(prefix),
        names: 0,
        rest: Vec::new(),
        opened: Vec::new(),
        came: [false; 2],
        has_misnamed: false,
        met: met.as_deref_mut().map(std::mem::take),
    };
    let done = flattening.document(prefix);
    if let (Some(met), Some(own)) = (met, flattening.met) {
        *met = own;
    }
    if done.is_err() {
        columns.truncate(row);
    }
    done
}

struct Flattening<'a, 'c> {
    scanner: Scanner<'a>,
    path: String,
    /// A string without its escapes.
    scratch: Vec<u8>,
    columns: &'c mut ColumnSet,
    /// The column of the member that is read, where it is the one that was expected. Its path is not written then.
    known: Option<usize>,
    row: usize,
    limits: Limits,
    /// Objects that the text will lie in.
    above: usize,
    /// Names that were met so far: each costs something, even if its object turns out to be one json value.
    names: usize,
    /// The members past the limit, each behind a comma.
    rest: Vec<u8>,
    /// Hashes of the paths of objects that were opened.
    opened: Vec<u64>,
    /// Which of the host's names came, as [`RESERVED`] has them.
    came: [bool; 2],
    /// A value had no right to such a name.
    has_misnamed: bool,
    /// What was met; none where nobody asks, or something was out of the ordinary.
    met: Option<Vec<Met>>,
}

impl<'a> Flattening<'a, '_> {
    fn document(&mut self, prefix: &str) -> Result<()> {
        let start = self.scanner.value_start();
        match self.scanner.token()? {
            Token::Object => _ = self.object(1)?,
            token => return Err(Error::new(format!("{} where an object should be", token.name()))),
        }
        let text = self.scanner.since(start);
        self.scanner.end()?;
        if self.rest.is_empty() {
            return Ok(());
        }
        self.met = None;
        if prefix.is_empty() {
            self.rest[0] = b'{';
            self.rest.push(b'}');
            keep_last_members(&mut self.rest);
            self.columns.set(self.row, REST, Value::Json(&String::from_utf8_lossy(&self.rest)));
        } else {
            self.columns.truncate(self.row);
            self.columns.begin_row();
            self.columns.set(self.row, prefix, Value::Json(text));
        }
        Ok(())
    }

    /// The members of an object whose brace has been read. Answers whether they have columns: not where it has none, or
    /// one too many. Then the scanner stands somewhere within the object.
    fn object(&mut self, depth: usize) -> Result<bool> {
        let parent = self.path.len();
        let mut first = true;
        let mut members = 0;
        let is_at_top = depth == 1 && parent == 0;
        loop {
            let has_room = self.names < self.limits.names && (depth == 1 || members < MAX_MEMBERS);
            self.known = None;
            let expected = if has_room { self.expected(is_at_top, first) } else { None };
            let key = match expected {
                Some((number, key)) => {
                    first = false;
                    // Nearly all members of a log's texts are like this one.
                    if let Some(text) = self.scanner.plain_string() {
                        members += 1;
                        self.names += 1;
                        self.columns.set_column(self.row, number, Value::Text(text));
                        let end = self.scanner.place() - 1;
                        self.meet(Kind::Text, depth, end - text.len(), end);
                        continue;
                    }
                    self.known = Some(number);
                    key
                }
                None => {
                    let Some(key) = self.scanner.member(&mut first)? else { break };
                    if has_room {
                        self.known = self.known(&key, is_at_top);
                    }
                    key
                }
            };
            let is_rest = self.known.is_none() && self.enter(&key, is_at_top)?;
            if depth == 1 && self.names >= self.limits.names && !(is_at_top && reserved(&self.path).is_some())
            {
                let value = self.scanner.raw_value(self.above + depth)?;
                self.columns.unset(self.row, &self.path);
                self.rest.push(b',');
                let name = key.plain().map_or(&*self.scratch, str::as_bytes);
                write_name(if is_rest { b"_@rest" } else { name }, &mut self.rest);
                self.rest.extend_from_slice(value.as_bytes());
                self.path.truncate(parent);
                continue;
            }
            members += 1;
            if depth > 1 && (members > MAX_MEMBERS || self.names >= self.limits.names) {
                self.path.truncate(parent);
                return Ok(false);
            }
            self.names += 1;
            let start = self.scanner.value_start();
            let token = self.scanner.token()?;
            if matches!(token, Token::Object | Token::Array) && self.known.take().is_some() {
                self.push(&key, is_at_top)?;
            }
            match token {
                Token::Object if depth < self.limits.depth => {
                    if is_at_top && reserved(&self.path).is_some() {
                        self.misname();
                    }
                    self.once();
                    if !self.object(depth + 1)? {
                        self.scanner.seek(start);
                        let raw = self.scanner.raw_value(self.above + depth)?;
                        self.columns.unset(self.row, &self.path);
                        self.columns.set(self.row, &self.path, Value::Json(raw));
                        // That it was opened is no longer true.
                        if raw == "{}"
                            && let Some(met) = &mut self.met
                        {
                            met.pop();
                            self.meet(Kind::Other, depth, start, self.scanner.place());
                        } else {
                            self.met = None;
                        }
                    }
                    self.path.truncate(parent);
                    continue;
                }
                Token::Object | Token::Array => {
                    self.scanner.seek(start);
                    let raw = self.scanner.raw_value(self.above + depth)?;
                    self.leaf(Value::Json(raw), is_at_top);
                }
                Token::String(string) => self.string(&string, start, is_at_top)?,
                Token::Number(Number::Int(number), _) => self.leaf(Value::Int64(number), is_at_top),
                Token::Number(Number::Float(number), _) => self.leaf(Value::Float64(number), is_at_top),
                Token::Number(Number::Other, text) => self.leaf(Value::Json(text), is_at_top),
                Token::Boolean(boolean) => self.leaf(Value::Boolean(boolean), is_at_top),
                Token::Null => self.leaf(Value::Json("null"), is_at_top),
            }
            let end = self.scanner.place();
            match self.scanner.since(start).as_bytes()[0] {
                b'"' if is_at_top && self.path == TIMESTAMP => {
                    self.meet(Kind::Time, depth, start + 1, end - 1)
                }
                b'"' => self.meet(Kind::Text, depth, start + 1, end - 1),
                b'{' => self.met = None,
                _ => self.meet(Kind::Other, depth, start, end),
            }
            self.path.truncate(parent);
        }
        Ok(members > 0)
    }

    /// The next member of the object at the path, passed over up to its value, and its column: if it is the one that comes
    /// next in other texts.
    #[inline]
    fn expected(&mut self, is_at_top: bool, first: bool) -> Option<(usize, Text<'a>)> {
        let (number, name) = next_column(self.columns, &self.path, is_at_top)?;
        Some((number, self.scanner.expect(first, name)?))
    }

    /// The column of a member of the object at the path, if it is the same.
    fn known(&self, key: &Text<'_>, is_at_top: bool) -> Option<usize> {
        let (number, name) = next_column(self.columns, &self.path, is_at_top)?;
        (key.plain()?.as_bytes() == name).then_some(number)
    }

    /// Goes to a member. Answers whether it is one that has the name of [`REST`], and another one now.
    fn enter(&mut self, key: &Text<'_>, is_at_top: bool) -> Result<bool> {
        self.push(key, is_at_top)?;
        if !is_at_top || !self.path.starts_with('@') {
            return Ok(false);
        }
        self.take_back_misnamed();
        let is_rest = self.path == REST;
        if is_rest {
            self.path.insert(0, '_');
            self.met = None;
        }
        Ok(is_rest)
    }

    /// Writes the path of a member, whose name stays in the scratch if it has escapes.
    fn push(&mut self, key: &Text<'_>, is_at_top: bool) -> Result<()> {
        match key.plain() {
            Some(name) => path::push_text(&mut self.path, name, is_at_top),
            None => {
                key.unescape(&mut self.scratch)?;
                path::push_name(&mut self.path, &self.scratch, is_at_top);
            }
        }
        Ok(())
    }

    /// A string, which begins at `start`. One that UTF-8 cannot hold stays as it is written.
    fn string(&mut self, string: &Text<'a>, start: usize, is_at_top: bool) -> Result<()> {
        if let Some(text) = string.plain() {
            self.leaf(Value::Text(text), is_at_top);
            return Ok(());
        }
        let raw = self.scanner.since(start);
        let mut scratch = std::mem::take(&mut self.scratch);
        string.unescape(&mut scratch)?;
        let value = std::str::from_utf8(&scratch).map_or(Value::Json(raw), Value::Text);
        self.leaf(value, is_at_top);
        self.scratch = scratch;
        Ok(())
    }

    /// Of two objects of one path in the text the first one goes.
    fn once(&mut self) {
        let hash = fnv(self.path.as_bytes());
        if self.opened.contains(&hash) {
            self.columns.unset(self.row, &self.path);
            self.met = None;
        } else {
            self.opened.push(hash);
            if let Some(met) = &mut self.met {
                met.push(Met::Object(hash));
            }
        }
    }

    /// Notes the value that was set last.
    fn meet(&mut self, kind: Kind, depth: usize, from: usize, to: usize) {
        if let Some(met) = &mut self.met {
            met.push(Met::Value { kind, column: self.columns.last(), depth, from, to });
        }
    }

    #[inline]
    fn leaf(&mut self, value: Value<'_>, is_at_top: bool) {
        if let Some(number) = self.known.take() {
            return self.columns.set_column(self.row, number, value);
        }
        if !is_at_top || !self.path.starts_with('@') {
            return self.columns.set(self.row, &self.path, value);
        }
        let value = match (reserved(&self.path), value) {
            (Some(TIMESTAMP), Value::Text(text)) => time::parse(text.as_bytes()).map(Value::Timestamp),
            (Some(TAG), Value::Text(text)) => Some(Value::Text(text)),
            (Some(_), _) => None,
            (None, value) => Some(value),
        }
        .unwrap_or_else(|| {
            self.misname();
            value
        });
        self.columns.set(self.row, &self.path, value);
    }

    /// Where one of the host's names comes again, what had no right to it goes as well: the last one stays.
    fn take_back_misnamed(&mut self) {
        let Some(place) = RESERVED.iter().position(|name| *name == self.path) else { return };
        if std::mem::replace(&mut self.came[place], true) && self.has_misnamed {
            self.columns.unset(self.row, &format!("_{}", self.path));
        }
    }

    /// The member has no right to the name that it has.
    fn misname(&mut self) {
        self.has_misnamed = true;
        self.met = None;
        self.columns.unset(self.row, &self.path);
        self.path.insert(0, '_');
    }
}

/// The column that is likely to come next, and the member's name that it has in the object at `path`, if it is none of the host's.
fn next_column<'c>(columns: &'c ColumnSet, path: &str, is_at_top: bool) -> Option<(usize, &'c [u8])> {
    let expected = columns.expected(if is_at_top { None } else { Some(path) })?;
    (!is_at_top || expected.1.first() != Some(&b'@')).then_some(expected)
}

/// The names of the host that not every value has a right to.
const RESERVED: [&str; 2] = [TIMESTAMP, TAG];

/// The one of them that a path at the top is.
fn reserved(path: &str) -> Option<&'static str> {
    RESERVED.into_iter().find(|name| *name == path)
}

/// Fowler, Noll and Vo's hash, 1a.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
