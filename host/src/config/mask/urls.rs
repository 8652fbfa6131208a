//! Secrets in URLs, which stand under keys that are no secret's: user and password, and parts of the query whose names say so.

use super::is_secret;
use crate::config::tree::Location;

/// Names in a query whose values are signed permissions or keys; beside those that would be a secret's in the settings.
const PARTS: [&str; 5] = ["sig", "signature", "x-amz-signature", "key", "code"];

/// Where they stand in a text. It is rather too much than too little: a password may hold any sign that has a meaning in
/// a URL.
pub fn secrets(text: &str) -> Vec<Location> {
    let mut places = Vec::new();
    for (colon, _) in text.match_indices("://") {
        let start = colon + 3;
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>');
        let url = text[start..].find(ends).map_or(&text[start..], |end| &text[start..start + end]);
        // The next one in a list.
        let url = url.split(",http").next().unwrap_or(url);
        let login = login(url);
        places.extend(login.map(|end| Location { start, end: start + end }));
        places.extend(query(url, login.unwrap_or(0), start));
    }
    places
}

/// Where user and password end, if there are any.
fn login(url: &str) -> Option<usize> {
    let host = url.find(['/', '?', '#', '\\']).map_or(url, |end| &url[..end]);
    if !host.contains('@') && !is_odd(host) {
        return None;
    }
    // `{@tag}` is a field.
    let last = url.rmatch_indices('@').find(|(at, _)| !url[..*at].ends_with('{'));
    last.map(|(end, _)| end).filter(|end| *end > 0)
}

/// The values in the query of a URL that are secret. The query begins behind `from`; the URL stands at `start`.
fn query(url: &str, from: usize, start: usize) -> Vec<Location> {
    let Some(begin) = url[from..].find('?').map(|place| from + place + 1) else { return Vec::new() };
    let mut places = Vec::new();
    let mut at = begin;
    for pair in url[begin..].split('&') {
        if let Some((name, value)) = pair.split_once('=')
            && (PARTS.contains(&&*name.to_ascii_lowercase()) || is_secret(name))
        {
            let value_at = start + at + name.len() + 1;
            places.push(Location { start: value_at, end: value_at + value.len() });
        }
        at += pair.len() + 1;
    }
    places
}

/// Whether what should be host and port goes on behind its colon as no port does: as a password with a slash in it.
fn is_odd(host: &str) -> bool {
    let Some((name, port)) = host.split_once(':') else { return false };
    let is_name = !name.starts_with('[') && !name.contains(['{', '$']);
    is_name && !port.is_empty() && !port.starts_with(['{', '$']) && !port.bytes().all(|b| b.is_ascii_digit())
}
