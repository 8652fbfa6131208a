//! Cases: folders that hold a filter's settings, records, and what should become of them.
//!
//! - `settings.json`: the settings.
//! - `in.ndjson`: the records.
//! - `out.ndjson`: the records that go on, in order.
//! - `rejected.ndjson`, if any: `{"row": 3, "reason": "…"}`, the row counted from 0.
//! - `refused.txt`, instead of the records: what the filter says when it refuses the settings.
//! - `tables/<name>.ndjson`, if any: the rows of a lookup table, the key under `key`.

use super::{Outcome, Tester, host};
use crate::{Configure, Result};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

/// Runs every case under `folder` through the filter `F`, and panics with all that went wrong.
///
/// # Panics
/// When a case does not come out as it should, or there is none.
pub fn run<F: Configure<K>, K>(folder: impl AsRef<Path>) {
    let folder = folder.as_ref();
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "no cases in {}", folder.display());
    let wrong: Vec<String> = cases.iter().filter_map(|case| run_one::<F, K>(case).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn run_one<F: Configure<K>, K>(case: &Path) -> Result<(), String> {
    let name = case.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let settings = serde_json::from_str(&read(&case.join("settings.json")))
        .map_err(|error| format!("{name}: {error}"))?;
    load_tables(&case.join("tables"));
    let outcome = Tester::new::<F, K>(settings);
    if case.join("refused.txt").exists() {
        let wanted = read(&case.join("refused.txt"));
        return match outcome {
            Err(error) if error.to_string() == wanted.trim_end() => Ok(()),
            Err(error) => Err(format!("{name}: refused, but with\n  {error}")),
            Ok(_) => Err(format!("{name}: the settings were taken")),
        };
    }
    let outcome = outcome.and_then(|mut tester| tester.run_ndjson(&read(&case.join("in.ndjson"))));
    let outcome = outcome.map_err(|error| format!("{name}: {error}"))?;
    compare(&outcome, case).map_err(|error| format!("{name}: {error}"))
}

fn compare(outcome: &Outcome, case: &Path) -> Result<(), String> {
    let wanted = lines(&case.join("out.ndjson"));
    for (row, (found, wanted)) in outcome.records.iter().zip(&wanted).enumerate() {
        if found != wanted {
            return Err(format!("record {row} is\n  {found}\nand should be\n  {wanted}"));
        }
    }
    if outcome.records.len() != wanted.len() {
        let extra = outcome.records.get(wanted.len());
        return Err(format!("{} records go on, {} should; {extra:?}", outcome.records.len(), wanted.len()));
    }
    let wanted =
        if case.join("rejected.ndjson").exists() { lines(&case.join("rejected.ndjson")) } else { Vec::new() };
    let found =
        outcome.rejected.iter().map(|(row, reason)| serde_json::json!({"row": row, "reason": reason}));
    let found: Vec<Json> = found.collect();
    if found != wanted {
        let found: Vec<String> = found.iter().map(Json::to_string).collect();
        return Err(format!("rejected are\n  {}", found.join("\n  ")));
    }
    Ok(())
}

fn load_tables(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let key = |row: &Json| row["key"].as_str().map_or_else(|| row["key"].to_string(), str::to_owned);
        host::set_table(&name, lines(&path).into_iter().map(|row| (key(&row), row)));
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn lines(path: &Path) -> Vec<Json> {
    let text = read(path);
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {line}: {error}", path.display()))
        })
        .collect()
}
