//! The records of a test, as its source makes them.

use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::decode_line;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::{Records, TAG, TIMESTAMP, merge, time};
use flitch_core::exact;
use flitch_sources::SourceSettings;

use super::through::Dead;
use crate::config::cases::{Given as In, TestSettings};

/// The records that come in.
#[derive(Debug)]
pub struct Given {
    /// All in one batch, if there are any.
    pub batches: Vec<Records>,
    /// What the source could not read.
    pub bad: Vec<Dead>,
    /// The tag of records that bring none.
    pub tag: String,
    /// The time of those that bring none, as JSON has it.
    pub time: String,
}

/// Reads the records of a test as the source of this name does.
///
/// # Errors
/// Why it reads none of them.
pub fn read(test: &TestSettings, name: &str, source: &SourceSettings) -> Result<Given, String> {
    let tag = test.tag.clone().or_else(|| source.tag()).unwrap_or_else(|| name.to_owned());
    let ns = test.time.unwrap_or_default().0;
    let mut beside = Constants::new().text(TAG, &tag).timestamp(TIMESTAMP, ns);
    for (field, text) in &test.fields {
        beside = beside.text(field, text);
    }
    let texts: Vec<&[u8]> = test.r#in.iter().filter_map(text).collect();
    let (batches, bad) = if texts.is_empty() {
        (vec![of_fields(test, &beside)?], Vec::new())
    } else {
        let sample = source.sample(&texts, &beside).map_err(|error| format!("{error:#}"))?;
        let dead = |(reason, bytes): (String, Vec<u8>)| Dead {
            by: name.to_owned(),
            reason,
            record: String::from_utf8_lossy(&bytes).into(),
            is_fault: false,
        };
        let together = match &sample.records[..] {
            [] => Vec::new(),
            several => vec![merge::concat(several).map_err(|error| error.to_string())?],
        };
        (together, sample.bad.into_iter().map(dead).collect())
    };
    let batches = match source.multiline() {
        Some(join) => join.joined(batches).map_err(|error| format!("{error:#}"))?,
        None => batches,
    };
    Ok(Given { batches, bad, tag, time: time::to_text(ns) })
}

fn text(given: &In) -> Option<&[u8]> {
    match given {
        In::Text(text) => Some(text.as_bytes()),
        In::Fields(_) => None,
    }
}

fn of_fields(test: &TestSettings, beside: &Constants) -> Result<Records, String> {
    let mut builder = Builder::new();
    for given in &test.r#in {
        if let In::Fields(fields) = given {
            let line = serde_json::to_string(fields).map_err(|error| error.to_string())?;
            let line = exact::shown(&line);
            decode_line(&mut builder, line.as_bytes()).map_err(|error| format!("{line}: {error}"))?;
        }
    }
    Ok(builder.finish(InvalidUtf8::Replace, beside).records)
}
