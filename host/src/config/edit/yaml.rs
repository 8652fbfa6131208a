//! Values as YAML.

use flitch_core::exact;
use serde_json::Value as Json;

/// A value as YAML in one line.
pub fn flow(value: &Json) -> String {
    match value {
        Json::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Json::Object(members) => map(members.iter()),
        Json::String(text) => match exact::number_of(text) {
            Some(number) => number.to_owned(),
            None => scalar(&exact::unmarked_text(text).replace("${", "$${")),
        },
        other => other.to_string(),
    }
}

/// A map of these, in their order.
pub fn map<'a>(members: impl Iterator<Item = (&'a String, &'a Json)>) -> String {
    let members: Vec<String> =
        members.map(|(name, value)| format!("{}: {}", scalar(name), flow(value))).collect();
    if members.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", members.join(", ")) }
}

/// A text with quotes where it would be something else without.
pub fn scalar(text: &str) -> String {
    const OTHERS: [&str; 10] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan"];
    let begins = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/');
    let goes_on = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '.' | '-' | ' ');
    let is_plain = text.starts_with(begins)
        && text.chars().all(goes_on)
        && !text.ends_with(' ')
        && !OTHERS.contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { quoted(text) }
}

/// A text in quotes. What may not stand in YAML is escaped beside what may not stand in JSON.
pub fn quoted(text: &str) -> String {
    let json = Json::from(text).to_string();
    let is_odd = |c: char| {
        matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    let escaped = |c: char| if is_odd(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    json.chars().map(escaped).collect()
}
