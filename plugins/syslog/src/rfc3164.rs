//! The forms that RFC 3164 describes, and those that it does not: `<34>Oct 11 22:14:15 host app[12]: text`, each part of
//! which may be missing.

use crate::message::Message;
use crate::when;

/// Most bytes of a program's name, which is the first word of a text as often as not.
const MAX_NAME: usize = 128;

/// Reads what stands behind the priority.
///
/// # Errors
/// There is neither a priority nor a time.
pub fn read(text: &str, priority: Option<u8>) -> Result<Message<'_>, String> {
    let start = text.trim_start_matches(' ');
    let start = sequence(start).unwrap_or(start);
    let Some((time, rest)) = when::read(start) else {
        if priority.is_none() {
            return Err("it begins with neither a priority nor a time".to_owned());
        }
        let (appname, procid, text) = tag(text).unwrap_or((None, None, text));
        return Ok(Message { priority, appname, procid, text: Some(text), ..Message::default() });
    };
    let mut message = Message { priority, time: Some(time), ..Message::default() };
    let rest = rest.trim_start_matches(' ');
    // A text right behind the time begins with the name of the program, where no host stands between.
    let with_host = || {
        let (host, behind) = rest.split_once(' ')?;
        (!host.is_empty() && !host.starts_with('%')).then_some((host, behind.trim_start_matches(' ')))
    };
    let behind = match tag(rest) {
        Some((appname, procid, text)) => {
            (message.appname, message.procid) = (appname, procid);
            text
        }
        None => match with_host() {
            None => rest,
            Some((host, behind)) => {
                message.hostname = Some(host);
                let (appname, procid, text) = tag(behind).unwrap_or((None, None, behind));
                (message.appname, message.procid) = (appname, procid);
                text
            }
        },
    };
    message.text = Some(behind);
    Ok(message)
}

/// What stands behind the sequence numbers of Cisco's devices, as in `29: ` and `000029: host: `.
fn sequence(text: &str) -> Option<&str> {
    let digits = text.bytes().take(12).take_while(u8::is_ascii_digit).count();
    let behind = text[digits..].strip_prefix(": ").filter(|_| digits > 0)?;
    Some(behind.trim_start_matches(' '))
}

/// The name of a program and the number of its process, as in `su: ` and `cron[12]: `, and what stands behind.
fn tag(text: &str) -> Option<(Option<&str>, Option<&str>, &str)> {
    let end = text.bytes().take(MAX_NAME).position(|byte| matches!(byte, b' ' | b'[' | b':'))?;
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return None;
    }
    let (procid, rest) = match rest.strip_prefix('[') {
        None => (None, rest),
        Some(inside) => {
            let end = inside.bytes().take(MAX_NAME).position(|byte| byte == b']')?;
            (Some(&inside[..end]).filter(|procid| !procid.is_empty()), &inside[end + 1..])
        }
    };
    // Within a word, as in an address of version 6, a colon is no end.
    let rest = rest.strip_prefix(':')?;
    let text = rest.strip_prefix(' ').or(Some(rest).filter(|rest| rest.is_empty()))?;
    Some((Some(name), procid, text))
}

#[cfg(test)]
#[path = "tests/rfc3164.rs"]
mod tests;
