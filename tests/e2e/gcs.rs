//! Objects in Google Cloud Storage, read back record by record.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use flitch_tests::flitch::Flitch;
use flitch_tests::http_server::{Reply, Server};
use flitch_tests::servers::gcs::Gcs;
use serde_json::{Value, json};

use crate::support::*;

/// The output `out`, which writes to the bucket `logs`.
fn output(gcs: &Gcs, more: &str) -> String {
    format!("out: {{ type: gcs, bucket: logs, endpoint: \"{}\", {more} }}", gcs.endpoint())
}

/// The numbers in the bucket, each once.
#[track_caller]
fn numbers(gcs: &Gcs) -> BTreeSet<usize> {
    numbers_once(gcs.objects("logs").unwrap())
}

const ACCOUNT: &str = "edge@project.iam.gserviceaccount.com";

/// Whether a token is one that the account's key has signed, for stores and for now.
fn is_of_account(token: &str) -> bool {
    let parts: Vec<&str> = token.split('.').collect();
    let json = |part: &str| -> Option<Value> {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
    };
    let [head, claims, signature] = &parts[..] else { return false };
    let (Some(head), Some(claims)) = (json(head), json(claims)) else { return false };
    let scope = claims["scope"].as_str().unwrap_or_default();
    head["alg"] == "RS256"
        && head["kid"] == "key-1"
        && claims["iss"] == ACCOUNT
        && scope.starts_with("https://www.googleapis.com/auth/")
        && BASE64_URL_SAFE_NO_PAD.decode(signature).is_ok_and(|signature| signature.len() == 256)
}

/// Writes a key of the account to `{dir}/key.json`.
fn write_key(flitch: &Flitch) {
    let pem = flitch_tests::repository().join("host/core/src/net/entra/testdata/client.pem");
    let pem = std::fs::read_to_string(pem).unwrap();
    let end = "-----END PRIVATE KEY-----\n";
    let key = &pem[..pem.find(end).unwrap() + end.len()];
    let json = json!({
        "type": "service_account", "project_id": "project", "private_key_id": "key-1", "private_key": key,
        "client_email": ACCOUNT, "client_id": "1", "token_uri": "https://oauth2.googleapis.com/token",
    });
    std::fs::write(flitch.at("key.json"), json.to_string()).unwrap();
}

#[test]
fn every_record_is_in_an_object_once_and_a_replay_writes_over_none() {
    let gcs = Gcs::start("logs", is_of_account).unwrap();
    let more = "key: \"a/\", max_bytes: 1MB, encoding: { format: text, field: message }, \
                credentials_path: \"{dir}/key.json\"";
    let mut objects = Vec::new();
    let mut flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output(&gcs, more)));
    write_key(&flitch);
    append(&flitch.at("app.log"), 0..50_000);
    for _ in 0..2 {
        flitch.run();
        flitch.sums_when("all is taken", DEADLINE, |sums| sums.received == 50_000);
        assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
        assert_eq!(numbers(&gcs), (0..50_000).collect());
        assert!(!flitch.log().contains("PRIVATE KEY"), "{}", flitch.log());
        objects.push(gcs.objects("logs").unwrap().into_keys().collect::<Vec<_>>());
        // It knows nothing of what it has read.
        std::fs::remove_dir_all(flitch.at("data")).unwrap();
    }
    assert!(objects[0].len() > 2, "{objects:?}");
    assert_eq!(objects[0], objects[1]);
    assert_eq!(
        gcs.refused(),
        objects[0].len(),
        "each was asked for only where there is none (ifGenerationMatch=0)"
    );
}

#[test]
fn an_object_of_many_parts_is_whole() {
    let gcs = Gcs::start("logs", is_of_account).unwrap();
    let more = "key: \"a/\", compression: none, credentials_path: \"{dir}/key.json\"";
    let mut flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output(&gcs, more)));
    write_key(&flitch);
    append(&flitch.at("app.log"), 0..150_000);
    flitch.run();
    flitch.sums_when("all is taken", DEADLINE, |sums| sums.received == 150_000);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    assert_eq!(numbers(&gcs), (0..150_000).collect());
    assert_eq!((gcs.begun(), gcs.unfinished()), (1, 0));
}

#[test]
fn a_machine_is_told_who_it_is_by_its_metadata_service_again_before_a_token_ends() {
    let count = Arc::new(AtomicUsize::new(0));
    let (asked, known) = (count.clone(), count.clone());
    let metadata = Server::start(&[Ipv4Addr::LOCALHOST], move |request| {
        let path = "/computeMetadata/v1/instance/service-accounts/default/token";
        if request.path != path || request.header("metadata-flavor") != Some("Google") {
            return Reply { status: 404, ..Reply::default() };
        }
        let number = asked.fetch_add(1, Ordering::AcqRel) + 1;
        let token = json!({ "access_token": format!("m-{number}"), "expires_in": 1, "token_type": "Bearer" });
        Reply { status: 200, body: token.to_string().into_bytes(), ..Reply::default() }
    })
    .unwrap();
    let gcs =
        Gcs::start("logs", move |token| token == format!("m-{}", known.load(Ordering::Acquire))).unwrap();
    let config = pipeline(&file_source("app.log"), &[], &output(&gcs, "key: \"a/\", max_idle: 200ms"));
    let flitch = Flitch::new(FLITCH, &config);
    let home = flitch.dir().to_string_lossy().into_owned();
    let flitch = flitch.env("HOME", &home).env("GOOGLE_APPLICATION_CREDENTIALS", "");
    let mut flitch = flitch.env("GCE_METADATA_HOST", &format!("127.0.0.1:{}", metadata.port()));
    flitch.run();
    for round in 0..2_usize {
        append(&flitch.at("app.log"), round * 100..(round + 1) * 100);
        let written = (round as u64 + 1) * 100;
        flitch.sums_when("it is written", DEADLINE, |sums| sums.delivered == written);
    }
    assert_eq!(numbers(&gcs), (0..200).collect());
    assert!(count.load(Ordering::Acquire) >= 2);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn what_the_service_refuses_is_told_by_name() {
    let gcs = Gcs::start("logs", |_| false).unwrap();
    let more = "key: \"a/\", credentials_path: \"{dir}/key.json\"";
    let flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output(&gcs, more)));
    write_key(&flitch);
    let ended = flitch.cli(&["check", "--probe", "-c", &flitch.config_file().to_string_lossy()], "");
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(said.contains("NOT READY") && said.contains("AuthenticationRequired"), "{said}");
}
