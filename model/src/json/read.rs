//! JSON texts for readers that hold less than JSON can say.

use serde::de::DeserializeOwned;

use crate::number::{Number, number};

/// Reads a JSON text as serde does, and what it has no value for as what comes nearest, so that nothing beside it is lost: half a
/// surrogate pair is U+FFFD, and a number past those of float64 is its text.
///
/// # Errors
/// It is no JSON, no value of this type, or nested deeper than serde goes.
pub fn read<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_str(text).or_else(|error| match mended(text) {
        Some(text) => serde_json::from_str(&text),
        None => Err(error),
    })
}

/// The text with other values in the place of those that serde does not read; none where it has none of them.
#[cold]
fn mended(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    let mut is_string = false;
    while let Some(byte) = bytes.get(at) {
        let (length, new) = match byte {
            b'"' => {
                is_string = !is_string;
                (1, None)
            }
            b'\\' if is_string => match surrogates(&bytes[at..]) {
                Surrogates::Pair => (12, None),
                Surrogates::Half => (6, Some("\\ufffd".to_owned())),
                Surrogates::None => (2, None),
            },
            b'-' | b'0'..=b'9' if !is_string => {
                let length = match number(&bytes[at..]) {
                    Ok((Number::Other, length)) => length,
                    Ok((_, length)) | Err(length) => {
                        at += length.max(1);
                        continue;
                    }
                };
                let number = &text[at..at + length];
                let is_past = number.parse::<f64>().is_ok_and(f64::is_infinite);
                (length, is_past.then(|| format!("\"{number}\"")))
            }
            _ => (1, None),
        };
        if let Some(new) = new {
            out.push_str(&text[copied..at]);
            out.push_str(&new);
            copied = at + length;
        }
        at += length;
    }
    out.push_str(&text[copied..]);
    (copied > 0).then_some(out)
}

/// What an escape is.
enum Surrogates {
    None,
    Half,
    Pair,
}

fn surrogates(text: &[u8]) -> Surrogates {
    match (unit(text), text.get(6..).and_then(unit)) {
        (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => Surrogates::Pair,
        (Some(0xd800..=0xdfff), _) => Surrogates::Half,
        _ => Surrogates::None,
    }
}

/// The unit of UTF-16 whose escape a text begins with.
fn unit(text: &[u8]) -> Option<u32> {
    let [b'\\', b'u', digits @ ..] = text else { return None };
    u32::from_str_radix(std::str::from_utf8(digits.get(..4)?).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    #[test]
    fn what_serde_has_no_value_for_leaves_all_that_stands_beside_it() {
        for (text, wanted) in [
            (r#"["a","\ud83d","b"]"#, json!(["a", "\u{fffd}", "b"])),
            (r#"["\ud83d\ude00\ude00x\ud83d\\\u0041"]"#, json!(["😀\u{fffd}x\u{fffd}\\A"])),
            (
                r#"{"\ud83d":1e400,"-1e400 \" 2e400":[-1e400,1.5,-1e-400]}"#,
                json!({"\u{fffd}": "1e400", "-1e400 \" 2e400": ["-1e400", 1.5, -0.0]}),
            ),
            ("1e400", json!("1e400")),
            (r#"{"a":[1e3,"1e400"]}"#, json!({"a": [1e3, "1e400"]})),
        ] {
            assert_eq!(read::<Json>(text).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_an_error_all_the_same() {
        for text in ["", "[1", r#"["\ud83d"#, r#"["\ud8"]"#, "[1e]", "[\"\\u", "-", "\u{e9}"] {
            assert!(read::<Json>(text).is_err(), "{text}");
        }
    }
}
