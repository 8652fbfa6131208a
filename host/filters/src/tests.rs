//! Tests with real guests: the stock plugins, and one in C that misbehaves on demand.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde_json::{Value as Json, json};

use super::*;
pub(crate) use crate::cases::rows;
use flitch_core::batch::{Records, object};

mod border;
mod cases;
mod cost;
mod faults;
mod hostile;
mod invariance;
mod judging;
mod layers;
mod loading;
mod pieces;
pub(crate) mod wasi;

/// One engine for all tests, which keeps what it compiled for the next run: Python's guest alone takes a minute.
static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::new(Some(&flitch_tests::cache().join("compiled")), &Arc::default()).unwrap());

/// No tables, and the same for all filters.
static TABLES: LazyLock<Arc<Tables>> = LazyLock::new(Arc::default);

/// The stock plugins.
pub(crate) const STOCK: Stock = Stock { plugins: flitch_stock::STOCK, dictionary: &flitch_stock::DICTIONARY };

pub(crate) fn context() -> FilterContext {
    FilterContext {
        engine: ENGINE.clone(),
        stock: STOCK,
        registries: Arc::default(),
        tables: TABLES.clone(),
        dead_letters: None,
        folder: Path::new(env!("CARGO_MANIFEST_DIR")).to_owned(),
        silent: false,
    }
}

/// Panics where a name stands twice in the object that a line is. Readers of JSON take the last value, and would hide the other.
pub(crate) fn check_names(line: &[u8]) {
    let line = std::str::from_utf8(line).expect("UTF-8");
    let members = object::written(line).expect("an object");
    let names: HashSet<_> = members.iter().map(|member| member.path()).collect();
    assert_eq!(names.len(), members.len(), "a name stands twice in {line}");
}

/// Records of JSON objects, with the time 0 and the tag `test`.
pub(super) fn records(rows: &[Json]) -> Arc<Records> {
    let lines: Vec<String> = rows.iter().map(Json::to_string).collect();
    records_of(lines.iter().map(|line| line.as_bytes()))
}

/// The same of lines of JSON.
pub(super) fn records_of<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Arc<Records> {
    crate::cases::records_of(lines).unwrap()
}

/// Records with a `message` each.
pub(super) fn messages(messages: &[&str]) -> Arc<Records> {
    records(&messages.iter().map(|text| json!({"message": text})).collect::<Vec<_>>())
}
