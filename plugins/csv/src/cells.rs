//! The grammar: RFC 4180, without its leniences. `csv-core` takes a quote that is never closed for a closed one, and copies
//! every cell; here a cell is a place in the text.

use flitch_sdk::parse::Span;
use memchr::{memchr, memchr2};

/// How cells are written.
#[derive(Debug, Clone, Copy)]
pub struct Grammar {
    pub delimiter: u8,
    pub quote: Option<u8>,
    pub trim: bool,
}

/// The cells of one text.
#[derive(Debug, Clone, Default)]
pub struct Cells {
    /// Where each cell lies: in the text, or in `unescaped` if that is not empty.
    pub spans: Vec<Span>,
    /// Which of them stood in quotes.
    pub quoted: Vec<bool>,
    /// All cells without doubled quotes, if a cell has them.
    pub unescaped: String,
}

impl Cells {
    /// The text that the places are in.
    pub fn text<'a>(&'a self, text: &'a str) -> &'a str {
        if self.unescaped.is_empty() { text } else { &self.unescaped }
    }
}

impl Grammar {
    /// Finds the cells of a text, `most` of them and one more at most.
    ///
    /// # Errors
    /// What is wrong, with the number of the cell, counted from 1.
    pub fn split(self, text: &str, most: usize, cells: &mut Cells) -> Result<(), String> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let bytes = text.strip_suffix('\r').unwrap_or(text).as_bytes();
        cells.spans.clear();
        cells.quoted.clear();
        cells.unescaped.clear();
        let mut doubled = false;
        let mut at = 0;
        loop {
            let start = if self.trim { at + blanks(&bytes[at..]) } else { at };
            let quote = self.quote.filter(|quote| bytes.get(start) == Some(quote));
            let end = match quote {
                Some(quote) => {
                    let (end, has_doubled) = closing(bytes, start + 1, quote)
                        .ok_or_else(|| format!("cell {} has no closing quote", cells.spans.len() + 1))?;
                    doubled |= has_doubled;
                    cells.spans.push((start + 1, end));
                    let behind = end + 1;
                    if self.trim { behind + blanks(&bytes[behind..]) } else { behind }
                }
                None => {
                    let end =
                        memchr2(self.delimiter, b'\n', &bytes[start..]).map_or(bytes.len(), |i| start + i);
                    if bytes.get(end) == Some(&b'\n') {
                        return Err(format!("the text has a second line, in cell {}", cells.spans.len() + 1));
                    }
                    let trimmed = if self.trim { trailing(&bytes[start..end]) } else { 0 };
                    cells.spans.push((start, end - trimmed));
                    end
                }
            };
            cells.quoted.push(quote.is_some());
            match bytes.get(end) {
                None => break,
                Some(byte) if *byte == self.delimiter => at = end + 1,
                Some(_) => {
                    return Err(format!("cell {} goes on behind its closing quote", cells.spans.len()));
                }
            }
            if cells.spans.len() > most {
                break;
            }
        }
        if let (true, Some(quote)) = (doubled, self.quote) {
            self.unescape(text, quote, cells);
        }
        Ok(())
    }

    /// Copies the cells without their doubled quotes.
    #[cold]
    fn unescape(self, text: &str, quote: u8, cells: &mut Cells) {
        let quote = char::from(quote);
        for ((from, to), quoted) in cells.spans.iter_mut().zip(&cells.quoted) {
            let start = cells.unescaped.len();
            let mut rest = &text[*from..*to];
            while let Some(at) = rest.find(quote).filter(|_| *quoted) {
                cells.unescaped.push_str(&rest[..=at]);
                rest = &rest[at + 2..];
            }
            cells.unescaped.push_str(rest);
            (*from, *to) = (start, cells.unescaped.len());
        }
    }
}

/// Where the quote stands that closes a cell, and whether there are doubled ones before it.
fn closing(bytes: &[u8], from: usize, quote: u8) -> Option<(usize, bool)> {
    let mut at = from;
    let mut doubled = false;
    loop {
        at += memchr(quote, &bytes[at..])?;
        if bytes.get(at + 1) != Some(&quote) {
            return Some((at, doubled));
        }
        doubled = true;
        at += 2;
    }
}

/// How many blanks a text begins with.
fn blanks(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte == b' ').count()
}

/// How many blanks it ends with.
fn trailing(bytes: &[u8]) -> usize {
    bytes.iter().rev().take_while(|byte| **byte == b' ').count()
}

#[cfg(test)]
mod tests;
