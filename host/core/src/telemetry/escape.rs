//! Text that comes from outside (records, clients, file names) in a form that a terminal shows and does nothing else
//! with.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Whether a terminal may do something with a character other than show it: control characters, which move the cursor
/// or begin an escape sequence, and those that turn the direction of the text beside them.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Shows a text in one line.
pub struct Escaped<T>(pub T);

impl<T: fmt::Display> fmt::Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping { inner: f, newline: "\\n" }, "{}", self.0)
    }
}

/// Shows a text in the lines that it has.
pub struct Lines<T>(pub T);

impl<T: fmt::Display> fmt::Display for Lines<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping { inner: f, newline: "\n" }, "{}", self.0)
    }
}

/// Writes texts without what [`is_unsafe`].
pub(super) struct Escaping<'a, W> {
    pub(super) inner: &'a mut W,
    /// What stands for the end of a line.
    pub(super) newline: &'static str,
}

impl<W: Write> Write for Escaping<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut from = 0;
        for (place, c) in text.char_indices().filter(|(_, c)| is_unsafe(*c)) {
            self.inner.write_str(&text[from..place])?;
            from = place + c.len_utf8();
            match c {
                '\n' => self.inner.write_str(self.newline)?,
                '\r' => self.inner.write_str("\\r")?,
                '\t' => self.inner.write_str("\\t")?,
                c => write!(self.inner, "\\u{{{:x}}}", u32::from(c))?,
            }
        }
        self.inner.write_str(&text[from..])
    }
}

/// Lines of JSON whose texts hold nothing that [`is_unsafe`]: it is written as `\u....`, which is the same value to
/// whoever reads it. What is not UTF-8 becomes U+FFFD.
pub fn json(lines: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(lines);
    let is_inside = |c: char| c != '\n' && is_unsafe(c);
    if !text.contains(is_inside) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_inside(c) {
            // All of them are in the first plane.
            true => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => out.push(c),
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_written_out() {
        let shown = |text: &str| Escaped(text).to_string();
        assert_eq!(shown("grün ✓ 日本 \u{1f600}"), "grün ✓ 日本 \u{1f600}");
        assert_eq!(shown("a\u{1b}[2Jb\r\n\tc\0"), "a\\u{1b}[2Jb\\r\\n\\tc\\u{0}");
        assert_eq!(
            shown("\u{9b}31m\u{7f}\u{202e}fdp.exe\u{2066}"),
            "\\u{9b}31m\\u{7f}\\u{202e}fdp.exe\\u{2066}"
        );
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(Lines("a\u{1b}[2J\nb\r\n").to_string(), "a\\u{1b}[2J\nb\\r\n");
    }

    #[test]
    fn json_keeps_its_value() {
        let value =
            serde_json::json!({ "a\u{202e}": "x\u{1b}[0m\u{7f}\u{9b}\u{2028}\u{61c}", "b": [1.50, "é"] });
        let line = format!("{value}\n");
        let shown = json(line.as_bytes());
        assert!(shown.chars().all(|c| c == '\n' || !is_unsafe(c)), "{shown:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        assert!(matches!(json(b"{\"a\":1}\n"), Cow::Borrowed(_)));
        assert_eq!(json(b"{\"a\":\"\xff\"}"), "{\"a\":\"\u{fffd}\"}");
    }
}
