//! Lines as Docker's driver `json-file` writes them:
//! `{"log":"text\n","stream":"stdout","attrs":{"tag":"x"},"time":"2020-01-31T10:00:00.1Z"}`.
//!
//! The text of the last piece of a line ends with LF, that of the others does not. Members come in this order; `stream`
//! and `attrs` may be missing. Source: moby `daemon/logger/jsonfilelog/jsonlog/jsonlogbytes.go`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::stamp::Stamps;
use super::{Entry, Stream};
pub(super) use alone::{Tail, alone};
use escapes::unescape;
use flitch_core::batch::decode;

/// The members that are looked for, as Docker writes them.
const LOG: &[u8] = br#"{"log":""#;
const TIME: &[u8] = br#","time":""#;

/// Takes a line without its LF apart, or answers what is wrong with it. Text with escapes is written to `scratch`.
#[inline]
pub(super) fn entry<'a>(
    line: &'a [u8],
    stamps: &mut Stamps,
    scratch: &'a mut Vec<u8>,
) -> Result<Entry<'a>, &'static str> {
    let line = line.trim_ascii_end();
    let found = as_docker_writes(line, scratch);
    let timed = found.and_then(|found| stamps.parse(found.time).map(|time| (found, time)));
    // Where it is no time that stands there, further members may come behind it.
    let Some((found, time)) = timed else { return in_any_form(line, stamps, scratch) };
    if !found.attrs.is_empty() && decode::check(found.attrs).is_err() {
        return Err("its `attrs` is no JSON");
    }
    let (partial, text) = match found.text {
        Text::Piece(text) => (true, text),
        Text::Unescaped => ended(scratch),
    };
    Ok(Entry { time, stream: found.stream, partial, text, attrs: found.attrs, cut: false })
}

/// Whether a text goes on in the next entry, and the text without the end of its line.
fn ended(text: &[u8]) -> (bool, &[u8]) {
    match text.strip_suffix(b"\n") {
        Some(text) => (false, text.strip_suffix(b"\r").unwrap_or(text)),
        None => (true, text),
    }
}

enum Text<'a> {
    /// A piece without escapes.
    Piece(&'a [u8]),
    /// It is in the scratch.
    Unescaped,
}

struct Found<'a> {
    text: Text<'a>,
    stream: Stream,
    attrs: &'a [u8],
    time: &'a [u8],
}

/// Finds the members where Docker puts them; none where the line is written in another way, or is wrong.
#[inline]
fn as_docker_writes<'a>(line: &'a [u8], scratch: &mut Vec<u8>) -> Option<Found<'a>> {
    let rest = line.strip_prefix(LOG)?;
    let end = memchr::memchr2(b'"', b'\\', rest)?;
    let (text, rest) = match &rest[end..] {
        [b'"', after @ ..] => (Text::Piece(&rest[..end]), after),
        _ => {
            scratch.clear();
            (Text::Unescaped, &rest[unescape(rest, scratch)?..])
        }
    };
    let (stream, rest) = stream(rest);
    let (attrs, rest) = match rest.strip_prefix(br#","attrs":"#) {
        Some(object) => object.split_at(object_end(object)?),
        None => (&[][..], rest),
    };
    let time = rest.strip_prefix(TIME)?.strip_suffix(br#""}"#)?;
    Some(Found { text, stream, attrs, time })
}

/// The stream that is named at the head of `rest`, and what comes after it.
#[inline]
fn stream(rest: &[u8]) -> (Stream, &[u8]) {
    if let Some(rest) = rest.strip_prefix(br#","stream":"stdout""#) {
        (Stream::Out, rest)
    } else if let Some(rest) = rest.strip_prefix(br#","stream":"stderr""#) {
        (Stream::Err, rest)
    } else {
        (Stream::Unnamed, rest)
    }
}

/// Where the object at the head of `text` ends, if it is one.
fn object_end(text: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (0, 0);
    loop {
        match text.get(at)? {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b'"' => {
                at += 1;
                loop {
                    at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
                    if text[at] == b'"' {
                        break;
                    }
                    at += 2;
                }
            }
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// A line whose members stand in another order or with white space between: a tool has written it anew.
#[derive(Deserialize)]
struct AnyForm<'a> {
    /// Any text: half of a surrogate pair is none for what reads strings.
    #[serde(borrow, default = "no_text")]
    log: &'a RawValue,
    #[serde(default)]
    stream: String,
    time: String,
    #[serde(borrow, default)]
    attrs: Option<&'a RawValue>,
}

fn no_text<'a>() -> &'a RawValue {
    serde_json::from_str("\"\"").expect("it is JSON")
}

#[cold]
fn in_any_form<'a>(
    line: &'a [u8],
    stamps: &mut Stamps,
    scratch: &'a mut Vec<u8>,
) -> Result<Entry<'a>, &'static str> {
    const FORM: &str = "it is no JSON object with the texts `log` and `time`";
    let form: AnyForm<'_> = serde_json::from_slice(line).map_err(|_| FORM)?;
    let Some(time) = stamps.parse(form.time.as_bytes()) else { return Err("its `time` is no RFC 3339 time") };
    let stream = match &*form.stream {
        "stdout" => Stream::Out,
        "stderr" => Stream::Err,
        "" => Stream::Unnamed,
        _ => return Err("its `stream` is neither stdout nor stderr"),
    };
    let attrs = form.attrs.map_or("", RawValue::get).trim();
    if !attrs.is_empty() && !attrs.starts_with('{') {
        return Err("its `attrs` is no object");
    }
    scratch.clear();
    let log = form.log.get().strip_prefix('"').ok_or(FORM)?;
    unescape(log.as_bytes(), scratch).ok_or(FORM)?;
    let (partial, text) = ended(scratch);
    Ok(Entry { time, stream, partial, text, attrs: attrs.as_bytes(), cut: false })
}

mod alone;
mod escapes;
#[cfg(test)]
mod tests;
