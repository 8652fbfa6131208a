//! Finding all words of the rules in one pass.

use crate::rules::{BROWSERS, PROGRAMS, SYSTEMS};
use std::sync::LazyLock;

/// Words that are looked for besides those of the lists.
const OTHERS: [&str; 4] = ["Trident", "Safari", "AppleWebKit", "Version"];

/// The numbers of words: those of programs come first.
pub const FIRST_BROWSER: usize = PROGRAMS.len();
pub const FIRST_SYSTEM: usize = FIRST_BROWSER + BROWSERS.len();
pub const TRIDENT: usize = FIRST_SYSTEM + SYSTEMS.len();
pub const SAFARI: usize = TRIDENT + 1;
pub const APPLE_WEB_KIT: usize = TRIDENT + 2;
pub const VERSION: usize = TRIDENT + 3;

/// All words, and their numbers by the first byte.
struct Words {
    all: Vec<&'static [u8]>,
    by_first: Vec<Vec<u16>>,
}

static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let programs = PROGRAMS.iter().map(|(word, ..)| *word);
    let pairs = BROWSERS.iter().chain(SYSTEMS).map(|(word, _)| *word);
    let all: Vec<&[u8]> = programs.chain(pairs).chain(OTHERS).map(str::as_bytes).collect();
    let mut by_first = vec![Vec::new(); 256];
    for (number, word) in all.iter().enumerate() {
        by_first[usize::from(word[0])].push(number as u16);
    }
    Words { all, by_first }
});

/// Where words end in a text of at most 64 KiB, each the first time that it stands by itself.
#[derive(Debug)]
pub struct Found(Vec<u16>);

impl Found {
    /// Looks for all words.
    pub fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut ends = vec![0; WORDS.all.len()];
        let mut within = false;
        for (start, byte) in bytes.iter().enumerate() {
            let is_part = byte.is_ascii_alphanumeric();
            if is_part && !within {
                for number in WORDS.by_first[usize::from(*byte)].iter().map(|number| usize::from(*number)) {
                    let word = WORDS.all[number];
                    if ends[number] == 0 && stands(&bytes[start..], word) {
                        ends[number] = (start + word.len()) as u16;
                    }
                }
            }
            within = is_part;
        }
        Self(ends)
    }

    /// Where the word of this number ends, if it is there.
    pub fn end(&self, number: usize) -> Option<usize> {
        Some(usize::from(self.0[number])).filter(|end| *end > 0)
    }
}

/// Whether a text begins with a word that ends where it should.
fn stands(text: &[u8], word: &[u8]) -> bool {
    let Some(behind) = text.strip_prefix(word) else { return false };
    let goes_on = behind.first().is_some_and(u8::is_ascii_alphanumeric) && !word.ends_with(b"_");
    // A word of three letters is one only with its version.
    !goes_on && (word.len() > 3 || behind.first() == Some(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_where_it_stands_by_itself() {
        let end = |text: &str, number| Found::of(text).end(number);
        assert_eq!(end("x Safari/1", SAFARI), Some(8));
        assert_eq!(end("Safaris Safari", SAFARI), Some(14));
        assert_eq!(end("xSafari éSafari", SAFARI), Some(16));
        assert_eq!(end("Version", VERSION), Some(7));
        assert_eq!(end("", TRIDENT), None);
    }

    #[test]
    fn each_word_of_the_lists_is_found_under_its_number() {
        for (number, word) in WORDS.all.iter().enumerate() {
            let text = format!("({}/1.0", std::str::from_utf8(word).unwrap());
            assert_eq!(Found::of(&text).end(number), Some(1 + word.len()), "{text}");
            assert!(word[0].is_ascii_alphanumeric());
        }
    }
}
