//! What stands directly before a match and looks like a part of it: escapes of URLs and of JSON within a text, and colours of
//! terminals.

/// Where an escape ends whose digits run on into the hexadecimal digits `start..end`, of which `most` may be what is looked for:
/// `%2F`, `%252F` (of a URL within a URL), `\u003c` and `\x1b`.
pub fn escape(bytes: &[u8], start: usize, end: usize, most: usize) -> Option<usize> {
    let digits = end - start;
    match &bytes[..start] {
        [.., b'%'] if digits >= 2 => {
            let mut at = start + 2;
            while end - at > most.max(1) && &bytes[at - 2..at] == b"25" {
                at += 2;
            }
            Some(at)
        }
        [.., b'\\', b'u'] if digits >= 4 => Some(start + 4),
        [.., b'\\', b'x'] if digits >= 2 => Some(start + 2),
        _ => None,
    }
}

/// Whether an escape may end in the digits that begin here, or directly before them.
pub fn may_be_escape(bytes: &[u8], digits: usize) -> bool {
    matches!(bytes[..digits], [.., b'%' | b'u' | b'x' | b'a'..=b'f' | b'A'..=b'F'])
}

/// Whether an escape or a colour ends here, with a letter: `\n`, and `m` behind `[31`.
pub fn ends_before(bytes: &[u8], at: usize) -> bool {
    match &bytes[..at] {
        [.., b'\\', b'n' | b'r' | b't' | b'b' | b'f'] => true,
        [colour @ .., b'm'] => {
            let is_number = |byte: &&u8| byte.is_ascii_digit() || **byte == b';';
            let numbers = colour.iter().rev().take(16).take_while(is_number).count();
            colour[..colour.len() - numbers].ends_with(b"[")
        }
        _ => false,
    }
}

/// Whether a character is of a word in Latin script. Those of other scripts stand beside an address without a blank between,
/// where the language has none or puts endings to it.
pub fn is_latin(character: char) -> bool {
    matches!(character, '\0'..='\u{2af}' | '\u{1e00}'..='\u{1eff}') && character.is_alphanumeric()
}
