//! Tests with real guests: the stock plugins, and one in C that misbehaves on demand.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde_json::{Value as Json, json};

use super::*;
use flitch_core::batch::Records;
use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::decode_line;
use flitch_core::batch::utf8::InvalidUtf8;

mod border;
mod cases;
mod faults;
mod hostile;
mod invariance;
mod judging;
mod layers;
mod loading;
mod wasi;

/// One engine for all tests: it need not compile a plugin twice.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap().keep();
    Engine::new(Some(&folder), &Arc::default()).unwrap()
});

/// The stock plugins.
pub(crate) const STOCK: Stock = Stock(flitch_stock::STOCK);

pub(crate) fn context() -> FilterContext {
    FilterContext {
        engine: ENGINE.clone(),
        stock: STOCK,
        tables: Arc::default(),
        dead_letters: None,
        folder: Path::new(env!("CARGO_MANIFEST_DIR")).to_owned(),
    }
}

/// Records of JSON objects, with the time 0 and the tag `test`.
pub(super) fn records(rows: &[Json]) -> Arc<Records> {
    let lines: Vec<String> = rows.iter().map(Json::to_string).collect();
    records_of(lines.iter().map(|line| line.as_bytes()))
}

/// The same of lines of JSON.
pub(super) fn records_of<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Arc<Records> {
    let mut builder = Builder::new();
    for line in lines {
        decode_line(&mut builder, line).unwrap();
    }
    let constants = Constants::new().timestamp("@timestamp", 0).text("@tag", "test");
    Arc::new(builder.finish(InvalidUtf8::Replace, &constants).records)
}

/// Records with a `message` each.
pub(super) fn messages(messages: &[&str]) -> Arc<Records> {
    records(&messages.iter().map(|text| json!({"message": text})).collect::<Vec<_>>())
}

/// The rows as JSON, without the time and tag that each record of a test has.
pub(super) fn rows(records: &Records) -> Vec<Json> {
    let text = records.ndjson();
    text.text.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(row_of).collect()
}

/// The same of one line.
pub(super) fn row_of(line: &[u8]) -> Json {
    let mut row: Json = serde_json::from_slice(line).unwrap();
    let object = row.as_object_mut().unwrap();
    if object.get("@timestamp").is_some_and(|t| t == "1970-01-01T00:00:00Z") {
        object.remove("@timestamp");
    }
    if object.get("@tag").is_some_and(|t| t == "test") {
        object.remove("@tag");
    }
    row
}
