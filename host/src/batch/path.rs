//! Names of columns: the names on the way to a value, joined by dots.
//!
//! In a name a dot is written `\.`, a backslash `\\`, and a lone surrogate, which JSON allows and UTF-8 does not,
//! `\ud800`. So each path stands for one place in a record, and each name that JSON can write has a path.

use super::json::write_escaped;

/// Most names of a path that stand for objects inside one another. What lies deeper is refused where a path comes from
/// outside, and one name with dots in it where it is written all the same.
pub const MAX_DEPTH: usize = 64;

/// Whether a byte sequence at the head of `bytes` is a lone surrogate as WTF-8 writes it; its number.
pub(super) fn surrogate(bytes: &[u8]) -> Option<u16> {
    match bytes {
        [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, ..] => {
            Some(0xd000 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f))
        }
        _ => None,
    }
}

/// Appends one name to a path, escaped, with a dot before it unless it is the first.
///
/// `name` is UTF-8, or WTF-8 where it holds lone surrogates; any other byte becomes U+FFFD.
pub fn push_name(path: &mut String, name: &[u8], first: bool) {
    if !first {
        path.push('.');
    }
    let mut rest = name;
    loop {
        let (valid, bad) = match std::str::from_utf8(rest) {
            Ok(text) => (text, None),
            Err(e) => {
                let (valid, bad) = rest.split_at(e.valid_up_to());
                (std::str::from_utf8(valid).unwrap_or_default(), Some((bad, e.error_len())))
            }
        };
        for part in valid.split_inclusive(['.', '\\']) {
            match part.as_bytes().last() {
                Some(b'.' | b'\\') => {
                    path.push_str(&part[..part.len() - 1]);
                    path.push('\\');
                    path.push_str(&part[part.len() - 1..]);
                }
                _ => path.push_str(part),
            }
        }
        let Some((bad, length)) = bad else { return };
        rest = match surrogate(bad) {
            Some(number) => {
                path.push_str(&format!("\\u{number:04x}"));
                &bad[3..]
            }
            None => {
                path.push('\u{fffd}');
                &bad[length.unwrap_or(bad.len())..]
            }
        };
    }
}

/// The path of names that are text.
pub fn of_names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut path = String::new();
    for (place, name) in names.into_iter().enumerate() {
        push_name(&mut path, name.as_bytes(), place == 0);
    }
    path
}

/// The names of a path, from the outermost, still escaped.
pub fn split(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(path);
    std::iter::from_fn(move || {
        let whole = rest?;
        let bytes = whole.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'\\' => at += 2,
                b'.' => {
                    rest = Some(&whole[at + 1..]);
                    return Some(&whole[..at]);
                }
                _ => at += 1,
            }
        }
        rest = None;
        Some(whole)
    })
}

/// The paths above a path, from the outermost.
pub fn above(path: &str) -> impl Iterator<Item = &str> {
    let mut at = 0;
    let names = split(path).map(move |name| {
        at += name.len() + 1;
        at - 1
    });
    names.filter(|end| *end < path.len()).map(|end| &path[..end])
}

/// Whether the path `inner` lies below `outer`: `a.b` below `a`.
pub fn is_below(inner: &str, outer: &str) -> bool {
    inner.len() > outer.len() && inner.as_bytes()[outer.len()] == b'.' && inner.starts_with(outer)
}

/// The text of one escaped name. A lone surrogate becomes U+FFFD.
pub fn unescape(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    pieces(name, |piece| match piece {
        Piece::Text(t) => text.push_str(t),
        Piece::Surrogate(_) => text.push('\u{fffd}'),
    });
    text
}

/// Appends one escaped name as a JSON string with its quotes.
pub fn write_json_name(name: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    pieces(name, |piece| match piece {
        Piece::Text(t) => write_escaped(t.as_bytes(), out),
        Piece::Surrogate(digits) => {
            out.extend_from_slice(b"\\u");
            out.extend_from_slice(digits.as_bytes());
        }
    });
    out.push(b'"');
}

enum Piece<'a> {
    Text(&'a str),
    Surrogate(&'a str),
}

fn pieces<'a>(name: &'a str, mut take: impl FnMut(Piece<'a>)) {
    let mut rest = name;
    while let Some(at) = rest.find('\\') {
        if at > 0 {
            take(Piece::Text(&rest[..at]));
        }
        let after = &rest[at + 1..];
        match after.as_bytes() {
            [b'.' | b'\\', ..] => {
                take(Piece::Text(&after[..1]));
                rest = &after[1..];
            }
            [b'u', b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', x, y, ..]
                if x.is_ascii_hexdigit() && y.is_ascii_hexdigit() =>
            {
                take(Piece::Surrogate(&after[1..5]));
                rest = &after[5..];
            }
            // A backslash that escapes nothing stands for itself.
            _ => {
                take(Piece::Text(&rest[at..at + 1]));
                rest = after;
            }
        }
    }
    if !rest.is_empty() {
        take(Piece::Text(rest));
    }
}
