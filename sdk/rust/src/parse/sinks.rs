//! Columns for the parts of a text.

use super::{Kind, TypedBuilder, below, check_name, excerpt, set_present};
use crate::{Changes, Result, TextBuilder};
use serde::Deserialize;

/// Where a part lies in its text: from, to.
pub type Span = (usize, usize);

/// A part that lies nowhere: the record lacks its field.
pub const NOWHERE: Span = (usize::MAX, usize::MAX);

/// What a part of a text becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Becomes {
    /// Nothing: it is skipped.
    Nothing,
    /// A field of this type.
    Field(Kind),
    /// The parts of an HTTP request line, `method`, `path` and `protocol`; or, if it is none, a
    /// field of the part's own name.
    Request,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The field's name; empty for a part that is skipped.
    pub name: String,
    /// What it becomes.
    pub becomes: Becomes,
}

impl Part {
    /// The names that it may write.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let request = (self.becomes == Becomes::Request).then_some(["method", "path", "protocol"]);
        let own = (self.becomes != Becomes::Nothing).then_some(self.name.as_str());
        own.into_iter().chain(request.into_iter().flatten())
    }

    /// Checks that the fields of these parts may have their names, below `prefix`.
    ///
    /// # Errors
    /// As [`check_name`].
    pub fn check_names(parts: &[Part], prefix: &str) -> Result<()> {
        let is_text = |part: &Part| !matches!(part.becomes, Becomes::Field(kind) if kind != Kind::Text);
        let mut names = parts.iter().flat_map(|part| part.names().map(|name| (name, is_text(part))));
        names.try_for_each(|(name, is_text)| check_name(&below(prefix, name), is_text))
    }
}

/// What becomes of a part that is only `-`, as servers write what is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dash {
    /// The record lacks the field.
    Absent,
    /// It stays as it is.
    Keep,
}

/// A part that is of another type: its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongType(pub usize);

impl WrongType {
    /// The same in words.
    #[cold]
    pub fn describe(self, parts: &[Part], data: &str, spans: &[Span]) -> String {
        let (part, (from, to)) = (&parts[self.0], spans[self.0]);
        let what = match part.becomes {
            Becomes::Field(kind) => kind.name(),
            Becomes::Nothing | Becomes::Request => Kind::Text.name(),
        };
        format!("`{}` is {}, which is no {what}", part.name, excerpt(&data[from..to]))
    }
}

/// One place for every part.
#[derive(Debug)]
pub struct Sinks {
    sinks: Vec<Sink>,
    dash: Dash,
    rows: usize,
}

#[derive(Debug)]
enum Sink {
    Nothing,
    Typed(TypedBuilder),
    Request(Box<Request>),
}

/// How the bytes of a batch's texts were spread over its columns: what room those of the next batch are given. With too
/// little room a whole column is copied again, and so it is with too much, for that is given back.
#[derive(Debug, Clone, Default)]
pub struct Room {
    /// Of the columns of each part.
    columns: Vec<[usize; 3]>,
    /// Of all of them.
    all: usize,
}

impl Room {
    /// Bytes for the columns of part `number` in `rows` texts that have `text` bytes; never more than that in all of them.
    fn of(&self, number: usize, becomes: Becomes, rows: usize, text: usize) -> [usize; 3] {
        match self.columns.get(number) {
            Some(bytes) if self.all > 0 => {
                bytes.map(|bytes| (text as u64 * bytes as u64 / self.all as u64) as usize)
            }
            _ if becomes == Becomes::Request => [4 * rows, 32 * rows, 8 * rows],
            _ => [16 * rows; 3],
        }
    }
}

impl Sinks {
    /// Places for `rows` rows.
    pub fn new(parts: &[Part], rows: usize, dash: Dash) -> Self {
        Self::with_room(parts, rows, dash, &Room::default(), 0)
    }

    /// Places for `rows` rows, whose texts have `text` bytes that are spread as there was `room` for.
    pub fn with_room(parts: &[Part], rows: usize, dash: Dash, room: &Room, text: usize) -> Self {
        let sink = |(number, part): (usize, &Part)| {
            let bytes = room.of(number, part.becomes, rows, text);
            match part.becomes {
                Becomes::Nothing => Sink::Nothing,
                Becomes::Field(kind) => Sink::Typed(TypedBuilder::new(kind, rows, bytes[0])),
                Becomes::Request => Sink::Request(Box::new(Request::new(rows, bytes))),
            }
        };
        Self { sinks: parts.iter().enumerate().map(sink).collect(), dash, rows: 0 }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// The part whose text is of another type; no row is added then.
    ///
    /// # Panics
    /// When a span does not lie in the text.
    #[inline]
    pub fn push(&mut self, data: &str, spans: &[Span]) -> Result<(), WrongType> {
        for (number, (sink, (from, to))) in self.sinks.iter_mut().zip(spans).enumerate() {
            if matches!(sink, Sink::Nothing) {
                continue;
            }
            if (*from, *to) == NOWHERE {
                sink.push_absent();
                continue;
            }
            let text = &data[*from..*to];
            if self.dash == Dash::Absent && to - from == 1 && text == "-" {
                sink.push_absent();
                continue;
            }
            match sink {
                Sink::Nothing => {}
                Sink::Typed(builder) => {
                    if !builder.push(text) {
                        self.sinks.iter_mut().for_each(|sink| sink.truncate(self.rows));
                        return Err(WrongType(number));
                    }
                }
                Sink::Request(request) => request.push(text),
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Adds a row without values.
    pub fn push_absent(&mut self) {
        self.sinks.iter_mut().for_each(Sink::push_absent);
        self.rows += 1;
    }

    /// Writes the columns, under their names below `prefix`. Answers how much room they took.
    pub fn finish(self, parts: &[Part], prefix: &str, changes: &mut Changes) -> Room {
        let columns: Vec<_> = self.sinks.iter().map(Sink::bytes).collect();
        let room = Room { all: columns.iter().flatten().sum(), columns };
        for (sink, part) in self.sinks.into_iter().zip(parts) {
            match sink {
                Sink::Nothing => {}
                Sink::Typed(builder) => set_present(changes, [builder.finish(below(prefix, &part.name))]),
                Sink::Request(request) => request.finish(prefix, &part.name, changes),
            }
        }
        room
    }
}

impl Sink {
    /// Bytes of text in its columns.
    fn bytes(&self) -> [usize; 3] {
        match self {
            Self::Typed(TypedBuilder::Text(builder)) => [builder.bytes(), 0, 0],
            Self::Nothing | Self::Typed(_) => [0; 3],
            Self::Request(request) => {
                [&request.method, &request.path, &request.protocol].map(TextBuilder::bytes)
            }
        }
    }

    fn push_absent(&mut self) {
        match self {
            Self::Nothing => {}
            Self::Typed(builder) => builder.push_absent(),
            Self::Request(request) => request.push_absent(),
        }
    }

    fn truncate(&mut self, rows: usize) {
        match self {
            Self::Nothing => {}
            Self::Typed(builder) => builder.truncate(rows),
            Self::Request(request) => request.each(|builder| builder.truncate(rows)),
        }
    }
}

/// The columns of an HTTP request line.
#[derive(Debug)]
struct Request {
    method: TextBuilder,
    path: TextBuilder,
    protocol: TextBuilder,
    /// Lines that are none, as scanners and broken clients send them.
    other: TextBuilder,
}

impl Request {
    /// Places for `rows` rows with so many bytes of methods, paths and protocols.
    fn new(rows: usize, [method, path, protocol]: [usize; 3]) -> Self {
        Self {
            method: TextBuilder::with_capacity(rows, method),
            path: TextBuilder::with_capacity(rows, path),
            protocol: TextBuilder::with_capacity(rows, protocol),
            other: TextBuilder::default(),
        }
    }

    #[inline]
    fn push(&mut self, line: &str) {
        match split(line) {
            Some((method, path, protocol)) => {
                self.method.push(method);
                self.path.push(path);
                self.protocol.push(protocol);
            }
            None => self.push_other(line),
        }
    }

    #[cold]
    fn push_other(&mut self, line: &str) {
        while self.other.len() < self.method.len() {
            self.other.push_absent();
        }
        self.other.push(line);
        self.method.push_absent();
        self.path.push_absent();
        self.protocol.push_absent();
    }

    fn push_absent(&mut self) {
        self.method.push_absent();
        self.path.push_absent();
        self.protocol.push_absent();
    }

    fn each(&mut self, change: impl FnMut(&mut TextBuilder)) {
        [&mut self.method, &mut self.path, &mut self.protocol, &mut self.other].into_iter().for_each(change);
    }

    fn finish(mut self, prefix: &str, name: &str, changes: &mut Changes) {
        if !self.other.is_empty() {
            while self.other.len() < self.method.len() {
                self.other.push_absent();
            }
            changes.set(self.other.finish(below(prefix, name)));
        }
        let columns = [("method", self.method), ("path", self.path), ("protocol", self.protocol)];
        set_present(changes, columns.map(|(name, builder)| builder.finish(below(prefix, name))));
    }
}

/// `GET /index.html HTTP/1.1` in its three parts. The path goes up to the last space, for there
/// are clients that send spaces in it.
#[inline]
fn split(line: &str) -> Option<(&str, &str, &str)> {
    let bytes = line.as_bytes();
    let method = bytes.iter().take(32).position(|byte| *byte == b' ')?;
    let path = memchr::memrchr(b' ', bytes)?;
    let valid = method > 0
        && path > method + 1
        && bytes[path + 1..].starts_with(b"HTTP/")
        && bytes[..method].iter().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'));
    valid.then(|| (&line[..method], &line[method + 1..path], &line[path + 1..]))
}
