//! `${NAME}`, `${NAME:-default}`, `${file:/path}` and `${base64:/path}` in the values of the configuration.
//!
//! They are replaced in the tree, after the YAML is read, so that no value can change the structure of the file. A
//! dollar sign without a brace stays as it is (`$ConnectionString`), and `$${` stands for `${`.

use std::ffi::OsString;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::tree::{Location, Node, SyntaxError, Value};
use flitch_core::named_file;

/// Most bytes of a file that stands for a value.
const LARGEST_FILE: u64 = 1 << 20;

/// Where the values of placeholders come from.
pub struct Outside<'a> {
    /// The environment.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// The folder that relative paths start from: that of the configuration file.
    pub folder: &'a Path,
}

/// Whether a placeholder may be replaced, of which it is told what stands between the braces; else what is wrong and what to
/// do.
pub type Permits<'a> = dyn Fn(&str) -> Result<(), (String, String)> + 'a;

/// Replaces the placeholders in all values of the tree that `permits` lets through; `text` is the file's text. Answers what
/// is wrong, all of it.
pub fn interpolate(
    node: &mut Node,
    text: &str,
    outside: &Outside<'_>,
    permits: &Permits<'_>,
) -> Vec<SyntaxError> {
    let mut wrong = Vec::new();
    walk(node, text, &|inside| permits(inside).and_then(|()| look_up(inside, outside)), &mut wrong);
    wrong
}

/// Finds the value of a placeholder, or what is wrong and what to do.
type LookUp<'a> = dyn Fn(&str) -> Result<String, (String, String)> + 'a;

fn walk(node: &mut Node, text: &str, look_up: &LookUp<'_>, wrong: &mut Vec<SyntaxError>) {
    match &mut node.value {
        Value::Seq(items) => items.iter_mut().for_each(|item| walk(item, text, look_up, wrong)),
        Value::Map(entries) => entries.iter_mut().for_each(|e| walk(&mut e.value, text, look_up, wrong)),
        Value::Scalar(scalar) => {
            if !scalar.text.contains("${") {
                return;
            }
            let mut failed = false;
            let mut report = |placeholder: &str, message: String, help: String| {
                failed = true;
                let location = narrow(text, node.location, placeholder);
                wrong.push(SyntaxError { location, message, help: Some(help) });
            };
            let (replaced, pieces) = replace(&scalar.text, look_up, &mut report);
            if !failed {
                scalar.text = replaced;
                scalar.interpolated = !pieces.is_empty();
                scalar.pieces = pieces;
            }
        }
    }
}

/// The place of a placeholder within its value, where the file holds it as it is.
fn narrow(text: &str, value: Location, placeholder: &str) -> Location {
    match text.get(value.start..value.end).and_then(|slice| slice.find(placeholder)) {
        Some(offset) => {
            let start = value.start + offset;
            Location { start, end: start + placeholder.len() }
        }
        None => value,
    }
}

/// The text with its placeholders replaced, and what stands in their places.
fn replace(
    text: &str,
    look_up: &LookUp<'_>,
    report: &mut dyn FnMut(&str, String, String),
) -> (String, Vec<String>) {
    let mut out = String::with_capacity(text.len());
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(dollar) = rest.find("${") {
        if rest[..dollar].ends_with('$') {
            out.push_str(&rest[..dollar]);
            out.push('{');
            rest = &rest[dollar + 2..];
            continue;
        }
        out.push_str(&rest[..dollar]);
        let from = &rest[dollar..];
        let Some(end) = from.find('}') else {
            let help = "close it with `}`, or write `$${` for the two characters themselves".to_owned();
            report(from, "this `${` has no end".to_owned(), help);
            return (out, pieces);
        };
        let placeholder = &from[..=end];
        // The first brace would end the inner one, and the rest stay as text.
        if placeholder[2..].contains("${") {
            let help = "a placeholder has no other one in it: let the default be a plain text, or set the variable \
                        where flitch is started";
            report(placeholder, "a placeholder stands inside of another".to_owned(), help.to_owned());
            rest = &from[end + 1..];
            continue;
        }
        match look_up(&placeholder[2..end]) {
            Ok(value) => {
                out.push_str(&value);
                pieces.push(value);
            }
            Err((message, help)) => report(placeholder, message, help),
        }
        rest = &from[end + 1..];
    }
    out.push_str(rest);
    (out, pieces)
}

/// The value of a placeholder, or what is wrong and what to do.
fn look_up(inside: &str, outside: &Outside<'_>) -> Result<String, (String, String)> {
    if let Some(path) = inside.strip_prefix("file:") {
        return read_text(path, &outside.folder.join(path));
    }
    if let Some(path) = inside.strip_prefix("base64:") {
        return read(path, &outside.folder.join(path)).map(|bytes| STANDARD.encode(bytes));
    }
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let message = format!("`${{{inside}}}` is no placeholder");
        let help = format!(
            "write ${{NAME}}, ${{NAME:-default}}, ${{file:/path}} or ${{base64:/path}}, or `$${{{inside}}}` to keep the text as it is"
        );
        return Err((message, help));
    }
    let Ok(value) = (outside.variable)(name).map(OsString::into_string).transpose() else {
        let message = format!("the environment variable `{name}` is not UTF-8 text");
        let help = "set it to text in UTF-8; bytes come from a file, with ${base64:/path}".to_owned();
        return Err((message, help));
    };
    // An empty variable counts as unset where there is a default, as in a shell.
    let value = value.filter(|v| default.is_none() || !v.is_empty());
    value.or_else(|| default.map(str::to_owned)).ok_or_else(|| {
        let message = format!("the environment variable `{name}` is not set");
        let mut help = format!(
            "set it, give a default with ${{{name}:-default}}, or write `$${{{name}}}` to keep the text as it is"
        );
        // As Fluentd writes the tag of a record.
        if name.contains(|c: char| c.is_ascii_lowercase()) {
            help.push_str(&format!("; in a template a field of the record is `{{{name}}}`"));
        }
        (message, help)
    })
}

/// What is wrong with a file, and what to do.
fn unreadable(named: &str, why: &str) -> (String, String) {
    let help = "the file must be readable, of at most 1 MiB, and UTF-8 text for ${file:…}; it is read when flitch starts or reloads";
    (format!("cannot read `{named}`: {why}"), help.to_owned())
}

fn read(named: &str, path: &Path) -> Result<Vec<u8>, (String, String)> {
    let fail = |error: std::io::Error| unreadable(named, &error.to_string());
    let file = named_file::open(path).map_err(fail)?;
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(fail)?;
    match bytes.len() as u64 {
        ..=LARGEST_FILE => Ok(bytes),
        _ => Err(unreadable(named, "it has more than 1 MiB")),
    }
}

fn read_text(named: &str, path: &Path) -> Result<String, (String, String)> {
    let text = String::from_utf8(read(named, path)?);
    let text = text.map_err(|error| unreadable(named, &error.to_string()))?;
    let mut text = named_file::without_mark(&text).to_owned();
    // Editors and `echo` end a file with a newline, which is no part of a password.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
