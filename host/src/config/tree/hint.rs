//! What to do about YAML that cannot be read: the mistakes that are made most.

const PLACEHOLDER: &str = "a value with `${...}` inside `{ }` or `[ ]` stands in quotes: \"${NAME}\"";
const TEMPLATE: &str =
    "`{` begins a map in YAML: a text with `{...}` in it stands in quotes: \"logs.{@tag}\"";
const ADDRESS: &str = "`[` begins a list in YAML: an address with it stands in quotes: \"[::1]:8080\"";
const BRACKETS: &str = "inside `{ }` and `[ ]` a `,` stands between two values, each bracket is closed by its own kind, and a \
     text with one of `{}[],` in it stands in quotes";
const ALIAS: &str = "`*` begins an alias in YAML, and `&` its anchor: a text that begins with one, such as a glob, stands in \
     quotes: \"*.log\"";
const FIRST: &str = "a text that begins with `@`, `%` or a backtick stands in quotes";
const COLON: &str =
    "a text with `: ` in it stands in quotes, and the keys of one map begin in the same column";
const LIST: &str =
    "`- ` begins a value of a list on a line of its own; a text that begins with it stands in quotes";
const ESCAPE: &str =
    "between `\"` a `\\` begins an escape: write `\\\\`, or put the text between `'`, where it is itself";
const QUOTE: &str =
    "nothing stands behind a closing quote: a `,` is missing, or a `\"` within the text is written `\\\"`";
const APOSTROPHE: &str =
    "nothing stands behind a closing quote: a `,` is missing, or a `'` within the text is written twice";
const KEYS: &str =
    "the keys of one map begin in the same column, and nothing stands behind a closing bracket or quote";
/// What to do about a file that is written for something else.
pub const OTHER_FORM: &str = "a configuration is YAML, with `sources:`, `outputs:` and `pipelines:` each at the beginning of a line; \
     TOML, and the forms of their own that Fluent Bit, Fluentd and Logstash have, are not read";

/// What to do about an error at the byte `place` of `text`, of which the parser says `message`.
pub fn hint(text: &str, place: usize, message: &str) -> Option<String> {
    let says = |words: &str| message.contains(words);
    let tab = || tab(text, place);
    if says("tab") {
        return tab();
    }
    let line = unquoted(line_of(text, place));
    let in_brackets =
        ["flow ", "bracket", "unexpected character", "expected key"].iter().any(|words| says(words));
    let fixed = match () {
        () if in_brackets && line.contains("${") => PLACEHOLDER,
        () if in_brackets && has_template(&line) => TEMPLATE,
        () if in_brackets && line.contains("]:") => ADDRESS,
        () if says("flow ") || says("bracket") => BRACKETS,
        () if says("anchor") => ALIAS,
        // `[sources.app]`, `[INPUT]`
        () if says("document start") && text.trim_start().starts_with('[') => OTHER_FORM,
        () if says("unexpected character") => FIRST,
        () if says("mapping values are not allowed") => COLON,
        () if says("block sequence entries are not allowed") => LIST,
        () if says("escape") => ESCAPE,
        () if says("double-quoted") => QUOTE,
        () if says("single-quoted") => APOSTROPHE,
        // A tab may be what put a line where it does not belong.
        () => return tab().or_else(|| says("expected key").then(|| KEYS.to_owned())),
    };
    Some(fixed.to_owned())
}

/// The line around a place, without its end.
fn line_of(text: &str, place: usize) -> &str {
    let start = text[..place].rfind('\n').map_or(0, |newline| newline + 1);
    text[start..].split('\n').next().unwrap_or_default()
}

/// Where a tab indents the line of `place`, or the next one, which is read on the way to the end of a value.
fn tab(text: &str, place: usize) -> Option<String> {
    const HELP: &str = "YAML wants spaces where a tab stands";
    let is_indented = |line: &str| line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t');
    if text[place..].starts_with('\t') || is_indented(line_of(text, place)) {
        return Some(HELP.to_owned());
    }
    let next = place + text[place..].find('\n')? + 1;
    let number = 1 + text[..next].matches('\n').count();
    is_indented(line_of(text, next)).then(|| format!("{HELP}, in line {number}"))
}

/// A line without what stands in quotes, and without its comment.
fn unquoted(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            // In the middle of a word it is an apostrophe.
            '"' | '\'' if !out.ends_with(char::is_alphanumeric) => loop {
                match chars.next() {
                    None => return out,
                    Some('\\') if c == '"' => _ = chars.next(),
                    Some(end) if end == c => break,
                    Some(_) => {}
                }
            },
            '#' if out.is_empty() || out.ends_with(char::is_whitespace) => return out,
            c => out.push(c),
        }
    }
    out
}

/// Whether a text holds what is a field of a record between braces: `{@tag}`, `{host}`, `{@timestamp:%Y-%m}`.
fn has_template(text: &str) -> bool {
    text.split('{').skip(1).any(|rest| {
        let inside = rest.split('}').next().unwrap_or_default();
        let is_closed = inside.len() < rest.len();
        let starts = inside.starts_with(|c: char| c == '@' || c == '_' || c.is_alphabetic());
        is_closed && starts && !inside.contains(|c: char| c == ',' || c.is_whitespace())
    })
}

#[cfg(test)]
mod tests;
