//! Azure Data Explorer: a fake of the service that Microsoft's own client has judged, over the real blobs and queues of an
//! Azurite.

use std::collections::BTreeSet;
use std::process::Command;

use flitch_tests::flitch::Flitch;
use flitch_tests::process::run;
use flitch_tests::servers::azurite::Azurite;
use flitch_tests::servers::kusto::{BEARER, FEDERATED, Kusto, SECRET};
use flitch_tests::wait::eventually;
use flitch_tests::{cache, repository};
use serde_json::{Value, json};

use crate::support::*;

/// The output `out`, which writes to the cluster.
fn output(kusto: &Kusto, more: &str) -> String {
    format!("out: {{ type: adx, {}, {more} }}", kusto.settings())
}

/// The numbers in a table, each once.
#[track_caller]
fn numbers(kusto: &Kusto, database: &str, table: &str) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    for line in kusto.lines(database, table) {
        let record: Value = serde_json::from_str(&line).unwrap();
        let message = record["message"].as_str().unwrap();
        let number = number_in(message).unwrap();
        assert!(seen.insert(number), "{number} twice");
    }
    seen
}

#[test]
fn every_record_is_in_the_table_once_by_each_way_and_settled_when_the_service_says_so() {
    let azurite = Azurite::with_queues().unwrap();
    let kusto = Kusto::with_azurite(&azurite).unwrap();
    for (table, rest, mode) in
        [("by_rest", true, "queued"), ("by_queue", false, "queued"), ("by_stream", true, "streaming")]
    {
        kusto.state().rest = rest;
        let more = format!(
            "database: logs, table: {table}, mapping: m, mode: {mode}, max_age: 1s, max_bytes: 500kB"
        );
        let mut flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output(&kusto, &more)));
        append(&flitch.at("app.log"), 0..20_000);
        flitch.run();
        flitch.settled_after(20_000, DEADLINE);
        assert_eq!(numbers(&kusto, "logs", table), (0..20_000).collect(), "{table}");
        assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
        assert!(!flitch.log().contains(SECRET) && !flitch.log().contains("sig="), "{}", flitch.log());
    }
}

#[test]
fn records_go_to_the_tables_of_their_tags_and_the_others_to_the_dead_letters() {
    let kusto = Kusto::start().unwrap();
    kusto.state().makes_tables = false;
    kusto.create("logs", "a", &["m"], false);
    let tables = "tables: [{ topic: a, db: logs, table: a, format: json, mapping: m }, { topic: b, db: logs, table: b }]";
    let source = |tag: &str| {
        file_source(&format!("{tag}.log")).replace("{ type: file,", &format!("{{ type: file, tag: {tag},"))
    };
    let config = format!(
        "sources:\n  a: {}\n  b: {}\n  c: {}\noutputs:\n  {}\npipelines:\n  main: {{ from: [a, b, c], to: [{{ output: out }}] }}\n",
        source("a"),
        source("b"),
        source("c"),
        output(&kusto, &format!("{tables}, max_age: 200ms"))
    );
    let mut flitch = Flitch::new(FLITCH, &config);
    for tag in ["a", "b", "c"] {
        append(&flitch.at(&format!("{tag}.log")), 0..100);
    }
    flitch.run();
    flitch.settled_after(300, DEADLINE);
    assert_eq!(numbers(&kusto, "logs", "a"), (0..100).collect());
    let files = std::fs::read_dir(flitch.at("data/dead-letters")).unwrap().map(|entry| entry.unwrap().path());
    let letters: Vec<String> = files.filter_map(|file| std::fs::read_to_string(file).ok()).collect();
    let letters: Vec<Value> = letters
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let of = |text: &str| {
        let reason = |letter: &&Value| letter["reason"].as_str().is_some_and(|reason| reason.contains(text));
        letters.iter().filter(reason).count()
    };
    assert_eq!((of("BadRequest_TableNotExist"), of("no entry of `tables` is for its tag")), (100, 100));
}

#[test]
fn microsofts_own_client_ingests_into_the_fake_and_flitch_asks_as_it_does() {
    let azurite = Azurite::with_queues().unwrap();
    let kusto = Kusto::with_azurite(&azurite).unwrap();
    // It does not know the interface that flitch takes first.
    kusto.state().rest = false;
    let python = |way: &str| {
        let mut command = Command::new("python3");
        command.arg(repository().join("tests/e2e/adx_sdk.py")).args([&kusto.uri(), BEARER, way]);
        let paths =
            std::env::join_paths([cache().join("kusto-py"), cache().join("parquet-readers")]).unwrap();
        run(command.env("PYTHONPATH", paths))
    };
    let printed = python("queued").unwrap();
    assert!(printed.contains("QUEUED"), "{printed}");
    kusto.state().drain();
    assert_eq!(kusto.lines("logsdb", "applogs").len(), 2);
    let printed = python("streaming").unwrap();
    assert!(printed.contains("SUCCESS"), "{printed}");
    assert_eq!(kusto.lines("logsdb", "applogs").len(), 4);
    let theirs = std::mem::take(&mut kusto.state().requests);
    let their_message = kusto.state().messages.pop().unwrap();

    for mode in ["queued", "streaming"] {
        let more = format!(
            "database: logsdb, table: applogs, mapping: applogs_map, mode: {mode}, max_age: 200ms, \
                            streaming_max_age: 200ms, tags: [edge]"
        );
        let mut flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output(&kusto, &more)));
        append(&flitch.at("app.log"), 0..2);
        flitch.run();
        flitch.settled_after(2, DEADLINE);
        assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    }
    let ours = std::mem::take(&mut kusto.state().requests);
    let our_message = kusto.state().messages.pop().unwrap();
    // The recorded requests of the same client, and those that it has sent now.
    let recorded = std::fs::read_to_string(repository().join("tests/data/kusto-sdk/http.jsonl")).unwrap();
    let recorded: Vec<Value> = recorded.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for request in &recorded {
        let target = request["path"].as_str().unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let body: Option<Value> = serde_json::from_str(request["body"].as_str().unwrap()).ok();
        for asked in [&theirs, &ours] {
            let found = asked.iter().find(|found| {
                let is_same = body.is_none() || serde_json::from_slice(&found.body).ok() == body;
                found.method == request["method"].as_str().unwrap() && found.path == path && is_same
            });
            let found = found.unwrap_or_else(|| panic!("nobody asks {target} for {body:?}"));
            assert_eq!(found.query, query);
            for name in ["accept", "content-type", "content-encoding", "x-ms-version"] {
                let value = request["headers"]
                    .as_object()
                    .unwrap()
                    .iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(name));
                assert_eq!(
                    found.header(name),
                    value.and_then(|(_, value)| value.as_str()),
                    "{target}: {name}"
                );
            }
            assert!(found.header("authorization").is_some_and(|value| value.starts_with("Bearer ")));
        }
    }
    let recorded: Value = serde_json::from_slice(
        &std::fs::read(repository().join("tests/data/kusto-sdk/queue-message.json")).unwrap(),
    )
    .unwrap();
    for message in [&their_message, &our_message] {
        for (name, value) in recorded.as_object().unwrap() {
            let found = &message[name];
            match name.as_str() {
                "BlobPath"
                | "Id"
                | "SourceMessageCreationTime"
                | "ApplicationForTracing"
                | "ClientVersionForTracing" => {
                    assert!(found.is_string(), "{name}: {found}");
                }
                // flitch deletes what has been ingested, and asks to be told in a table.
                "RetainBlobOnSuccess" | "ReportMethod" => assert!(!found.is_null()),
                _ => assert_eq!(found, value, "{name}"),
            }
        }
    }
    assert_eq!(our_message["IngestionStatusInTable"]["RowKey"], our_message["Id"]);
    assert_eq!(our_message["RetainBlobOnSuccess"], json!(false));
}

#[test]
fn parquet_files_are_read_back_by_pyarrow_and_by_duckdb_record_by_record() {
    use crate::parquet::{found, record, same};
    let azurite = Azurite::with_queues().unwrap();
    let kusto = Kusto::with_azurite(&azurite).unwrap();
    for (table, rest) in [("by_rest", true), ("by_queue", false)] {
        kusto.state().rest = rest;
        let more = format!("database: logs, table: {table}, max_age: 1s, encoding: {{ format: parquet }}");
        let source = file_source("app.log").replace("{ type: file,", "{ type: file, codec: json,");
        let mut flitch = Flitch::new(FLITCH, &pipeline(&source, &[], &output(&kusto, &more)));
        let lines: String = (0..4000).map(|n| format!("{}\n", record(n))).collect();
        std::fs::write(flitch.at("app.log"), lines).unwrap();
        flitch.run();
        flitch.settled_after(4000, DEADLINE);
        assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
        let folder = tempfile::tempdir().unwrap();
        let state = kusto.state();
        let files = &state.tables[&("logs".to_owned(), table.to_owned())].ingested;
        for (number, file) in files.iter().enumerate() {
            std::fs::write(folder.path().join(format!("{number}.parquet")), file).unwrap();
        }
        for reader in ["pyarrow", "duckdb"] {
            same(&found(reader, folder.path(), 4000), reader);
            assert_eq!(flitch_tests::parquet::rows(reader, folder.path()).unwrap().len(), 4000, "each once");
        }
    }
}

#[test]
fn whoever_flitch_is_it_has_a_token_that_the_cluster_takes() {
    let kusto = Kusto::start().unwrap();
    let uri = kusto.uri();
    let pem = repository().join("host/core/src/net/entra/testdata/client.pem");
    // {"alg":"none"} and {"exp":4000000000}: `az` prints no other end of a token.
    let of_cli = "eyJhbGciOiJub25lIn0.eyJleHAiOjQwMDAwMDAwMDB9.x";
    kusto.state().another_token = Some(of_cli.to_owned());
    for (way, auth) in [
        (
            "secret",
            format!(
                "{{ type: client_secret, tenant_id: t, client_id: c, client_secret: {SECRET}, authority: \"{uri}\" }}"
            ),
        ),
        (
            "certificate",
            format!(
                "{{ type: client_certificate, tenant_id: t, client_id: c, certificate: \"{}\", authority: \"{uri}\" }}",
                pem.display()
            ),
        ),
        ("machine", format!("{{ type: managed_identity, endpoint: \"{uri}\" }}")),
        ("pod", "{ type: workload_identity }".to_owned()),
        ("cli", "{ type: azure_cli }".to_owned()),
    ] {
        let output = format!(
            "out: {{ type: adx, cluster: \"{uri}\", auth: {auth}, database: logs, table: {way}, max_age: 200ms }}"
        );
        let flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output));
        // What `az` prints, and what Kubernetes puts into a pod.
        let bin = flitch.at("bin");
        std::fs::create_dir(&bin).unwrap();
        let az = format!(
            "#!/bin/sh\n[ \"$6\" = https://kusto.kusto.windows.net ] || exit 1\necho '{{\"accessToken\": \"{of_cli}\"}}'\n"
        );
        std::fs::write(bin.join("az"), az).unwrap();
        run(Command::new("chmod").arg("+x").arg(bin.join("az"))).unwrap();
        std::fs::write(flitch.at("federated"), FEDERATED).unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let federated = flitch.at("federated").display().to_string();
        let pod = [
            ("PATH", path.as_str()),
            ("AZURE_TENANT_ID", "t"),
            ("AZURE_CLIENT_ID", "c"),
            ("AZURE_FEDERATED_TOKEN_FILE", &federated),
            ("AZURE_AUTHORITY_HOST", &uri),
        ];
        let mut flitch = pod.iter().fold(flitch, |flitch, (name, value)| flitch.env(name, value));
        append(&flitch.at("app.log"), 0..10);
        flitch.run();
        flitch.settled_after(10, DEADLINE);
        assert_eq!(numbers(&kusto, "logs", way), (0..10).collect(), "{way}");
        assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
        let log = flitch.log();
        assert!(!log.contains(SECRET) && !log.contains(of_cli) && !log.contains(FEDERATED), "{log}");
    }
}

#[test]
fn a_probe_tells_what_is_missing_and_a_mapping_is_written_for_a_sample() {
    let kusto = Kusto::start().unwrap();
    kusto.state().makes_tables = false;
    kusto.create("logs", "t", &["m"], false);
    let probe = |more: &str| {
        let flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output(&kusto, more)));
        let ended = flitch.cli(&["check", "--probe", "-c", &flitch.config_file().to_string_lossy()], "");
        format!("{}{}", ended.stdout, ended.stderr)
    };
    let good = "database: logs, table: t, mapping: m";
    assert!(probe(good).contains(" ready"), "{}", probe(good));
    for (more, said) in [
        (good.replace("table: t", "table: other"), "no table `other`"),
        (good.replace("mapping: m", "mapping: other"), "no ingestion mapping `other`"),
        (format!("{good}, mode: auto"), "streaming ingestion policy of table `t`"),
    ] {
        assert!(probe(&more).contains(said), "{}", probe(&more));
    }
    let flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output(&kusto, good)));
    let sample = "{\"host\":\"a\",\"status\":200}\n{\"host\":\"b\",\"status\":200.5}\n";
    let ended = flitch.cli(&["adx", "mapping", "--table", "t", "--name", "m"], sample);
    assert!(ended.stdout.contains(".create table ['t'] ingestion json mapping 'm' '[{"), "{}", ended.stdout);
    assert!(ended.stdout.contains("['status']: real"), "{}", ended.stdout);
    let ended = flitch.cli(&["adx", "mapping", "--table", "t", "--format", "parquet"], "{\"a\":{\"b\":1}}\n");
    assert!(ended.stdout.contains("ingestion parquet mapping 't_mapping'"), "{}", ended.stdout);
    let wrong = flitch.cli(&["adx", "mapping", "--table", "t"], "{\"a\":1}\nnonsense\n");
    assert!(wrong.stderr.contains("line 2"), "{}", wrong.stderr);
}

#[test]
fn nothing_is_lost_when_flitch_is_killed_while_it_waits_for_the_service() {
    let kusto = Kusto::start().unwrap();
    kusto.state().silent = true;
    let more = "database: logs, table: t, max_age: 200ms";
    let mut flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output(&kusto, more)));
    append(&flitch.at("app.log"), 0..1000);
    flitch.run();
    eventually("the blob is there", DEADLINE, || !kusto.lines("logs", "t").is_empty());
    flitch.kill();
    kusto.state().silent = false;
    kusto.state().tables.clear();
    flitch.run();
    flitch.settled_after(1000, DEADLINE);
    assert_eq!(numbers(&kusto, "logs", "t"), (0..1000).collect());
}
