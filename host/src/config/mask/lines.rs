//! What is secret where no tree tells keys from values: in comments, and in a file that is no YAML.

use super::names::names;
use super::stars;

/// The text with stars after every key that says that its value is secret, up to where another key ends it. It hides
/// too much rather than too little.
pub(super) fn without_tree(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut secret: Option<Secret> = None;
    for line in text.split_inclusive('\n') {
        if let Some(inside) = &mut secret
            && inside.goes_on(line)
        {
            out.push_str(&stars(line));
            continue;
        }
        secret = first_secret(line).map(|(column, colon)| {
            out.push_str(&line[..=colon]);
            out.push_str(&stars(&line[colon + 1..]));
            Secret { column, depth: depth(&line[colon + 1..]) }
        });
        if secret.is_none() {
            out.push_str(line);
        }
    }
    out
}

/// A value that may have more lines.
struct Secret {
    /// Where its key begins.
    column: usize,
    /// Brackets that are not closed yet.
    depth: i32,
}

impl Secret {
    fn goes_on(&mut self, line: &str) -> bool {
        let indented = line.trim_start();
        if indented.is_empty() {
            return true;
        }
        let column = line.len() - indented.len();
        let is_item = indented.starts_with("- ") && column >= self.column;
        let goes_on = self.depth > 0 || column > self.column || is_item || !is_key(indented);
        self.depth += depth(line);
        goes_on
    }
}

/// Brackets that a text opens and does not close.
fn depth(text: &str) -> i32 {
    let change = |c| match c {
        '[' | '{' => 1,
        ']' | '}' => -1,
        _ => 0,
    };
    text.chars().map(change).sum()
}

/// Whether a line begins with a key.
fn is_key(line: &str) -> bool {
    let line = line.trim_start_matches("- ").trim_start();
    let Some((key, rest)) = line.split_once(':') else { return false };
    let is_end = rest.is_empty() || rest.starts_with(char::is_whitespace);
    let key = key.trim_end().trim_matches(['"', '\'']);
    is_end && !key.is_empty() && !key.contains([' ', ',', '{', '}', '[', ']'])
}

/// Where the first key of a secret begins in a line, and the colon (or equals sign) behind it.
fn first_secret(line: &str) -> Option<(usize, usize)> {
    line.match_indices([':', '=']).find_map(|(colon, _)| {
        let before = line[..colon].trim_end().trim_end_matches(['"', '\'']);
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let key = before.rfind(|c| !is_part(c)).map_or(before, |place| {
            &before[place + before[place..].chars().next().map_or(1, char::len_utf8)..]
        });
        let holds = || {
            // A map with secrets, which is none here: `auth: TOKEN`.
            let value = line[colon + 1..].trim();
            names().is_holder(key) && !value.is_empty() && !value.starts_with('{')
        };
        let is_secret = !key.is_empty() && (names().is_secret(key) || holds());
        is_secret.then(|| (before.len() - key.len(), colon))
    })
}
