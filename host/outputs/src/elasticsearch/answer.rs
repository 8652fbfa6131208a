//! What a node says of a bulk request, and what becomes of each record by it.

use std::borrow::Cow;

use serde::Deserialize;

use super::settings::Op;
use crate::WriteError;

/// Longest reason of a node that is passed on, in characters.
const LONGEST: usize = 500;

/// What is asked for of an answer: little more than a status for each record.
pub(super) const FILTER: &str = "filter_path=errors,items.*.status,items.*.error";

/// What decides whose fault an error is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub op: Op,
    /// All records go to one index: what is wrong with it is waited for.
    pub one_index: bool,
    /// All go through one pipeline.
    pub one_pipeline: bool,
}

/// What became of a record.
#[derive(Debug)]
pub(super) enum Fate {
    Safe,
    /// A document of its id was there already.
    There,
    Again(WriteError),
    Refused(String),
}

#[derive(Deserialize)]
struct Answer<'a> {
    errors: bool,
    #[serde(borrow, default)]
    items: Vec<Item<'a>>,
}

/// One of several operations, of which we know two.
#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, alias = "index")]
    create: Outcome<'a>,
}

#[derive(Deserialize)]
struct Outcome<'a> {
    status: u16,
    #[serde(borrow, default)]
    error: Option<Cause<'a>>,
}

/// An error as Elasticsearch writes it.
#[derive(Deserialize)]
pub(super) struct Cause<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    caused_by: Option<Box<Cause<'a>>>,
}

impl Cause<'_> {
    fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or_default()
    }

    fn text(&self) -> String {
        let mut text = format!("{}: {}", self.kind, self.reason());
        let mut inner = &self.caused_by;
        while let Some(cause) = inner {
            text += &format!("; {}: {}", cause.kind, cause.reason());
            inner = &cause.caused_by;
        }
        cut(&text)
    }
}

/// What an answer without status 2xx says, in the words of the node where it has any.
pub(super) fn said(status: u16, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Whole<'a> {
        #[serde(borrow)]
        error: Cause<'a>,
    }
    match serde_json::from_slice::<Whole<'_>>(body) {
        Ok(whole) => format!("{status}: {}", whole.error.text()),
        Err(_) => {
            let text = String::from_utf8_lossy(body);
            let text = text.trim();
            if text.is_empty() { status.to_string() } else { format!("{status}: {}", cut(text)) }
        }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What became of each of `count` records; none where all are safe.
///
/// # Errors
/// It is no answer to that many.
pub(super) fn fates(body: &[u8], count: usize, rules: Rules) -> Result<Option<Vec<Fate>>, WriteError> {
    if body.starts_with(b"{\"errors\":false") {
        return Ok(None);
    }
    let no_answer = |why: String| WriteError::Unreachable {
        reason: format!("the answer is none to a bulk request: {why}"),
    };
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| no_answer(error.to_string()))?;
    if !answer.errors {
        return Ok(None);
    }
    if answer.items.len() != count {
        return Err(no_answer(format!("{} items for {count} records", answer.items.len())));
    }
    Ok(Some(answer.items.iter().map(|item| fate(&item.create, rules)).collect()))
}

fn fate(outcome: &Outcome<'_>, rules: Rules) -> Fate {
    let cause = outcome.error.as_ref();
    let kind = cause.map_or("", |cause| &cause.kind);
    let reason = || format!("{}: {}", outcome.status, cause.map(Cause::text).unwrap_or_default());
    let denied = || Fate::Again(WriteError::Denied { reason: reason() });
    match outcome.status {
        200..=299 => Fate::Safe,
        // It is ours, from before.
        409 if rules.op == Op::Create => Fate::There,
        429 => Fate::Again(WriteError::Busy { after: None, reason: reason() }),
        500.. => Fate::Again(WriteError::Unreachable { reason: reason() }),
        // A disk that is full, an index that is closed for writes by hand: somebody opens it again.
        _ if kind == "cluster_block_exception" => denied(),
        _ if rules.one_index && is_of_index(outcome.status, kind, cause) => denied(),
        _ if rules.one_pipeline && is_of_pipeline(cause) => denied(),
        _ => Fate::Refused(reason()),
    }
}

/// Whether the index is to blame, or the rights to it, and not the record.
fn is_of_index(status: u16, kind: &str, cause: Option<&Cause<'_>>) -> bool {
    matches!(status, 401 | 403 | 404)
        || matches!(kind, "invalid_index_name_exception" | "index_closed_exception")
        || cause.is_some_and(|cause| cause.reason().contains("op_type of create are allowed in data streams"))
}

fn is_of_pipeline(cause: Option<&Cause<'_>>) -> bool {
    cause.is_some_and(|cause| {
        cause.reason().starts_with("pipeline with id [") && cause.reason().ends_with("does not exist")
    })
}
