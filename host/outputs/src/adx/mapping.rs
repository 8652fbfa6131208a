//! An ingestion mapping for records like those of a sample, as the commands that make it.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value, json};

/// What flitch writes beside the fields of a record.
const OWN: [(&str, &str); 2] = [("@timestamp", "datetime"), ("@tag", "string")];

/// In what form the records come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Form {
    /// As JSON, in which an object is one value.
    #[default]
    Json,
    /// As Parquet, in which each member of an object is a column with its path as its name.
    Parquet,
}

/// Types of columns that a sample has shown.
#[derive(Debug, Default)]
pub struct Sample {
    form: Form,
    /// By the field's name, in the order in which they came.
    fields: Vec<(String, &'static str)>,
    places: BTreeMap<String, usize>,
}

impl Sample {
    /// A sample of records as flitch writes them.
    pub fn new(form: Form) -> Sample {
        let mut sample = Sample { form, ..Sample::default() };
        OWN.iter().for_each(|(name, kind)| sample.see(name, kind));
        sample
    }

    /// Takes in a record.
    pub fn add(&mut self, record: &Map<String, Value>) {
        self.add_below(None, record);
    }

    fn add_below(&mut self, path: Option<&str>, members: &Map<String, Value>) {
        for (name, value) in members {
            let name = match (self.form, path) {
                (Form::Json, _) => name.clone(),
                (Form::Parquet, None) => name.replace('.', "\\."),
                (Form::Parquet, Some(path)) => format!("{path}.{}", name.replace('.', "\\.")),
            };
            match (self.form, value) {
                (Form::Parquet, Value::Object(members)) => self.add_below(Some(&name), members),
                _ => self.see(&name, kind(value).unwrap_or_default()),
            }
        }
    }

    fn see(&mut self, name: &str, kind: &'static str) {
        match self.places.get(name) {
            Some(place) => {
                let seen = &mut self.fields[*place].1;
                *seen = joined(seen, kind);
            }
            None => {
                self.places.insert(name.to_owned(), self.fields.len());
                self.fields.push((name.to_owned(), kind));
            }
        }
    }

    /// The commands that make `table` with a column for each field, and its mapping.
    pub fn commands(&self, table: &str, mapping: &str) -> String {
        let mut columns: Vec<(String, &str, String)> = Vec::new();
        for (field, kind) in &self.fields {
            let mut column = column(field);
            while columns.iter().any(|(taken, ..)| *taken == column) {
                column.push('_');
            }
            let kind = if kind.is_empty() { "dynamic" } else { kind };
            columns.push((column, kind, path(field)));
        }
        let schema: Vec<String> =
            columns.iter().map(|(column, kind, _)| format!("['{column}']: {kind}")).collect();
        let entry = |(column, kind, path): &(String, &str, String)| json!({ "column": column, "datatype": kind, "Properties": { "path": path } });
        let entries: Vec<String> = columns.iter().map(|column| entry(column).to_string()).collect();
        let list = quoted(&format!("[{}]", entries.join(",")));
        let (table, mapping) = (quoted(table), quoted(mapping));
        let mut commands = String::new();
        let _ = writeln!(commands, ".create-merge table [{table}] ({})\n", schema.join(", "));
        let form = if self.form == Form::Json { "json" } else { "parquet" };
        let _ = writeln!(commands, ".create table [{table}] ingestion {form} mapping {mapping} {list}");
        commands
    }
}

/// The type of a column for a value; none for null.
fn kind(value: &Value) -> Option<&'static str> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "long",
        Value::Number(_) => "real",
        Value::String(text) if is_time(text) => "datetime",
        Value::String(_) => "string",
        Value::Array(_) | Value::Object(_) => "dynamic",
    })
}

fn is_time(text: &str) -> bool {
    text.len() >= 19 && text.parse::<jiff::Timestamp>().is_ok()
}

/// The type that holds values of both.
fn joined(one: &'static str, other: &'static str) -> &'static str {
    match (one, other) {
        ("", kind) | (kind, "") => kind,
        _ if one == other => one,
        ("long", "real") | ("real", "long") => "real",
        ("datetime", "string") | ("string", "datetime") => "string",
        _ => "dynamic",
    }
}

/// A name that a column can have.
fn column(field: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name: String =
        field.trim_start_matches('@').chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

/// Where a field stands in a record.
fn path(field: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins = field.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if begins && field.chars().all(is_plain) {
        format!("$.{field}")
    } else {
        format!("$['{}']", field.replace('\\', "\\\\").replace('\'', "\\'"))
    }
}

/// A text of Kusto's.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_makes_a_table_and_a_mapping_that_hold_all_its_records() {
        let mut sample = Sample::new(Form::Json);
        for record in [
            json!({"message": "a", "n": 1, "at": "2026-11-20T17:00:00Z", "x": null, "o": {"p": 1}, "it's": true}),
            json!({"message": "b", "n": 1.5, "at": "2026-11-20T17:00:00Z", "x": [1], "@tag": "t", "k.l": "v"}),
        ] {
            sample.add(record.as_object().unwrap());
        }
        let commands = sample.commands("logs", "logs_map");
        let (table, mapping) = commands.split_once("\n\n").unwrap();
        assert_eq!(
            table,
            ".create-merge table ['logs'] (['timestamp']: datetime, ['tag']: string, ['at']: datetime, ['it_s']: bool, \
             ['message']: string, ['n']: real, ['o']: dynamic, ['x']: dynamic, ['k_l']: string)"
        );
        let list = mapping
            .trim_end()
            .strip_prefix(".create table ['logs'] ingestion json mapping 'logs_map' '")
            .unwrap();
        let list = list.strip_suffix('\'').unwrap().replace("\\'", "'").replace("\\\\", "\\");
        let list: Vec<Value> = serde_json::from_str(&list).unwrap();
        let paths: Vec<_> = list.iter().map(|entry| entry["Properties"]["path"].as_str().unwrap()).collect();
        let expected = [
            "$['@timestamp']",
            "$['@tag']",
            "$.at",
            "$['it\\'s']",
            "$.message",
            "$.n",
            "$.o",
            "$.x",
            "$['k.l']",
        ];
        assert_eq!(paths, expected);
    }
    #[test]
    fn of_parquet_each_member_of_an_object_has_a_column_by_its_path() {
        let mut sample = Sample::new(Form::Parquet);
        sample.add(json!({"http": {"status": 200, "a.b": {"c": true}}, "list": [1]}).as_object().unwrap());
        let commands = sample.commands("logs", "m");
        assert!(
            commands.contains("['http_status']: long") && commands.contains("['list']: dynamic"),
            "{commands}"
        );
        assert!(commands.contains(".create table ['logs'] ingestion parquet mapping 'm' '[{"), "{commands}");
        for path in [r"$[\'http.status\']", r"$[\'http.a\\\\\\\\.b.c\']", "$.list"] {
            assert!(commands.contains(path), "{path}: {commands}");
        }
    }
}
