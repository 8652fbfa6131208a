//! The values inside of a JSON text, without a tree between.

use crate::find::Finder;
use flitch_model::path::push_text;
use flitch_sdk::json::quote;
use std::borrow::Cow;

/// A JSON text of the field `name` without what was found in its values, or none where nothing was. Fields for which
/// `is_spared` holds stay as they are.
pub fn redact(
    name: &str,
    text: &str,
    finder: &mut Finder,
    is_spared: &impl Fn(&str) -> bool,
) -> Option<String> {
    // One blank before a string says that it is a time.
    if text.starts_with(' ') && !text.starts_with("  ") {
        return None;
    }
    let path = if name == flitch_model::REST { String::new() } else { name.to_owned() };
    let is_record = path.is_empty() && name == flitch_model::REST;
    let mut walk = Walk { text, at: 0, copied: 0, out: String::new(), path, is_record, finder, is_spared };
    walk.value();
    let Walk { copied, mut out, .. } = walk;
    if copied == 0 {
        return None;
    }
    out.push_str(&text[copied..]);
    Some(out)
}

/// The host has checked that the text is JSON, and no deeper than 128.
struct Walk<'a, 'f, S> {
    text: &'a str,
    at: usize,
    /// So much of the text is in `out`, as it is to be.
    copied: usize,
    out: String,
    path: String,
    /// The object that comes stands for the record itself. A path that is empty may be the name of a field as well.
    is_record: bool,
    finder: &'f mut Finder,
    is_spared: &'f S,
}

impl<'a, S: Fn(&str) -> bool> Walk<'a, '_, S> {
    fn value(&mut self) {
        let start = self.skip_space();
        match self.text.as_bytes().get(start) {
            Some(b'{') => self.members(),
            Some(b'[') => self.elements(),
            Some(b'"') => {
                let inside = self.string();
                if !(self.is_spared)(&self.path)
                    && let Some(inside) = redact_string(inside, self.finder)
                {
                    self.replace(start, &format!("\"{inside}\""));
                }
            }
            Some(_) => {
                let length = self.text[start..].find([',', ']', '}', ' ', '\t', '\n', '\r']);
                self.at = length.map_or(self.text.len(), |length| start + length);
                let number = &self.text[start..self.at];
                if !(self.is_spared)(&self.path)
                    && let Some(text) = redact_number(number, self.finder)
                {
                    self.replace(start, &quote(&text));
                }
            }
            None => {}
        }
    }

    fn members(&mut self) {
        let parent = self.path.len();
        let is_record = std::mem::take(&mut self.is_record);
        self.at += 1;
        loop {
            let next = self.skip_space();
            match self.text.as_bytes().get(next) {
                Some(b'"') => {
                    let name = self.string();
                    push_text(&mut self.path, &unescape(name).unwrap_or(name.into()), is_record);
                    self.at = self.skip_space() + 1;
                    self.value();
                    self.path.truncate(parent);
                }
                Some(b',') => self.at += 1,
                _ => return self.at += 1,
            }
        }
    }

    fn elements(&mut self) {
        self.at += 1;
        loop {
            let next = self.skip_space();
            match self.text.as_bytes().get(next) {
                Some(b',') => self.at += 1,
                Some(b']') | None => return self.at += 1,
                Some(_) => self.value(),
            }
        }
    }

    fn skip_space(&mut self) -> usize {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.at
    }

    /// What stands between the quotes of the string that begins here; goes behind it.
    fn string(&mut self) -> &'a str {
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut end = start;
        while let Some(at) = memchr::memchr2(b'"', b'\\', &bytes[end..]) {
            end += at;
            if bytes[end] == b'"' {
                break;
            }
            end += 2;
        }
        self.at = end + 1;
        &self.text[start..end]
    }

    /// Puts something else in the place of what lies between `start` and here.
    fn replace(&mut self, start: usize, with: &str) {
        self.out.push_str(&self.text[self.copied..start]);
        self.out.push_str(with);
        self.copied = self.at;
    }
}

/// A number that is whole, without what was found in it; of `true` and the like nothing.
fn redact_number(number: &str, finder: &mut Finder) -> Option<String> {
    match number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        true => finder.redact(number),
        false => number.parse().ok().and_then(|number| finder.redact_float(number)),
    }
}

/// What stands between the quotes of a string, without what was found in it.
fn redact_string(inside: &str, finder: &mut Finder) -> Option<String> {
    let escaped = |text: String| {
        let quoted = quote(&text);
        quoted[1..quoted.len() - 1].to_owned()
    };
    if let Some(text) = unescape(inside) {
        return finder.redact(&text).map(escaped);
    }
    // Half a surrogate pair, which no text holds: what lies between such is looked at by itself.
    let mut out = String::with_capacity(inside.len());
    let mut has_found = false;
    for (piece, behind) in pieces(inside) {
        match unescape(piece).and_then(|text| finder.redact(&text)) {
            Some(text) => {
                has_found = true;
                out.push_str(&escaped(text));
            }
            None => out.push_str(piece),
        }
        out.push_str(behind);
    }
    has_found.then_some(out)
}

/// A string without its escapes; none where it has half a surrogate pair.
fn unescape(inside: &str) -> Option<Cow<'_, str>> {
    if !inside.contains('\\') {
        return Some(inside.into());
    }
    serde_json::from_str::<String>(&format!("\"{inside}\"")).ok().map(Cow::Owned)
}

/// A string in pieces, each with the escape of a surrogate behind it.
fn pieces(inside: &str) -> Vec<(&str, &str)> {
    let bytes = inside.as_bytes();
    let mut pieces = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(escape) = memchr::memchr(b'\\', &bytes[at..]).map(|i| at + i) {
        at = match &bytes[escape + 1..] {
            [b'u', b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', _, _, ..] => {
                pieces.push((&inside[start..escape], &inside[escape..escape + 6]));
                start = escape + 6;
                start
            }
            _ => escape + 2,
        };
    }
    pieces.push((&inside[start..], ""));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::{Kind, Replace};

    fn redacted(text: &str) -> Option<String> {
        let digits = regex::Regex::new("^s3cret$").unwrap();
        let kinds = vec![Kind::Email, Kind::Card, Kind::Ipv4, Kind::Ipv6];
        let mut finder = Finder::new(kinds, vec![("own".to_owned(), digits)], Replace::Label);
        redact("f", text, &mut finder, &|name| name == "f.spared")
    }

    #[test]
    fn values_are_looked_at_wherever_they_stand_and_names_are_not() {
        let text = r#"{ "a@b.de" : [ "x a@b.de", {"n":4111111111111111,"s":"s3cret"} , true, -5, 1.5 ] ,"spared":"a@b.de"}"#;
        let wanted =
            r#"{ "a@b.de" : [ "x [email]", {"n":"[card]","s":"[own]"} , true, -5, 1.5 ] ,"spared":"a@b.de"}"#;
        assert_eq!(redacted(text).unwrap(), wanted);
        assert_eq!(redacted(r#"{"a":[1,"x",null,{}],"b":[]}"#), None);
        assert_eq!(redacted(r#""1.2.3.4""#).unwrap(), r#""[ip]""#);
        for number in ["4111111111111111", "4111111111111111.0", "4.111111111111111E15"] {
            assert_eq!(redacted(number).unwrap(), r#""[card]""#, "{number}");
        }
        assert_eq!(redacted("[4111111111111111.5,1e400,-0.0,null,false]"), None);
    }

    #[test]
    fn escapes_are_read_and_written_again() {
        assert_eq!(redacted(r#"["\"\u0061@b.de\"\n"]"#).unwrap(), r#"["\"[email]\"\n"]"#);
        assert_eq!(redacted(r#"["s3\u0063ret"]"#).unwrap(), r#"["[own]"]"#);
    }

    #[test]
    fn halves_of_surrogate_pairs_stay_and_what_lies_between_is_looked_at() {
        assert_eq!(redacted(r#""\udc80 a@b.de \\ud800""#).unwrap(), r#""\udc80 [email] \\ud800""#);
        assert_eq!(redacted("  \"\\udcff1.2.3.4\"").unwrap(), "  \"\\udcff[ip]\"");
    }

    #[test]
    fn a_time_among_values_of_other_kinds_stays_a_time() {
        assert_eq!(redacted(r#" "2026-11-20T13:55:36Z""#), None);
    }

    #[test]
    fn a_deep_text_is_walked_to_its_end() {
        let deep = format!("{}\"a@b.de\"{}", "[".repeat(128), "]".repeat(128));
        assert_eq!(redacted(&deep).unwrap(), deep.replace("a@b.de", "[email]"));
    }
}
