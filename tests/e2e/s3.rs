//! Objects on a real S3 server, read back record by record.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flitch_tests::flitch::Flitch;
use flitch_tests::http_server::{Reply, Server};
use flitch_tests::servers::moto::Moto;
use flitch_tests::servers::s3::{KEY, KEY_ID, S3};
use flitch_tests::wait::eventually;
use parking_lot::Mutex;

use crate::support::*;

/// The output `out`, which writes to the bucket `logs`.
fn output(s3: &S3, more: &str) -> String {
    format!(
        "out: {{ type: s3, bucket: logs, endpoint: \"{}\", access_key_id: {KEY_ID}, secret_access_key: {KEY}, {more} }}",
        s3.endpoint()
    )
}

/// How often each of the numbers stands in the bucket; each must at least once.
#[track_caller]
fn count(s3: &S3, records: usize) -> usize {
    let lines = s3.lines("logs");
    let number = |line: &String| number_in(line).expect("a line has a number");
    let seen: BTreeSet<usize> = lines.iter().map(number).collect();
    assert_eq!(seen, (0..records).collect(), "what is missing, or nobody wrote");
    lines.len()
}

#[test]
fn every_record_is_in_an_object_once_and_the_folders_are_those_of_the_key() {
    let s3 = S3::start(&["logs"]).unwrap();
    let config =
        pipeline(&file_source("app.log"), &[], &output(&s3, "key: \"app={app|none}/d={@timestamp:%Y}/\""));
    let mut flitch = Flitch::new(FLITCH, &config);
    append(&flitch.at("app.log"), 0..20_000);
    flitch.run();
    flitch.sums_when("all is staged", DEADLINE, |sums| sums.in_flight == 20_000);
    assert!(s3.objects("logs").is_empty(), "nothing is written before its time");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    assert_eq!(count(&s3, 20_000), 20_000);
    let names: Vec<String> = s3.objects("logs").into_keys().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(names[0].starts_with("app=none/d=20") && names[0].ends_with(".ndjson.zst"), "{names:?}");
}

#[test]
fn a_replay_of_everything_leaves_the_same_objects() {
    let s3 = S3::start(&["logs"]).unwrap();
    let small =
        "key: \"all/\", max_bytes: 300KB, compression: none, encoding: { format: text, field: message }";
    let mut found = Vec::new();
    let mut flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output(&s3, small)));
    append(&flitch.at("app.log"), 0..30_000);
    for _ in 0..2 {
        flitch.run();
        flitch.sums_when("all is taken", DEADLINE, |sums| sums.received == 30_000);
        assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
        assert_eq!(count(&s3, 30_000), 30_000);
        let names: Vec<String> = s3.objects("logs").into_keys().collect();
        assert!(names.len() > 5, "{names:?}");
        found.push(names);
        // It knows nothing of what it has read.
        std::fs::remove_dir_all(flitch.at("data")).unwrap();
    }
    assert_eq!(found[0], found[1]);
}

#[test]
fn the_same_line_three_times_is_in_three_objects_and_equal_lines_of_two_hosts_are_all_there() {
    let s3 = S3::start(&["logs"]).unwrap();
    for ack in ["delivered", "stored"] {
        let more = format!(
            "key: \"{ack}/\", ack: {ack}, max_idle: 200ms, compression: none, encoding: {{ format: text, field: message }}"
        );
        let objects = || s3.objects("logs").keys().filter(|name| name.starts_with(ack)).count();
        // Two that know nothing of each other, as on two hosts.
        for before in [0, 3] {
            let config = pipeline(&file_source("app.log"), &[], &output(&s3, &more));
            let mut flitch = Flitch::new(FLITCH, &config);
            flitch.run();
            for times in 1..=3 {
                append(&flitch.at("app.log"), 0..1);
                eventually("an object more", DEADLINE, || objects() == before + times);
            }
            assert_eq!(flitch.settled_after(3, DEADLINE).delivered, 3);
            assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
        }
    }
    assert_eq!(count(&s3, 1), 12);
}

/// Files below `data_dir` in which objects are built.
fn staged(flitch: &Flitch) -> usize {
    let sessions = std::fs::read_dir(flitch.at("data/outputs/out/staging")).into_iter().flatten();
    sessions.flatten().flat_map(|session| std::fs::read_dir(session.path())).flatten().count()
}

#[test]
fn a_kill_while_objects_are_built_loses_no_record_and_writes_none_twice() {
    let s3 = S3::start(&["logs"]).unwrap();
    let config = pipeline(&file_source("app.log"), &[], &output(&s3, "key: \"a/\", compression: none"));
    let mut flitch = Flitch::new(FLITCH, &config);
    append(&flitch.at("app.log"), 0..30_000);
    flitch.run();
    eventually("all is staged", DEADLINE, || {
        flitch.metrics().sums().in_flight == 30_000 && staged(&flitch) > 0
    });
    flitch.kill();
    assert!(staged(&flitch) > 0);
    flitch.run();
    flitch.sums_when("all is staged again", DEADLINE, |sums| sums.in_flight == 30_000);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    assert_eq!(count(&s3, 30_000), 30_000);
    assert_eq!((s3.objects("logs").len(), staged(&flitch)), (1, 0));
}

/// A flitch that writes an object of 40 MB in parts.
fn large(s3: &S3, lines: usize) -> Flitch {
    let more = format!(
        "key: \"a%b/\", compression: none, max_bytes: {}MiB, encoding: {{ format: text, field: message }}",
        30
    );
    let mut flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output(s3, &more)));
    append(&flitch.at("app.log"), 0..lines);
    flitch.run();
    eventually("a write in parts begins", DEADLINE, || s3.unfinished("logs") > 0);
    flitch
}

/// Lines of [`large`]: more than an object of 30 MiB has.
const LARGE: usize = 450_000;

#[test]
fn a_write_in_parts_goes_on_when_the_store_comes_back() {
    let mut s3 = S3::start(&["logs"]).unwrap();
    let mut flitch = large(&s3, LARGE);
    s3.kill();
    eventually("flitch sees it", DEADLINE, || flitch.log().contains("cannot be reached"));
    s3.restart().unwrap();
    eventually("the object", DEADLINE, || !s3.objects("logs").is_empty());
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    assert_eq!(count(&s3, LARGE), LARGE);
    assert_eq!((s3.objects("logs").len(), s3.unfinished("logs")), (2, 0));
}

/// The notes of writes in parts that have begun.
fn notes(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let inside = |path: PathBuf| match path.is_dir() {
        true => notes(&path),
        false if folder.ends_with("uploads") && path.extension().is_none_or(|e| e != "new") => vec![path],
        false => Vec::new(),
    };
    entries.flat_map(|entry| inside(entry.path())).collect()
}

#[test]
fn a_write_in_parts_that_a_kill_has_cut_is_ended_by_the_next_start() {
    end_what_a_kill_has_cut(|_| {});
}

#[test]
fn so_is_one_that_was_cut_before_anybody_knew_that_it_had_begun() {
    end_what_a_kill_has_cut(|note| {
        let whole: serde_json::Value = serde_json::from_slice(&std::fs::read(note).unwrap()).unwrap();
        std::fs::write(note, serde_json::json!({ "object": whole["object"] }).to_string()).unwrap();
    });
}

#[track_caller]
fn end_what_a_kill_has_cut(change: impl Fn(&Path)) {
    let s3 = S3::start(&["logs"]).unwrap();
    let mut flitch = large(&s3, LARGE);
    flitch.kill();
    let left = notes(flitch.dir());
    assert!(!left.is_empty());
    left.iter().for_each(|note| change(note));
    flitch.run();
    eventually("all is taken", DEADLINE, || {
        let sums = flitch.metrics().sums();
        sums.received as usize == LARGE || sums.delivered > 0
    });
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    assert_eq!(count(&s3, LARGE), LARGE);
    assert_eq!((s3.objects("logs").len(), s3.unfinished("logs")), (2, 0), "{}", flitch.log());
}

#[test]
fn a_store_that_refuses_says_why_by_name_and_records_wait_for_it() {
    let s3 = S3::start(&[]).unwrap();
    let probe = |config: &str| {
        let flitch = Flitch::new(FLITCH, config);
        let ended = flitch.cli(&["check", "--probe", "-c", &flitch.config_file().to_string_lossy()], "");
        format!("{}{}", ended.stdout, ended.stderr)
    };
    let config = pipeline(&file_source("app.log"), &[], &output(&s3, "key: \"a/\", max_idle: 200ms"));
    let said = probe(&config);
    assert!(said.contains("NOT READY") && said.contains("NoSuchBucket"), "{said}");
    let said = probe(&config.replace(KEY, "another-key"));
    assert!(said.contains("SignatureDoesNotMatch") && !said.contains("another-key"), "{said}");
    let mut flitch = Flitch::new(
        FLITCH,
        &config.replace("key: \"a/\"", "key: \"a/\", retry: { initial: 50ms, max: 200ms }"),
    );
    append(&flitch.at("app.log"), 0..1_000);
    flitch.run();
    log_says(&flitch, "NoSuchBucket");
    assert!(!flitch.log().contains(KEY), "{}", flitch.log());
    let sums = flitch.metrics().sums();
    assert_eq!((sums.in_flight, sums.dead_lettered), (1_000, 0), "{sums}");
    std::fs::create_dir_all(s3.bucket("logs")).unwrap();
    let sums = flitch.settled_after(1_000, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (1_000, 0), "{sums}");
    assert_eq!(count(&s3, 1_000), 1_000);
    assert!(probe(&config).contains("ready"));
    assert_eq!(s3.unfinished("logs"), 0, "a probe leaves nothing");
}

#[test]
fn a_store_that_is_busy_or_finds_credentials_at_their_end_is_asked_again_until_it_takes_the_object() {
    let faults = [(503, "SlowDown"), (400, "ExpiredToken"), (403, "AccessDenied"), (0, "")];
    let (stored, count) = (Arc::new(Mutex::new(Vec::new())), AtomicUsize::new(0));
    let kept = stored.clone();
    let server = Server::start(&[Ipv4Addr::LOCALHOST], move |request| {
        match faults.get(count.fetch_add(1, Ordering::Relaxed)) {
            Some((status, code)) => {
                let body =
                    format!("<Error><Code>{code}</Code><Message>told so</Message></Error>").into_bytes();
                Reply { status: *status, body, ..Reply::default() }
            }
            None => {
                assert_eq!((&*request.method, request.header("if-none-match")), ("PUT", Some("*")));
                kept.lock().push(request.body.clone());
                Reply { status: 200, headers: vec![("etag", "\"e\"".to_owned())], ..Reply::default() }
            }
        }
    })
    .unwrap();
    let output = format!(
        "out: {{ type: s3, bucket: logs, endpoint: \"http://127.0.0.1:{}\", access_key_id: {KEY_ID}, \
         secret_access_key: {KEY}, key: \"a/\", compression: none, max_idle: 200ms, retry: {{ initial: 20ms, max: 50ms }} }}",
        server.port()
    );
    let mut flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output));
    append(&flitch.at("app.log"), 0..1_000);
    flitch.run();
    let sums = flitch.settled_after(1_000, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (1_000, 0), "{sums}");
    let stored = stored.lock();
    assert_eq!(stored.len(), 1);
    assert_eq!(String::from_utf8_lossy(&stored[0]).lines().count(), 1_000);
}

#[test]
fn a_key_that_may_not_write_and_one_that_nobody_knows_are_told_apart() {
    let moto = Moto::start("logs").unwrap();
    let (id, secret) = &moto.key;
    let probe = |id: &str| {
        let output = format!(
            "out: {{ type: s3, bucket: logs, endpoint: \"{}\", access_key_id: {id}, secret_access_key: \"{secret}\" }}",
            moto.endpoint()
        );
        let flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output));
        let ended = flitch.cli(&["check", "--probe", "-c", &flitch.config_file().to_string_lossy()], "");
        format!("{}{}", ended.stdout, ended.stderr)
    };
    let said = probe(id);
    assert!(said.contains("NOT READY") && said.contains("AccessDenied") && !said.contains(secret), "{said}");
    let said = probe("AKIANOBODYKNOWSIT");
    assert!(said.contains("InvalidAccessKeyId"), "{said}");
}

#[test]
fn of_ten_thousand_keys_each_has_its_object_and_few_are_open_at_once() {
    const KEYS: usize = 10_000;
    let s3 = S3::start(&["logs"]).unwrap();
    let source = "{ type: file, include: [\"{dir}/app.log\"], read_from: beginning, codec: json }";
    let more = "key: \"k={k}/\", compression: none, max_open: 200, encoding: { format: text, field: m }";
    let mut flitch = Flitch::new(FLITCH, &pipeline(source, &[], &output(&s3, more)));
    let text: String =
        (0..3 * KEYS).map(|n| format!("{{\"k\":\"{:05}\",\"m\":\"n={n:07}\"}}\n", n / 3)).collect();
    std::fs::write(flitch.at("app.log"), text).unwrap();
    flitch.run();
    let open = |flitch: &Flitch| {
        std::fs::read_dir(format!("/proc/{}/fd", flitch.pid())).map_or(0, |all| all.count())
    };
    let mut most = 0;
    eventually("most objects are written", 4 * DEADLINE, || {
        most = most.max(open(&flitch));
        flitch.metrics().sums().delivered as usize >= 3 * (KEYS - 200)
    });
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    assert!(most < 200, "{most} descriptors");
    assert_eq!(count(&s3, 3 * KEYS), 3 * KEYS);
    assert_eq!(s3.objects("logs").len(), KEYS);
}

#[test]
fn requests_go_through_the_proxy_that_the_environment_names() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let server = Server::start(&[Ipv4Addr::LOCALHOST], move |request| {
        seen.lock().push(format!("{} {}", request.method, request.path));
        Reply { status: 200, headers: vec![("etag", "\"e\"".to_owned())], ..Reply::default() }
    })
    .unwrap();
    let output = format!(
        "out: {{ type: s3, bucket: logs, endpoint: \"http://store.invalid\", access_key_id: {KEY_ID}, \
         secret_access_key: {KEY}, key: \"a/\", max_idle: 200ms }}"
    );
    let flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output));
    let mut flitch = flitch.env("http_proxy", &format!("http://127.0.0.1:{}", server.port()));
    append(&flitch.at("app.log"), 0..10);
    flitch.run();
    assert_eq!(flitch.settled_after(10, DEADLINE).delivered, 10);
    let asked = asked.lock();
    assert!(asked.iter().all(|asked| asked.starts_with("PUT http://store.invalid/logs/a/")), "{asked:?}");
}

#[test]
fn keys_come_from_the_profile_that_the_environment_names_and_from_the_program_that_it_names() {
    let s3 = S3::start(&["logs"]).unwrap();
    let output = format!(
        "out: {{ type: s3, bucket: logs, endpoint: \"{}\", key: \"a/\", max_idle: 200ms }}",
        s3.endpoint()
    );
    let flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output));
    let config = flitch.at("aws-config");
    let mut flitch = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SHARED_CREDENTIALS_FILE"]
        .iter()
        .fold(flitch, |flitch, name| flitch.env(name, ""))
        .env("AWS_CONFIG_FILE", &config.to_string_lossy())
        .env("AWS_PROFILE", "edge");
    let check = |flitch: &Flitch| {
        let file = flitch.config_file();
        let ended = flitch.cli(&["check", "--probe", "-c", &file.to_string_lossy()], "");
        format!("{}{}", ended.stdout, ended.stderr)
    };
    let said = check(&flitch);
    assert!(said.contains("no profile `edge`"), "{said}");
    let json = format!(r#"{{"Version":1,"AccessKeyId":"{KEY_ID}","SecretAccessKey":"{KEY}"}}"#);
    std::fs::write(flitch.at("tool"), format!("echo '{json}'\n")).unwrap();
    let text = format!("[profile edge]\ncredential_process = sh {}\n", flitch.at("tool").display());
    std::fs::write(&config, text).unwrap();
    append(&flitch.at("app.log"), 0..100);
    flitch.run();
    assert_eq!(flitch.settled_after(100, DEADLINE).delivered, 100);
    // Whoever changes the file is heard at once.
    let text = format!("[profile edge]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {KEY}\n");
    std::fs::write(&config, text).unwrap();
    std::fs::remove_file(flitch.at("tool")).unwrap();
    append(&flitch.at("app.log"), 100..200);
    assert_eq!(flitch.settled_after(200, DEADLINE).delivered, 200);
    assert_eq!(count(&s3, 200), 200);
    assert!(!flitch.log().contains(KEY) && !check(&flitch).contains(KEY), "{}", flitch.log());
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn what_is_stored_outlasts_a_kill_and_a_store_that_is_away_and_comes_from_no_source_again() {
    let mut s3 = S3::start(&["logs"]).unwrap();
    let config =
        pipeline(&file_source("app.log"), &[], &output(&s3, "key: \"a/\", ack: stored, retry: { max: 1s }"));
    let config = format!("drain_timeout: 1s\n{config}");
    s3.kill();
    let mut flitch = Flitch::new(FLITCH, &config);
    append(&flitch.at("app.log"), 0..30_000);
    flitch.run();
    eventually("all is stored", DEADLINE, || {
        let sums = flitch.metrics().sums();
        (sums.stored, sums.in_flight) == (30_000, 0)
    });
    let size = std::fs::metadata(flitch.at("app.log")).unwrap().len();
    eventually("the source has moved on", DEADLINE, || saved_position(&flitch) == size);
    flitch.kill();
    // Nothing is left but what was stored.
    std::fs::remove_file(flitch.at("app.log")).unwrap();
    // One that is stopped while the store is away leaves it, too.
    flitch.run();
    flitch.terminate(DEADLINE);
    assert!(staged(&flitch) > 0, "{}", flitch.log());
    flitch.configure(&config.replace("out: {", "other: {").replace("output: out", "output: other"));
    let checked = flitch.cli(&["check", "-c", &flitch.config_file().to_string_lossy()], "");
    assert!(checked.stdout.contains("objects are stored in"), "{}{}", checked.stdout, checked.stderr);
    flitch.configure(&config);
    s3.restart().unwrap();
    flitch.run();
    flitch.sums_when("all is delivered", DEADLINE, |sums| sums.delivered == 30_000);
    let sums = flitch.metrics().sums();
    assert!(sums.hold() && sums.restored == 30_000, "{sums}");
    assert_eq!(count(&s3, 30_000), 30_000);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    assert_eq!(staged(&flitch), 0);
}
