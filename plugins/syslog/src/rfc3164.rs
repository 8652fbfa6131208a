//! The forms that RFC 3164 describes, and those that it does not: `<34>Oct 11 22:14:15 host app[12]: text`, each part of
//! which may be missing.

use crate::message::{Message, When};
use crate::when;
use flitch_sdk::time::parse_clock;

/// Most bytes of a program's name, which is the first word of a text as often as not.
const MAX_NAME: usize = 128;

/// Reads what stands behind the priority.
///
/// # Errors
/// There is neither a priority nor a time.
pub fn read(text: &str, priority: Option<u8>) -> Result<Message<'_>, String> {
    let (start, is_numbered) = numbers(text);
    let since_1970 = || when::since_1970(start).filter(|_| priority.is_some());
    let read = when::read(start).or_else(since_1970).map(|(time, rest)| (None, time, rest));
    let Some((origin, time, rest)) = read.or_else(|| origin(start).filter(|_| is_numbered)) else {
        if priority.is_none() {
            return Err("it begins with neither a priority nor a time".to_owned());
        }
        let (hostname, text) =
            if is_numbered { without_time(start).unwrap_or((None, text)) } else { (None, text) };
        let (appname, procid, text) = tag(text).unwrap_or((None, None, text));
        return Ok(Message { priority, hostname, appname, procid, text: Some(text), ..Message::default() });
    };
    let mut message = Message { priority, time: Some(time), hostname: origin, ..Message::default() };
    let rest = rest.trim_start_matches(' ');
    // A text right behind the time begins with the name of the program, where no host stands between.
    let with_host = || {
        let (host, behind) = rest.split_once(' ')?;
        let is_host = origin.is_none() && !host.starts_with('%') && is_name(host);
        is_host.then_some((host, behind.trim_start_matches(' ')))
    };
    let behind = match tag(rest) {
        // What stands before the name of Cisco's message is the device.
        Some((Some(device), None, text))
            if origin.is_none() && !device.starts_with('%') && is_mnemonic(text) =>
        {
            message.hostname = Some(device);
            let (appname, procid, text) = tag(text).unwrap_or((None, None, text));
            (message.appname, message.procid) = (appname, procid);
            text
        }
        Some((appname, procid, text)) => {
            (message.appname, message.procid) = (appname, procid);
            text
        }
        None => match with_host() {
            None => rest,
            Some((host, behind)) => {
                message.hostname = Some(host);
                // As Cisco's firewalls have it, a colon by itself stands behind the host.
                let behind =
                    behind.strip_prefix(": ").filter(|behind| tag(behind).is_some()).unwrap_or(behind);
                let (appname, procid, text) = tag(behind).unwrap_or((None, None, behind));
                (message.appname, message.procid) = (appname, procid);
                text
            }
        },
    };
    message.text = Some(behind);
    Ok(message)
}

/// What stands behind the numbers that Cisco's devices begin with, as in `29: ` and `421370: 421366: `, or behind the colon that
/// they leave of them; and whether there is such a thing.
fn numbers(text: &str) -> (&str, bool) {
    let mut start = text.trim_start_matches(' ');
    let mut is_numbered = false;
    for _ in 0..2 {
        let digits = start.bytes().take(12).take_while(u8::is_ascii_digit).count();
        let Some(behind) = start[digits..].strip_prefix(':').filter(|_| digits > 0 || !is_numbered) else {
            break;
        };
        // Without a blank it is a time.
        let Some(behind) = behind.strip_prefix(' ').or(Some(behind).filter(|_| digits == 0)) else { break };
        (start, is_numbered) = (behind.trim_start_matches(' '), true);
    }
    (start, is_numbered)
}

/// What a device calls itself before the time of its message, as in `switch1: Nov 23 22:23:27: `, with or without a number between
/// them; that time, and what stands behind it.
fn origin(text: &str) -> Option<(Option<&str>, When, &str)> {
    let word = text.find(' ').map_or(text, |end| &text[..end]);
    let mut colons = word.match_indices(':').map(|(at, _)| at).take_while(|at| *at < MAX_NAME);
    colons.find_map(|at| {
        let behind = &text[at + 1..];
        let read = when::read(behind.trim_start_matches(' '));
        let (time, rest) = read.or_else(|| when::read(number(behind)?))?;
        is_name(&text[..at]).then_some((Some(&text[..at]), time, rest))
    })
}

/// What stands behind a word that is a number with a colon.
fn number(text: &str) -> Option<&str> {
    let text = text.strip_prefix(' ')?;
    let digits = text.bytes().take(12).take_while(u8::is_ascii_digit).count();
    text[digits..].strip_prefix(": ").filter(|_| digits > 0)
}

/// The device and the message of one that has no time, but numbers before it, or how long the device has been running:
/// `ASR920: 007439: 2y10w: %SYS-5-CONFIG_I: …`.
fn without_time(text: &str) -> Option<(Option<&str>, &str)> {
    let (mut device, mut rest) = (None, text);
    for _ in 0..4 {
        if rest.starts_with('%') {
            return Some((device, rest));
        }
        let (word, behind) = rest.split_once(": ")?;
        if !is_uptime(word) {
            if device.is_some() || word.len() > MAX_NAME || !is_name(word) {
                return None;
            }
            device = Some(word);
        }
        rest = behind.trim_start_matches(' ');
    }
    None
}

/// Whether a word is a number, or says how long a device has been running: `00:20:10`, `2y10w`.
fn is_uptime(word: &str) -> bool {
    let is_clock = || {
        let clock = word.as_bytes().first_chunk::<8>().and_then(parse_clock);
        clock.is_some() && matches!(word.as_bytes().get(8), None | Some(b'.'))
    };
    let is_part = |byte: u8| byte.is_ascii_digit() || b"ywdh".contains(&byte);
    word.starts_with(|first: char| first.is_ascii_digit()) && (word.bytes().all(is_part) || is_clock())
}

/// Whether a text begins with the name of a message of Cisco's: `%ASA-4-106023: `.
fn is_mnemonic(text: &str) -> bool {
    let severity =
        |name: &str| name.as_bytes().windows(3).any(|part| matches!(part, [b'-', b'0'..=b'7', b'-']));
    text.starts_with('%') && matches!(tag(text), Some((Some(name), None, _)) if severity(name))
}

/// Whether a word may name a host or a program: quotes, brackets and what separates things belong to a text.
pub fn is_name(word: &str) -> bool {
    !word.is_empty() && !word.contains(['{', '}', '"', '\'', '=', '<', '>', ',', ';', ' '])
}

/// The name of a program and the number of its process, as in `su: `, `cron[12]: ` and `cron[12]:`, and what stands behind.
fn tag(text: &str) -> Option<(Option<&str>, Option<&str>, &str)> {
    let end = text.bytes().take(MAX_NAME).position(|byte| matches!(byte, b' ' | b'[' | b':'))?;
    let (name, rest) = text.split_at(end);
    if !is_name(name) {
        return None;
    }
    let (procid, rest) = match rest.strip_prefix('[') {
        None => (None, rest),
        Some(inside) => {
            let end = inside.bytes().take(MAX_NAME).position(|byte| byte == b']')?;
            (Some(&inside[..end]).filter(|procid| !procid.is_empty()), &inside[end + 1..])
        }
    };
    let has_process = text.as_bytes()[end] == b'[';
    // Within a word, as in an address of version 6, a colon is no end; behind the number of a process it is one.
    let rest = rest.strip_prefix(':')?;
    let text = rest.strip_prefix(' ').or(Some(rest).filter(|rest| has_process || rest.is_empty()))?;
    Some((Some(name), procid, text))
}

#[cfg(test)]
#[path = "tests/rfc3164.rs"]
mod tests;
