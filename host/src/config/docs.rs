//! The reference of the configuration file, written from its schema: docs/config.md.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Map, Value};

use super::schema;

type Object = Map<String, Value>;

/// Keys at the top that hold maps of named parts.
const SECTIONS: [&str; 6] = ["sources", "filters", "outputs", "pipelines", "tables", "tests"];

const HEAD: &str = "\
# Configuration

<!-- Written from the doc comments of the settings by `flitch config docs > docs/config.md`; do not edit. -->

One YAML file, `flitch.yaml`. `flitch check` validates it, and with `--probe` also asks the outputs; `flitch config
schema` prints its JSON Schema for editors.

- A key that is not known is an error, told with file, line, column and the nearest key, or the one that is called so by Vector,
  Fluent Bit, Logstash, the OpenTelemetry Collector and their kin. All errors are told at once.
- A value may hold `${NAME}`, `${NAME:-default}` (the environment), `${file:/path}` (the text of a file, without its
  last newline and without a byte order mark before it) and `${base64:/path}` (the bytes of a file, as base64); a
  relative path starts from the configuration's folder, and a file is a regular one of 1 MiB at most. They are replaced
  after the YAML is read, so a value cannot change the structure. A placeholder has no other one in it. `$${` stands for
  `${`; a `$` without a brace stays as it is. Where a number or a boolean is wanted, `\"${NAME}\"` may be one.
  Where anything may stand, as in the settings of plugins, `${NAME}` without quotes is a number if it holds one as numbers
  are written (`17`, `0.5`); `007`, `1.10` and `1e3` stay text.
- A *size* is a number with `B`, `kB`, `MB`, `GB`, `KiB`, `MiB` or `GiB`. A *time* is a number with `us`, `ms`, `s`,
  `m`, `h` or `d`, or the word written out (`10 seconds`). 0 is refused where the key does not say what it means.
- An *address* is `host:port`, `[::1]:port` for IPv6, or a port by itself.
- A *secret* is text that appears in no log, error or answer of the API. Reports show stars for it, and for what stands
  under a key that is a letter away from a secret's, and for user and password in a URL; and where a server that refuses a
  request says again what it was sent, for credentials, headers and keys in the URL of six letters or more.
- A *template* is text with fields of the record between braces: `logs.{@tag}`, `{kubernetes.labels.app}`, `{host|none}` with a
  default for records without the field (a null is missing), and `{@timestamp:%Y-%m-%d}` with a time, written in UTC by
  [strftime](https://docs.rs/jiff/latest/jiff/fmt/strtime/index.html#conversion-specifications), which may be a text of RFC 3339
  too. `{{` and `}}` are braces.
- Anchors, aliases and merge keys (`<<: *name`) work. Keys at the top that begin with `x-` are ignored: a place for
  anchors.
";

/// The reference as Markdown.
pub fn markdown() -> String {
    let schema = schema::plain();
    let root = schema.as_object().expect("the schema of a struct is an object");
    let mut docs = Docs { root, out: HEAD.to_owned(), shared: Vec::new(), seen: BTreeSet::new() };
    docs.line("\n## The whole file\n");
    for section in SECTIONS {
        let text = description(&root["properties"][section]).unwrap_or_default();
        let _ = writeln!(docs.out, "- **`{section}`** (map of [these](#{section})): {text}");
    }
    docs.keys(root, &SECTIONS);
    for section in SECTIONS {
        docs.section(section);
    }
    docs.line("\n## Shared settings");
    while let Some(name) = docs.shared.pop() {
        docs.definition(&name);
    }
    docs.out
}

struct Docs<'s> {
    root: &'s Object,
    out: String,
    /// Definitions that were named and not written yet.
    shared: Vec<String>,
    seen: BTreeSet<String>,
}

impl<'s> Docs<'s> {
    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn resolve(&self, schema: &'s Value) -> &'s Object {
        let object = schema.as_object().expect("a schema is an object");
        match object.get("$ref").and_then(Value::as_str) {
            Some(path) => self.find(path.trim_start_matches("#/$defs/")),
            None => object,
        }
    }

    fn find(&self, name: &str) -> &'s Object {
        self.root["$defs"][name].as_object().expect("a reference names a definition")
    }

    /// A map of named components at the top: `sources` and its like.
    fn section(&mut self, name: &str) {
        let property = &self.root["properties"][name];
        let _ = writeln!(self.out, "\n## {name}\n");
        if let Some(text) = description(property) {
            self.line(&text);
        }
        let component = self.resolve(&property["additionalProperties"]);
        match component.get("oneOf").and_then(Value::as_array) {
            None => {
                self.line("");
                self.keys(component, &[]);
            }
            Some(kinds) => {
                let known: Vec<String> = kinds.iter().filter_map(kind).map(|k| format!("`{k}`")).collect();
                let _ = writeln!(self.out, "\nEach has a key `type`: {}.", known.join(", "));
                for each in kinds {
                    let Some(kind) = kind(each) else { continue };
                    let _ = writeln!(self.out, "\n### {name}: `type: {kind}`\n");
                    if let Some(text) = description(each) {
                        let _ = writeln!(self.out, "{text}\n");
                    }
                    self.keys(self.resolve(each), &[]);
                }
            }
        }
    }

    fn definition(&mut self, name: &str) {
        let definition = self.find(name);
        let _ = writeln!(self.out, "\n### {}\n", title(name));
        if let Some(text) = definition.get("description").and_then(Value::as_str) {
            let _ = writeln!(self.out, "{}\n", unfold(text));
        }
        match definition.get("oneOf").or(definition.get("anyOf")).and_then(Value::as_array) {
            Some(forms) => {
                for form in forms {
                    self.form(form);
                }
            }
            None => self.keys(definition, &[]),
        }
    }

    /// One of several forms of a value.
    fn form(&mut self, form: &'s Value) {
        let resolved = self.resolve(form);
        let text = description(form).map(|d| format!(": {d}")).unwrap_or_default();
        match kind(form) {
            Some(kind) => {
                let _ = writeln!(self.out, "`type: {kind}`{text}\n");
                self.keys(resolved, &[]);
                self.line("");
            }
            None if resolved.contains_key("properties") => {
                let text = description(form).unwrap_or_else(|| "A map:".to_owned());
                let _ = writeln!(self.out, "{text}\n");
                self.keys(resolved, &[]);
                self.line("");
            }
            None => {
                let written = self.kind_of(form);
                let _ = writeln!(self.out, "- {written}{text}");
            }
        }
    }

    /// The keys of a map but those of `without`; first those that are required.
    fn keys(&mut self, object: &'s Object, without: &[&str]) {
        let Some(properties) = object.get("properties").and_then(Value::as_object) else { return };
        let required = schema::required(object);
        // The heading says it.
        let is_kind = |key: &str| key == "type" && properties[key].get("const").is_some();
        let aliases: Vec<&str> = properties.values().flat_map(aliases_of).collect();
        let is_own = |key: &&String| {
            !is_kind(key) && !without.contains(&key.as_str()) && !aliases.contains(&key.as_str())
        };
        let mut keys: Vec<&String> = properties.keys().filter(is_own).collect();
        keys.sort_by_key(|key| !required.contains(&key.as_str()));
        for key in &keys {
            let property = &properties[*key];
            let kind = self.kind_of(property);
            let need = match property.get("default") {
                _ if required.contains(&key.as_str()) => ", **required**".to_owned(),
                Some(default) => default_of(default),
                None => String::new(),
            };
            let text = description(property).map(|d| format!(" {d}")).unwrap_or_default();
            let others: String = aliases_of(property).map(|alias| format!(" or **`{alias}`**")).collect();
            let _ = writeln!(self.out, "- **`{key}`**{others} ({kind}{need}):{text}");
            self.choices(property);
        }
        if keys.is_empty() {
            self.line("It has no keys of its own.");
        }
    }

    /// What the words of a choice mean, where they say it themselves.
    fn choices(&mut self, property: &'s Value) {
        let resolved = self.resolve(not_null(property));
        let Some(forms) = resolved.get("oneOf").and_then(Value::as_array) else { return };
        for form in forms {
            if let (Some(word), Some(text)) = (form.get("const").and_then(Value::as_str), description(form)) {
                let _ = writeln!(self.out, "  - `{word}`: {text}");
            }
        }
    }

    /// What a value is, in a word or two.
    fn kind_of(&mut self, schema: &'s Value) -> String {
        let schema = not_null(schema);
        if let Some(path) = schema.get("$ref").and_then(Value::as_str) {
            let mut name = path.trim_start_matches("#/$defs/");
            let mut definition = self.find(name);
            // A definition may be no more than another one's name.
            while let Some(next) = definition.get("$ref").and_then(Value::as_str) {
                name = next.trim_start_matches("#/$defs/");
                definition = self.find(name);
            }
            match name {
                "Bytes" => return "size".to_owned(),
                "Span" => return "time".to_owned(),
                "Address" => return "address".to_owned(),
                "Endpoints" => return "address or list of addresses".to_owned(),
                _ => {}
            }
            if let Some(words) = words(definition) {
                return words;
            }
            let is_plain = !["properties", "oneOf", "anyOf"].iter().any(|key| definition.contains_key(*key));
            if is_plain {
                return plain(definition);
            }
            if self.seen.insert(name.to_owned()) {
                self.shared.insert(0, name.to_owned());
            }
            return format!("[{}](#{})", title(name), anchor(name));
        }
        let Some(object) = schema.as_object() else { return "anything".to_owned() };
        if let Some(words) = words(object) {
            return words;
        }
        if let Some(items) = object.get("items") {
            return format!("list of {}", self.kind_of(items));
        }
        if let Some(values) = object.get("additionalProperties").filter(|v| v.is_object()) {
            return format!("map of {}", self.kind_of(values));
        }
        if let Some(forms) = object.get("anyOf").or(object.get("oneOf")).and_then(Value::as_array) {
            let forms: Vec<String> = forms.iter().map(|form| self.kind_of(form)).collect();
            return forms.join(" or ");
        }
        plain(object)
    }
}

fn plain(object: &Object) -> String {
    let kinds: Vec<&str> = match object.get("type") {
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).filter(|k| *k != "null").collect()
        }
        Some(Value::String(kind)) => vec![kind],
        _ => Vec::new(),
    };
    match kinds.as_slice() {
        ["string"] if object.get("format").is_some_and(|f| f == "password") => "secret".to_owned(),
        ["string"] => "text".to_owned(),
        ["integer"] => "whole number".to_owned(),
        ["number"] => "number".to_owned(),
        ["boolean"] => "`true` or `false`".to_owned(),
        ["array"] => "list".to_owned(),
        ["object"] => "map".to_owned(),
        _ => "any value".to_owned(),
    }
}

/// The words of a choice: `all`, `leader` or `none`.
fn words(object: &Object) -> Option<String> {
    let words: Vec<&str> = match (object.get("enum"), object.get("oneOf")) {
        (Some(Value::Array(words)), _) => words.iter().filter_map(Value::as_str).collect(),
        (_, Some(Value::Array(forms))) => {
            forms.iter().map(|form| form.get("const").and_then(Value::as_str)).collect::<Option<_>>()?
        }
        _ => vec![object.get("const")?.as_str()?],
    };
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    let (last, others) = quoted.split_last()?;
    Some(if others.is_empty() { last.clone() } else { format!("{} or {last}", others.join(", ")) })
}

/// `Option<T>` is T or null: T.
fn not_null(schema: &Value) -> &Value {
    let forms = schema.get("anyOf").and_then(Value::as_array).map(Vec::as_slice);
    match forms {
        Some([one, null]) if null.get("type").is_some_and(|t| t == "null") => one,
        _ => schema,
    }
}

fn kind(schema: &Value) -> Option<&str> {
    schema.get("properties")?.get("type")?.get("const")?.as_str()
}

fn default_of(default: &Value) -> String {
    match default {
        Value::Null => String::new(),
        Value::Object(_) => String::new(),
        Value::String(text) if text.is_empty() => ", default empty".to_owned(),
        Value::String(text) => format!(", default `{text}`"),
        other => format!(", default `{other}`"),
    }
}

/// The other names of a key.
fn aliases_of(property: &Value) -> impl Iterator<Item = &str> {
    property.get(schema::ALIASES).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn description(schema: &Value) -> Option<String> {
    schema.get("description")?.as_str().map(unfold)
}

/// One line of a text that was wrapped.
fn unfold(text: &str) -> String {
    text.split("\n\n").map(|part| part.replace('\n', " ")).collect::<Vec<_>>().join("\n\n  ")
}

/// `RetrySettings` is "retry".
fn title(name: &str) -> String {
    let name = name.trim_end_matches("Settings");
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push(' ');
        }
        out.extend(c.to_lowercase());
    }
    out
}

fn anchor(name: &str) -> String {
    title(name).replace(' ', "-")
}
