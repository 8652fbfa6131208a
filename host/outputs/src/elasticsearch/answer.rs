//! What a node says of a bulk request, and what becomes of each record by it.

use std::collections::BTreeMap;
use std::fmt;

use memchr::memmem;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::settings::Op;
use crate::WriteError;
use flitch_core::net::words;

/// Longest reason of a node that is passed on, in characters.
const LONGEST: usize = 500;
/// Most causes of a cause that are passed on.
const DEEPEST: usize = 16;

/// What is asked for of an answer: little more than a status for each record.
pub(super) const FILTER: &str = "filter_path=errors,items.*.status,items.*.error,items.*.failure_store";

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
    /// Its data stream has refused the document, and keeps it in its failure store.
    Aside,
    Again(WriteError),
    Refused(String),
}

/// How an answer begins to be read: before it is known that its items are as many as the records none is kept, for there may be one
/// in two bytes.
#[derive(Deserialize)]
struct Overview {
    errors: bool,
    #[serde(default)]
    items: Count,
}

/// How many items there are.
#[derive(Default)]
struct Count(usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Count, D::Error> {
        struct Counter;

        impl<'de> Visitor<'de> for Counter {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Count, A::Error> {
                let mut count = 0;
                while items.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Count(count))
            }
        }

        from.deserialize_seq(Counter)
    }
}

/// The items are read one by one, so that none of them costs the others.
#[derive(Deserialize)]
struct Items<'a> {
    #[serde(borrow, default)]
    items: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Outcome<'a> {
    status: u16,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    /// What became of the document in the failure store of its data stream: `used` where it is there.
    #[serde(borrow, default)]
    failure_store: Option<&'a RawValue>,
}

/// An error as Elasticsearch writes it. What quotes a record in it may be no text.
struct Cause<'a> {
    kind: String,
    reason: String,
    inner: Option<&'a RawValue>,
}

impl<'a> Cause<'a> {
    fn read(error: &'a RawValue) -> Cause<'a> {
        #[derive(Deserialize)]
        struct Members<'a> {
            #[serde(default, rename = "type", deserialize_with = "words::text")]
            kind: String,
            #[serde(default, deserialize_with = "words::text")]
            reason: String,
            #[serde(borrow, default)]
            caused_by: Option<&'a RawValue>,
        }
        match serde_json::from_str::<Members<'_>>(error.get()) {
            Ok(Members { kind, reason, caused_by: inner }) => Cause { kind, reason, inner },
            Err(_) => {
                Cause { kind: String::new(), reason: words::of(error).unwrap_or_default(), inner: None }
            }
        }
    }

    fn text(&self) -> String {
        let mut text = self.own();
        let mut inner = self.inner.map(Cause::read);
        for _ in 0..DEEPEST {
            let Some(cause) = inner else { break };
            text += &format!("; {}", cause.own());
            inner = cause.inner.map(Cause::read);
        }
        cut(&text)
    }

    fn own(&self) -> String {
        match self.kind.as_str() {
            "" => self.reason.clone(),
            kind => format!("{kind}: {}", self.reason),
        }
    }
}

/// What an answer without status 2xx says where it is an error of Elasticsearch's, and not of what stands before it.
pub(super) fn complaint(status: u16, body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Whole<'a> {
        #[serde(borrow)]
        error: &'a RawValue,
    }
    let body = String::from_utf8_lossy(body);
    let whole: Whole<'_> = serde_json::from_str(&body).ok()?;
    let cause = Cause::read(whole.error);
    (!cause.kind.is_empty()).then(|| format!("{status}: {}", cause.text()))
}

/// Whether a request is refused for a document in it, so that a smaller one may be taken: by an error of Elasticsearch's, and
/// not for what each of our requests has (`rest.action.multi.allow_explicit_index`).
pub(super) fn is_of_documents(status: u16, body: &[u8]) -> bool {
    const NO_INDEX: &str = "400: illegal_argument_exception: explicit index in bulk is not allowed";
    complaint(status, body).is_some_and(|said| !said.starts_with(NO_INDEX))
}

/// What an answer without status 2xx says, in the words of the node where it has any.
pub(super) fn said(status: u16, body: &[u8]) -> String {
    complaint(status, body).unwrap_or_else(|| {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        if text.is_empty() { status.to_string() } else { format!("{status}: {}", cut(text)) }
    })
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
    // What is in a failure store counts as no error.
    let is_aside = memmem::find(body, b"\"failure_store\"").is_some();
    if body.starts_with(b"{\"errors\":false") && !is_aside {
        return Ok(None);
    }
    let no_answer = |why: String| WriteError::Unreachable {
        reason: format!("the answer is none to a bulk request: {why}"),
    };
    let body = String::from_utf8_lossy(body);
    let wrong = |error: serde_json::Error| no_answer(error.to_string());
    let Overview { errors, items: Count(items) } = serde_json::from_str(&body).map_err(wrong)?;
    let is_told = is_aside && items == count;
    if !errors && !is_told {
        return Ok(None);
    }
    if items != count {
        return Err(no_answer(format!("{items} items for {count} records")));
    }
    let Items { items } = serde_json::from_str(&body).map_err(wrong)?;
    let fate_of = |item: &&RawValue| match outcome(item) {
        Some(outcome) => fate(&outcome, rules),
        None => {
            let reason = format!("an item of the answer tells no status: {}", cut(item.get()));
            Fate::Again(WriteError::Unreachable { reason })
        }
    };
    Ok(Some(items.iter().map(fate_of).collect()))
}

/// What an item says, under the name of whichever operation.
fn outcome(item: &RawValue) -> Option<Outcome<'_>> {
    let operation: BTreeMap<String, &RawValue> = serde_json::from_str(item.get()).ok()?;
    serde_json::from_str(operation.into_values().next()?.get()).ok()
}

fn fate(outcome: &Outcome<'_>, rules: Rules) -> Fate {
    let cause = outcome.error.map(Cause::read);
    let cause = cause.as_ref();
    let reason = || format!("{}: {}", outcome.status, cause.map(Cause::text).unwrap_or_default());
    let denied = || Fate::Again(WriteError::Denied { reason: reason() });
    match outcome.status {
        200..=299 if outcome.failure_store.is_some_and(|said| said.get() == "\"used\"") => Fate::Aside,
        200..=299 => Fate::Safe,
        // It is ours, from before.
        409 if rules.op == Op::Create => Fate::There,
        429 => Fate::Again(WriteError::Busy { after: None, reason: reason() }),
        500.. => Fate::Again(WriteError::Unreachable { reason: reason() }),
        _ if cause.is_some_and(takes_no_id) => Fate::Again(WriteError::Denied {
            reason: format!("{}: this collection takes no ids but its own: set `auto_id: true`", reason()),
        }),
        // A disk that is full, a cluster or the one index that is closed for writes by hand: somebody opens it again.
        _ if cause.is_some_and(|cause| is_block(cause, rules)) => denied(),
        _ if rules.one_index && is_of_index(outcome.status, cause) => denied(),
        _ if rules.one_pipeline && cause.is_some_and(is_of_pipeline) => denied(),
        _ => Fate::Refused(reason()),
    }
}

/// Whether no document with an id is ever taken: by a collection of OpenSearch Serverless that is for no search.
fn takes_no_id(cause: &Cause<'_>) -> bool {
    cause.kind == "illegal_argument_exception" && cause.reason.starts_with("Document ID is not supported")
}

/// Whether writes are blocked for more than the records that name one index of many.
fn is_block(cause: &Cause<'_>, rules: Rules) -> bool {
    // Block 12 is set on all indices of a disk that is full, and taken off again.
    let is_of_one = cause.reason.starts_with("index [") && !cause.reason.contains("/12/");
    cause.kind == "cluster_block_exception" && (rules.one_index || !is_of_one)
}

/// Whether the index is to blame, or the rights to it, and not the record. Of the reasons only the begin counts: what
/// stands further behind may be quoted from a record.
fn is_of_index(status: u16, cause: Option<&Cause<'_>>) -> bool {
    let is_of = |cause: &Cause<'_>| {
        let reason = &cause.reason;
        match cause.kind.as_str() {
            "invalid_index_name_exception" | "index_closed_exception" => true,
            // The cluster has as many shards as it may have (`cluster.max_shards_per_node`).
            "validation_exception" => reason.starts_with("Validation Failed: 1: this action would add ["),
            // A data stream in the place of an index, an alias of several indices or of none to write to.
            "illegal_argument_exception" => {
                reason.starts_with("only write ops with an op_type of create are allowed in data streams")
                    || reason.starts_with("no write index is defined for alias [")
                    || reason.to_ascii_lowercase().starts_with("alias [")
                        && reason.ends_with("can't execute a single index op")
            }
            _ => false,
        }
    };
    matches!(status, 401 | 403 | 404) || cause.is_some_and(is_of)
}

fn is_of_pipeline(cause: &Cause<'_>) -> bool {
    cause.reason.starts_with("pipeline with id [") && cause.reason.ends_with("does not exist")
}

#[cfg(test)]
mod tests;
