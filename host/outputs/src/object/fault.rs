//! What an error of a store means, in the words of the store.

use object_store::Error;

use crate::WriteError;

/// What of an error decides what is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// There is an object of that name: ours, since names are of what is inside.
    Exists,
    /// Another write of that name has come between; this one is to begin anew.
    Conflict,
    /// The store does not know what was asked for.
    NotImplemented,
    /// Whatever else.
    Other,
}

/// What a store says.
struct Said {
    status: Option<u16>,
    /// `NoSuchBucket`; empty where it names none.
    code: String,
    /// All of it, without the address that was asked, in which a signature may stand.
    text: String,
}

const BEGINNINGS: [&str; 2] = ["Server returned non-2xx status code: ", "Server returned error response: "];
/// Longest text of a store that is passed on.
const LONGEST: usize = 500;

fn said(error: &Error) -> Said {
    let mut deepest: &(dyn std::error::Error + 'static) = error;
    while let Some(deeper) = deepest.source() {
        deepest = deeper;
    }
    let whole = deepest.to_string();
    let Some(answer) = BEGINNINGS.iter().find_map(|begin| whole.strip_prefix(begin)) else {
        return Said { status: None, code: String::new(), text: cut(&whole) };
    };
    let status = answer.get(..3).and_then(|digits| digits.parse().ok());
    let (head, body) = answer.split_once(": ").unwrap_or((answer, ""));
    let code = between(body, "<Code>", "</Code>").or_else(|| between(body, "\"code\":\"", "\""));
    let message = between(body, "<Message>", "</Message>").or_else(|| between(body, "\"message\":\"", "\""));
    let text = match (code, message) {
        (Some(code), Some(message)) => {
            format!("{head}: {code}: {}", message.lines().next().unwrap_or_default())
        }
        (Some(code), None) => format!("{head}: {code}"),
        _ if body.is_empty() => head.trim_end_matches([':', ' ']).to_owned(),
        _ => format!("{head}: {body}"),
    };
    Said { status, code: code.unwrap_or_default().to_owned(), text: cut(&text) }
}

pub(super) fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let rest = &text[text.find(begin)? + begin.len()..];
    Some(&rest[..rest.find(end)?])
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// What decides what is done next.
pub(super) fn fault(error: &Error) -> Fault {
    let said = said(error);
    match error {
        // Of two writes at once S3 refuses one by 409, and the other may fail after that; Azure says so of what is there.
        Error::AlreadyExists { .. } if said.status == Some(409) && said.code != "BlobAlreadyExists" => {
            Fault::Conflict
        }
        Error::AlreadyExists { .. } | Error::Precondition { .. } => Fault::Exists,
        Error::NotImplemented { .. } | Error::NotSupported { .. } => Fault::NotImplemented,
        _ if said.status == Some(501) => Fault::NotImplemented,
        _ => Fault::Other,
    }
}

/// Codes of stores for credentials that are no good, whatever the status.
const DENIED: [&str; 9] = [
    "ExpiredToken",
    "InvalidToken",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AuthorizationHeaderMalformed",
    "NoSuchBucket",
    "ContainerNotFound",
    "AccountIsDisabled",
    "InvalidBucketName",
];
const BUSY: [&str; 4] = ["SlowDown", "ServerBusy", "RequestLimitExceeded", "TooManyRequests"];

/// The error as the delivery loop needs it.
pub(super) fn classify(error: &Error) -> WriteError {
    let Said { status, code, text: reason } = said(error);
    let is_denied = DENIED.contains(&code.as_str())
        || matches!(status, Some(401 | 403))
        || matches!(error, Error::Unauthenticated { .. } | Error::PermissionDenied { .. });
    // A missing object is asked for nowhere but where a write has begun; what else is not found is where it goes.
    let is_missing = matches!(error, Error::NotFound { .. }) && code != "NoSuchUpload";
    if is_denied || is_missing {
        return WriteError::Denied { reason };
    }
    if BUSY.contains(&code.as_str()) || matches!(status, Some(429 | 503)) {
        return WriteError::Busy { after: None, reason };
    }
    WriteError::Unreachable { reason }
}

#[cfg(test)]
mod tests;
