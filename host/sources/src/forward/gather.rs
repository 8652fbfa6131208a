//! What a connection has read and not yet handed on: the records of the next batch, and who waits for them.

use std::sync::Arc;

use tokio::time::Instant;

use super::acks::Share;
use super::entries::{self, BadEntry, Head, SCAN_DEPTH};
use super::group::Group;
use super::numbers::Numbers;
use super::partial::{Line, Partials, Taken};
use super::tags::Tags;
use flitch_core::batch::builder::{Builder, Changed, Handle, same_name};
use flitch_core::batch::constants::Constants;
use flitch_core::batch::origin::Root;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::{Cut, Records, TAG, TIMESTAMP};
use flitch_core::net::forward::wire::{Cursor, Fault, Limits, Token, skip};

mod lines;

/// Entries that are no records, or bytes that hold no entries.
#[derive(Debug)]
pub struct Dead {
    /// What is wrong.
    pub reason: String,
    /// The bytes as they came: of entries that follow each other with the same fault, one after the other.
    pub bytes: Vec<u8>,
    /// How many entries they are.
    pub entries: usize,
}

/// Longest dead letter to which another entry is added.
const LETTER: usize = 64 << 10;
/// Bytes that a dead letter counts for beside what it holds.
const LETTER_HEAD: usize = 256;

/// A batch on its way out of a connection.
#[derive(Debug)]
pub struct Ready {
    /// The records; may be none.
    pub records: Arc<Records>,
    /// Bytes of the entries as they came (expanded, where they were compressed).
    pub bytes: usize,
    /// The chunks that have records in it.
    pub shares: Vec<Share>,
    /// Whether it has records that no client sends again.
    pub kept: bool,
    /// What goes to the dead letters.
    pub dead: Vec<Dead>,
    /// Values that were changed.
    pub changed: Changed,
}

/// How far [`Gather::entries`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The batch is full: hand it on and call again.
    Full,
    /// All entries are taken, or the last one is not complete yet.
    Drained,
    /// From here on the bytes are no entries.
    Broken(Fault),
}

/// The event whose entries come.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The tag as it came, which tells lines of containers apart.
    pub raw_tag: &'a [u8],
    /// The tag as records get it.
    pub tag: &'a str,
    /// The time of events that say "now", ns.
    pub now: i64,
    /// Whether the sender waits for an answer, and sends again where there is none.
    pub answered: bool,
    /// What its entries are numbered in; none where a sender does not name what it sends.
    pub root: Option<Root>,
}

/// What comes before the fields of a record: what its group has, and its metadata, a MessagePack value.
#[derive(Clone, Copy, Debug)]
struct Before<'a> {
    group: Option<&'a Group>,
    metadata: Option<&'a [u8]>,
}

/// Gathers records until they are a batch.
#[derive(Debug)]
pub struct Gather {
    builder: Builder,
    cut: Cut,
    invalid_utf8: InvalidUtf8,
    time: Handle,
    tag: Handle,
    /// Tag and time of the first record, which hold for every row that has none of its own.
    first_tag: String,
    first_time: i64,
    /// Whether each record gets its own time, because those of the batch before differed.
    own_times: bool,
    times_differ: bool,
    bytes: usize,
    shares: Vec<Share>,
    kept: bool,
    dead: Vec<Dead>,
    dead_bytes: usize,
    since: Option<Instant>,
    lines: Vec<Line>,
    tags: Tags,
    /// The group of the message whose entries come.
    group: Option<Box<Group>>,
    /// The field for metadata; none where it is not kept.
    metadata_field: Option<Arc<str>>,
    numbers: Numbers,
}

impl Gather {
    /// An empty batch that is cut by `cut`.
    pub fn new(cut: Cut, invalid_utf8: InvalidUtf8, tags: Tags) -> Gather {
        let mut builder = Builder::new();
        let (time, tag) = (builder.raw_column(TIMESTAMP), builder.raw_column(TAG));
        Gather {
            builder,
            cut,
            invalid_utf8,
            time,
            tag,
            first_tag: String::new(),
            first_time: 0,
            own_times: false,
            times_differ: false,
            bytes: 0,
            shares: Vec::new(),
            kept: false,
            dead: Vec::new(),
            dead_bytes: 0,
            since: None,
            lines: Vec::new(),
            tags,
            group: None,
            metadata_field: None,
            numbers: Numbers::default(),
        }
    }

    /// Keeps the metadata of events in the field of this name.
    pub fn keep_metadata(mut self, field: Option<Arc<str>>) -> Gather {
        self.metadata_field = field;
        self
    }

    /// The entries of another message come: a group ends with its message.
    pub fn begin_message(&mut self) {
        self.group = None;
        self.numbers.begin_message();
    }

    /// Records gathered.
    pub fn rows(&self) -> usize {
        self.builder.rows()
    }

    /// Bytes of memory that it takes, about.
    pub fn memory(&self) -> usize {
        self.builder.memory() + self.numbers.memory() + self.dead_bytes
    }

    /// Forgets the names that records had before, which make the next batch faster. Answers whether there were any.
    /// Nothing may be gathered.
    pub fn forget(&mut self) -> bool {
        let before = self.builder.memory();
        self.builder = Builder::new();
        (self.time, self.tag) = (self.builder.raw_column(TIMESTAMP), self.builder.raw_column(TAG));
        self.builder.memory() < before
    }

    /// Whether there is nothing to hand on.
    pub fn is_empty(&self) -> bool {
        self.rows() == 0 && self.dead.is_empty() && self.shares.is_empty()
    }

    /// Whether the batch is to be handed on before the next record.
    pub fn is_full(&self) -> bool {
        self.builder.full(&self.cut) || self.dead_bytes >= self.cut.bytes
    }

    /// Whether a sender waits for the answer to something in here.
    pub fn is_awaited(&self) -> bool {
        !self.shares.is_empty()
    }

    /// When the batch is to be handed on because of its age.
    pub fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since + self.cut.age)
    }

    /// Records came as this many bytes.
    pub fn came(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// A chunk has something in the batch.
    pub fn share(&mut self, share: Share) {
        self.shares.push(share);
    }

    /// Puts bytes among the dead letters.
    pub fn dead(&mut self, reason: String, bytes: &[u8]) {
        self.since.get_or_insert_with(Instant::now);
        self.dead_bytes += bytes.len();
        match self.dead.last_mut() {
            Some(last) if last.reason == reason && last.bytes.len() < LETTER => {
                last.bytes.extend_from_slice(bytes);
                last.entries += 1;
            }
            _ => {
                self.dead_bytes += reason.len() + LETTER_HEAD;
                self.dead.push(Dead { reason, bytes: bytes.to_vec(), entries: 1 });
            }
        }
    }

    /// Takes the entries that stand one after the other in `window`, from `at` on, until the batch is full. `at` is
    /// moved behind the last that is taken. With `last` nothing follows the window, so that an entry which is not
    /// complete is broken. Pieces of lines go to `partials`.
    pub fn entries(
        &mut self,
        origin: Origin<'_>,
        window: &[u8],
        at: &mut usize,
        last: bool,
        mut partials: Option<&mut Partials>,
    ) -> Step {
        while *at < window.len() {
            if self.is_full() {
                return Step::Full;
            }
            let reason = match self.entry(origin, window, *at, partials.as_deref_mut()) {
                Ok(end) => {
                    self.bytes += end - *at;
                    *at = end;
                    self.numbers.next_entry();
                    continue;
                }
                Err(BadEntry::Wire(Fault::Short)) if !last => return Step::Drained,
                Err(reason) => reason,
            };
            match skip(window, *at, ANY) {
                Ok(end) => {
                    self.dead(reason.to_string(), &window[*at..end]);
                    *at = end;
                    self.numbers.next_entry();
                }
                Err(Fault::Short) if !last => return Step::Drained,
                Err(fault) => return Step::Broken(fault),
            }
        }
        Step::Drained
    }

    /// Takes the entry `[time, record]` at `at`. Answers where it ends.
    #[inline]
    fn entry(
        &mut self,
        origin: Origin<'_>,
        window: &[u8],
        at: usize,
        partials: Option<&mut Partials>,
    ) -> Result<usize, BadEntry> {
        const PAIR: u8 = 0x92;
        let mut cursor = Cursor::new(window, at + 1);
        let mut more = 0;
        if window.get(at) != Some(&PAIR) {
            cursor = Cursor::new(window, at);
            more = match cursor.token()? {
                Token::Array(length @ 2..) => length - 2,
                other => {
                    let what = other.name();
                    return Err(BadEntry::Shape(format!("an entry must be [time, record], not {what}")));
                }
            };
        }
        match entries::head(&mut cursor)? {
            Head::Event(time, None) if self.group.is_none() => {
                self.record(origin, time.unwrap_or(origin.now), cursor, window, partials, more)
            }
            head => self.entry_of_group(origin, head, cursor, more),
        }
    }

    /// Takes what Fluent Bit sends beside plain entries: marks of groups, and records with metadata or in a group.
    /// (Such a record is no piece of a Docker line, for Docker sends neither.)
    #[inline(never)]
    fn entry_of_group(
        &mut self,
        origin: Origin<'_>,
        head: Head<'_>,
        mut cursor: Cursor<'_>,
        more: u32,
    ) -> Result<usize, BadEntry> {
        let (time, metadata) = match head {
            Head::Event(time, metadata) => (time.unwrap_or(origin.now), metadata),
            Head::GroupEnd => {
                cursor.skip(ANY)?;
                skip_more(&mut cursor, more)?;
                self.group = None;
                return Ok(cursor.at());
            }
            Head::GroupStart => {
                let body = cursor.value(ANY)?;
                skip_more(&mut cursor, more)?;
                // Where the mark is a bad one no other group's fields may go to its records.
                self.group = None;
                self.group = Group::read(body, &mut self.builder)?.map(Box::new);
                return Ok(cursor.at());
            }
        };
        self.record_behind(origin, time, metadata, cursor, more)
    }

    /// Takes the record at `cursor` as [`Gather::record`] does, with metadata and what its group has before its fields.
    fn record_behind(
        &mut self,
        origin: Origin<'_>,
        time: i64,
        metadata: Option<&[u8]>,
        mut cursor: Cursor<'_>,
        more: u32,
    ) -> Result<usize, BadEntry> {
        self.begin(origin.tag, time);
        let group = self.group.take();
        let before = Before { group: group.as_deref(), metadata };
        let read = self.fields_behind(before, &mut cursor).and_then(|()| skip_more(&mut cursor, more));
        self.group = group;
        self.end_or_cancel(origin, read.map(|()| cursor.at()))
    }

    fn fields_behind(&mut self, before: Before<'_>, cursor: &mut Cursor<'_>) -> Result<(), BadEntry> {
        if let Some(group) = before.group {
            group.write(&mut self.builder)?;
        }
        if let (Some(metadata), Some(name)) = (before.metadata, &self.metadata_field) {
            self.builder.key(name.as_bytes());
            entries::field(&mut Cursor::new(metadata, 0), &mut self.builder)?;
        }
        entries::record_behind(cursor, &mut self.builder)
    }

    /// Takes an event of the mode Message: its time and its record, one after the other, and its metadata. Answers where they
    /// end. Nothing is taken where there is an error.
    #[inline]
    pub fn event(
        &mut self,
        origin: Origin<'_>,
        (event, metadata): (&[u8], Option<&[u8]>),
        partials: Option<&mut Partials>,
    ) -> Result<usize, BadEntry> {
        let mut cursor = Cursor::new(event, 0);
        self.begin_message();
        let head = entries::head(&mut cursor)?;
        let time = head.alone().unwrap_or(origin.now);
        match metadata.or(head.metadata()) {
            None => self.record(origin, time, cursor, event, partials, 0),
            metadata => self.record_behind(origin, time, metadata, cursor, 0),
        }
    }

    /// Takes the record at `cursor`, of an event at `time` (ns), and passes over `more` values behind it. Answers where
    /// they end. Nothing is taken where there is an error.
    #[inline]
    fn record(
        &mut self,
        origin: Origin<'_>,
        time: i64,
        mut cursor: Cursor<'_>,
        window: &[u8],
        partials: Option<&mut Partials>,
        more: u32,
    ) -> Result<usize, BadEntry> {
        if let Some(partials) = partials {
            let mut behind = cursor;
            behind.skip(ANY)?;
            let record = &window[cursor.at()..behind.at()];
            if partials.take(origin.raw_tag, time, record, Instant::now(), &mut self.lines) == Taken::Yes {
                skip_more(&mut behind, more)?;
                self.take_lines();
                self.kept |= !origin.answered;
                return Ok(behind.at());
            }
        }
        self.begin(origin.tag, time);
        let read =
            entries::record(&mut cursor, &mut self.builder).and_then(|()| skip_more(&mut cursor, more));
        self.end_or_cancel(origin, read.map(|()| cursor.at()))
    }

    /// Ends the record that was begun, or forgets it where there is an error.
    #[inline]
    fn end_or_cancel(
        &mut self,
        origin: Origin<'_>,
        read: Result<usize, BadEntry>,
    ) -> Result<usize, BadEntry> {
        match read {
            Ok(end) => {
                self.end(origin.root);
                self.kept |= !origin.answered;
                Ok(end)
            }
            Err(reason) => {
                self.builder.cancel_record();
                Err(reason)
            }
        }
    }

    #[inline]
    fn begin(&mut self, tag: &str, time: i64) {
        self.builder.begin_record();
        if self.builder.rows() == 0 {
            self.first_tag.clear();
            self.first_tag.push_str(tag);
            self.first_time = time;
        } else {
            self.times_differ |= self.first_time != time;
            if !same_name(self.first_tag.as_bytes(), tag.as_bytes()) {
                self.builder.at(self.tag).text(tag.as_bytes());
            }
        }
        if self.own_times || self.first_time != time {
            self.builder.at(self.time).timestamp(time);
        }
    }

    /// Ends the record, which is an entry of this root.
    #[inline]
    fn end(&mut self, root: Option<Root>) {
        self.builder.end_record();
        self.numbers.push(root);
        if self.since.is_none() {
            self.since = Some(Instant::now());
        }
    }

    /// The batch, if anything is in it. The gatherer is empty after it.
    pub fn finish(&mut self) -> Option<Ready> {
        if self.is_empty() {
            return None;
        }
        let rows = self.rows();
        let mut constants = Constants::new();
        if rows > 0 {
            constants = constants.text(TAG, &self.first_tag);
            if !self.own_times {
                constants = constants.timestamp(TIMESTAMP, self.first_time);
            }
        }
        self.own_times = std::mem::take(&mut self.times_differ);
        self.since = None;
        self.dead_bytes = 0;
        let finished = self.builder.finish(self.invalid_utf8, &constants);
        Some(Ready {
            changed: finished.changed(),
            records: Arc::new(finished.records.with_origins(Some(self.numbers.finish()))),
            bytes: if rows > 0 { std::mem::take(&mut self.bytes) } else { 0 },
            shares: std::mem::take(&mut self.shares),
            kept: std::mem::take(&mut self.kept),
            dead: std::mem::take(&mut self.dead),
        })
    }
}

#[inline]
fn skip_more(cursor: &mut Cursor<'_>, more: u32) -> Result<(), BadEntry> {
    for _ in 0..more {
        cursor.skip(ANY)?;
    }
    Ok(())
}

const ANY: Limits = Limits { bytes: usize::MAX, depth: SCAN_DEPTH };

#[cfg(test)]
mod tests;
