//! One message of the forward protocol, taken apart without a copy.
//!
//! Source: Fluent Forward Protocol Specification v1. The mode shows in the second element: an array is Forward, a
//! string or bytes PackedForward, anything else Message; and so is an array of a time and metadata, which stands for the time in
//! newer entries.

use super::entries::{BadEntry, SCAN_DEPTH};
use crate::MOST_TAG;
use flitch_core::net::expand::Coding;
use flitch_core::net::forward::wire::{Cursor, Limits, Token, skip};

/// Most bytes of a chunk id.
const MOST_ID: usize = 4096;

/// What the entries are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// Entries one after the other, from a Forward or PackedForward message, still compressed.
    Entries(&'a [u8]),
    /// The time and the record of a Message, one after the other.
    Event(&'a [u8]),
}

/// A message whose shape is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The tag as it came.
    pub tag: &'a [u8],
    /// The entries.
    pub body: Body<'a>,
    /// How they are compressed: not at all without the option, or where it says `text`; zstd is of fluentd 1.19.
    pub compression: Option<Coding>,
    /// The chunk id that the sender wants back: the MessagePack value as it stands in the message.
    pub chunk: Option<&'a [u8]>,
    /// The metadata of the event of a Message, a MessagePack value, as Fluent Bit gives it among the options.
    pub metadata: Option<&'a [u8]>,
    /// What stands behind the options, or is an array in their place: of no mode, and it may be records. Fluent Bit has been
    /// seen to put a whole message there (<https://github.com/fluent/fluent-bit/issues/8418>).
    pub behind: Option<&'a [u8]>,
}

fn shape(text: &str) -> BadEntry {
    BadEntry::Shape(text.to_owned())
}

/// Why a message is not taken, with the chunk id that it may have named all the same.
pub type BadMessage<'a> = (BadEntry, Option<&'a [u8]>);

/// Takes a message apart: the complete value in `bytes` from `start` on. `parts` says where its elements start.
pub fn parse<'a>(bytes: &'a [u8], start: usize, parts: &[usize]) -> Result<Message<'a>, BadMessage<'a>> {
    let part = |place: usize| {
        let start = *parts.get(place)?;
        Some(&bytes[start..parts.get(place + 1).copied().unwrap_or(bytes.len())])
    };
    let token = |place: usize| Cursor::new(part(place).unwrap_or_default(), 0).token().ok();
    let second = token(1);
    let packed = matches!(second, Some(Token::Text(_) | Token::Bytes(_)));
    let forward = matches!(second, Some(Token::Array(_))) && !part(1).is_some_and(is_time_with_metadata);
    let place = if packed || forward { 2 } else { 3 };
    let rest = |place: usize| parts.get(place).map(|start| &bytes[*start..]);
    let (options, behind) = match token(place) {
        Some(Token::Array(_)) => (rest(place).and_then(options_within), rest(place)),
        _ => (part(place), rest(place + 1)),
    };
    let Options { chunk, compression, metadata } = match options.map(read_options).transpose() {
        Ok(read) => read.unwrap_or_default(),
        Err(e) => return Err((e, None)),
    };
    let bad = |text: &str| (shape(text), chunk);
    if !matches!(Cursor::new(bytes, start).token(), Ok(Token::Array(_))) {
        return Err(bad("a message must be an array"));
    }
    let tag = match token(0) {
        Some(Token::Text(tag) | Token::Bytes(tag)) if tag.len() <= MOST_TAG => tag,
        Some(Token::Text(_) | Token::Bytes(_)) => {
            return Err(bad(&format!("the tag is longer than {MOST_TAG} bytes")));
        }
        _ => return Err(bad("the first element of a message must be its tag, a string")),
    };
    let body = match second {
        Some(Token::Text(entries) | Token::Bytes(entries)) => Body::Entries(entries),
        Some(Token::Array(_)) if forward => {
            let array = part(1).unwrap_or_default();
            let mut cursor = Cursor::new(array, 0);
            cursor.token().map_err(|fault| (fault.into(), chunk))?;
            Body::Entries(&array[cursor.at()..])
        }
        _ => match (parts.get(1), parts.get(2)) {
            (Some(&time), Some(_)) => Body::Event(&bytes[time..parts.get(3).copied().unwrap_or(bytes.len())]),
            _ => return Err(bad("a message must have a tag, a time and a record, or a tag and entries")),
        },
    };
    let compression = match compression {
        Err(wrong) if packed => return Err((BadEntry::Shape(wrong), chunk)),
        Ok(compression) if packed => compression,
        _ => None,
    };
    let metadata = metadata.filter(|_| matches!(body, Body::Event(_)));
    Ok(Message { tag, body, compression, chunk, metadata, behind })
}

/// The options of the message that stands in the place of another's options, or of one that stands so in it. There are no
/// others, and the sender waits for the answer to them.
fn options_within(mut message: &[u8]) -> Option<&[u8]> {
    loop {
        let mut cursor = Cursor::new(message, 0);
        let Ok(Token::Array(length @ 3..)) = cursor.token() else { return None };
        cursor.skip(ANY).ok()?;
        let second = Cursor::new(message, cursor.at()).token().ok()?;
        cursor.skip(ANY).ok()?;
        if !matches!(second, Token::Array(_) | Token::Text(_) | Token::Bytes(_)) {
            cursor.skip(ANY).ok().filter(|()| length > 3)?;
        }
        let options = &message[cursor.at()..];
        match Cursor::new(options, 0).token() {
            Ok(Token::Array(_)) => message = options,
            _ => return Some(options),
        }
    }
}

/// Whether an array is the time of an event and its metadata, `[time, {…}]`, and no entries, each of which is an array.
fn is_time_with_metadata(array: &[u8]) -> bool {
    let mut cursor = Cursor::new(array, 0);
    matches!(cursor.token(), Ok(Token::Array(2)))
        && matches!(cursor.token(), Ok(Token::Int(_) | Token::Float(_) | Token::Ext(..)))
        && matches!(cursor.token(), Ok(Token::Map(_)))
}

/// What the options say.
struct Options<'a> {
    chunk: Option<&'a [u8]>,
    /// The compression, or why it is none.
    compression: Result<Option<Coding>, String>,
    metadata: Option<&'a [u8]>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options { chunk: None, compression: Ok(None), metadata: None }
    }
}

fn read_options(bytes: &[u8]) -> Result<Options<'_>, BadEntry> {
    let mut cursor = Cursor::new(bytes, 0);
    let mut options = Options::default();
    let Token::Map(pairs) = cursor.token()? else { return Ok(options) };
    for _ in 0..pairs {
        let key = cursor.at();
        let Ok(Token::Text(name) | Token::Bytes(name)) = cursor.token() else {
            cursor = Cursor::new(bytes, key);
            cursor.skip(ANY)?;
            cursor.skip(ANY)?;
            continue;
        };
        let start = cursor.at();
        let end = skip(bytes, start, ANY)?;
        let value = Cursor::new(bytes, start).token();
        match (name, value) {
            (b"chunk", Ok(Token::Text(id) | Token::Bytes(id))) => {
                if id.len() > MOST_ID {
                    return Err(shape(&format!("the chunk id is longer than {MOST_ID} bytes")));
                }
                options.chunk = Some(&bytes[start..end]);
            }
            (b"compressed", Ok(Token::Text(name) | Token::Bytes(name))) => {
                options.compression = match name {
                    b"gzip" => Ok(Some(Coding::Gzip)),
                    b"zstd" => Ok(Some(Coding::Zstd)),
                    b"text" | b"" => Ok(None),
                    _ => {
                        let name = String::from_utf8_lossy(&name[..name.len().min(32)]);
                        Err(format!("no known compression: `{name}`; gzip and zstd are"))
                    }
                };
            }
            (b"metadata", Ok(Token::Map(1..))) => options.metadata = Some(&bytes[start..end]),
            _ => {}
        }
        cursor = Cursor::new(bytes, end);
    }
    Ok(options)
}

const ANY: Limits = Limits { bytes: usize::MAX, depth: SCAN_DEPTH };

#[cfg(test)]
mod tests;
