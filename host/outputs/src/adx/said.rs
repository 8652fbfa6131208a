//! What the service and its storage answer when something is wrong, and what is to be done about it.

use std::time::Duration;

use reqwest::Response;
use serde::Deserialize;

use crate::{Fate, WriteError};
use flitch_core::clock::Clock;
use flitch_core::net::http_client::{beginning, reason, retry_after};
use flitch_core::net::words;

/// Most bytes of an answer that are read.
pub(super) const MOST: usize = 4 << 20;
/// Longest text of a server that is passed on.
const LONGEST: usize = 500;
/// Longest pause that a server may ask for.
const PAUSE: Duration = Duration::from_secs(600);

/// Why there is nothing to go on with.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// The server says no.
    Said(Said),
    /// It was not asked, or did not answer.
    Failed(WriteError),
}

/// What a server says.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub status: u16,
    /// `BadRequest_TableNotExist`; empty where it names none.
    pub code: String,
    /// Whether asking the same again is in vain, where the server says so.
    pub permanent: Option<bool>,
    /// Who said what, without what is secret.
    pub text: String,
    pub after: Option<Duration>,
}

/// An error of Kusto's (the *OneApi* form).
#[derive(Deserialize)]
struct OneApi {
    error: OneApiError,
}

#[derive(Deserialize)]
struct OneApiError {
    #[serde(default, deserialize_with = "words::text")]
    code: String,
    #[serde(default, deserialize_with = "words::text")]
    message: String,
    #[serde(default, rename = "@message", deserialize_with = "words::text")]
    details: String,
    #[serde(rename = "@permanent")]
    permanent: Option<bool>,
}

/// The whole text of an answer that is good, else what it says. `whom` is asked, as errors name it.
pub(super) async fn text(whom: &str, answer: Result<Response, reqwest::Error>) -> Result<String, Trouble> {
    let unreachable = |error: &reqwest::Error| {
        Trouble::Failed(WriteError::Unreachable { reason: format!("{whom}: {}", reason(error)) })
    };
    let answer = answer.map_err(|error| unreachable(&error))?;
    let status = answer.status();
    let header = |name: &str| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
    let storage_code = header("x-ms-error-code");
    let after = retry_after(answer.headers(), Clock::system().now());
    let text = beginning(answer, MOST).await;
    if status.is_success() {
        return Ok(text);
    }
    let mut said =
        Said { status: status.as_u16(), after: after.map(|after| after.min(PAUSE)), ..Said::default() };
    match serde_json::from_str::<OneApi>(&text) {
        Ok(OneApi { error }) => {
            let details = if error.details.is_empty() { error.message } else { error.details };
            said.text = format!("{whom} answers {}: {}: {}", said.status, error.code, first(&details));
            (said.code, said.permanent) = (error.code, error.permanent);
        }
        Err(_) => {
            said.code = storage_code.or_else(|| between(&text, "<Code>", "</Code>")).unwrap_or_default();
            let message =
                between(&text, "<Message>", "</Message>").unwrap_or_else(|| first(&text).to_owned());
            said.text = [format!("{whom} answers {}", said.status), said.code.clone(), message]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(": ");
        }
    }
    said.text = said.text.chars().take(LONGEST).collect();
    Err(Trouble::Said(said))
}

fn first(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn between(text: &str, begin: &str, end: &str) -> Option<String> {
    let rest = &text[text.find(begin)? + begin.len()..];
    Some(first(&rest[..rest.find(end)?]).to_owned())
}

/// Codes of what is wrong with something that all records of an object share: the database, the table, the mapping, the
/// format, the rights (Microsoft's *Ingestion error codes*). Streams have some of their own.
const SHARED: [&str; 23] = [
    "BadRequest_CreationTimeEarlierThanSoftDeletePeriod",
    "BadRequest_DatabaseAccessDenied",
    "BadRequest_DatabaseNotExist",
    "BadRequest_DuplicateMapping",
    "BadRequest_EmptyDatabaseName",
    "BadRequest_EmptyMappingReference",
    "BadRequest_EntityNameIsNotValid",
    "BadRequest_EntityNotFound",
    "BadRequest_FormatNotSupported",
    "BadRequest_InconsistentMapping",
    "BadRequest_InvalidMapping",
    "BadRequest_InvalidMappingReference",
    "BadRequest_InvalidOrEmptyTableName",
    "BadRequest_MalformedIngestionProperty",
    "BadRequest_MappingReferenceWasNotFound",
    "BadRequest_MissingMappingFailure",
    // As Microsoft's list has it.
    "BadRequest_MissingMappingtFailure",
    "BadRequest_TableAccessDenied",
    "BadRequest_TableNotExist",
    "BadRequest_ZeroRetentionPolicyWithNoUpdatePolicy",
    "Forbidden",
    "UpdatePolicy_Cyclic_Update_Not_Allowed",
    "UpdatePolicy_QuerySchemaDoesNotMatchTableSchema",
];

/// Whether a code is for what all records of an object share.
pub(super) fn is_shared(code: &str) -> bool {
    SHARED.contains(&code) || code.contains("StreamingIngestion")
}

/// What becomes of an object that the service refuses for good with this code: what is said of something that its records
/// share is true for all of them, and all else may be so for some of them alone.
pub(super) fn refused(code: &str, reason: String) -> Fate {
    if is_shared(code) { Fate::Refused(reason) } else { Fate::Poisoned(reason) }
}

impl Said {
    /// Whether the server asks for a pause.
    pub fn is_busy(&self) -> bool {
        matches!(self.status, 429 | 503) || self.code.contains("Throttl") || self.code == "ServerBusy"
    }

    /// Whether it denies access.
    pub fn is_denied(&self) -> bool {
        matches!(self.status, 401 | 403)
    }

    /// Whether it finds too large what it was given.
    pub fn is_too_large(&self) -> bool {
        self.status == 413
    }

    /// Whether it will never take what it was given.
    pub fn is_final(&self) -> bool {
        let of_request = matches!(self.status, 400 | 404 | 409 | 422) && !self.code.is_empty();
        let is_final = self.permanent.unwrap_or(of_request) || self.is_too_large();
        !self.is_busy() && !self.is_denied() && is_final
    }

    pub fn error(self) -> WriteError {
        let Said { after, text: reason, .. } = self;
        match self.status {
            429 | 503 => WriteError::Busy { after, reason },
            // What stands before it has not understood, or has waited too long.
            408 | 421 | 425 => WriteError::Unreachable { reason },
            // A redirect leads to a login, or elsewhere than a token may go.
            300..500 => WriteError::Denied { reason },
            _ => WriteError::Unreachable { reason },
        }
    }
}

impl Trouble {
    /// What is to be done where only trying again can help.
    pub fn error(self) -> WriteError {
        match self {
            Trouble::Said(said) => said.error(),
            Trouble::Failed(error) => error,
        }
    }

    /// What becomes of an object over which there is trouble.
    ///
    /// # Errors
    /// It is to be tried again.
    pub fn fate(self) -> Result<Fate, WriteError> {
        match self {
            Trouble::Said(said) if said.is_final() => Ok(refused(&said.code, said.text)),
            // A right is missing: to this table, or to all. That others are taken shows which.
            Trouble::Said(said) if said.status == 403 => {
                let is_final = said.permanent == Some(true) && is_shared(&said.code);
                Err(WriteError::Barred { reason: said.text, is_final })
            }
            trouble => Err(trouble.error()),
        }
    }
}

#[cfg(test)]
mod tests;
