//! Cases: folders that hold a filter's settings, records, and what should become of them.
//!
//! - `settings.json`: the settings.
//! - `in.ndjson`: the records.
//! - `out.ndjson`: the records that go on, in order.
//! - `rejected.ndjson`, if any: `{"row": 3, "reason": "…"}`, the row counted from 0.
//! - `refused.txt`, instead of the records: what the filter says when it refuses the settings.
//! - `tables/<name>.ndjson`, if any: the rows of a lookup table, the key under `key`.
//!
//! What runs them is an [`Executor`]: [`run`] has the one that runs a filter natively, and flitch's own tests one for the
//! component that the filter becomes. What a case says, and what differs from it, is the same for both.

use super::{Outcome, Tester, host};
use crate::Configure;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// The name of its folder.
    pub name: String,
    folder: PathBuf,
    /// The settings of the filter.
    pub settings: Json,
    /// What the filter says when it refuses the settings, where it should.
    pub refused: Option<String>,
}

/// Runs the filter of a case.
pub trait Executor {
    /// Gives the filter these settings, and the tables that it may look into: the file of each by its name.
    ///
    /// # Errors
    /// What the filter says when it refuses the settings.
    fn configure(&mut self, settings: &Json, tables: &[(String, PathBuf)]) -> Result<(), String>;

    /// What becomes of the records of an NDJSON text, as one batch.
    ///
    /// # Errors
    /// Why none of them was handled, or what is wrong with the answer.
    fn run(&mut self, ndjson: &str) -> Result<Outcome, String>;
}

/// Runs every case under `folder` through the filter `F`, natively, as one batch and record by record, and panics with
/// all that went wrong.
///
/// # Panics
/// When a case does not come out as it should, or there is none.
pub fn run<F: Configure<K>, K>(folder: impl AsRef<Path>) {
    let mut native = Native { configure: |settings| Tester::new::<F, K>(settings), tester: None };
    run_with(&folder, &mut native);
    for case in Case::all(folder.as_ref()).iter().filter(|case| case.refused.is_none()) {
        if let Err(wrong) = case.run_one_by_one(&mut native) {
            panic!("{}: record by record, {wrong}", case.name);
        }
    }
}

/// Runs every case under `folder`, and panics with all that went wrong. Answers how many there are.
///
/// # Panics
/// When a case does not come out as it should, or there is none.
pub fn run_with(folder: impl AsRef<Path>, executor: &mut dyn Executor) -> usize {
    let cases = Case::all(folder.as_ref());
    assert!(!cases.is_empty(), "no cases in {}", folder.as_ref().display());
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| case.run(executor).err().map(|wrong| format!("{}: {wrong}", case.name)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    cases.len()
}

impl Case {
    /// The cases under a folder, in the order of their names.
    ///
    /// # Panics
    /// When the folder, or the settings of a case, cannot be read.
    pub fn all(folder: &Path) -> Vec<Case> {
        let mut folders: Vec<PathBuf> = std::fs::read_dir(folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.is_dir())
            .collect();
        folders.sort();
        folders.into_iter().map(Case::of).collect()
    }

    fn of(folder: PathBuf) -> Case {
        let refused = folder.join("refused.txt");
        Case {
            name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            settings: parsed(&folder.join("settings.json"), &read(&folder.join("settings.json"))),
            refused: refused.exists().then(|| read(&refused).trim_end().to_owned()),
            folder,
        }
    }

    /// The records that come in, as NDJSON; none where the settings should be refused.
    pub fn input(&self) -> String {
        if self.refused.is_some() { String::new() } else { read(&self.folder.join("in.ndjson")) }
    }

    /// The files of the tables that the filter may look into, by their names.
    pub fn tables(&self) -> Vec<(String, PathBuf)> {
        let Ok(entries) = std::fs::read_dir(self.folder.join("tables")) else { return Vec::new() };
        let files = entries.map(|entry| entry.expect("an entry").path());
        files
            .map(|path| (path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), path))
            .collect()
    }

    /// What should become of the records.
    pub fn wanted(&self) -> Outcome {
        let rejected = lines(&self.folder.join("rejected.ndjson"));
        let rejection = |json: Json| match (json["row"].as_u64(), json["reason"].as_str()) {
            (Some(row), Some(reason)) => (row as u32, reason.to_owned()),
            _ => panic!("{}: {json} is no rejection", self.name),
        };
        Outcome {
            records: lines(&self.folder.join("out.ndjson")),
            rejected: rejected.into_iter().map(rejection).collect(),
        }
    }

    /// Runs the case.
    ///
    /// # Errors
    /// What is otherwise than it should be.
    pub fn run(&self, executor: &mut dyn Executor) -> Result<(), String> {
        match (executor.configure(&self.settings, &self.tables()), &self.refused) {
            (Ok(()), None) => {}
            (Err(error), Some(wanted)) if error == *wanted => return Ok(()),
            (Err(error), Some(_)) => return Err(format!("refused, but with\n  {error}")),
            (Ok(()), Some(_)) => return Err("the settings were taken".to_owned()),
            (Err(error), None) => return Err(error),
        }
        compare(&executor.run(&self.input())?, &self.wanted())
    }

    /// Runs the case with each record in a batch of its own, which must come out the same.
    fn run_one_by_one(&self, executor: &mut dyn Executor) -> Result<(), String> {
        executor.configure(&self.settings, &self.tables())?;
        let mut all = Outcome { records: Vec::new(), rejected: Vec::new() };
        let input = self.input();
        for (row, line) in input.lines().filter(|line| !line.trim().is_empty()).enumerate() {
            let one = executor.run(line)?;
            all.records.extend(one.records);
            all.rejected.extend(one.rejected.into_iter().map(|(_, reason)| (row as u32, reason)));
        }
        compare(&all, &self.wanted())
    }
}

fn compare(found: &Outcome, wanted: &Outcome) -> Result<(), String> {
    for (row, (found, wanted)) in found.records.iter().zip(&wanted.records).enumerate() {
        if found != wanted {
            return Err(format!("record {row} is\n  {found}\nand should be\n  {wanted}"));
        }
    }
    let (count, should) = (found.records.len(), wanted.records.len());
    if count != should {
        let extra = found.records.get(should);
        return Err(format!("{count} records go on, {should} should; {extra:?}"));
    }
    if found.rejected != wanted.rejected {
        let found: Vec<String> =
            found.rejected.iter().map(|(row, reason)| format!("row {row}: {reason}")).collect();
        return Err(format!("rejected are\n  {}", found.join("\n  ")));
    }
    Ok(())
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
            host::set_table(name, lines(path).into_iter().map(|row| (key(&row), row)));
        }
        self.tester = Some((self.configure)(settings.clone())?);
        Ok(())
    }

    fn run(&mut self, ndjson: &str) -> Result<Outcome, String> {
        let tester = self.tester.as_mut().expect("a filter that was configured");
        Ok(tester.run_ndjson(ndjson)?)
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The JSON values of a file, a line each; none where there is no file.
fn lines(path: &Path) -> Vec<Json> {
    if !path.exists() {
        return Vec::new();
    }
    read(path).lines().filter(|line| !line.trim().is_empty()).map(|line| parsed(path, line)).collect()
}

fn parsed(path: &Path, text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{}: {text}: {error}", path.display()))
}
