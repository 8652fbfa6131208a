//! What the errors of WebHDFS mean.

use std::time::Duration;

use serde::Deserialize;

use crate::WriteError;
use flitch_core::net::words;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// There is no such file.
    #[error("there is no such file")]
    Missing,
    /// Credentials are missing, or the file system is not as it must be.
    #[error("{0}")]
    Denied(String),
    /// A right is missing, or there is no room: for all, or for this file alone.
    #[error("{0}")]
    Barred(String),
    /// The path of the file is none that the file system can have.
    #[error("{0}")]
    Path(String),
    /// The server wants to be asked later.
    #[error("{reason}")]
    Busy {
        /// How long it asked to wait.
        after: Option<Duration>,
        /// What it said.
        reason: String,
    },
    /// The server is not the active one, or does not answer: another may.
    #[error("{0}")]
    Away(String),
    /// Whatever else, which may go the next time.
    #[error("{0}")]
    Failed(String),
}

impl Fault {
    pub fn disk(error: std::io::Error) -> Fault {
        Fault::Failed(error.to_string())
    }

    /// Whether another server is worth asking.
    pub fn is_of_server(&self) -> bool {
        matches!(self, Fault::Away(_))
    }
}

impl From<Fault> for WriteError {
    fn from(fault: Fault) -> WriteError {
        match fault {
            Fault::Missing => WriteError::Denied { reason: "there is no such file".to_owned() },
            Fault::Denied(reason) => WriteError::Denied { reason },
            Fault::Barred(reason) | Fault::Path(reason) => WriteError::Barred { reason, is_final: false },
            Fault::Busy { after, reason } => WriteError::Busy { after, reason },
            Fault::Away(reason) | Fault::Failed(reason) => WriteError::Unreachable { reason },
        }
    }
}

/// The body of an error: `{"RemoteException": {"exception": …, "message": …}}`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    remote_exception: Remote,
}

#[derive(Deserialize)]
struct Remote {
    #[serde(deserialize_with = "words::text")]
    exception: String,
    #[serde(default, deserialize_with = "words::some")]
    message: Option<String>,
}

/// Exceptions after which somebody must act.
const DENIED: [&str; 4] =
    ["AuthenticationException", "InvalidToken", "SecurityException", "UnsupportedOperationException"];
/// The same, where others may be written all the same.
const BARRED: [&str; 4] = [
    "AccessControlException",
    "DSQuotaExceededException",
    "MaxDirectoryItemsExceededException",
    "NSQuotaExceededException",
];
/// Exceptions for a path: a file stands where a folder must be, or a folder where the file must.
const OF_PATH: [&str; 4] = [
    "FileAlreadyExistsException",
    "InvalidPathException",
    "ParentNotDirectoryException",
    "PathComponentTooLongException",
];
/// Exceptions of a server that may write in a while.
const BUSY: [&str; 4] =
    ["RetriableException", "RetryStartFileException", "SafeModeException", "AlreadyBeingCreatedException"];
/// Longest text of a server that is passed on.
const LONGEST: usize = 500;

/// What an answer means that is no success, by which the server asked to wait for `after`.
pub(super) fn fault(status: u16, after: Option<Duration>, body: &str) -> Fault {
    let remote = serde_json::from_str::<Body>(body).ok().map(|body| body.remote_exception);
    let name = remote.as_ref().map_or("", |remote| remote.exception.as_str());
    let text = match &remote {
        Some(remote) => {
            let message = remote.message.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
            format!("{status}: {}: {message}", remote.exception)
        }
        None => format!("{status}: {}", body.lines().next().unwrap_or_default()),
    };
    let text: String = text.chars().take(LONGEST).collect();
    match (status, name) {
        (_, "StandbyException") => Fault::Away(text),
        (404, "FileNotFoundException") => Fault::Missing,
        (_, name) if BUSY.contains(&name) || matches!(status, 429 | 503) => {
            Fault::Busy { after, reason: text }
        }
        (_, name) if OF_PATH.contains(&name) => Fault::Path(text),
        (_, name) if BARRED.contains(&name) => Fault::Barred(text),
        // To a login, or to how the server is spoken with: data is sent on by 307 alone.
        (300..400, _) => Fault::Denied(text),
        (_, name) if DENIED.contains(&name) || matches!(status, 401 | 404) => Fault::Denied(text),
        (403, _) => Fault::Barred(text),
        (500.., _) => Fault::Away(text),
        _ => Fault::Failed(text),
    }
}
