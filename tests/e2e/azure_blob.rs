//! Blobs in Azurite, read back record by record.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flitch_tests::flitch::Flitch;
use flitch_tests::http_server::{Reply, Server};
use flitch_tests::servers::azurite::{ACCOUNT, Azurite, KEY};

use crate::support::*;

/// The output `out`, which writes to the container `logs`.
fn output(azurite: &Azurite, more: &str) -> String {
    format!(
        "out: {{ type: azure_blob, container: logs, endpoint: \"{}\", account: {ACCOUNT}, {more} }}",
        azurite.endpoint()
    )
}

/// The numbers in the container, each once.
#[track_caller]
fn numbers(azurite: &Azurite) -> BTreeSet<usize> {
    numbers_once(azurite.blobs("logs").unwrap())
}

#[test]
fn every_record_is_in_a_blob_once_whatever_the_credentials_and_a_replay_adds_none() {
    let azurite = Azurite::start("logs").unwrap();
    let string = format!("AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={}", azurite.endpoint());
    let text = "key: \"a/\", encoding: { format: text, field: message }";
    let sas = azurite.sas("logs", "2099-01-01T00:00:00Z").unwrap();
    let with_sas =
        format!("AccountName={ACCOUNT};SharedAccessSignature={sas};BlobEndpoint={}", azurite.endpoint());
    let mut flitch = Flitch::new(FLITCH, "");
    append(&flitch.at("app.log"), 0..20_000);
    for credentials in [
        format!("account_key: \"{KEY}\""),
        format!("connection_string: \"{string}\""),
        format!("sas_token: \"{sas}\""),
        format!("connection_string: \"{with_sas}\""),
    ] {
        let config =
            pipeline(&file_source("app.log"), &[], &output(&azurite, &format!("{text}, {credentials}")));
        flitch.configure(&config);
        flitch.run();
        flitch.sums_when("all is taken", DEADLINE, |sums| sums.received == 20_000);
        assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
        assert_eq!(numbers(&azurite), (0..20_000).collect());
        let log = flitch.log();
        assert!(!log.contains(KEY) && !log.contains(&sas), "{log}");
        // It knows nothing of what it has read.
        std::fs::remove_dir_all(flitch.at("data")).unwrap();
    }
}

#[test]
fn a_blob_of_many_blocks_is_whole() {
    let azurite = Azurite::start("logs").unwrap();
    let more = format!(
        "key: \"a/\", compression: none, account_key: \"{KEY}\", encoding: {{ format: text, field: message }}"
    );
    let mut flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output(&azurite, &more)));
    append(&flitch.at("app.log"), 0..300_000);
    flitch.run();
    flitch.sums_when("all is taken", DEADLINE, |sums| sums.received == 300_000);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    assert_eq!(numbers(&azurite).len(), 300_000);
    assert_eq!(azurite.blobs("logs").unwrap().len(), 1);
}

#[test]
fn a_blob_of_many_blocks_whose_commit_was_not_answered_is_found_to_be_there() {
    // As Azure answers: blocks that are in a blob are no uncommitted ones any more.
    let (blocks, commits) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let committed = commits.clone();
    let server = Server::start(&[Ipv4Addr::LOCALHOST], move |request| {
        let reply = |status| {
            let modified = ("last-modified", "Sat, 28 Nov 2026 11:00:00 GMT".to_owned());
            let headers = vec![("etag", "\"e\"".to_owned()), modified];
            Reply { status, headers, ..Reply::default() }
        };
        match (request.method.as_str(), request.query("comp")) {
            ("HEAD", _) if committed.load(Ordering::Relaxed) == 0 => reply(404),
            ("HEAD", _) => reply(200),
            ("PUT", Some("block")) => {
                blocks.fetch_add(1, Ordering::Relaxed);
                reply(201)
            }
            ("PUT", Some("blocklist")) if blocks.swap(0, Ordering::Relaxed) > 0 => {
                committed.fetch_add(1, Ordering::Relaxed);
                reply(0)
            }
            _ => {
                let body = "<Error><Code>InvalidBlockList</Code><Message>The specified block list is invalid.</Message></Error>";
                Reply { body: body.into(), ..reply(400) }
            }
        }
    })
    .unwrap();
    let output = format!(
        "out: {{ type: azure_blob, container: logs, endpoint: \"http://127.0.0.1:{}/{ACCOUNT}\", account: {ACCOUNT}, \
         account_key: \"{KEY}\", key: \"a/\", compression: none, max_idle: 200ms, retry: {{ initial: 20ms }} }}",
        server.port()
    );
    let mut flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output));
    append(&flitch.at("app.log"), 0..100_000);
    flitch.run();
    assert_eq!(flitch.settled_after(100_000, DEADLINE).delivered, 100_000);
    assert_eq!(commits.load(Ordering::Relaxed), 1);
    assert!(!flitch.log().contains("an operator must act"), "{}", flitch.log());
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn what_the_service_refuses_is_told_by_name() {
    let azurite = Azurite::start("logs").unwrap();
    let probe = |config: &str| {
        let flitch = Flitch::new(FLITCH, config);
        let ended = flitch.cli(&["check", "--probe", "-c", &flitch.config_file().to_string_lossy()], "");
        format!("{}{}", ended.stdout, ended.stderr)
    };
    let config =
        pipeline(&file_source("app.log"), &[], &output(&azurite, &format!("account_key: \"{KEY}\"")));
    assert!(probe(&config).contains(" ready"), "{}", probe(&config));
    let said = probe(&config.replace("container: logs", "container: elsewhere"));
    assert!(said.contains("ContainerNotFound"), "{said}");
    let over = azurite.sas("logs", "2020-01-01T00:00:00Z").unwrap();
    let said = probe(&config.replace(&format!("account_key: \"{KEY}\""), &format!("sas_token: \"{over}\"")));
    assert!(said.contains("403") && !said.contains(&over), "{said}");
    let said = probe(&config.replace(KEY, "d3Jvbmc="));
    assert!(said.contains("403") && !said.contains("d3Jvbmc"), "{said}");
}
