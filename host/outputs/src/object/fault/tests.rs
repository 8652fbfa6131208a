use super::*;

#[derive(Debug, thiserror::Error)]
#[error("Error performing PUT https://store/bucket?sig=secret in 3ms - {0}")]
struct Outer(#[source] Inner);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Inner(String);

fn answer(text: &str) -> Error {
    Error::Generic { store: "S3", source: Box::new(Outer(Inner(text.to_owned()))) }
}

fn status(status: &str, code: &str, message: &str) -> Error {
    let body =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
    answer(&format!("Server returned non-2xx status code: {status}: {body}"))
}

#[test]
fn what_a_store_says_is_told_in_its_words_and_without_the_address() {
    let error = classify(&status("403 Forbidden", "AccessDenied", "Access Denied"));
    assert_eq!(error.to_string(), "the destination refuses it: 403 Forbidden: AccessDenied: Access Denied");
    let error = classify(&answer("connection refused"));
    assert_eq!(error.to_string(), "the destination cannot be reached: connection refused");
    let json = "Server returned non-2xx status code: 404 Not Found: {\"error\":{\"code\":\"gone\",\"message\":\"no\"}}";
    assert_eq!(said(&answer(json)).text, "404 Not Found: gone: no");
    assert_eq!(
        said(&answer("Server returned non-2xx status code: 500 Internal Server Error: ")).text,
        "500 Internal Server Error"
    );
}

#[test]
fn what_an_operator_must_mend_is_told_from_what_passes() {
    let kind = |error: &Error| classify(error).kind();
    assert_eq!(
        kind(&status("503 Service Unavailable", "SlowDown", "Please reduce your request rate.")),
        "busy"
    );
    assert_eq!(kind(&status("429 Too Many Requests", "", "")), "busy");
    assert_eq!(kind(&status("400 Bad Request", "ExpiredToken", "The provided token has expired.")), "denied");
    assert_eq!(kind(&status("403 Forbidden", "SignatureDoesNotMatch", "")), "denied");
    assert_eq!(kind(&status("500 Internal Server Error", "InternalError", "")), "unreachable");
    assert_eq!(
        kind(&status("301 Moved Permanently", "PermanentRedirect", "use the specified endpoint")),
        "denied"
    );
    assert_eq!(
        kind(&answer(
            "Received redirect without LOCATION, this normally indicates an incorrectly configured region"
        )),
        "denied"
    );
    let source = "profile `edge`: gone".into();
    assert_eq!(kind(&Error::Unauthenticated { path: String::new(), source }), "denied");
    let missing = |code| {
        let text = format!("Server returned non-2xx status code: 404 Not Found: <Code>{code}</Code>");
        Error::NotFound { path: "a".into(), source: Box::new(Outer(Inner(text))) }
    };
    assert_eq!(kind(&missing("NoSuchBucket")), "denied");
    assert_eq!(kind(&missing("NoSuchUpload")), "unreachable");
    assert_eq!(kind(&missing("NoSuchKey")), "unreachable");
}

#[test]
fn what_may_be_so_for_one_object_alone_holds_up_no_other_and_what_is_so_for_its_name_is_said_to_be() {
    let is_barred = |error: &Error| matches!(classify(error), WriteError::Barred { is_final: false, .. });
    assert!(is_barred(&status("403 Forbidden", "AccessDenied", "Access Denied")));
    assert!(is_barred(&status("400 Bad Request", "InvalidRequest", "")));
    assert!(!is_barred(&status("401 Unauthorized", "", "")));
    for code in ["SignatureDoesNotMatch", "InvalidAccessKeyId", "AuthenticationFailed"] {
        assert!(!is_barred(&status("403 Forbidden", code, "")), "{code}");
    }
    let passes = status("400 Bad Request", "RequestTimeout", "");
    assert_eq!(classify(&passes).kind(), "unreachable");
    let long = status("400 Bad Request", "KeyTooLongError", "Your key is too long");
    assert_eq!(of_key(&long).as_deref(), Some("400 Bad Request: KeyTooLongError: Your key is too long"));
    assert!(is_barred(&long), "where all have that key");
    assert_eq!(of_key(&status("403 Forbidden", "AccessDenied", "")), None);
    assert_eq!(of_key(&answer("connection refused")), None);
}

#[test]
fn a_store_of_locked_objects_that_wants_a_checksum_is_understood() {
    for said in [
        "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
        "Content-MD5 or x-amz-sdk-checksum-algorithm header required",
    ] {
        assert_eq!(fault(&status("400 Bad Request", "InvalidRequest", said)), Fault::WantsChecksum);
    }
    assert_eq!(fault(&status("400 Bad Request", "InvalidRequest", "a header is required")), Fault::Other);
}

#[test]
fn a_write_whose_parts_the_store_does_not_have_any_more_is_to_begin_anew() {
    for code in ["InvalidBlockList", "InvalidPart", "InvalidPartOrder"] {
        let error = status("400 Bad Request", code, "");
        assert_eq!((fault(&error), classify(&error).kind()), (Fault::PartsGone, "unreachable"), "{code}");
    }
}

#[test]
fn one_of_two_writes_at_once_is_no_object_that_is_there() {
    let exists = |code| {
        let text = format!("Server returned non-2xx status code: 409 Conflict: <Code>{code}</Code>");
        Error::AlreadyExists { path: "a".into(), source: Box::new(Outer(Inner(text))) }
    };
    assert_eq!(fault(&exists("ConditionalRequestConflict")), Fault::Conflict);
    assert_eq!(fault(&exists("OperationAborted")), Fault::Conflict);
    assert_eq!(fault(&exists("BlobAlreadyExists")), Fault::Exists);
    assert_eq!(fault(&exists("BlobImmutableDueToPolicy")), Fault::Exists);
    let text =
        "Server returned non-2xx status code: 412 Precondition Failed: <Code>PreconditionFailed</Code>";
    let there = Error::AlreadyExists { path: "a".into(), source: Box::new(Outer(Inner(text.to_owned()))) };
    assert_eq!(fault(&there), Fault::Exists);
}
