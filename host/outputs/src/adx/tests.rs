use std::future::Future;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::contract::{Found, Specimen, Subject, context, numbered, placed};
use crate::{OutputContext, OutputKind};
use crate::{RetrySettings, deliver};
use flitch_core::batch::encode::{Format, Framing};
use flitch_core::batch::{Batch, Records, StreamId};
use flitch_core::buffers::Buffer;
use flitch_core::dead_letter::DeadLetters;
use flitch_core::receipt::{self, Accounts, Ledger};
use flitch_core::units::Span;
use flitch_tests::servers::kusto::{Kusto, SECRET};

/// Settings of an output to `kusto` with more keys, as JSON without braces.
fn settings(kusto: &Kusto, more: &str) -> AdxSettings {
    parsed(&kusto.settings(), more)
}

fn parsed(base: &str, more: &str) -> AdxSettings {
    let mut settings: Value = serde_json::from_str(&format!("{{ {base}, {more} }}")).unwrap();
    // As the configuration hands on what has a type.
    let auth = settings["auth"].as_object_mut().unwrap();
    let Some(Value::String(kind)) = auth.remove("type") else { panic!("credentials have a type") };
    settings["auth"] = json!({ kind: auth });
    serde_json::from_value(settings).unwrap()
}

fn opened(kusto: &Kusto, more: &str, home: &TempDir, cx: &OutputContext) -> Arc<AdxOutput> {
    let cx = OutputContext { state_dir: home.path().join("out"), ..cx.clone() };
    Arc::new(settings(kusto, more).output(&cx).unwrap())
}

/// What the ways have in common that the contract's cases are tried with.
const WAYS: [&str; 4] =
    [r#""mode": "queued""#, r#""mode": "queued""#, r#""mode": "streaming""#, r#""mode": "auto""#];

impl Specimen for AdxSettings {
    const VARIANTS: usize = WAYS.len();

    fn takes(format: Format) -> bool {
        !matches!(format, Format::Raw | Format::Parquet)
    }

    async fn subject(variant: usize, cx: &OutputContext) -> Subject {
        let kusto = Kusto::start().unwrap();
        kusto.state().rest = variant != 1;
        kusto.create("db", "t", &["m"], true);
        let home = tempfile::tempdir().unwrap();
        let to = |table: &str| {
            format!(r#""database": "db", "table": "{table}", "mapping": "m", {}"#, WAYS[variant])
        };
        let by_field = opened(&kusto, &to("{k}"), &home, cx);
        let output = opened(&kusto, &to("t"), &home, cx);
        let header = cx.encoder.header().unwrap_or_default();
        let read = move || {
            let _keep = &home;
            Found::Stream([&header[..], &kusto.all()].concat())
        };
        Subject { output, read: Some(Box::new(read)), by_field: Some(by_field), cut: None }
    }
}

/// Records on their way through a delivery loop.
struct Bench {
    kusto: Kusto,
    home: TempDir,
    buffer: Buffer,
    ledger: Arc<Ledger>,
}

impl Bench {
    fn new() -> Bench {
        let kusto = Kusto::start().unwrap();
        kusto.state().makes_tables = false;
        kusto.create("db", "t", &["m"], true);
        let buffer = Buffer::with_room(64 << 20);
        Bench { kusto, home: tempfile::tempdir().unwrap(), buffer, ledger: Arc::default() }
    }

    async fn push(&self, records: Arc<Records>) {
        let receipt = receipt::issue(&self.ledger, records.rows(), 0, |_| {});
        self.buffer.push(Batch { records, receipt, stream: StreamId::UNORDERED }).await.unwrap();
    }

    fn letters(&self) -> PathBuf {
        self.home.path().join("letters")
    }

    /// The loop; it ends when the buffer is closed and all is settled.
    fn start(&self, more: &str, cx: &OutputContext) -> impl Future<Output = ()> + use<> {
        let output = opened(&self.kusto, more, &self.home, cx);
        let letters = DeadLetters::open(&self.letters()).unwrap();
        let policy = RetrySettings { max: Span(Duration::from_millis(300)), ..RetrySettings::default() };
        deliver(
            "out".into(),
            output,
            self.buffer.clone(),
            policy,
            letters,
            flitch_core::telemetry::health::Ailment::unheard(),
            CancellationToken::new(),
        )
    }

    /// Delivers all that was pushed. Answers the accounts.
    async fn finish(&self, more: &str) -> Accounts {
        self.finish_with(more, &context()).await
    }

    async fn finish_with(&self, more: &str, cx: &OutputContext) -> Accounts {
        self.buffer.close();
        let patience = Duration::from_secs(120);
        tokio::time::timeout(patience, self.start(more, cx)).await.expect("it ends");
        let accounts = self.ledger.read();
        assert_eq!(accounts.in_flight(), 0);
        accounts
    }

    /// The numbers of the records in the table, in order.
    fn numbers(&self) -> Vec<i64> {
        let number = |line: &String| serde_json::from_str::<Value>(line).unwrap()["n"].as_i64().unwrap();
        let mut numbers: Vec<i64> = self.kusto.lines("db", "t").iter().map(number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// All dead letters.
    fn dead(&self) -> Vec<Value> {
        let files = std::fs::read_dir(self.letters()).unwrap().map(|entry| entry.unwrap().path());
        let texts = files.filter(|file| file.extension().is_some_and(|end| end == "ndjson"));
        let texts: Vec<String> = texts.map(|file| std::fs::read_to_string(file).unwrap()).collect();
        texts.iter().flat_map(|text| text.lines()).map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

const TO: &str = r#""database": "db", "table": "t", "mapping": "m""#;

fn all(count: i64) -> Vec<i64> {
    (0..count).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_for_good_is_a_dead_letter_with_the_services_code_and_costs_no_other_blob() {
    for rest in [true, false] {
        let bench = Bench::new();
        bench.kusto.state().rest = rest;
        bench.kusto.state().refuses =
            Some((b"<line 7, ".to_vec(), "Stream_ClosingQuoteMissing", "Permanent"));
        for n in 0..20 {
            bench.push(numbered(n, 1)).await;
        }
        // Each record is a blob.
        let accounts = bench.finish(&format!(r#"{TO}, "max_bytes": "1B""#)).await;
        assert_eq!((accounts.delivered, accounts.dead_lettered), (19, 1), "rest: {rest}");
        assert_eq!(bench.numbers(), (0..20).filter(|n| *n != 7).collect::<Vec<_>>());
        let dead = bench.dead();
        assert_eq!(dead.len(), 1);
        assert_eq!(dead[0]["record"]["n"], 7);
        let reason = dead[0]["reason"].as_str().unwrap();
        assert!(reason.contains("Permanent: Stream_ClosingQuoteMissing"), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_or_a_mapping_that_is_missing_makes_dead_letters_by_every_way() {
    let cases = [("t", "nowhere", "MappingReferenceWasNotFound"), ("nowhere", "m", "TableNotExist")];
    for (table, mapping, code) in cases {
        for (mode, rest) in [("queued", true), ("queued", false), ("streaming", true), ("auto", true)] {
            let bench = Bench::new();
            bench.kusto.state().rest = rest;
            bench.push(numbered(0, 1000)).await;
            let more =
                format!(r#""database": "db", "table": "{table}", "mapping": "{mapping}", "mode": "{mode}""#);
            let accounts = bench.finish(&more).await;
            assert_eq!(accounts.dead_lettered, 1000, "{more}");
            let dead = bench.dead();
            let reason = |letter: &Value| letter["reason"].as_str().unwrap().to_owned();
            assert!(dead.iter().all(|letter| reason(letter).contains(code)), "{}", reason(&dead[0]));
            assert_eq!(dead[999]["record"]["n"], 999);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_the_records_as_they_were_whatever_was_written_of_them() {
    use arrow_array::{ArrayRef, BinaryArray, Int64Array};
    use flitch_core::batch::Kind;
    use flitch_core::batch::encode::Encoding;
    let bytes = |from: i64| {
        let column = |name: &str, kind: Kind, array: ArrayRef| (Arc::new(kind.field(name)), array);
        let columns = vec![
            column("n", Kind::Int64, Arc::new(Int64Array::from_iter_values(from..from + 2))),
            column("b", Kind::Bytes, Arc::new(BinaryArray::from_vec(vec![b"\xff", b"a"]))),
        ];
        Arc::new(Records::of(2, columns, vec![]).unwrap())
    };
    let csv = Encoding { format: Format::Csv, columns: vec!["n".to_owned()], ..Encoding::default() };
    for encoding in [Encoding::default(), csv] {
        let bench = Bench::new();
        for records in [numbered(0, 2), bytes(2), numbered(4, 1), bytes(5), numbered(7, 1)] {
            bench.push(records).await;
        }
        let cx = crate::contract::context_with(encoding, Framing::Lines);
        let accounts = bench.finish_with(r#""database": "db", "table": "nowhere""#, &cx).await;
        assert_eq!(accounts.dead_lettered, 8);
        let dead = bench.dead();
        let numbers: Vec<_> = dead.iter().map(|letter| letter["record"]["n"].as_i64().unwrap()).collect();
        assert_eq!(numbers, all(8));
        assert_eq!(dead[2]["record"]["b"], json!({ "$bytes": "/w==" }));
        assert_eq!(dead[4]["record"]["line"], "<line 4, \"quoted\">");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_asks_for_a_pause_has_it_and_loses_nothing() {
    for (mode, rest) in [("queued", true), ("streaming", true)] {
        let bench = Bench::new();
        (bench.kusto.state().throttles, bench.kusto.state().rest) = (2, rest);
        bench.push(numbered(0, 1000)).await;
        let accounts = bench.finish(&format!(r#"{TO}, "mode": "{mode}""#)).await;
        assert_eq!(accounts.delivered, 1000, "{mode}");
        assert_eq!(bench.numbers(), all(1000), "nothing twice");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_streamed_three_times_is_queued() {
    let bench = Bench::new();
    bench.kusto.state().throttles = 3;
    bench.push(numbered(0, 1000)).await;
    let accounts = bench.finish(&format!(r#"{TO}, "mode": "auto""#)).await;
    assert_eq!(accounts.delivered, 1000);
    assert_eq!(bench.numbers(), all(1000));
    assert_eq!(bench.kusto.asked("POST", "/v1/rest/ingest/db/t"), 3);
    assert_eq!(bench.kusto.asked("POST", "/v1/rest/ingestion/queued/db/t"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_too_large_for_a_stream_is_queued_or_refused_and_costs_no_other() {
    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use flitch_core::batch::Kind;
    let large = "x".repeat(5 << 20);
    let records = || {
        let column = |name: &str, kind: Kind, array: ArrayRef| (Arc::new(kind.field(name)), array);
        let columns = vec![
            column("n", Kind::Int64, Arc::new(Int64Array::from_iter_values(0..3))),
            column("text", Kind::Text, Arc::new(StringArray::from(vec!["a", &large, "b"]))),
        ];
        Arc::new(Records::of(3, columns, vec![]).unwrap())
    };
    for (mode, dead) in [("auto", 0), ("streaming", 1)] {
        let bench = Bench::new();
        bench.push(records()).await;
        let accounts = bench.finish(&format!(r#"{TO}, "mode": "{mode}""#)).await;
        assert_eq!((accounts.delivered, accounts.dead_lettered), (3 - dead, dead), "{mode}");
        assert!(bench.numbers().contains(&0) && bench.numbers().contains(&2));
        assert_eq!(bench.kusto.asked("POST", "/v1/rest/ingestion/queued"), 1 - dead as usize);
        assert!(bench.dead().iter().all(|letter| letter["record"]["n"] == 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_and_tokens_that_end_are_asked_for_anew() {
    for rest in [true, false] {
        let bench = Bench::new();
        bench.kusto.state().rest = rest;
        let running =
            flitch_core::tasks::joined(bench.start(&format!(r#"{TO}, "max_age": "100ms""#), &context()));
        bench.push(numbered(0, 10)).await;
        until(|| bench.ledger.read().delivered == 10).await;
        bench.kusto.end_tokens();
        bench.push(numbered(10, 10)).await;
        until(|| bench.ledger.read().delivered == 20).await;
        // A signature is asked for anew no sooner than some seconds after the last one.
        bench.kusto.end_signatures();
        bench.push(numbered(20, 10)).await;
        until(|| bench.ledger.read().delivered == 30).await;
        bench.buffer.close();
        running.await.unwrap();
        assert_eq!(bench.numbers(), all(30));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_that_the_cluster_could_not_read_or_gave_up_or_that_was_cancelled_is_sent_again() {
    for (code, failure) in [
        ("Download_Forbidden", "Permanent"),
        ("BadRequest_InvalidKustoIdentityToken", "Permanent"),
        ("Timeout", "Transient"),
        ("BadRequest_MessageExhausted", "Exhausted"),
        ("General_InternalServerError", "Unknown"),
        ("Canceled", "Unknown"),
    ] {
        for rest in [true, false] {
            let bench = Bench::new();
            bench.kusto.state().rest = rest;
            bench.kusto.state().refuses = Some((b"<line 3, ".to_vec(), code, failure));
            let more = format!(r#"{TO}, "max_age": "50ms""#);
            let running = flitch_core::tasks::joined(bench.start(&more, &context()));
            bench.push(numbered(0, 10)).await;
            until(|| bench.kusto.blobs() >= 2).await;
            bench.kusto.state().refuses = None;
            bench.buffer.close();
            running.await.unwrap();
            assert_eq!((bench.ledger.read().delivered, bench.numbers()), (10, all(10)), "{code}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_of_the_storage_that_is_down_holds_nothing_up() {
    for rest in [true, false] {
        let bench = Bench::new();
        bench.kusto.state().rest = rest;
        bench.kusto.state().down.insert(1);
        for n in 0..20 {
            bench.push(numbered(n, 1)).await;
        }
        let accounts = bench.finish(&format!(r#"{TO}, "max_bytes": "1B""#)).await;
        assert_eq!(accounts.delivered, 20);
        assert_eq!(bench.numbers(), all(20));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_never_comes_is_waited_for_and_the_blob_is_sent_again() {
    for rest in [true, false] {
        let bench = Bench::new();
        (bench.kusto.state().rest, bench.kusto.state().silent) = (rest, true);
        let running = flitch_core::tasks::joined(
            bench.start(&format!(r#"{TO}, "max_age": "50ms", "status_timeout": "1s""#), &context()),
        );
        bench.push(numbered(0, 10)).await;
        until(|| bench.numbers().len() == 20).await;
        assert_eq!(bench.ledger.read().delivered, 0);
        bench.kusto.state().silent = false;
        bench.buffer.close();
        running.await.unwrap();
        assert_eq!(bench.ledger.read().delivered, 10);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_marked_by_its_content_and_its_origin_is_ingested_once_however_often_it_is_sent() {
    for rest in [true, false] {
        let bench = Bench::new();
        bench.kusto.state().rest = rest;
        for _ in 0..2 {
            bench.push(placed(0, 10)).await;
        }
        let more = format!(r#"{TO}, "ingest_by": true, "tags": ["edge"], "max_bytes": "1B""#);
        let accounts = bench.finish(&more).await;
        assert_eq!((accounts.delivered, bench.numbers()), (20, all(10)));
        let state = bench.kusto.state();
        let tags = &state.tables[&("db".to_owned(), "t".to_owned())].tags;
        assert!(
            tags.contains("edge") && tags.iter().filter(|tag| tag.starts_with("ingest-by:")).count() == 10
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_secret_is_in_what_errors_say() {
    let bench = Bench::new();
    let home = &bench.home;
    let wrong = bench.kusto.settings().replace(SECRET, "another-secret");
    let settings = parsed(&wrong, TO);
    let cx = OutputContext { state_dir: home.path().join("out"), ..context() };
    let error = settings.output(&cx).unwrap().probe().await.unwrap_err();
    assert!(matches!(&error, WriteError::Denied { reason } if reason.contains("AADSTS7000215")), "{error}");
    assert!(!error.to_string().contains("another-secret"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_tells_what_is_missing_by_its_name() {
    let bench = Bench::new();
    let probe = async |more: &str| {
        let output = opened(&bench.kusto, more, &bench.home, &context());
        output.probe().await.map_err(|error| error.to_string())
    };
    let streams = r#""mode": "streaming""#;
    assert_eq!(probe(&format!("{TO}, {streams}")).await, Ok(()));
    let said = probe(&TO.replace("\"t\"", "\"nowhere\"")).await.unwrap_err();
    assert!(said.contains("no table `nowhere`"), "{said}");
    let said = probe(&TO.replace("\"m\"", "\"other\"")).await.unwrap_err();
    assert!(said.contains("no ingestion mapping `other`"), "{said}");
    bench.kusto.create("db", "t", &["m"], false);
    let said = probe(&format!("{TO}, {streams}")).await.unwrap_err();
    assert!(said.contains("streaming ingestion policy of table `t`"), "{said}");
    assert_eq!(probe(TO).await, Ok(()));
    bench.kusto.state().forbids = true;
    let said = probe(TO).await.unwrap_err();
    assert!(said.contains("the right to ingest is missing"), "{said}");
}

#[test]
fn settings_that_contradict_each_other_name_their_key() {
    let base = r#""cluster": "https://logs.kusto.windows.net", "auth": { "type": "azure_cli" }"#;
    let check = |more: &str| {
        let settings = parsed(base, more);
        settings.check(&context()).err().map(|error| format!("{error:#}")).unwrap_or_default()
    };
    assert_eq!(check(TO), "");
    let entry = r#"{ "topic": "crimes", "db": "crimes_db", "table": "crimes_curated", "format": "json", "mapping": "m" }"#;
    assert_eq!(check(&format!(r#""tables": [{entry}]"#)), "");
    for (more, key) in [
        (r#""database": "db""#.to_owned(), "`table`"),
        (format!(r#"{TO}, "tables": [{entry}]"#), "`tables`"),
        (format!(r#""tables": [{entry}, {entry}]"#), "`tables[1].tag`"),
        (
            r#""tables": [{ "tag": "*", "db": "a", "table": "b", "format": "avro" }]"#.to_owned(),
            "`tables[0].format`",
        ),
        (
            r#""tables": [{ "tag": "*", "db": "a", "table": "b", "streaming": true }]"#.to_owned(),
            "`tables[0].mapping`",
        ),
        (r#""database": "db", "table": "t", "mode": "auto""#.to_owned(), "`mapping`"),
        (format!(r#"{TO}, "mode": "auto", "ingest_by": true"#), "`ingest_by`"),
        (format!(r#"{TO}, "streaming_max_bytes": "3MB""#), "`streaming_max_bytes`"),
        (r#""database": "a b", "table": "t""#.to_owned(), "`database`"),
    ] {
        let said = check(&more);
        assert!(said.contains(key), "{more}: {said}");
    }
}

#[test]
fn a_parquet_file_is_no_stream() {
    use flitch_core::batch::encode::Encoding;
    let base = r#""cluster": "https://logs.kusto.windows.net", "auth": { "type": "azure_cli" }"#;
    let cx = crate::contract::context_with(
        Encoding { format: Format::Parquet, ..Encoding::default() },
        Framing::Lines,
    );
    let check = |more: &str| parsed(base, &format!("{TO}, {more}")).check(&cx);
    assert!(check(r#""mode": "queued""#).is_ok());
    for mode in ["streaming", "auto"] {
        let said = format!("{:#}", check(&format!(r#""mode": "{mode}""#)).unwrap_err());
        assert!(said.contains("`encoding.format`"), "{said}");
    }
}

/// Waits for what another task does.
async fn until(is: impl Fn() -> bool) {
    let wait = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("it comes");
}

/// What becomes of a record whatever becomes of those beside it.
mod apart;
/// Blobs of which the cluster is told together.
mod together;
