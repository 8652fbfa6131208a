//! JSON that keeps bytes which are not UTF-8: they stand as `{"$bytes":"<base64>"}`. So that no record is taken for
//! such bytes, a member of its own that is named `$bytes` has one more `$` in front, as has `$$bytes`, and so on.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &[u8] = b"{\"$bytes\":\"";

/// Appends bytes.
pub fn write_bytes(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(BEGIN);
    out.extend_from_slice(STANDARD.encode(value).as_bytes());
    out.extend_from_slice(b"\"}");
}

/// The bytes that stand at the head of a text, and how long it is that stands for them.
pub fn read_bytes(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let coded = text.strip_prefix(BEGIN)?;
    let end = memchr::memchr(b'"', coded)?;
    let bytes = STANDARD.decode(&coded[..end]).ok()?;
    coded[end..].starts_with(b"\"}").then_some((bytes, BEGIN.len() + end + 2))
}

/// Whether a member of this name has one more `$` in such a text: the name is `bytes` behind one `$` or more.
pub fn is_marked(name: &[u8]) -> bool {
    name.strip_suffix(b"bytes").is_some_and(|marks| !marks.is_empty() && marks.iter().all(|b| *b == b'$'))
}

/// The name of a member as such a text has it, from what stands between its quotes there.
pub fn unmarked(name: &[u8]) -> &[u8] {
    match name.split_first() {
        Some((b'$', rest)) if is_marked(rest) => rest,
        _ => name,
    }
}

/// Appends a JSON text with the names in it marked.
pub fn write_marked(json: &[u8], out: &mut Vec<u8>) {
    if memchr::memmem::find(json, b"$bytes\"").is_none() {
        return out.extend_from_slice(json);
    }
    copy(
        json,
        out,
        |_, _| None,
        |name, out| {
            if is_marked(name) {
                out.push(b'$');
            }
            out.extend_from_slice(name);
        },
    );
}

/// Appends what such a text stands for: names without their marks, and bytes as `bytes` writes them. Everything else
/// stays as it is, digit by digit.
pub fn write_original(json: &[u8], out: &mut Vec<u8>, bytes: impl Fn(&[u8], &mut Vec<u8>)) {
    let brace = |text: &[u8], out: &mut Vec<u8>| {
        let (value, length) = read_bytes(text)?;
        bytes(&value, out);
        Some(length)
    };
    copy(json, out, brace, |name, out| out.extend_from_slice(unmarked(name)));
}

/// Copies JSON. `brace` may take what begins with a brace, and answers how long that was; `name` writes the names of
/// members, which it gets as they stand between their quotes.
fn copy(
    json: &[u8],
    out: &mut Vec<u8>,
    brace: impl Fn(&[u8], &mut Vec<u8>) -> Option<usize>,
    name: impl Fn(&[u8], &mut Vec<u8>),
) {
    let mut place = 0;
    while let Some(next) = memchr::memchr2(b'"', b'{', &json[place..]) {
        out.extend_from_slice(&json[place..place + next]);
        place += next;
        if json[place] == b'{' {
            match brace(&json[place..], out) {
                Some(length) => place += length,
                None => {
                    out.push(b'{');
                    place += 1;
                }
            }
            continue;
        }
        let end = end_of_string(json, place);
        let follows = json[end..].iter().find(|b| !b.is_ascii_whitespace());
        match json[place..end] {
            [b'"', ref inside @ .., b'"'] if follows == Some(&b':') => {
                out.push(b'"');
                name(inside, out);
                out.push(b'"');
            }
            ref text => out.extend_from_slice(text),
        }
        place = end;
    }
    out.extend_from_slice(&json[place..]);
}

/// The place behind the quote that ends the string which begins at `begin`.
fn end_of_string(text: &[u8], begin: usize) -> usize {
    let mut place = begin + 1;
    while let Some(next) = text.get(place..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        place += next;
        if text[place] == b'"' {
            return place + 1;
        }
        place += 2;
    }
    text.len()
}
