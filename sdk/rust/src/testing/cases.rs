//! Cases: folders that hold a filter's settings, records, and what should become of them.
//!
//! [`flitch_model::cases`] says what is in them; [`run`] holds a filter to them, natively.

use super::{Tester, host};
use crate::Configure;
use flitch_model::cases::lines;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

pub use flitch_model::cases::{Case, Executor, Outcome};

/// Runs every case under `folder` through the filter `F`, natively, and panics with all that went wrong.
///
/// # Panics
/// When a case does not come out as it should, or there is none.
pub fn run<F: Configure<K>, K>(folder: impl AsRef<Path>) {
    run_with(folder, &mut Native { configure: |settings| Tester::new::<F, K>(settings), tester: None });
}

/// Runs every case under `folder`, as one batch and record by record, and panics with all that went wrong. Answers how
/// many there are.
///
/// # Panics
/// When a case does not come out as it should, cannot be read, or there is none.
pub fn run_with(folder: impl AsRef<Path>, executor: &mut dyn Executor) -> usize {
    let cases = Case::all(folder.as_ref()).unwrap_or_else(|error| panic!("{error}"));
    assert!(!cases.is_empty(), "no cases in {}", folder.as_ref().display());
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let done = case.run(executor).and_then(|()| case.run_one_by_one(executor));
            done.err().map(|wrong| format!("{}: {wrong}", case.name))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    cases.len()
}

/// Runs a filter natively.
struct Native<C> {
    configure: C,
    tester: Option<Tester>,
}

impl<C: Fn(Json) -> crate::Result<Tester>> Executor for Native<C> {
    fn configure(&mut self, settings: &Json, tables: &[(String, PathBuf)]) -> Result<(), String> {
        for (name, path) in tables {
            let key = |row: &Json| row["key"].as_str().map_or_else(|| row["key"].to_string(), str::to_owned);
            host::set_table(name, lines(path)?.into_iter().map(|row| (key(&row), row)));
        }
        self.tester = Some((self.configure)(settings.clone())?);
        Ok(())
    }

    fn run(&mut self, ndjson: &str) -> Result<Outcome, String> {
        let tester = self.tester.as_mut().expect("a filter that was configured");
        Ok(tester.run_ndjson(ndjson)?)
    }
}
