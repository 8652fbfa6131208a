//! From messages to the records of a batch.

use flitch_core::batch::builder::{Builder, Finished, Handle};
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::decode_members;
use flitch_core::batch::origin::{Numbering, Root};
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::{Cut, TIMESTAMP};

use super::queue::Message;
use super::settings::{Codec, KafkaSettings, Tombstones};

/// A message that is no record.
pub(super) struct Bad {
    pub offset: i64,
    pub reason: String,
    pub value: Vec<u8>,
}

/// Gathers records of one partition at a time.
pub(super) struct Gather {
    settings: KafkaSettings,
    builder: Builder,
    columns: Columns,
    /// Whether a record has nothing but its time and its value.
    is_plain: bool,
    pub bad: Vec<Bad>,
    bad_bytes: usize,
    /// Bytes of the records as they came.
    bytes: usize,
    /// Messages that were passed over since they have no value.
    pub tombstones: u64,
    /// The offsets of the records, and which part of its message each is.
    numbering: Numbering,
    /// The message of which more lines are to come than the records that are gathered.
    open: Option<Open>,
}

/// A message whose lines are records up to some place.
struct Open {
    message: Message,
    /// Where its next line begins.
    at: usize,
    /// The number of that line.
    part: u32,
}

/// The columns that are filled in each record.
struct Columns {
    time: Handle,
    message: Handle,
    key: Option<Handle>,
    offset: Option<Handle>,
    timestamp: Option<Handle>,
    headers: Option<Handle>,
}

impl Gather {
    /// Gathers as the settings say.
    pub fn new(settings: &KafkaSettings) -> Gather {
        let mut builder = Builder::new();
        let mut column = |name: &str| builder.raw_column(name);
        let fields = &settings.fields;
        let columns = Columns {
            time: column(TIMESTAMP),
            message: column(&settings.message_field),
            key: fields.key.as_deref().map(&mut column),
            offset: fields.offset.as_deref().map(&mut column),
            timestamp: fields.timestamp.as_deref().map(&mut column),
            headers: fields.headers.as_deref().map(&mut column),
        };
        let beside = [columns.key, columns.offset, columns.timestamp, columns.headers];
        Gather {
            is_plain: beside.iter().all(Option::is_none),
            settings: settings.clone(),
            builder,
            columns,
            bad: Vec::new(),
            bad_bytes: 0,
            bytes: 0,
            tombstones: 0,
            numbering: Numbering::default(),
            open: None,
        }
    }

    /// Adds the records of a message. Answers whether that were all of them: the rest of its lines is taken when those that are
    /// gathered are sent.
    pub fn take(&mut self, message: Message, cut: &Cut) -> bool {
        let Some(value) = message.value() else {
            match self.settings.tombstones {
                Tombstones::Skip => self.tombstones += 1,
                Tombstones::Keep => {
                    self.begin(&message, message.size());
                    self.end(&message, 0);
                }
            }
            return true;
        };
        match self.settings.codec {
            Codec::Lines => return self.lines(Open { message, at: 0, part: 0 }, cut),
            Codec::Json => self.json(&message, value),
            Codec::Raw => {
                self.begin(&message, message.size());
                self.builder.at(self.columns.message).bytes_value(value);
                self.end(&message, 0);
            }
        }
        true
    }

    /// Whether a message has lines that are not gathered.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Adds lines of the message that has more of them. Answers its offset if those were all.
    pub fn go_on(&mut self, cut: &Cut) -> Option<i64> {
        let open = self.open.take()?;
        let offset = open.message.offset();
        self.lines(open, cut).then_some(offset)
    }

    /// Adds lines of a message until there are enough. Answers whether those were all.
    fn lines(&mut self, mut open: Open, cut: &Cut) -> bool {
        let value = open.message.value().unwrap_or_default();
        // What is beside the value counts with the first line.
        let mut beside = if open.part == 0 { open.message.size() - value.len() } else { 0 };
        loop {
            let rest = &value[open.at..];
            let Some(end) = memchr::memchr(b'\n', rest) else {
                self.line(&open.message, rest, beside + rest.len(), open.part);
                return true;
            };
            let line = &rest[..end];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            self.line(&open.message, line, beside + end + 1, open.part);
            (beside, open.at, open.part) = (0, open.at + end + 1, open.part + 1);
            if open.at == value.len() {
                return true;
            }
            if self.is_full(cut) {
                self.open = Some(open);
                return false;
            }
        }
    }

    #[inline]
    fn line(&mut self, message: &Message, line: &[u8], size: usize, part: u32) {
        if self.is_plain
            && let Some(ns) = nanoseconds(message)
        {
            self.bytes += size;
            self.builder.timed_text((self.columns.time, ns), (self.columns.message, line));
            self.number(message, part);
            return;
        }
        self.begin(message, size);
        self.builder.at(self.columns.message).text(line);
        self.end(message, part);
    }

    fn json(&mut self, message: &Message, value: &[u8]) {
        self.begin(message, message.size());
        match decode_members(&mut self.builder, value) {
            Ok(()) => self.end(message, 0),
            Err(error) => {
                self.builder.cancel_record();
                self.bytes -= message.size();
                self.bad_bytes += value.len();
                let (offset, reason) = (message.offset(), error.to_string());
                self.bad.push(Bad { offset, reason, value: value.to_vec() });
            }
        }
    }

    /// Begins a record with what the message has beside its value.
    #[inline]
    fn begin(&mut self, message: &Message, size: usize) {
        let Gather { builder, columns, .. } = self;
        self.bytes += size;
        builder.begin_record();
        let ns = nanoseconds(message);
        if let Some(ns) = ns {
            builder.at(columns.time).timestamp(ns);
        }
        if let Some(column) = columns.key
            && let Some(key) = message.key()
        {
            builder.at(column).text(key);
        }
        if let Some(column) = columns.offset {
            builder.at(column).int(message.offset());
        }
        if let Some(column) = columns.timestamp
            && let Some(ns) = ns
        {
            builder.at(column).timestamp(ns);
        }
        if let Some(column) = columns.headers {
            headers(builder, column, message);
        }
    }

    /// Ends a record, which is this part of its message.
    #[inline]
    fn end(&mut self, message: &Message, part: u32) {
        self.builder.end_record();
        self.number(message, part);
    }

    #[inline]
    fn number(&mut self, message: &Message, part: u32) {
        self.numbering.push(part, message.offset().cast_unsigned());
    }

    /// Records that were gathered.
    pub fn rows(&self) -> usize {
        self.builder.rows()
    }

    /// Whether nothing was gathered.
    pub fn is_empty(&self) -> bool {
        self.builder.rows() == 0 && self.bad.is_empty()
    }

    /// Whether it is time to send.
    #[inline]
    pub fn is_full(&self, cut: &Cut) -> bool {
        self.builder.full(cut) || self.bad.len() >= cut.rows || self.bad_bytes >= cut.bytes
    }

    /// What was gathered of the partition of this root: the records, if there are any, with the bytes that they came as.
    pub fn finish(&mut self, constants: &Constants, root: Root) -> Option<(Finished, usize)> {
        self.bad_bytes = 0;
        let bytes = std::mem::take(&mut self.bytes);
        if self.builder.rows() == 0 {
            return None;
        }
        let Finished { records, replaced, misnamed } = self.builder.finish(self.invalid_utf8(), constants);
        let records = records.with_origins(Some(self.numbering.finish_parts(root)));
        Some((Finished { records, replaced, misnamed }, bytes))
    }

    /// What becomes of text that is not UTF-8. Beside values that go on as they came, keys and headers do so too.
    fn invalid_utf8(&self) -> InvalidUtf8 {
        match self.settings.codec {
            Codec::Raw => InvalidUtf8::Bytes,
            Codec::Lines | Codec::Json => self.settings.invalid_utf8,
        }
    }

    /// Forgets what was gathered.
    pub fn clear(&mut self) {
        self.open = None;
        self.builder.clear();
        self.numbering.clear();
        self.bad.clear();
        (self.bytes, self.bad_bytes) = (0, 0);
    }
}

/// The time of a message in ns since 1970.
#[inline]
fn nanoseconds(message: &Message) -> Option<i64> {
    message.time().and_then(|ms| ms.checked_mul(1_000_000))
}

fn headers(builder: &mut Builder, column: Handle, message: &Message) {
    let mut headers = message.headers().peekable();
    if headers.peek().is_none() {
        return;
    }
    builder.at(column).begin_object();
    for (name, value) in headers {
        match value {
            Some(value) => builder.key(name).text(value),
            None => builder.key(name).null(),
        }
    }
    builder.end_object();
}
