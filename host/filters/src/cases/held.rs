//! A component, held to a case: what comes out and what should are read in one way, in which nothing is lost.

use std::borrow::Cow;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use flitch_core::exact;
use flitch_model::cases::{Case, Executor, Outcome, compare, lines};
use serde_json::Value as Json;

use super::{Component, without_own};

/// A case with the folder that it lies in.
#[derive(Debug)]
pub struct Held<'a> {
    case: &'a Case,
    folder: PathBuf,
}

impl<'a> Held<'a> {
    /// One of the cases below a folder.
    pub fn new(cases: &Path, case: &'a Case) -> Held<'a> {
        Held { folder: cases.join(&case.name), case }
    }

    /// Runs the case.
    ///
    /// # Errors
    /// What is otherwise than it should be.
    pub fn run(&self, component: &mut Component<'_>) -> Result<(), String> {
        if self.case.refused.is_some() {
            return self.case.run(component);
        }
        self.configure(component)?;
        self.compared(&component.run(&self.case.input()?)?)
    }

    /// Runs the case with each record in a batch of its own, which must come out the same.
    ///
    /// # Errors
    /// What is otherwise than it should be.
    pub fn run_one_by_one(&self, component: &mut Component<'_>) -> Result<(), String> {
        if self.case.refused.is_some() {
            return Ok(());
        }
        self.configure(component)?;
        let mut all = Outcome::default();
        let input = self.case.input()?;
        for (row, line) in input.lines().filter(|line| !line.trim().is_empty()).enumerate() {
            let one = component.run(line)?;
            all.records.extend(one.records);
            all.rejected.extend(one.rejected.into_iter().map(|(_, reason)| (row as u32, reason)));
        }
        self.compared(&all).map_err(|wrong| format!("record by record, {wrong}"))
    }

    /// Writes what becomes of the records as what should. Answers whether that is another than before.
    ///
    /// # Errors
    /// Why the records cannot be handled, or a file cannot be written.
    pub fn bless(&self, component: &mut Component<'_>) -> Result<bool, String> {
        if self.run(component).is_ok() {
            return Ok(false);
        }
        let differs = self.case.bless(component)?;
        let path = self.folder.join("out.ndjson");
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        match fs::read_to_string(&path) {
            Ok(text) => {
                if let Cow::Owned(shown) = exact::shown(&text) {
                    fs::write(&path, shown).map_err(told)?;
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(told(error)),
        }
        Ok(differs)
    }

    fn configure(&self, component: &mut Component<'_>) -> Result<(), String> {
        component
            .configure(&self.case.settings, &self.case.tables()?)
            .map_err(|error| format!("the settings are refused: {error}"))
    }

    fn compared(&self, found: &Outcome) -> Result<(), String> {
        compare(found, &self.wanted()?).map_err(|wrong| exact::shown(&wrong).into_owned())
    }

    /// What should become of the records.
    fn wanted(&self) -> Result<Outcome, String> {
        let path = self.folder.join("out.ndjson");
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(told(&error)),
        };
        let record = |line: &str| -> Result<Json, String> {
            let record = exact::parse(line.as_bytes()).map_err(|error| format!("{line}: {error}"));
            record.map(without_own).map_err(|error| told(&error))
        };
        let records = text.lines().filter(|line| !line.trim().is_empty()).map(record);
        let records = records.collect::<Result<_, _>>()?;
        let path = self.folder.join("rejected.ndjson");
        let rejection = |json: Json| match (json["row"].as_u64(), json["reason"].as_str()) {
            (Some(row), Some(reason)) => Ok((row as u32, reason.to_owned())),
            _ => Err(format!(
                "{}: {json} is no rejection: write {{\"row\":0,\"reason\":\"…\"}}",
                path.display()
            )),
        };
        let rejected = lines(&path)?.into_iter().map(rejection).collect::<Result<_, _>>()?;
        Ok(Outcome { records, rejected })
    }
}

#[cfg(test)]
mod tests;
