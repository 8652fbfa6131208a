//! Columns for the parts of a text.
//!
//! Where the parts of a row lie is noted, and columns are written for some dozens of rows at once: a loop that fills one column
//! keeps in registers what it needs.

use super::part::{Becomes, Dash, NOWHERE, Part, Span, WrongType};
use super::request::Request;
use super::{Kind, TypedBuilder, below, set_if_present};
use crate::copy::Stretches;
use crate::{Batch, Changes, Result, TextBuilder};

/// Rows that wait for their columns: as many as stay close to the processor, with their texts.
const BLOCK: usize = 64;

/// One place for every part.
#[derive(Debug)]
pub struct Sinks<'d> {
    sinks: Vec<Sink>,
    /// The parts that are read as soon as they come, for a row may be refused for them.
    typed: Vec<usize>,
    dash: Dash,
    rows: usize,
    source: &'d str,
    /// Texts that do not stand in the source.
    own: String,
    /// Where the parts of the rows lie that are in no column yet, in the source or among the own texts: row by row, behind the
    /// parts what requests note for themselves.
    spans: Vec<Span>,
    /// Places of a row.
    places: usize,
    /// How many rows may wait.
    block: usize,
    /// How many do.
    waiting: usize,
    room: Vec<[usize; 3]>,
    /// All rows that are expected.
    expected: usize,
}

#[derive(Debug)]
enum Sink {
    Nothing,
    Typed(TypedBuilder),
    Text(TextBuilder),
    /// With the number of its own first place.
    Request(Box<Request>, usize),
}

/// How the bytes of a batch's texts were spread over its columns: what room those of the next batch are given. With too
/// little room a whole column is copied again.
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

impl<'d> Sinks<'d> {
    /// Places for the rows of `batch`, whose texts stand in `field`.
    pub fn new(parts: &[Part], batch: &'d Batch, field: &str, dash: Dash) -> Self {
        Self::with_room(parts, batch, field, dash, &Room::default())
    }

    /// The same where the texts are spread as there was `room` for.
    pub fn with_room(parts: &[Part], batch: &'d Batch, field: &str, dash: Dash, room: &Room) -> Self {
        let source = batch.text(field).map_or("", |column| column.data());
        let rows = batch.len();
        let mut places = parts.len();
        let mut typed = Vec::with_capacity(parts.len());
        let sink = |(number, part): (usize, &Part)| match part.becomes {
            Becomes::Nothing => Sink::Nothing,
            Becomes::Field(Kind::Text) => Sink::Text(TextBuilder::default()),
            Becomes::Field(kind) => {
                typed.push(number);
                Sink::Typed(TypedBuilder::new(kind, rows, 0))
            }
            Becomes::Request => {
                places += Request::PLACES;
                Sink::Request(Box::default(), places - Request::PLACES)
            }
        };
        let sinks = parts.iter().enumerate().map(sink).collect();
        let room = |(number, part): (usize, &Part)| room.of(number, part.becomes, rows, source.len());
        let block = rows.clamp(1, BLOCK);
        Self {
            sinks,
            typed,
            dash,
            rows: 0,
            source,
            own: String::new(),
            spans: vec![NOWHERE; places * block],
            places,
            block,
            waiting: 0,
            room: if rows > BLOCK { parts.iter().enumerate().map(room).collect() } else { Vec::new() },
            expected: rows,
        }
    }

    /// The places of the parts of the row that [`add`](Self::add) adds next, to be written to: all of them.
    #[inline]
    pub fn row(&mut self) -> &mut [Span] {
        let first = self.waiting * self.places;
        &mut self.spans[first..first + self.sinks.len()]
    }

    /// Adds a row, whose parts lie in `data` where its [`row`](Self::row) says.
    ///
    /// # Errors
    /// The part whose text is of another type; no row is added then.
    ///
    /// # Panics
    /// When a span does not lie in the text. One that cuts a character is not looked for: its answer would be refused by the
    /// host.
    #[inline]
    pub fn add(&mut self, data: &str) -> Result<(), WrongType> {
        for place in 0..self.typed.len() {
            let number = self.typed[place];
            if !self.read(number, data) {
                self.sinks.iter_mut().for_each(|sink| sink.truncate(self.rows));
                return Err(WrongType(number));
            }
        }
        let shift = match self.shift(data) {
            Some(shift) => shift,
            None => self.keep(data),
        };
        if shift > 0 {
            self.row().iter_mut().filter(|span| **span != NOWHERE).for_each(|(from, to)| {
                *from += shift;
                *to += shift;
            });
        }
        self.added();
        Ok(())
    }

    /// Adds a row without values.
    pub fn push_absent(&mut self) {
        for number in &self.typed {
            if let Sink::Typed(builder) = &mut self.sinks[*number] {
                builder.push_absent();
            }
        }
        self.row().fill(NOWHERE);
        self.added();
    }

    /// Reads the part `number`, which is no text. False where it is of another type.
    #[inline]
    fn read(&mut self, number: usize, data: &str) -> bool {
        let span = self.spans[self.waiting * self.places + number];
        let Sink::Typed(builder) = &mut self.sinks[number] else { return true };
        if span == NOWHERE {
            builder.push_absent();
            return true;
        }
        let text = &data[span.0..span.1];
        if self.dash == Dash::Absent && text == "-" {
            builder.push_absent();
            return true;
        }
        builder.push(text)
    }

    #[inline]
    fn added(&mut self) {
        self.rows += 1;
        self.waiting += 1;
        if self.waiting == self.block {
            self.flush();
        }
    }

    /// Where `data` begins in the source; none where it stands elsewhere, or rows that do wait.
    #[inline]
    fn shift(&self, data: &str) -> Option<usize> {
        let shift = data.as_ptr().addr().checked_sub(self.source.as_ptr().addr())?;
        (self.own.is_empty() && shift <= self.source.len() && data.len() <= self.source.len() - shift)
            .then_some(shift)
    }

    /// Keeps a text, and answers where.
    #[cold]
    fn keep(&mut self, data: &str) -> usize {
        if self.own.is_empty() {
            let next = self.waiting;
            self.flush();
            self.spans.copy_within(next * self.places..(next + 1) * self.places, 0);
        }
        self.own.push_str(data);
        self.own.len() - data.len()
    }

    /// Writes the rows that wait into the columns.
    fn flush(&mut self) {
        if self.waiting == 0 {
            return;
        }
        let Self { sinks, spans, own, places, waiting, dash, room, expected, .. } = self;
        let data = if own.is_empty() { self.source } else { own.as_str() };
        let spans = &mut spans[..*waiting * *places];
        let is_first = self.rows == *waiting;
        for (number, sink) in sinks.iter_mut().enumerate() {
            // What has all its rows at once has room for just them.
            let room = room.get(number).filter(|_| is_first);
            match sink {
                Sink::Nothing | Sink::Typed(_) => {}
                Sink::Text(builder) => {
                    if let Some([bytes, ..]) = room {
                        *builder = TextBuilder::with_capacity(*expected, *bytes);
                    }
                    builder.gather(data, Stretches { spans, first: number, step: *places }, *dash);
                }
                Sink::Request(request, first) => {
                    if let Some(bytes) = room {
                        request.reserve(*expected, *bytes);
                    }
                    request.push(data, spans, (number, *first, *places), *dash);
                }
            }
        }
        self.waiting = 0;
        self.own.clear();
    }

    /// Writes the columns, under their names below `prefix`. Answers how much room they took.
    pub fn finish(mut self, parts: &[Part], prefix: &str, changes: &mut Changes) -> Room {
        self.flush();
        let columns: Vec<_> = self.sinks.iter().map(Sink::bytes).collect();
        let room = Room { all: columns.iter().flatten().sum(), columns };
        changes.set.reserve(self.places);
        for (sink, part) in self.sinks.into_iter().zip(parts) {
            match sink {
                Sink::Nothing => {}
                Sink::Typed(builder) => set_if_present(changes, builder.finish(below(prefix, &part.name))),
                Sink::Text(builder) => set_if_present(changes, builder.finish(below(prefix, &part.name))),
                Sink::Request(mut request, _) => request.finish(prefix, &part.name, changes),
            }
        }
        room
    }
}

impl Sink {
    /// Bytes of text in its columns.
    fn bytes(&self) -> [usize; 3] {
        match self {
            Self::Nothing | Self::Typed(_) => [0; 3],
            Self::Text(builder) => [builder.bytes(), 0, 0],
            Self::Request(request, _) => request.bytes(),
        }
    }

    /// Forgets the last row of what is read as it comes.
    fn truncate(&mut self, rows: usize) {
        if let Self::Typed(builder) = self {
            builder.truncate(rows);
        }
    }
}

#[cfg(test)]
mod tests;
