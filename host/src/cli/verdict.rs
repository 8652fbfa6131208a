//! What came of cases of filters and of tests of pipelines, told to people and to CI.

use std::io::Write;

use anyhow::anyhow;
use serde_json::{Map, Value, json};

use super::Failure;
use flitch_core::exact;
use flitch_core::telemetry::escape::Lines;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Lines for people.
    Text,
    /// A JSON object.
    Json,
}

/// What came of one.
#[derive(Debug)]
pub struct Verdict {
    /// Its name.
    pub name: String,
    /// In one word.
    pub result: &'static str,
    /// What is otherwise than it should be.
    pub wrong: Option<String>,
}

impl Verdict {
    /// Of what was done for one: the word for it, or what is otherwise than it should be.
    pub fn of(name: &str, done: Result<&'static str, String>) -> Verdict {
        let (result, wrong) = match done {
            Ok(result) => (result, None),
            Err(wrong) => ("failed", Some(exact::shown(&wrong).into_owned())),
        };
        Verdict { name: name.to_owned(), result, wrong }
    }
}

/// Writes the verdicts on `what` (a plural) to stdout, in JSON with what is `beside` them.
///
/// # Errors
/// Some do not hold; or stdout cannot be written to.
pub fn tell(
    format: Format,
    what: &str,
    verdicts: &[Verdict],
    beside: Map<String, Value>,
) -> Result<(), Failure> {
    let failed = verdicts.iter().filter(|verdict| verdict.wrong.is_some()).count();
    let mut text = String::new();
    if format == Format::Json {
        let all: Vec<_> = verdicts
            .iter()
            .map(|one| json!({"name": one.name, "result": one.result, "wrong": one.wrong}))
            .collect();
        let mut told = beside;
        told.extend([(what.to_owned(), all.into()), ("failed".to_owned(), failed.into())]);
        text = Value::Object(told).to_string() + "\n";
    } else {
        for Verdict { name, result, wrong } in verdicts {
            let (name, wrong) = (Lines(name), wrong.as_deref().unwrap_or(""));
            text += &format!("{result:8}{name}\n");
            wrong.lines().for_each(|line| text += &format!("          {}\n", Lines(line)));
        }
        text += &format!("{} {what}, {failed} failed\n", verdicts.len());
    }
    std::io::stdout().write_all(text.as_bytes())?;
    match failed {
        0 => Ok(()),
        1 => Err(anyhow!("1 of the {what} does not hold").into()),
        many => Err(anyhow!("{many} of the {what} do not hold").into()),
    }
}
