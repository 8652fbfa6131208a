//! What a store refuses for one key, and what a bucket asks for: told by a server that answers as stores do.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use flitch_tests::flitch::Flitch;
use flitch_tests::http_server::{Reply, Request, Server};
use flitch_tests::servers::s3::{KEY, KEY_ID};
use flitch_tests::wait::eventually;
use parking_lot::Mutex;

use crate::support::*;

fn server(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(&[Ipv4Addr::LOCALHOST], answer).unwrap()
}

fn refuses(status: u16, code: &str, message: &str) -> Reply {
    let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>").into_bytes();
    Reply { status, body, ..Reply::default() }
}

fn takes() -> Reply {
    Reply { status: 200, headers: vec![("etag", "\"e\"".to_owned())], ..Reply::default() }
}

fn output(server: &Server, more: &str) -> String {
    format!(
        "out: {{ type: s3, bucket: logs, endpoint: \"http://127.0.0.1:{}\", access_key_id: {KEY_ID}, \
         secret_access_key: {KEY}, compression: none, max_idle: 200ms, {more} }}",
        server.port()
    )
}

#[test]
fn keys_that_the_store_refuses_hold_up_no_other_and_one_that_is_none_costs_its_records_alone() {
    const ROUNDS: u64 = 20;
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = mended.clone();
    let server = server(move |request| match &*request.path {
        path if path.contains("/bad") && !is_mended.load(Ordering::Relaxed) => {
            refuses(403, "AccessDenied", "Access Denied.")
        }
        path if path.contains("/long") => refuses(400, "KeyTooLongError", "Your key is too long"),
        _ => takes(),
    });
    for ack in ["delivered", "stored"] {
        mended.store(false, Ordering::Relaxed);
        let source = "{ type: file, include: [\"{dir}/app.log\"], read_from: beginning, codec: json }";
        let more = format!("key: \"{{k}}/\", ack: {ack}, retry: {{ initial: 20ms, max: 500ms }}");
        let mut flitch = Flitch::new(FLITCH, &pipeline(source, &[], &output(&server, &more)));
        // More keys that are refused than writes are under way, and before the others.
        let keys = ["bad1", "bad2", "bad3", "bad4", "bad5", "long", "good1", "good2"];
        let round: String = keys.iter().map(|key| format!("{{\"k\":\"{key}\"}}\n")).collect();
        std::fs::write(flitch.at("app.log"), round.repeat(ROUNDS as usize)).unwrap();
        flitch.run();
        flitch.sums_when("all others go on", DEADLINE, |sums| {
            (sums.delivered, sums.dead_lettered) == (2 * ROUNDS, ROUNDS)
        });
        let ailment = || flitch.status()["ailments"]["output out"].as_str().map(str::to_owned);
        eventually("it is told", DEADLINE, || {
            ailment().is_some_and(|said| said.contains("AccessDenied") && said.contains("4 other keys"))
        });
        log_says(&flitch, "an operator must act; what goes there waits");
        mended.store(true, Ordering::Relaxed);
        flitch.sums_when("all is taken", DEADLINE, |sums| sums.delivered == 7 * ROUNDS);
        let sums = flitch.settled_after(8 * ROUNDS, DEADLINE);
        assert!(sums.hold() && sums.dead_lettered == ROUNDS, "{sums}");
        eventually("nothing ails it any more", DEADLINE, || ailment().is_none());
        assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    }
}

#[test]
fn a_bucket_whose_objects_are_locked_gets_the_checksums_that_it_asks_for() {
    let (plain, parts) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (without, kept) = (plain.clone(), parts.clone());
    let server = server(move |request| {
        if request.method == "HEAD" {
            return Reply { status: 404, ..Reply::default() };
        }
        if request.method == "POST" && !request.query.contains("uploadId=") {
            let body =
                "<InitiateMultipartUploadResult><UploadId>7</UploadId></InitiateMultipartUploadResult>";
            return Reply { status: 200, body: body.into(), ..Reply::default() };
        }
        if request.method == "POST" {
            let body = "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>";
            return Reply { status: 200, body: body.into(), ..Reply::default() };
        }
        if request.method == "DELETE" {
            return Reply { status: 204, ..Reply::default() };
        }
        if request.header("x-amz-checksum-sha256").is_none() {
            without.fetch_add(1, Ordering::Relaxed);
            return refuses(
                400,
                "InvalidRequest",
                "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Part requests with Object Lock parameters",
            );
        }
        kept.lock().push(request.body.len());
        takes()
    });
    let more = "key: \"a/\", encoding: { format: text, field: message }";
    let mut flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output(&server, more)));
    append(&flitch.at("app.log"), 0..200_000);
    flitch.run();
    assert_eq!(flitch.settled_after(200_000, DEADLINE).delivered, 200_000);
    append(&flitch.at("app.log"), 200_000..200_010);
    assert_eq!(flitch.settled_after(200_010, DEADLINE).delivered, 200_010);
    assert!(parts.lock().len() > 2, "{:?}", parts.lock());
    // Each of those that were under way when that was learnt; none after it.
    assert!((1..=4).contains(&plain.load(Ordering::Relaxed)), "{plain:?}");
    log_says(&flitch, "wants checksums");
    assert_eq!(flitch.log().matches("wants checksums").count(), 1, "{}", flitch.log());
    let written = std::fs::metadata(flitch.at("app.log")).unwrap().len() as usize;
    assert_eq!(parts.lock().iter().sum::<usize>(), written);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn an_object_whose_parts_the_store_has_lost_is_written_anew() {
    let (begun, completed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (begins, completions) = (begun.clone(), completed.clone());
    let server = server(move |request| match (&*request.method, request.query.contains("uploadId=")) {
        ("HEAD", _) => Reply { status: 404, ..Reply::default() },
        ("POST", false) => {
            let upload = begins.fetch_add(1, Ordering::Relaxed);
            let body = format!(
                "<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            );
            Reply { status: 200, body: body.into(), ..Reply::default() }
        }
        ("POST", true) if request.query("uploadId") == Some("0") => {
            refuses(400, "InvalidPart", "One or more of the specified parts could not be found.")
        }
        ("POST", true) => {
            completions.fetch_add(1, Ordering::Relaxed);
            let body = "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>";
            Reply { status: 200, body: body.into(), ..Reply::default() }
        }
        ("DELETE", _) => Reply { status: 204, ..Reply::default() },
        _ => takes(),
    });
    let output = output(&server, "key: \"a/\", retry: { initial: 20ms }");
    let mut flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output));
    append(&flitch.at("app.log"), 0..100_000);
    flitch.run();
    assert_eq!(flitch.settled_after(100_000, DEADLINE).delivered, 100_000);
    assert_eq!((begun.load(Ordering::Relaxed), completed.load(Ordering::Relaxed)), (2, 1));
    assert!(!flitch.log().contains("an operator must act"), "{}", flitch.log());
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}
