//! The form of RFC 5424: `<34>1 2026-11-20T13:55:36.25Z host app 12 ID [id name="value"] text`.

use crate::message::{Element, Message, When};
use crate::when;
use flitch_sdk::parse::excerpt;
use flitch_sdk::time::parse_rfc3339;
use std::borrow::Cow;

/// Most parameters of one message.
const MAX_PARAMETERS: usize = 200;

/// Whether what stands behind the priority is of this form: a version, and a time or none.
pub fn is_one(text: &str) -> bool {
    let Some((version, rest)) = text.split_once(' ') else { return false };
    let date = rest.as_bytes();
    is_version(version)
        && (rest == "-"
            || rest.starts_with("- ")
            || date.len() > 10 && date[4] == b'-' && date[7] == b'-' && matches!(date[10], b'T' | b't'))
}

fn is_version(text: &str) -> bool {
    matches!(
        text.as_bytes(),
        [b'1'..=b'9'] | [b'1'..=b'9', b'0'..=b'9'] | [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9']
    )
}

/// Whether a message has to be as the RFC says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rigour {
    /// What stands in the place of structured data and is none is the text, where it can be told from the words of a header.
    /// Devices write `[action:"Accept"; …]` there, and programs leave out the `-`.
    Loose,
    /// In every part.
    Strict,
}

/// Reads what stands behind the priority.
///
/// # Errors
/// Which part is missing or wrong.
pub fn read(text: &str, priority: Option<u8>, rigour: Rigour) -> Result<Message<'_>, String> {
    let mut rest = text;
    let mut part = |name: &str| {
        let (part, behind) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = behind;
        if part.is_empty() { Err(format!("the {name} is missing")) } else { Ok(part) }
    };
    let version = part("version")?;
    if !is_version(version) {
        return Err(format!("the version is {}", excerpt(version)));
    }
    let time = match part("time")? {
        "-" => None,
        time => {
            // Its offset is a must; devices leave it out all the same.
            let read = parse_rfc3339(time.as_bytes()).map(When::Instant).or_else(|| when::local(time));
            Some(read.ok_or_else(|| format!("the time is {}", excerpt(time)))?)
        }
    };
    let mut value = |name| part(name).map(|part| Some(part).filter(|part| *part != "-"));
    let (hostname, appname) = (value("hostname")?, value("appname")?);
    let (procid, msgid) = (value("procid")?, value("msgid")?);
    let mut elements = Vec::new();
    let text = match behind_structured(&mut rest, &mut elements) {
        Ok(text) => text,
        Err(wrong) => {
            // Without a bracket, and with a word for the id of the message, the words before may be the text's as well.
            let is_text =
                rest.starts_with('[') || !elements.is_empty() || msgid.is_none() && !rest.is_empty();
            Some(rest).filter(|_| rigour == Rigour::Loose && is_text).ok_or(wrong).map(Some)?
        }
    };
    let text = text.map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
    let version = version.parse().ok();
    Ok(Message { priority, version, time, hostname, appname, procid, msgid, elements, text })
}

/// The text behind the structured data that `rest` begins with. Where that is none, `rest` stands at what is none, and the
/// elements before are in `elements`.
fn behind_structured<'a>(
    rest: &mut &'a str,
    elements: &mut Vec<Element<'a>>,
) -> Result<Option<&'a str>, String> {
    let behind = match rest.strip_prefix('-') {
        Some(behind) => behind,
        None => {
            structured(rest, elements)?;
            rest
        }
    };
    match behind.strip_prefix(' ') {
        Some(text) => Ok(Some(text)),
        None if behind.is_empty() => Ok(None),
        None => Err("there is no space behind the structured data".to_owned()),
    }
}

/// Takes the elements off that a text begins with.
fn structured<'a>(text: &mut &'a str, elements: &mut Vec<Element<'a>>) -> Result<(), String> {
    const WHERE: &str = "the structured data";
    let mut count = 0;
    while let Some(inside) = text.strip_prefix('[') {
        let end = inside.find([' ', ']']).ok_or_else(|| format!("{WHERE} has no closing bracket"))?;
        let id = &inside[..end];
        if id.is_empty() || id.contains(['=', '"', '[']) {
            return Err(format!("{WHERE} has an element with the id {}", excerpt(id)));
        }
        let mut parameters = Vec::new();
        let mut rest = inside[end..].trim_start_matches(' ');
        while !rest.starts_with(']') {
            let (name, value) =
                rest.split_once("=\"").ok_or_else(|| format!("{WHERE} has no closing bracket"))?;
            if name.is_empty() || name.contains([' ', ']', '"', '[']) {
                return Err(format!("{WHERE} has a parameter with the name {}", excerpt(name)));
            }
            let (value, behind) =
                unquote(value).ok_or_else(|| format!("{WHERE} has no quote behind {}", excerpt(name)))?;
            count += 1;
            if count > MAX_PARAMETERS {
                return Err(format!("{WHERE} has more than {MAX_PARAMETERS} parameters"));
            }
            parameters.push((name, value));
            rest = behind.trim_start_matches(' ');
        }
        if elements.len() == MAX_PARAMETERS {
            return Err(format!("{WHERE} has more than {MAX_PARAMETERS} elements"));
        }
        elements.push(Element { id, parameters });
        *text = &rest[1..];
    }
    if elements.is_empty() {
        return Err(format!("{WHERE} is missing"));
    }
    Ok(())
}

/// A value up to its closing quote, without its escapes, and what stands behind the quote.
fn unquote(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut value = Cow::Borrowed("");
    let mut rest = text;
    loop {
        let at = rest.find(['"', '\\'])?;
        value += &rest[..at];
        let after = &rest[at + 1..];
        if rest.as_bytes()[at] == b'"' {
            return Some((value, after));
        }
        // A backslash before anything else stands for itself.
        match after.as_bytes().first()? {
            b'"' | b'\\' | b']' => {
                value += &after[..1];
                rest = &after[1..];
            }
            _ => {
                value += "\\";
                rest = after;
            }
        }
    }
}

#[cfg(test)]
#[path = "tests/rfc5424.rs"]
mod tests;
