//! Paths of fields, which are the names of columns: the names on the way to a value, joined by dots.
//! `kubernetes.labels.app` is the member `app` of `labels` of `kubernetes`.
//!
//! In a name a dot is written `\.`, a backslash `\\`, and a lone surrogate, which JSON allows and UTF-8 does not,
//! `\ud800`. So each path stands for one place in a record, and each name that JSON can write has a path.

use crate::json::write_escaped;
use crate::{REST, TAG, TIMESTAMP};

/// Most names of a path that stand for objects inside one another. What lies deeper is refused where a path comes from
/// outside, and one name with dots in it where it is written all the same.
pub const MAX_DEPTH: usize = 64;

/// Whether a byte sequence at the head of `bytes` is a lone surrogate as WTF-8 writes it; its number.
pub fn surrogate(bytes: &[u8]) -> Option<u16> {
    match bytes {
        [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, ..] => {
            Some(0xd000 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f))
        }
        _ => None,
    }
}

/// Appends the name of a member to the path of its object, which is empty for the record itself.
pub fn push(path: &mut String, name: &str) {
    let first = path.is_empty();
    push_text(path, name, first);
}

/// Appends one name to a path, escaped, with a dot before it unless it is the first.
pub fn push_text(path: &mut String, name: &str, first: bool) {
    if !first {
        path.push('.');
    }
    push_escaped(path, name);
}

fn push_escaped(path: &mut String, text: &str) {
    if !text.bytes().any(|byte| matches!(byte, b'.' | b'\\')) {
        return path.push_str(text);
    }
    for c in text.chars() {
        if matches!(c, '.' | '\\') {
            path.push('\\');
        }
        path.push(c);
    }
}

/// The same for a name that JSON has, or that came as bytes.
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
        push_escaped(path, valid);
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

/// The names along a path, from the outermost, as text.
pub fn names(path: &str) -> Vec<String> {
    split(path).map(unescape).collect()
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

/// A path and those above it, from the innermost.
pub fn and_above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |inner| above(inner).last())
}

/// Whether the path `inner` lies below `outer`, at any depth: `a.b` below `a`.
#[inline]
pub fn is_below(inner: &str, outer: &str) -> bool {
    inner.len() > outer.len() && inner.as_bytes()[outer.len()] == b'.' && inner.starts_with(outer)
}

/// Whether one of two paths is, or lies below, the other.
pub fn overlap(a: &str, b: &str) -> bool {
    a == b || is_below(a, b) || is_below(b, a)
}

/// Two of these paths that [`overlap`], the earlier one first.
pub fn contradiction<'a>(paths: impl IntoIterator<Item = &'a str>) -> Option<(&'a str, &'a str)> {
    let mut before: Vec<&str> = Vec::new();
    for path in paths {
        if let Some(other) = before.iter().find(|other| overlap(other, path)) {
            return Some((other, path));
        }
        before.push(path);
    }
    None
}

/// Whether the values of the column `outer`, where they are objects, may hold the field `inner`.
pub fn is_above(outer: &str, inner: &str) -> bool {
    is_below(inner, outer) || outer == REST && ![REST, TIMESTAMP, TAG].contains(&inner)
}

/// The names that lead from the column `outer` to the field `inner` in its values.
pub fn names_between(outer: &str, inner: &str) -> Vec<String> {
    names(if outer == REST { inner } else { &inner[outer.len() + 1..] })
}

/// Whether each backslash of a path begins an escape: `\.`, `\\`, or the `\uXXXX` of a lone surrogate. Only such a path
/// is written the same again from the names that it stands for.
pub fn is_escaped(path: &str) -> bool {
    let mut escaped = true;
    pieces(path, |piece| match piece {
        Piece::Text(_) => {}
        Piece::Surrogate(digits) => escaped &= !digits.bytes().any(|digit| digit.is_ascii_uppercase()),
        Piece::Stray => escaped = false,
    });
    escaped
}

/// Whether each name of a path stands for itself. In settings that name fields somebody may write a wildcard, which means nothing
/// there: what it should find would be left out in silence.
///
/// # Errors
/// What to write instead.
pub fn check_exact(path: &str) -> Result<(), String> {
    let is_exact = |path: &str| !path.is_empty() && split(path).all(|name| name != "*");
    if path.is_empty() || is_exact(path) {
        return Ok(());
    }
    let wrong = format!("`{path}`: names of fields have no wildcards");
    Err(match path.strip_suffix(".*").filter(|above| is_exact(above)) {
        Some(above) => format!("{wrong}; write `{above}`, with which goes all that lies below it"),
        None => format!("{wrong}; name each field"),
    })
}

/// The text of one escaped name. A lone surrogate becomes U+FFFD.
pub fn unescape(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    pieces(name, |piece| match piece {
        Piece::Text(t) => text.push_str(t),
        Piece::Surrogate(_) => text.push('\u{fffd}'),
        Piece::Stray => text.push('\\'),
    });
    text
}

/// Appends one escaped name as a JSON string with its quotes.
pub fn write_json_name(name: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    pieces(name, |piece| match piece {
        Piece::Text(t) => write_escaped(t.as_bytes(), out),
        Piece::Stray => write_escaped(b"\\", out),
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
    /// A backslash that escapes nothing: it stands for itself.
    Stray,
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
            _ => {
                take(Piece::Stray);
                rest = after;
            }
        }
    }
    if !rest.is_empty() {
        take(Piece::Text(rest));
    }
}

#[cfg(test)]
mod tests;
