//! Texts in answers of servers that are JSON, read whatever is in them.
//!
//! An error often quotes what it is about, and so a record can put into it what no text has: half of a surrogate pair, bytes
//! that are not UTF-8. What a server decided stands beside such a text and has to be read all the same.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;

/// What a value says: a text, with U+FFFD for what is none in it; of any other value its JSON; nothing of null.
pub fn of(value: &RawValue) -> Option<String> {
    let json = value.get();
    if json == "null" {
        return None;
    }
    let text = serde_json::Deserializer::from_str(json).deserialize_bytes(Text);
    Some(text.unwrap_or_else(|_| json.to_owned()))
}

/// For members whose value is a text, or should be; empty where it is null.
///
/// # Errors
/// It is no JSON.
pub fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(some(from)?.unwrap_or_default())
}

/// The same for those that may be null.
///
/// # Errors
/// It is no JSON.
pub fn some<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    <&RawValue>::deserialize(from).map(of)
}

/// Reads the bytes of a text, which serde_json gives as they are.
struct Text;

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_whatever_is_in_it_and_what_is_none_stays_the_json_that_it_is() {
        #[derive(serde::Deserialize)]
        struct Error {
            #[serde(deserialize_with = "text")]
            code: String,
            #[serde(default, deserialize_with = "some")]
            message: Option<String>,
        }
        let deep = format!("{}1{}", "[".repeat(300), "]".repeat(300));
        for (json, said) in [
            (r#""plain \"\u00e9\" \ud83d\ude00""#, "plain \"é\" 😀"),
            (r#""half \ud800 of it""#, "half \u{fffd}\u{fffd}\u{fffd} of it"),
            (r#""\udc00\ud800""#, "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            ("17", "17"),
            (r#"{"a":"\ud800"}"#, r#"{"a":"\ud800"}"#),
            (&deep, &deep),
        ] {
            let error: Error =
                serde_json::from_str(&format!(r#"{{"code":{json},"message":{json}}}"#)).unwrap();
            assert_eq!((error.code.as_str(), error.message.as_deref()), (said, Some(said)), "{json}");
        }
        let error: Error = serde_json::from_str(r#"{"code":null,"message":null}"#).unwrap();
        assert_eq!((error.code.as_str(), error.message), ("", None));
    }
}
