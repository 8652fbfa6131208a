//! The grammar: keys, and values with or without quotes.

use flitch_sdk::parse::excerpt;
use std::borrow::Cow;

/// A key, and what stands behind its `=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<'a> {
    pub key: &'a str,
    /// None where there is no `=`.
    pub value: Option<Cow<'a, str>>,
}

/// The pairs of a text, in order, up to the first thing that is wrong.
#[derive(Debug, Clone)]
pub struct Pairs<'a> {
    rest: &'a str,
}

impl<'a> Pairs<'a> {
    /// The pairs of this text, which may begin with a byte order mark.
    pub fn new(text: &'a str) -> Self {
        Self { rest: text.strip_prefix('\u{feff}').unwrap_or(text) }
    }

    fn pair(&mut self) -> Result<Pair<'a>, String> {
        let end = self.rest.find(|c: char| c == '=' || is_space(c)).unwrap_or(self.rest.len());
        let (key, rest) = self.rest.split_at(end);
        if key.is_empty() {
            return Err(format!("there is no key before {}", excerpt(rest)));
        }
        if key.contains('"') {
            return Err(format!("there is a quote in the key {}", excerpt(key)));
        }
        let Some(value) = rest.strip_prefix('=') else {
            self.rest = rest;
            return Ok(Pair { key, value: None });
        };
        if let Some(quoted) = value.strip_prefix('"') {
            let (value, rest) =
                unquote(quoted).map_err(|wrong| format!("the value of {} {wrong}", excerpt(key)))?;
            if rest.chars().next().is_some_and(|c| !is_space(c)) {
                return Err(format!("the value of {} goes on behind its closing quote", excerpt(key)));
            }
            self.rest = rest;
            return Ok(Pair { key, value: Some(value) });
        }
        let end = value.find(is_space).unwrap_or(value.len());
        self.rest = &value[end..];
        Ok(Pair { key, value: Some(value[..end].into()) })
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<Pair<'a>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rest = self.rest.trim_start_matches(is_space);
        if self.rest.is_empty() {
            return None;
        }
        let pair = self.pair();
        if pair.is_err() {
            self.rest = "";
        }
        Some(pair)
    }
}

/// Blanks and control characters part pairs, as Go's readers have it.
fn is_space(c: char) -> bool {
    c <= ' '
}

/// A value up to its closing quote, without its escapes, and what stands behind the quote.
fn unquote(text: &str) -> Result<(Cow<'_, str>, &str), &'static str> {
    const OPEN: &str = "has no closing quote";
    let first = text.find(['"', '\\']).ok_or(OPEN)?;
    if text.as_bytes()[first] == b'"' {
        return Ok((text[..first].into(), &text[first + 1..]));
    }
    let mut value = String::with_capacity(text.len().min(4096));
    let mut rest = text;
    loop {
        let at = rest.find(['"', '\\']).ok_or(OPEN)?;
        value.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if rest.as_bytes()[at] == b'"' {
            return Ok((value.into(), after));
        }
        let escape = after.chars().next().ok_or(OPEN)?;
        rest = &after[escape.len_utf8()..];
        match escape {
            'n' => value.push('\n'),
            'r' => value.push('\r'),
            't' => value.push('\t'),
            '"' | '\\' | '/' => value.push(escape),
            'u' => {
                let (c, length) = unicode(rest).ok_or("has a wrong \\u escape")?;
                value.push(c);
                rest = &rest[length..];
            }
            other => value.extend(['\\', other]),
        }
    }
}

/// The character behind `\u`, or behind the pair of them that UTF-16 needs, and how many bytes it takes. Half a pair is
/// U+FFFD.
fn unicode(text: &str) -> Option<(char, usize)> {
    let number = |text: &str| {
        let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        u32::from_str_radix(digits, 16).ok()
    };
    let high = number(text)?;
    if let (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) =
        (high, text[4..].strip_prefix("\\u").and_then(number))
    {
        let c = char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00));
        return Some((c.unwrap_or(char::REPLACEMENT_CHARACTER), 10));
    }
    Some((char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 4))
}

#[cfg(test)]
mod tests;
