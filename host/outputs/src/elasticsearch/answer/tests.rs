use super::*;

const ONE: Rules = Rules { op: Op::Create, one_index: true, one_pipeline: true };
const MANY: Rules = Rules { op: Op::Create, one_index: false, one_pipeline: false };

fn answer(items: &[String]) -> Vec<u8> {
    format!(r#"{{"errors":true,"items":[{}]}}"#, items.join(",")).into_bytes()
}

/// What becomes of the record of an item, and with which reason.
fn said_of(fate: &Fate) -> (&'static str, String) {
    match fate {
        Fate::Safe => ("safe", String::new()),
        Fate::There => ("there", String::new()),
        Fate::Aside => ("aside", String::new()),
        Fate::Again(error) => (error.kind(), error.to_string()),
        Fate::Refused(reason) => ("refused", reason.clone()),
    }
}

fn kinds(body: &[u8], count: usize, rules: Rules) -> Vec<(&'static str, String)> {
    fates(body, count, rules).unwrap().unwrap().iter().map(said_of).collect()
}

#[test]
fn an_error_that_is_no_json_text_costs_its_record_alone_and_is_told_as_far_as_it_can_be() {
    let mut deep = r#"{"type":"a","reason":"r"}"#.to_owned();
    for _ in 0..200 {
        deep = format!(r#"{{"type":"a","reason":"r","caused_by":{deep}}}"#);
    }
    for (error, told) in [
        (r#"{"type":"m","reason":"value '\ud800'"}"#, "400: m: value '\u{fffd}\u{fffd}\u{fffd}'"),
        (r#"{"type":null,"reason":"x"}"#, "400: x"),
        (r#"{"type":"m","\udc00":1}"#, r#"400: {"type":"m","\udc00":1}"#),
        (r#""MapperParsingException[failed]""#, "400: MapperParsingException[failed]"),
        ("17", "400: 17"),
        ("null", "400: "),
        (&deep, "400: a: r; a: r; a: r"),
        (r#"{"type":"m","reason":"é\u0000","root_cause":[{"\ud800":1}]}"#, "400: m: é\0"),
    ] {
        let items = [
            r#"{"create":{"status":201}}"#.to_owned(),
            format!(r#"{{"create":{{"status":400,"error":{error}}}}}"#),
            r#"{"index":{"status":429,"error":{"type":"e","reason":"full"}}}"#.to_owned(),
        ];
        let kinds = kinds(&answer(&items), 3, ONE);
        assert_eq!((kinds[0].0, kinds[1].0, kinds[2].0), ("safe", "refused", "busy"), "{error}");
        assert!(kinds[1].1.starts_with(told), "{error}: {}", kinds[1].1);
    }
}

#[test]
fn bytes_that_are_not_utf8_and_operations_of_another_name_are_read_too() {
    let mut body = answer(&[
        r#"{"update":{"status":200}}"#.to_owned(),
        r#"{"create":{"status":400,"error":{"type":"m","reason":"bad ? value"}}}"#.to_owned(),
    ]);
    let mark = body.iter().position(|byte| *byte == b'?').unwrap();
    body[mark] = 0xe9;
    let kinds = kinds(&body, 2, MANY);
    assert_eq!((kinds[0].0, kinds[1].1.as_str()), ("safe", "400: m: bad \u{fffd} value"));
}

#[test]
fn a_document_that_its_data_stream_keeps_in_its_failure_store_is_told_from_those_that_it_has() {
    let said = |value: &str| format!(r#"{{"create":{{"status":201,"failure_store":{value}}}}}"#);
    let safe = r#"{"create":{"status":201}}"#.to_owned();
    let items = [safe.clone(), said("\"used\""), said("\"not_applicable_or_unknown\""), said("7")];
    for errors in ["true", "false"] {
        let body = format!(r#"{{"errors":{errors},"items":[{}]}}"#, items.join(","));
        let kinds: Vec<_> = kinds(body.as_bytes(), 4, ONE).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, ["safe", "aside", "safe", "safe"], "{errors}");
    }
    let failed = r#"{"create":{"status":400,"failure_store":"failed","error":{"type":"m","reason":"r"}}}"#;
    assert_eq!(kinds(&answer(&[failed.to_owned()]), 1, ONE)[0].0, "refused");
    // Who says that there is no error need not say so of each document.
    assert!(fates(br#"{"errors":false,"items":[],"failure_store":1}"#, 2, ONE).unwrap().is_none());
}

#[test]
fn an_item_without_a_status_is_written_again_and_none_of_the_others() {
    for item in ["{}", "17", "null", r#"{"create":{}}"#, r#"{"create":{"status":"x"}}"#] {
        let kinds = kinds(&answer(&[r#"{"create":{"status":201}}"#.to_owned(), item.to_owned()]), 2, ONE);
        assert_eq!((kinds[0].0, kinds[1].0), ("safe", "unreachable"), "{item}");
    }
}

#[test]
fn what_is_wrong_with_the_index_is_waited_for_where_there_is_one_and_costs_its_records_where_there_are_many()
{
    let many_shards = "Validation Failed: 1: this action would add [2] total shards, but this cluster currently has \
        [1000]/[1000] maximum shards open;";
    let no_index_to_write =
        "no write index is defined for alias [logs]. The write index may be explicitly disabled";
    let several =
        "Alias [logs] has more than one indices associated with it [[a, b]], can't execute a single index op";
    for (status, kind, reason, one, many) in [
        (400, "validation_exception", many_shards, "denied", "refused"),
        (400, "illegal_argument_exception", no_index_to_write, "denied", "refused"),
        (400, "illegal_argument_exception", several, "denied", "refused"),
        (404, "index_not_found_exception", "no such index [logs]", "denied", "refused"),
        (400, "index_closed_exception", "closed", "denied", "refused"),
        (
            403,
            "cluster_block_exception",
            "index [a] blocked by: [FORBIDDEN/8/index write (api)];",
            "denied",
            "refused",
        ),
        // These are of the disk, and of the whole cluster.
        (
            403,
            "cluster_block_exception",
            "index [a] blocked by: [FORBIDDEN/12/index read-only / allow delete (api)];",
            "denied",
            "denied",
        ),
        (
            403,
            "cluster_block_exception",
            "blocked by: [FORBIDDEN/6/cluster read-only (api)];",
            "denied",
            "denied",
        ),
        // What quotes a record says nothing of the index.
        (
            400,
            "illegal_argument_exception",
            "mapper [no write index is defined for alias [x]",
            "refused",
            "refused",
        ),
        (400, "mapper_parsing_exception", no_index_to_write, "refused", "refused"),
        (400, "validation_exception", "Validation Failed: 1: id is too long;", "refused", "refused"),
    ] {
        let error = serde_json::json!({ "type": kind, "reason": reason });
        let body =
            answer(&[serde_json::json!({ "create": { "status": status, "error": error } }).to_string()]);
        assert_eq!(kinds(&body, 1, ONE)[0].0, one, "{reason}");
        assert_eq!(kinds(&body, 1, MANY)[0].0, many, "{reason}");
    }
}

#[test]
fn items_that_are_not_as_many_as_the_records_are_counted_and_nothing_else() {
    let ones = "1,".repeat(100_000);
    for (body, told) in [
        (format!(r#"{{"errors":true,"items":[{ones}1]}}"#), "100001 items for 2 records"),
        (r#"{"errors":true,"items":{}}"#.to_owned(), "a list of items"),
        (r#"{"errors":true}"#.to_owned(), "0 items for 2 records"),
    ] {
        let error = fates(body.as_bytes(), 2, ONE).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    let body = format!(r#"{{"errors":false,"took":1,"items":[{ones}1]}}"#);
    assert!(fates(body.as_bytes(), 2, ONE).unwrap().is_none());
}

#[test]
fn an_answer_to_a_whole_request_is_that_of_a_node_where_it_is_an_error_with_a_type() {
    for (body, told) in [
        (
            r#"{"error":{"type":"illegal_argument_exception","reason":"Malformed '\ud800'"},"status":400}"#,
            Some("400: illegal_argument_exception: Malformed '\u{fffd}\u{fffd}\u{fffd}'"),
        ),
        ("<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>", None),
        (r#"{"error":"Bad Request"}"#, None),
        (r#"{"error":{"message":"Bad Request"}}"#, None),
        (r#"{"message":"Bad Request"}"#, None),
        ("", None),
    ] {
        assert_eq!(complaint(400, body.as_bytes()).as_deref(), told, "{body}");
        assert!(said(400, body.as_bytes()).starts_with("400"), "{body}");
    }
}

#[test]
fn a_request_that_is_refused_for_what_all_have_is_refused_for_no_document() {
    let error = |reason: &str| {
        let error = serde_json::json!({ "type": "illegal_argument_exception", "reason": reason });
        serde_json::json!({ "error": error, "status": 400 }).to_string()
    };
    let refused = |reason: &str| is_of_documents(400, error(reason).as_bytes());
    assert!(!refused("explicit index in bulk is not allowed"));
    assert!(refused("Malformed action/metadata line [1], explicit index in bulk is not allowed"));
    assert!(!is_of_documents(400, b"<html>400</html>"));
}
