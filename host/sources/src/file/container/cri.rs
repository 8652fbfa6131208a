//! Lines as containerd and CRI-O write them: `2016-10-06T00:17:09.669794202Z stdout P text`.
//!
//! A time (RFC 3339), the stream, tags parted by `:` of which the first says whether the text is a piece (`P`) or the
//! end (`F`) of a line, and the text, each after one space. Source: kubernetes `pkg/kubelet/kuberuntime/logs/logs.go`
//! and the design proposal `kubelet-cri-logging.md`.

use super::stamp::Stamps;
use super::{Entry, Stream};

/// Takes a line without its LF apart, or answers what is wrong with it.
#[inline]
pub(super) fn entry<'a>(line: &'a [u8], stamps: &mut Stamps) -> Result<Entry<'a>, &'static str> {
    let (time, rest) = time(line, stamps)?;
    let (stream, rest) = if let Some(rest) = rest.strip_prefix(b"stdout ") {
        (Stream::Out, rest)
    } else if let Some(rest) = rest.strip_prefix(b"stderr ") {
        (Stream::Err, rest)
    } else {
        return Err("its second word is neither stdout nor stderr");
    };
    let partial = match rest.first() {
        Some(b'P') => true,
        Some(b'F') => false,
        _ => return Err("its third word is neither P nor F"),
    };
    let text = match &rest[1..] {
        [b' ', text @ ..] => text,
        // An editor may take the space before an empty text away.
        [] | [b'\r'] => &[],
        [b':', tags @ ..] => match memchr::memchr(b' ', tags) {
            Some(end) => &tags[end + 1..],
            None => return Err("it has no space after its tags"),
        },
        _ => return Err("its third word is neither P nor F"),
    };
    // The end of the file's line may be CR LF; a piece may end with a CR of its own.
    let text = if partial { text } else { text.strip_suffix(b"\r").unwrap_or(text) };
    Ok(Entry { time, stream, partial, text, attrs: &[], cut: false })
}

/// The time at the head of a line, and what comes after the space behind it.
#[inline]
fn time<'a>(line: &'a [u8], stamps: &mut Stamps) -> Result<(i64, &'a [u8]), &'static str> {
    // Nine digits and `Z`, as most are.
    if let Some((text, [b' ', rest @ ..])) = line.split_at_checked(30)
        && text[10] == b'T'
        && let Some(time) = stamps.parse(text)
    {
        return Ok((time, rest));
    }
    let end = memchr::memchr(b' ', &line[..line.len().min(64)]).ok_or("it has no space after a time")?;
    let time = stamps.parse(&line[..end]).ok_or("it begins with no RFC 3339 time")?;
    Ok((time, &line[end + 1..]))
}

#[cfg(test)]
mod tests;
