//! Tests with real guests: the stock plugins.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde_json::Value as Json;

use super::*;
use crate::batch::Records;
use crate::batch::builder::Builder;
use crate::batch::constants::Constants;
use crate::batch::utf8::InvalidUtf8;

mod cases;

/// One engine for all tests: it need not compile a plugin twice.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap().keep();
    Engine::new(Some(&folder)).unwrap()
});

fn context() -> FilterContext {
    FilterContext {
        engine: ENGINE.clone(),
        tables: Arc::default(),
        dead_letters: None,
        folder: Path::new(env!("CARGO_MANIFEST_DIR")).to_owned(),
    }
}

/// Records of JSON objects, with the time 0 and the tag `test`.
fn records(rows: &[Json]) -> Arc<Records> {
    let mut builder = Builder::new();
    for row in rows {
        builder.begin_record();
        members(&mut builder, row);
        builder.end_record();
    }
    let constants = Constants::new().timestamp("@timestamp", 0).text("@tag", "test");
    Arc::new(builder.finish(InvalidUtf8::Replace, &constants).records)
}

fn members(builder: &mut Builder, object: &Json) {
    for (name, value) in object.as_object().unwrap() {
        builder.key(name.as_bytes());
        match value {
            Json::String(text) => builder.text(text.as_bytes()),
            Json::Number(number) => match number.as_i64() {
                Some(int) => builder.int(int),
                None => builder.float(number.as_f64().unwrap()),
            },
            Json::Bool(value) => builder.boolean(*value),
            Json::Object(object) if !object.is_empty() => {
                builder.begin_object();
                members(builder, value);
                builder.end_object();
            }
            other => builder.json(&other.to_string()),
        }
    }
}

/// The rows as JSON, without the time and tag that each record of a test has.
fn rows(records: &Records) -> Vec<Json> {
    let text = records.ndjson();
    let lines = text.text.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let mut row: Json = serde_json::from_slice(line).unwrap();
            let object = row.as_object_mut().unwrap();
            if object.get("@timestamp").is_some_and(|t| t == "1970-01-01T00:00:00Z") {
                object.remove("@timestamp");
            }
            if object.get("@tag").is_some_and(|t| t == "test") {
                object.remove("@tag");
            }
            row
        })
        .collect()
}
