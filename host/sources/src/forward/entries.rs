//! Entries of the forward protocol, straight into columns: no map and no string is made for a record.
//!
//! Source: Fluent Forward Protocol Specification v1 and v1.5,
//! <https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1>; where it is silent, what fluentd's
//! `in_forward` does.
//!
//! | MessagePack | column |
//! |---|---|
//! | str | text; bytes that are not UTF-8 as the setting `invalid_utf8` says |
//! | bin | bytes |
//! | whole number | int64; past int64 json |
//! | float | float64 |
//! | true, false | boolean |
//! | nil | json `null` |
//! | map | a column for each member, named by its path; a name that is no string is written as one |
//! | array | json |
//! | EventTime (ext 0), MessagePack's timestamp (ext -1) | timestamp |
//! | any other ext | json `{"ext":<type>,"base64":"<its bytes>"}` |

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use flitch_core::batch::builder::Builder;
use flitch_core::net::forward::wire::{Cursor, Fault, Limits, Token};
use flitch_core::net::forward::{GROUP_END, GROUP_START, RECORD_DEPTH};

/// Maps and arrays inside each other that are passed over, so that a record too deep costs itself alone.
pub const SCAN_DEPTH: usize = 1 << 16;

/// Nanoseconds of a second.
const NANOS: i64 = 1_000_000_000;
const ANY: Limits = Limits { bytes: usize::MAX, depth: SCAN_DEPTH };

/// Why an entry is not taken.
#[derive(Debug, thiserror::Error)]
pub enum BadEntry {
    /// It is not MessagePack, or passes a limit.
    #[error("{0}")]
    Wire(#[from] Fault),
    /// It is not `[time, record]`.
    #[error("{0}")]
    Shape(String),
}

fn shape<T>(what: &str, is: &Token<'_>) -> Result<T, BadEntry> {
    Err(BadEntry::Shape(format!("{what}, not {}", is.name())))
}

/// What stands before a record in its entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Head<'a> {
    /// The time of an event, in ns since 1970-01-01T00:00:00Z, or none where the event says "now"; and its metadata, a
    /// MessagePack value, where there is any.
    Event(Option<i64>, Option<&'a [u8]>),
    /// Fluent Bit's mark: what stands in the place of the record holds for all events up to the end of the group.
    GroupStart,
    /// Fluent Bit's mark that a group ends.
    GroupEnd,
}

/// Reads what stands before the record of an entry.
#[inline]
pub fn head<'a>(cursor: &mut Cursor<'a>) -> Result<Head<'a>, BadEntry> {
    match cursor.event_time().or_else(|| cursor.event_time_alone()) {
        Some((seconds, nanos)) if seconds < GROUP_END => Ok(Head::Event(instant(seconds, nanos), None)),
        Some((GROUP_START, 0)) => Ok(Head::GroupStart),
        Some((GROUP_END, 0)) => Ok(Head::GroupEnd),
        Some((seconds, nanos)) => Ok(Head::Event(instant(seconds, nanos), None)),
        None => any_head(cursor),
    }
}

#[inline]
fn instant(seconds: u32, nanos: u32) -> Option<i64> {
    (seconds != 0).then_some(i64::from(seconds) * NANOS + i64::from(nanos))
}

impl<'a> Head<'a> {
    /// The metadata of an event.
    pub fn metadata(&self) -> Option<&'a [u8]> {
        match self {
            Head::Event(_, metadata) => *metadata,
            Head::GroupStart | Head::GroupEnd => None,
        }
    }

    /// The time of an event of the mode Message, which knows no groups.
    pub fn alone(self) -> Option<i64> {
        match self {
            Head::Event(time, _) => time,
            Head::GroupStart => instant(GROUP_START, 0),
            Head::GroupEnd => instant(GROUP_END, 0),
        }
    }
}

#[inline(never)]
fn any_head<'a>(cursor: &mut Cursor<'a>) -> Result<Head<'a>, BadEntry> {
    let (ns, metadata) = match cursor.token()? {
        // Since v1.5 the time may come with metadata: `[time, {...}]`.
        Token::Array(length @ 1..) => {
            let token = cursor.token()?;
            let ns = time(&token)?;
            let metadata = (length > 1).then(|| cursor.value(ANY)).transpose()?;
            for _ in 2..length {
                cursor.skip(ANY)?;
            }
            if let Some(mark) = mark(&token) {
                return Ok(mark);
            }
            (ns, metadata.filter(|value| !is_nothing(value)))
        }
        token => (time(&token)?, None),
    };
    let ns = ns.ok_or_else(|| BadEntry::Shape("the event's time lies past the year 2262".to_owned()))?;
    Ok(Head::Event((ns / NANOS != 0).then_some(ns), metadata))
}

/// The time that a client gives an event, in nanoseconds; none where they do not hold it.
fn time(token: &Token<'_>) -> Result<Option<i64>, BadEntry> {
    match token {
        Token::Int(seconds) => Ok(seconds.checked_mul(NANOS)),
        Token::Ext(kind, bytes) if is_time(*kind, bytes) => Ok(extension_time(*kind, bytes)),
        // A double holds times of today to a quarter of a microsecond: nothing finer was meant.
        Token::Float(seconds) if seconds.abs() < 9.2e9 => Ok(Some((seconds * 1e6).round() as i64 * 1000)),
        Token::Nil => Ok(Some(0)),
        other => shape("the event's time must be a number or an EventTime", other),
    }
}

/// What a time with metadata marks where it is no time: the begin or the end of a group.
fn mark<'a>(token: &Token<'_>) -> Option<Head<'a>> {
    let seconds = match token {
        Token::Int(seconds) => *seconds,
        Token::Ext(0, bytes) if is_time(0, bytes) && bytes[4..] == [0; 4] => {
            i64::from(i32::from_be_bytes(*bytes.first_chunk()?))
        }
        _ => return None,
    };
    match seconds {
        -1 => Some(Head::GroupStart),
        -2 => Some(Head::GroupEnd),
        _ => None,
    }
}

/// Whether a value is nil or an empty map.
fn is_nothing(value: &[u8]) -> bool {
    matches!(Cursor::new(value, 0).token(), Ok(Token::Nil | Token::Map(0)))
}

/// Whether an extension value is a time: see [`extension_time`].
fn is_time(kind: i8, bytes: &[u8]) -> bool {
    matches!((kind, bytes.len()), (0, 8) | (-1, 4 | 8 | 12))
}

/// The instant that an extension value stands for, in ns: EventTime (type 0) or MessagePack's timestamp (type -1).
fn extension_time(kind: i8, bytes: &[u8]) -> Option<i64> {
    let (seconds, nanos) = match (kind, bytes.len()) {
        (0, 8) => {
            let (seconds, nanos) = bytes.split_at(4);
            (i64::from(u32_of(seconds)?), u32_of(nanos)?)
        }
        (-1, 4) => (i64::from(u32_of(bytes)?), 0),
        (-1, 8) => {
            let both = u64::from_be_bytes(bytes.try_into().ok()?);
            ((both & 0x3_ffff_ffff) as i64, (both >> 34) as u32)
        }
        (-1, 12) => {
            let (nanos, seconds) = bytes.split_at(4);
            (i64::from_be_bytes(seconds.try_into().ok()?), u32_of(nanos)?)
        }
        _ => return None,
    };
    seconds.checked_mul(NANOS)?.checked_add(i64::from(nanos))
}

fn u32_of(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// Reads the record itself, which must be a map, into the record that `to` has begun.
#[inline]
pub fn record(cursor: &mut Cursor<'_>, to: &mut Builder) -> Result<(), BadEntry> {
    if let Some(pairs) = cursor.small_map() {
        return fields(cursor, pairs, to);
    }
    match cursor.token()? {
        Token::Map(pairs) => fields(cursor, pairs, to),
        other => shape("a record must be a map", &other),
    }
}

/// The same behind fields that the record has already; a field of the record takes the place of one before it.
pub fn record_behind(cursor: &mut Cursor<'_>, to: &mut Builder) -> Result<(), BadEntry> {
    match cursor.token()? {
        Token::Map(pairs) => members(cursor, pairs, to, RECORD_DEPTH),
        other => shape("a record must be a map", &other),
    }
}

/// Reads `pairs` names and values, as [`record_behind`] does.
pub fn fields_behind(cursor: &mut Cursor<'_>, pairs: u32, to: &mut Builder) -> Result<(), BadEntry> {
    members(cursor, pairs, to, RECORD_DEPTH)
}

/// Reads one value into the field that `to` has named.
pub fn field(cursor: &mut Cursor<'_>, to: &mut Builder) -> Result<(), BadEntry> {
    value(cursor, to, RECORD_DEPTH)
}

/// Reads `pairs` names and values that stand one after the other into the record that `to` has begun.
#[inline]
pub fn fields(cursor: &mut Cursor<'_>, pairs: u32, to: &mut Builder) -> Result<(), BadEntry> {
    let taken = to.expected_texts(pairs as usize, |name| cursor.named_text(name));
    match pairs - taken as u32 {
        0 => Ok(()),
        more => members(cursor, more, to, RECORD_DEPTH),
    }
}

fn members(cursor: &mut Cursor<'_>, pairs: u32, to: &mut Builder, depth: usize) -> Result<(), BadEntry> {
    for _ in 0..pairs {
        match cursor.text() {
            Some(name) => to.key(name),
            None => to.key(name_of(&cursor.token()?)?.as_bytes()),
        };
        match cursor.text() {
            Some(text) => to.text(text),
            None => value(cursor, to, depth)?,
        }
    }
    Ok(())
}

/// The name that a key stands for which is no string.
fn name_of(key: &Token<'_>) -> Result<String, BadEntry> {
    Ok(match key {
        Token::Text(name) | Token::Bytes(name) => String::from_utf8_lossy(name).into_owned(),
        Token::Int(number) => number.to_string(),
        Token::Unsigned(number) => number.to_string(),
        Token::Float(number) => number.to_string(),
        Token::Boolean(truth) => truth.to_string(),
        Token::Nil => "null".to_owned(),
        Token::Array(_) | Token::Map(_) | Token::Ext(..) => {
            return shape("a field's name must be a string", key);
        }
    })
}

fn value(cursor: &mut Cursor<'_>, to: &mut Builder, depth: usize) -> Result<(), BadEntry> {
    match cursor.token()? {
        Token::Text(text) => to.text(text),
        Token::Int(number) => to.int(number),
        Token::Float(number) => to.float(number),
        Token::Boolean(truth) => to.boolean(truth),
        Token::Nil => to.null(),
        Token::Bytes(bytes) => to.bytes_value(bytes),
        Token::Unsigned(number) => to.unsigned(number),
        other => return nested(other, cursor, to, depth),
    }
    Ok(())
}

#[inline(never)]
fn nested(token: Token<'_>, cursor: &mut Cursor<'_>, to: &mut Builder, depth: usize) -> Result<(), BadEntry> {
    let inner = depth.checked_sub(1).ok_or(Fault::Deep(RECORD_DEPTH))?;
    match token {
        Token::Map(pairs) => {
            to.begin_object();
            members(cursor, pairs, to, inner)?;
            to.end_object();
        }
        Token::Array(length) => {
            to.begin_array();
            for _ in 0..length {
                value(cursor, to, inner)?;
            }
            to.end_array();
        }
        Token::Ext(kind, bytes) => match extension_time(kind, bytes) {
            Some(ns) => to.timestamp(ns),
            None => {
                to.json(&format!(r#"{{"ext":{kind},"base64":"{}"}}"#, BASE64_STANDARD.encode(bytes)));
            }
        },
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
