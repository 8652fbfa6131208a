//! How the bytes of a file are text.
//!
//! UTF-8 is read as it stands. Every other charset is turned into UTF-8 a piece at a time, before lines are looked for;
//! positions stay those of the bytes in the file. A line's end is one unit of its charset whatever stands before it
//! (<https://encoding.spec.whatwg.org/>, which is what `encoding_rs` does), so the ends of lines tell which place of
//! the file a place of the text is.

use std::convert::Infallible;

use encoding_rs::{Decoder, Encoding, ISO_2022_JP, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE};
use serde::{Deserialize, Serialize};

use crate::recode::recode;

/// The marks at the head of a file by which [`Charset::Auto`] goes.
const MARKS: [(&[u8], &Encoding); 3] =
    [(b"\xef\xbb\xbf", UTF_8), (b"\xff\xfe", UTF_16LE), (b"\xfe\xff", UTF_16BE)];
/// The longest of them, in bytes.
pub(super) const MARK: usize = 3;

/// The charset of a source's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Charset {
    /// Each file's own: by its byte order mark, and UTF-8 where it has none.
    #[default]
    Auto,
    /// One for all files.
    Of(Coding),
}

/// One charset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coding(&'static Encoding);

impl TryFrom<String> for Charset {
    type Error = String;

    fn try_from(name: String) -> Result<Charset, String> {
        if name == "auto" {
            return Ok(Charset::Auto);
        }
        match Encoding::for_label(name.as_bytes()) {
            // Its lines go on in the state that the one before has left; no other charset's do.
            Some(encoding) if encoding != ISO_2022_JP && encoding != REPLACEMENT => {
                Ok(Charset::Of(Coding(encoding)))
            }
            _ => Err(format!(
                "`{name}` is no charset that can be read; known are auto, utf-8, utf-16le, utf-16be, latin1, ascii, \
                 iso-8859-2 to iso-8859-16, windows-1250 to windows-1258, macintosh, ibm866, koi8-r, koi8-u, big5, \
                 euc-jp, euc-kr, gb18030, gbk, shift_jis"
            )),
        }
    }
}

impl From<Charset> for String {
    fn from(charset: Charset) -> String {
        match charset {
            Charset::Auto => "auto".to_owned(),
            Charset::Of(coding) => coding.0.name().to_ascii_lowercase(),
        }
    }
}

impl Charset {
    /// Whether files may be UTF-8.
    pub(super) fn may_be_utf8(self) -> bool {
        self == Charset::Auto || self == Charset::Of(Coding::UTF_8)
    }

    /// The charset of a file that begins with `head`, and how many bytes its byte order mark takes. None where more
    /// of the head must be seen, which is so only if it is shorter than [`MARK`] and more may come (not `whole`).
    pub(super) fn of_head(self, head: &[u8], whole: bool) -> Option<(Coding, usize)> {
        for (mark, encoding) in MARKS {
            if self != Charset::Auto && self != Charset::Of(Coding(encoding)) {
                continue;
            }
            if head.starts_with(mark) {
                return Some((Coding(encoding), mark.len()));
            }
            if !whole && mark.starts_with(head) {
                return None;
            }
        }
        Some(match self {
            Charset::Auto => (Coding::UTF_8, 0),
            Charset::Of(coding) => (coding, 0),
        })
    }
}

impl Coding {
    pub(super) const UTF_8: Coding = Coding(UTF_8);

    /// Whether the text is what stands in the file.
    pub(super) fn is_utf8(self) -> bool {
        self.0 == UTF_8
    }

    /// Bytes in which characters are counted: no character begins or ends within so many.
    pub(super) fn unit(self) -> usize {
        if self.0 == UTF_16LE || self.0 == UTF_16BE { 2 } else { 1 }
    }

    /// Where the lines of `raw` end, each end included. `raw` begins with a whole unit.
    pub(super) fn line_ends(self, raw: &[u8]) -> impl DoubleEndedIterator<Item = usize> {
        memchr::memchr_iter(b'\n', raw).filter_map(move |at| match self.0 {
            e if e == UTF_16LE => (at % 2 == 0 && raw.get(at + 1) == Some(&0)).then_some(at + 2),
            e if e == UTF_16BE => (at % 2 == 1 && raw[at - 1] == 0).then_some(at + 1),
            _ => Some(at + 1),
        })
    }

    /// How much of `raw` is whole units that are not NULs up to the end: what follows may be text that is not written
    /// yet.
    pub(super) fn written(self, raw: &[u8]) -> usize {
        let whole = raw.len() - raw.len() % self.unit();
        match raw[..whole].last() {
            Some(0) => {
                let end = raw[..whole].iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
                end.next_multiple_of(self.unit())
            }
            _ => whole,
        }
    }

    /// How much of `raw` is NULs from the beginning on, in whole units.
    pub(super) fn nuls(self, raw: &[u8]) -> usize {
        let nuls = raw.iter().position(|byte| *byte != 0).unwrap_or(raw.len());
        nuls - nuls % self.unit()
    }

    /// Writes what `raw` says as UTF-8 to `text`, from its beginning on, and answers how many bytes that are. There is
    /// room for one more. Where nothing of it comes later (`whole`), half a character at its end is malformed;
    /// otherwise it is left out. What is malformed is a byte that is no UTF-8.
    pub(super) fn decode(self, raw: &[u8], whole: bool, text: &mut Vec<u8>) -> usize {
        let mut decoder = self.0.new_decoder_without_bom_handling();
        let grow = |text: &mut Vec<u8>, decoder: &Decoder, left: usize| {
            let most = decoder.max_utf8_buffer_length_without_replacement(left);
            text.resize(text.len() + most.expect("a piece of a file is no exabyte") + 1, 0);
            Ok::<_, Infallible>(())
        };
        let Ok(written) = recode(&mut decoder, raw, whole, text, grow);
        // There is room for one more.
        if written == text.len() {
            text.push(0);
        }
        written
    }
}

/// Which places of a file's bytes the places of their text are. Asked for places one after the other, of which each is
/// the beginning of a line or lies within the NULs there.
#[derive(Debug)]
pub(super) struct Places<'a> {
    coding: Coding,
    raw: &'a [u8],
    /// The last place that was asked for, in the text and in the bytes.
    last: (usize, usize),
}

impl<'a> Places<'a> {
    /// The places of `raw`.
    pub fn new(coding: Coding, raw: &'a [u8]) -> Places<'a> {
        Places { coding, raw, last: (0, 0) }
    }

    /// Where `at` of `text` stands in the bytes; their end, for what lies behind all of them.
    pub fn of(&mut self, text: &[u8], at: usize) -> usize {
        if self.coding.is_utf8() {
            return at.min(self.raw.len());
        }
        let (last_at, last_place) = self.last;
        let passed = &text[last_at..at];
        let mut place = last_place;
        let lines = memchr::memchr_iter(b'\n', passed).count();
        if lines > 0 {
            let end = self.coding.line_ends(&self.raw[last_place..]).nth(lines - 1);
            place = end.map_or(self.raw.len(), |end| last_place + end);
        }
        let nuls = passed.len() - memchr::memrchr(b'\n', passed).map_or(0, |at| at + 1);
        place = (place + nuls * self.coding.unit()).min(self.raw.len());
        self.last = (at, place);
        place
    }
}

#[cfg(test)]
mod tests;
