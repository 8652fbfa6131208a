//! Cases of filters: folders that hold a filter's settings, records, and what should become of them.
//!
//! - `settings.json`: the settings.
//! - `in.ndjson`: the records, one batch.
//! - `out.ndjson`: the records that go on, in order.
//! - `rejected.ndjson`, if any: `{"row": 3, "reason": "…"}`, the row counted from 0.
//! - `refused.txt`, instead of the records: what the filter says when it refuses the settings.
//! - `tables/<name>.ndjson`, if any: the rows of a lookup table, the key under `key`.
//!
//! What runs them is an [`Executor`]: the SDK has one that runs a filter natively, flitch those for the component that it
//! becomes. What a case says, and what differs from it, is the same for all.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use crate::{json, path};

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

/// What became of records.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// The records that go on.
    pub records: Vec<Json>,
    /// The rows that were rejected, with the reason.
    pub rejected: Vec<(u32, String)>,
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

impl Case {
    /// The cases under a folder, in the order of their names.
    ///
    /// # Errors
    /// Which file cannot be read, or is no JSON.
    pub fn all(folder: &Path) -> Result<Vec<Case>, String> {
        let mut folders: Vec<PathBuf> = entries(folder)?.into_iter().filter(|path| path.is_dir()).collect();
        folders.sort();
        folders.into_iter().map(Case::of).collect()
    }

    fn of(folder: PathBuf) -> Result<Case, String> {
        Ok(Case {
            name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            settings: parsed(&folder.join("settings.json"), &read(&folder.join("settings.json"))?)?,
            refused: read_if_any(&folder.join("refused.txt"))?.map(|text| text.trim_end().to_owned()),
            folder,
        })
    }

    /// The records that come in, as NDJSON; none where the settings should be refused and there is no such file.
    ///
    /// # Errors
    /// Why the file cannot be read.
    pub fn input(&self) -> Result<String, String> {
        let path = self.folder.join("in.ndjson");
        if self.refused.is_some() { Ok(read_if_any(&path)?.unwrap_or_default()) } else { read(&path) }
    }

    /// The files of the tables that the filter may look into, by their names.
    ///
    /// # Errors
    /// Why the folder cannot be read.
    pub fn tables(&self) -> Result<Vec<(String, PathBuf)>, String> {
        let folder = self.folder.join("tables");
        let files = if folder.exists() { entries(&folder)? } else { Vec::new() };
        let name = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(files.into_iter().map(|path| (name(&path), path)).collect())
    }

    /// What should become of the records.
    ///
    /// # Errors
    /// Which file cannot be read, or is not what it should be.
    pub fn wanted(&self) -> Result<Outcome, String> {
        let path = self.folder.join("rejected.ndjson");
        let rejection = |json: Json| match (json["row"].as_u64(), json["reason"].as_str()) {
            (Some(row), Some(reason)) => Ok((row as u32, reason.to_owned())),
            _ => Err(format!(
                "{}: {json} is no rejection: write {{\"row\":0,\"reason\":\"…\"}}",
                path.display()
            )),
        };
        Ok(Outcome {
            records: lines(&self.folder.join("out.ndjson"))?,
            rejected: lines(&path)?.into_iter().map(rejection).collect::<Result<_, _>>()?,
        })
    }

    /// Runs the case.
    ///
    /// # Errors
    /// What is otherwise than it should be.
    pub fn run(&self, executor: &mut dyn Executor) -> Result<(), String> {
        match (executor.configure(&self.settings, &self.tables()?), &self.refused) {
            (Ok(()), None) => {}
            (Err(error), Some(wanted)) if error == *wanted => return Ok(()),
            (Err(error), Some(wanted)) => {
                return Err(format!(
                    "the settings are refused with\n  {error}\nand should be with\n  {wanted}"
                ));
            }
            (Ok(()), Some(_)) => return Err("the settings were taken, and should be refused".to_owned()),
            (Err(error), None) => return Err(format!("the settings are refused: {error}")),
        }
        compare(&executor.run(&self.input()?)?, &self.wanted()?)
    }

    /// Runs the case with each record in a batch of its own, which must come out the same: what becomes of a record may not
    /// depend on those beside it.
    ///
    /// # Errors
    /// What is otherwise than it should be.
    pub fn run_one_by_one(&self, executor: &mut dyn Executor) -> Result<(), String> {
        if self.refused.is_some() {
            return Ok(());
        }
        executor.configure(&self.settings, &self.tables()?)?;
        let mut all = Outcome::default();
        let input = self.input()?;
        for (row, line) in input.lines().filter(|line| !line.trim().is_empty()).enumerate() {
            let one = executor.run(line)?;
            all.records.extend(one.records);
            all.rejected.extend(one.rejected.into_iter().map(|(_, reason)| (row as u32, reason)));
        }
        compare(&all, &self.wanted()?).map_err(|wrong| format!("record by record, {wrong}"))
    }

    /// Writes what becomes of the records as what should. Answers whether that is another than before.
    ///
    /// # Errors
    /// Why the records cannot be handled, or a file cannot be written.
    pub fn bless(&self, executor: &mut dyn Executor) -> Result<bool, String> {
        // How a file writes what is right is its author's affair.
        if self.run(executor).is_ok() {
            return Ok(false);
        }
        let (out, refused) = match executor.configure(&self.settings, &self.tables()?) {
            Ok(()) => {
                let input = match &self.refused {
                    Some(_) => read(&self.folder.join("in.ndjson"))?,
                    None => self.input()?,
                };
                (executor.run(&input)?, None)
            }
            Err(error) => (Outcome::default(), Some(error)),
        };
        let rejected = out.rejected.iter().map(|(row, reason)| json!({"row": row, "reason": reason}));
        let mut differs = false;
        for (file, text) in [
            ("out.ndjson", refused.is_none().then(|| ndjson(out.records.iter()))),
            ("rejected.ndjson", (!out.rejected.is_empty()).then(|| ndjson(rejected))),
            ("refused.txt", refused.map(|text| text + "\n")),
        ] {
            let path = self.folder.join(file);
            let before = read_if_any(&path)?;
            let done = match &text {
                _ if before == text => continue,
                Some(text) => fs::write(&path, text),
                None => fs::remove_file(&path),
            };
            done.map_err(|error| format!("{}: {error}", path.display()))?;
            differs = true;
        }
        Ok(differs)
    }
}

/// Says what is otherwise than it should be: of the first records that differ each field, then the rejected rows.
///
/// # Errors
/// That.
pub fn compare(found: &Outcome, wanted: &Outcome) -> Result<(), String> {
    const SHOWN: usize = 3;
    let mut wrong = Vec::new();
    for (row, (found, wanted)) in found.records.iter().zip(&wanted.records).enumerate() {
        if found == wanted {
            continue;
        }
        if wrong.len() == SHOWN {
            wrong.push("more records differ".to_owned());
            break;
        }
        wrong.push(format!(
            "record {row} of those that go on:\n  {}",
            differences(found, wanted).join("\n  ")
        ));
    }
    let (count, should) = (found.records.len(), wanted.records.len());
    if count != should {
        let (record, what) = match found.records.get(should) {
            Some(record) => (record, "the first that should not"),
            None => (&wanted.records[count], "the first that is missing"),
        };
        wrong.push(format!("{count} records go on, and {should} should; {what}:\n  {record}"));
    }
    if found.rejected != wanted.rejected {
        let list = |rejected: &[(u32, String)]| match rejected {
            [] => "\n  none".to_owned(),
            rows => rows.iter().map(|(row, reason)| format!("\n  row {row}: {reason}")).collect(),
        };
        let (found, wanted) = (list(&found.rejected), list(&wanted.rejected));
        wrong.push(format!("rejected are{found}\nand should be{wanted}"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// A line for each field that differs.
fn differences(found: &Json, wanted: &Json) -> Vec<String> {
    let (mut has, mut should) = (BTreeMap::new(), BTreeMap::new());
    fields(None, found, &mut has);
    fields(None, wanted, &mut should);
    let names: std::collections::BTreeSet<&String> = has.keys().chain(should.keys()).collect();
    let line = |name: &&String| match (has.get(*name), should.get(*name)) {
        (Some(found), Some(wanted)) if found == wanted => None,
        (Some(found), Some(wanted)) => Some(format!("`{name}` is {found}, and should be {wanted}")),
        (Some(found), None) => Some(format!("`{name}` is {found}, and should be missing")),
        (None, Some(wanted)) => Some(format!("`{name}` is missing, and should be {wanted}")),
        (None, None) => None,
    };
    names.iter().filter_map(line).collect()
}

/// The fields of an object at a path, or of a record, by their paths.
fn fields<'a>(above: Option<String>, value: &'a Json, out: &mut BTreeMap<String, &'a Json>) {
    match value {
        Json::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                let mut below = above.clone().unwrap_or_default();
                path::push_text(&mut below, name, above.is_none());
                fields(Some(below), value, out);
            }
        }
        value => drop(out.insert(above.unwrap_or_default(), value)),
    }
}

fn ndjson(values: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    values.into_iter().map(|value| format!("{value}\n")).collect()
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let error = |error| format!("{}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(error)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(error)).collect()
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn read_if_any(path: &Path) -> Result<Option<String>, String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// The JSON values of a file, a line each; none where there is no file.
///
/// # Errors
/// Why it cannot be read, or which line is no JSON.
pub fn lines(path: &Path) -> Result<Vec<Json>, String> {
    let text = read_if_any(path)?.unwrap_or_default();
    text.lines().filter(|line| !line.trim().is_empty()).map(|line| parsed(path, line)).collect()
}

fn parsed(path: &Path, text: &str) -> Result<Json, String> {
    json::read(text).map_err(|error| format!("{}: {text}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
