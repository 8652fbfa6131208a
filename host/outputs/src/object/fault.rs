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
    /// The store wants a checksum of what is written, as one whose objects are locked does.
    WantsChecksum,
    /// The parts of a write are not there to be put together: they were before, by a request whose answer was lost, or the
    /// store has removed them. The write is to begin anew, with a look whether the object is there.
    PartsGone,
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
/// How the library tells of a redirect that names no place, as S3 sends it for a bucket of another region.
const REDIRECT: &str = "Received redirect";
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
        Error::AlreadyExists { .. } if said.status == Some(409) && !THERE.contains(&said.code.as_str()) => {
            Fault::Conflict
        }
        Error::AlreadyExists { .. } | Error::Precondition { .. } => Fault::Exists,
        Error::NotImplemented { .. } | Error::NotSupported { .. } => Fault::NotImplemented,
        _ if said.status == Some(501) => Fault::NotImplemented,
        _ if said.status == Some(400) && said.wants_checksum() => Fault::WantsChecksum,
        _ if PARTS_GONE.contains(&said.code.as_str()) => Fault::PartsGone,
        _ => Fault::Other,
    }
}

impl Said {
    /// A store with locked objects says so of what has none: `Content-MD5 OR x-amz-checksum- HTTP header is required`.
    fn wants_checksum(&self) -> bool {
        let text = self.text.to_ascii_lowercase();
        let names_one =
            ["content-md5", "x-amz-checksum", "x-amz-sdk-checksum"].iter().any(|name| text.contains(name));
        names_one && text.contains("required")
    }
}

/// Codes of stores for credentials that are no good, or for all that is asked, whatever the status.
const DENIED: [&str; 12] = [
    "AllAccessDisabled",
    "AuthenticationFailed",
    "ExpiredToken",
    "InvalidToken",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AuthorizationHeaderMalformed",
    "NoSuchBucket",
    "ContainerNotFound",
    "AccountIsDisabled",
    "InvalidBucketName",
    "RequestTimeTooSkewed",
];
/// Codes for the name of an object, which is no better the next time: too long, with letters that the store does not have, or
/// below what is an object itself, where a store keeps them in folders.
const OF_KEY: [&str; 14] = [
    "ExistingObjectIsDirectory",
    "InvalidObjectName",
    "InvalidResourceName",
    "InvalidURI",
    "InvalidUri",
    "KeyTooLong",
    "KeyTooLongError",
    "NameTooLong",
    "ObjectParentIsFile",
    "OutOfRangeInput",
    "RequestUriTooLong",
    "XMinioInvalidObjectName",
    "XMinioObjectExistsAsDirectory",
    "XMinioParentIsObject",
];
/// Codes of status 400 for what was cut or mixed up on its way.
const ON_THE_WAY: [&str; 7] = [
    "BadDigest",
    "IncompleteBody",
    "InternalError",
    "Md5Mismatch",
    "OperationTimedOut",
    "RequestTimeout",
    "XAmzContentSHA256Mismatch",
];
/// Codes of status 409 for an object that is there, as it may be for good in a container that allows no change.
const THERE: [&str; 2] = ["BlobAlreadyExists", "BlobImmutableDueToPolicy"];
/// Codes for parts that a store does not have, or not any more.
const PARTS_GONE: [&str; 3] = ["InvalidBlockList", "InvalidPart", "InvalidPartOrder"];
const BUSY: [&str; 4] = ["SlowDown", "ServerBusy", "RequestLimitExceeded", "TooManyRequests"];

/// The error as the delivery loop needs it.
pub(crate) fn classify(error: &Error) -> WriteError {
    let Said { status, code, text: reason } = said(error);
    // A redirect leads to where the bucket is, or to how its store is spoken with; nobody follows it with what is signed for here.
    let is_elsewhere =
        status.is_some_and(|status| (300..400).contains(&status)) || reason.starts_with(REDIRECT);
    let is_denied = DENIED.contains(&code.as_str())
        || is_elsewhere
        || status == Some(401)
        || status.is_none()
            && matches!(error, Error::Unauthenticated { .. } | Error::PermissionDenied { .. });
    // A missing object is asked for nowhere but where a write has begun, of which MinIO may say that there is no key; what else is not
    // found is where it goes.
    let is_missing =
        matches!(error, Error::NotFound { .. }) && !["NoSuchUpload", "NoSuchKey"].contains(&code.as_str());
    if is_denied || is_missing {
        return WriteError::Denied { reason };
    }
    if BUSY.contains(&code.as_str()) || matches!(status, Some(429 | 503)) {
        return WriteError::Busy { after: None, reason };
    }
    // What may be so for this object alone.
    let is_barred = matches!(status, Some(400 | 403 | 405 | 411 | 413 | 414 | 422));
    let is_one_of = |codes: &[&str]| codes.contains(&code.as_str());
    if is_barred && !is_one_of(&ON_THE_WAY) && !is_one_of(&PARTS_GONE) {
        return WriteError::Barred { reason, is_final: false };
    }
    WriteError::Unreachable { reason }
}

/// What a store says that finds fault with the name of an object, if that is it.
pub(super) fn of_key(error: &Error) -> Option<String> {
    let Said { status, code, text } = said(error);
    let is_of_key = OF_KEY.contains(&code.as_str()) || status == Some(414);
    (is_of_key && status.is_some_and(|status| (400..500).contains(&status))).then_some(text)
}

#[cfg(test)]
mod tests;
