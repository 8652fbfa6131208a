//! The cases of `wit/cases/batches`: what a filter that follows the contract answers, whatever language it is written in.
//!
//! The filter is the conformance guest of an SDK, whose settings say what it does; see `wit/cases/README.md`. What runs
//! it is a [`Guest`]: natively, or as a component in flitch's own tests.

use super::apply::check;
use super::select;
use crate::json::Decoded;
use crate::{
    Batch, Blobs, Changes, Column, Configure, Engine, Fields, Removal, Value, Values, bitmap, host, path,
};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::path::Path;

/// A filter behind the contract.
pub trait Guest {
    /// Makes the filter anew, with these tables to look into: rows, each with its `key`.
    ///
    /// # Errors
    /// What the filter says when it refuses the settings.
    fn configure(&mut self, settings: &str, tables: &BTreeMap<String, Vec<Json>>) -> Result<Fields, String>;

    /// What the filter answers.
    ///
    /// # Errors
    /// What it says when it rejects the batch as a whole.
    fn apply(&mut self, batch: &Batch) -> Result<Changes, String>;

    /// What it has logged, each line with the name of its level, and counted since the last call.
    fn said(&mut self) -> (Vec<(String, String)>, BTreeMap<String, u64>);
}

/// Runs all cases of a folder, and panics with all that went wrong. Answers how many there are.
///
/// # Panics
/// When a case does not come out as it should, cannot be read, or there is none.
pub fn run(folder: &Path, guest: &mut dyn Guest) -> usize {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no cases in {}", folder.display());
    let mut case = |file: &Path| {
        let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
        let case: Json = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        run_one(&case, guest)
    };
    let wrong: Vec<String> = files
        .iter()
        .filter_map(|file| case(file).err().map(|wrong| format!("{}: {wrong}", file.display())))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    files.len()
}

fn run_one(case: &Json, guest: &mut dyn Guest) -> Result<(), String> {
    let tables: BTreeMap<String, Vec<Json>> = match case.get("tables") {
        Some(tables) => serde_json::from_value(tables.clone()).map_err(|error| error.to_string())?,
        None => BTreeMap::new(),
    };
    let fields = match (guest.configure(&case["settings"].to_string(), &tables), case.get("refused")) {
        (Ok(fields), None) => fields,
        (Err(said), Some(wanted)) => return same("refused", json!(said), wanted),
        (Ok(_), Some(_)) => return Err("the settings were taken".to_owned()),
        (Err(said), None) => return Err(said),
    };
    if let Some(wanted) = case.get("fields") {
        let names = match &fields {
            Fields::All => Json::Null,
            Fields::Only(names) => json!(names),
        };
        same("fields", names, wanted)?;
    }
    let batch = batch(&case["batch"]);
    guest.said();
    let changes = guest.apply(&select(&batch, &fields))?;
    let (log, counters) = guest.said();
    same("log", json!(log), case.get("log").unwrap_or(&json!([])))?;
    same("counters", json!(counters), case.get("counters").unwrap_or(&json!({})))?;
    let rejected: Vec<Json> =
        changes.rejected.iter().map(|one| json!({"row": one.row, "reason": one.reason})).collect();
    same("rejected", json!(rejected), case.get("rejected").unwrap_or(&json!([])))?;
    same("out", json!(records(&batch, &changes)), &case["out"])
}

fn same(what: &str, found: Json, wanted: &Json) -> Result<(), String> {
    if found == *wanted {
        return Ok(());
    }
    Err(format!("{what} is\n  {found}\nand should be\n  {wanted}"))
}

/// The batch of a case: `{"rows": 2, "columns": {"a": {"text": ["x", null]}}}`.
///
/// # Panics
/// When it is none.
pub fn batch(case: &Json) -> Batch {
    let rows = case["rows"].as_u64().expect("`rows`") as usize;
    let columns = case["columns"].as_object().expect("`columns`").iter();
    let columns = columns.map(|(name, column)| {
        let (kind, values) = column.as_object().and_then(|c| c.iter().next()).expect("a kind and values");
        let values = values.as_array().expect("a list of values");
        assert_eq!(values.len(), rows, "the rows of {name}");
        let mut present = bitmap::BitmapBuilder::default();
        values.iter().for_each(|value| present.push(!value.is_null()));
        let present = values.iter().any(Json::is_null).then(|| present.finish());
        Column { name: name.clone(), present, values: values_of(kind, values) }
    });
    Batch { rows: rows as u32, columns: columns.collect() }
}

fn values_of(kind: &str, values: &[Json]) -> Values {
    let ints = || values.iter().map(|value| value.as_i64().unwrap_or_default()).collect();
    let blobs = |bytes: &dyn Fn(&str) -> Vec<u8>| {
        let mut blobs = Blobs { data: Vec::new(), ends: Vec::new() };
        for value in values {
            blobs.data.extend(bytes(value.as_str().unwrap_or_default()));
            blobs.ends.push(blobs.data.len() as u32);
        }
        blobs
    };
    match kind {
        "text" => Values::Text(blobs(&|text| text.into())),
        "json" => Values::Json(blobs(&|text| text.into())),
        "bytes" => Values::Bytes(blobs(&of_hex)),
        "int64" => Values::Int64(ints()),
        "timestamp" => Values::Timestamp(ints()),
        "float64" => Values::Float64(values.iter().map(|value| value.as_f64().unwrap_or_default()).collect()),
        "boolean" => {
            let mut bits = bitmap::BitmapBuilder::default();
            values.iter().for_each(|value| bits.push(value == &json!(true)));
            Values::Boolean(bits.finish())
        }
        other => panic!("there is no kind {other}"),
    }
}

/// The bytes of hexadecimal digits.
///
/// # Panics
/// When it has others.
pub fn of_hex(hex: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// The records that go on: each field with its kind.
fn records(batch: &Batch, changes: &Changes) -> Vec<Json> {
    let going_on = changes.going_on(batch.len());
    changes.set.iter().for_each(|column| check(column, going_on.len()));
    let record = |(to, from): (usize, &u32)| {
        let mut record = Map::new();
        let put = |record: &mut Map<String, Json>, column: &Column, row: usize| {
            let Some(value) = column.value(row) else { return };
            record.retain(|name, _| *name != column.name && !path::is_below(name, &column.name));
            record.insert(column.name.clone(), with_kind(value));
        };
        batch.columns.iter().for_each(|column| put(&mut record, column, *from as usize));
        for Removal { name, rows } in &changes.remove {
            if rows.as_ref().is_none_or(|rows| bitmap::get(rows, to)) {
                record.retain(|own, _| own != name && !path::is_below(own, name));
            }
        }
        changes.set.iter().for_each(|column| put(&mut record, column, to));
        Json::Object(record)
    };
    going_on.iter().enumerate().map(record).collect()
}

/// A value by its own kind: `{"int64": 5}`, in whatever column it stands.
fn with_kind(value: Value<'_>) -> Json {
    match Decoded::from(value).value() {
        Value::Text(text) => json!({ "text": text }),
        Value::Bytes(bytes) => {
            json!({ "bytes": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() })
        }
        Value::Int64(number) => json!({ "int64": number }),
        Value::Float64(number) => json!({ "float64": number }),
        Value::Boolean(boolean) => json!({ "boolean": boolean }),
        Value::Timestamp(nanos) => json!({ "timestamp": nanos }),
        Value::Json(text) => json!({ "json": text }),
    }
}

/// Runs the filter `F` natively.
///
/// # Panics
/// As [`run`].
pub fn run_native<F: Configure<K>, K>(folder: &Path) -> usize {
    run(folder, &mut Native { configure: F::configure, engine: None })
}

struct Native {
    configure: fn(&str) -> crate::Result<Box<dyn Engine>>,
    engine: Option<Box<dyn Engine>>,
}

impl Guest for Native {
    fn configure(&mut self, settings: &str, tables: &BTreeMap<String, Vec<Json>>) -> Result<Fields, String> {
        for (name, rows) in tables {
            let key = |row: &Json| row["key"].as_str().map_or_else(|| row["key"].to_string(), str::to_owned);
            super::host::set_table(name, rows.iter().map(|row| (key(row), row.clone())));
        }
        let engine = (self.configure)(settings)?;
        let fields = engine.fields();
        self.engine = Some(engine);
        Ok(fields)
    }

    fn apply(&mut self, batch: &Batch) -> Result<Changes, String> {
        Ok(self.engine.as_mut().expect("a filter that was configured").apply(batch)?)
    }

    fn said(&mut self) -> (Vec<(String, String)>, BTreeMap<String, u64>) {
        let level = |level| match level {
            host::Level::Debug => "debug",
            host::Level::Info => "info",
            host::Level::Warn => "warn",
            host::Level::Error => "error",
        };
        let log = super::host::take_log().into_iter().map(|(at, line)| (level(at).to_owned(), line));
        (log.collect(), super::host::take_counters())
    }
}
