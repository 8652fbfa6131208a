//! User and password in URLs, which stand under keys that are no secret's.

use crate::config::tree::Location;

/// Where they stand in a text. It is rather too much than too little: a password may hold any sign that has a meaning in
/// a URL.
pub fn logins(text: &str) -> Vec<Location> {
    let mut places = Vec::new();
    for (colon, _) in text.match_indices("://") {
        let start = colon + 3;
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>');
        let url = text[start..].find(ends).map_or(&text[start..], |end| &text[start..start + end]);
        // The next one in a list.
        let url = url.split(",http").next().unwrap_or(url);
        let host = url.find(['/', '?', '#', '\\']).map_or(url, |end| &url[..end]);
        if !host.contains('@') && !is_odd(host) {
            continue;
        }
        // `{@tag}` is a field.
        let last = url.rmatch_indices('@').find(|(at, _)| !url[..*at].ends_with('{'));
        if let Some((end, _)) = last.filter(|(end, _)| *end > 0) {
            places.push(Location { start, end: start + end });
        }
    }
    places
}

/// Whether what should be host and port goes on behind its colon as no port does: as a password with a slash in it.
fn is_odd(host: &str) -> bool {
    let Some((name, port)) = host.split_once(':') else { return false };
    let is_name = !name.starts_with('[') && !name.contains(['{', '$']);
    is_name && !port.is_empty() && !port.starts_with(['{', '$']) && !port.bytes().all(|b| b.is_ascii_digit())
}
