//! The brokers' own topics, of which a pattern of the user's does not speak: what is read of `__consumer_offsets` moves positions,
//! which are written there.

use std::collections::{BTreeMap, BTreeSet};

/// What the names of the brokers' own topics begin with.
const INTERNAL: &str = "__";

/// Regular expressions, with commas between them, of the topics that librdkafka is not to see; none where there are none to hide.
///
/// Those that are named must be seen, and librdkafka has no exceptions from what it hides. So what begins with `__` and is none of
/// these is put as expressions: for each beginning of a name, that it ends there, or goes on otherwise.
pub(super) fn left_out(topics: &[String]) -> Option<String> {
    let patterns = || topics.iter().filter_map(|topic| topic.strip_prefix('^'));
    if patterns().next().is_none() || patterns().any(|pattern| pattern.starts_with(INTERNAL)) {
        return None;
    }
    let named: BTreeSet<&str> =
        topics.iter().map(String::as_str).filter(|topic| topic.starts_with(INTERNAL)).collect();
    let mut goes_on: BTreeMap<&str, BTreeSet<char>> = BTreeMap::from([(INTERNAL, BTreeSet::new())]);
    for name in &named {
        for (place, letter) in name.char_indices().skip(INTERNAL.len()) {
            goes_on.entry(&name[..place]).or_default().insert(letter);
        }
        goes_on.entry(name).or_default();
    }
    let mut all = Vec::new();
    for (beginning, letters) in goes_on {
        let text = beginning.replace('.', "[.]");
        if !named.contains(beginning) {
            all.push(format!("^{text}$"));
        }
        // A hyphen stands for itself at the end.
        let (hyphen, letters): (String, String) = letters.into_iter().partition(|letter| *letter == '-');
        all.push(if letters.is_empty() && hyphen.is_empty() {
            format!("^{text}.")
        } else {
            format!("^{text}[^{letters}{hyphen}]")
        });
    }
    Some(all.join(","))
}

#[cfg(test)]
mod tests;
