use std::sync::Arc;

use flitch_core::batch::Records;
use flitch_core::batch::encode::{Encoder, Encoding, Framing};
use serde_json::json;

use self::fake::{Fake, documents};
use super::*;
use crate::contract::{Found, Specimen, Subject, WriteBatch, context, context_with, numbered};

mod fake;
mod refused;

fn settings(node: &str, more: &str) -> ElasticsearchSettings {
    serde_json::from_str(&format!(r#"{{ "nodes": "{node}", "index": "logs" {more} }}"#)).unwrap()
}

fn output(node: &str, more: &str) -> Arc<dyn Output> {
    settings(node, more).open(&context_with(Encoding::default(), Framing::Messages)).unwrap()
}

async fn subject(variant: usize, cx: &OutputContext) -> Subject {
    let fake = Fake::start().await;
    let (more, other) = match variant {
        0 => ("", r#", "id": "{k}", "routing": "{k}", "pipeline": "{k}""#),
        _ => (r#", "compression": "gzip", "op": "index", "max_bytes": "10kB""#, ""),
    };
    let output = settings(&fake.address(), more).open(cx).unwrap();
    let mut by_field = settings(&fake.address(), other);
    by_field.index = Template::parse("{k}").unwrap();
    let by_field = Some(by_field.open(cx).unwrap());
    let read = move || Found::Messages(fake.documents());
    Subject { output, read: Some(Box::new(read)), by_field, cut: None }
}

impl Specimen for ElasticsearchSettings {
    const VARIANTS: usize = 2;
    const FRAMING: Framing = Framing::Messages;

    fn takes(format: Format) -> bool {
        format == Format::Ndjson
    }

    async fn subject(variant: usize, cx: &OutputContext) -> Subject {
        subject(variant, cx).await
    }
}

impl Specimen for crate::opensearch::OpensearchSettings {
    const FRAMING: Framing = Framing::Messages;

    fn takes(format: Format) -> bool {
        format == Format::Ndjson
    }

    async fn subject(variant: usize, cx: &OutputContext) -> Subject {
        subject(variant, cx).await
    }
}

fn rows(written: &Written) -> (Vec<u32>, Vec<u32>) {
    let again = written.again.as_ref().map(|(rows, _)| rows.clone()).unwrap_or_default();
    (written.refused.iter().map(|refusal| refusal.row).collect(), again)
}

/// Records with these texts in `m`.
fn texts(values: &[&str]) -> Arc<Records> {
    use arrow_array::StringArray;
    use flitch_core::batch::Kind;
    let column: arrow_array::ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    let columns = vec![(Arc::new(Kind::Text.field("m")), column)];
    Records::with_any_origins(Arc::new(Records::of(values.len(), columns, vec![]).unwrap()))
}

#[tokio::test]
async fn only_what_was_busy_is_written_again_and_what_is_wrong_goes_to_the_dead_letters_with_its_reason() {
    let fake = Fake::start().await;
    let output = output(&fake.address(), "");
    let records = texts(&["a", "busy 429", "wrong", "busy 503", "b"]);
    let written = output.write_batch(&records).await.unwrap();
    assert_eq!(rows(&written), (vec![2], vec![1, 3]));
    assert_eq!(
        &*written.refused[0].reason,
        "400: mapper_parsing_exception: failed to parse; number_format_exception: no number"
    );
    assert_eq!(fake.documents().len(), 2);
    assert_eq!(written.bytes, r#"{"m":"a"}{"m":"b"}"#.len() as u64);
    let left = Arc::new(records.take(&written.again.unwrap().0.into()).unwrap());
    let written = output.write_batch(&left).await.unwrap();
    assert_eq!(rows(&written), (vec![], vec![]));
    assert_eq!(fake.documents().len(), 4);
}

#[tokio::test]
async fn records_that_come_again_change_nothing_and_equal_ones_are_each_a_document() {
    let fake = Fake::start().await;
    let output = output(&fake.address(), "");
    let records = texts(&["same", "other", "same", "same"]);
    for _ in 0..3 {
        let written = output.write_batch(&records).await.unwrap();
        assert_eq!(rows(&written), (vec![], vec![]));
        assert_eq!(fake.documents().len(), 4);
    }
    // Of another request, and equal to those before.
    output.write_batch(&texts(&["same", "same"])).await.unwrap();
    assert_eq!(fake.documents().len(), 6);
}

#[tokio::test]
async fn an_id_is_that_of_the_origin_in_22_letters() {
    use flitch_core::batch::origin::{Origins, Root};
    let fake = Fake::start().await;
    let root = Root::from_bytes([0xfb; 16]);
    let records = Records::clone(&texts(&["a", "b"])).with_origins(Some(Origins::of(root, vec![0, 4])));
    output(&fake.address(), "").write_batch(&Arc::new(records)).await.unwrap();
    let ids: Vec<_> = fake.state().actions.iter().map(|action| action["create"]["_id"].clone()).collect();
    assert_eq!(ids, [json!("-_v7-_v7-_v7-_v7-_v7-w"), json!("-_v7-_v7-_v7-_v7-_v7_w")]);
}

#[tokio::test]
async fn a_collection_that_takes_no_ids_is_told_of_as_what_it_is_and_gets_none_where_they_are_left_to_it() {
    let fake = Fake::start().await;
    fake.state().takes_no_ids = true;
    for index in ["logs", "logs-{m}"] {
        let mut settings = settings(&fake.address(), "");
        settings.index = Template::parse(index).unwrap();
        let with_ids = settings.open(&context_with(Encoding::default(), Framing::Messages)).unwrap();
        let error = with_ids.write_batch(&texts(&["a", "b"])).await.unwrap_err();
        assert_eq!(error.kind(), "denied");
        assert!(error.to_string().contains("`auto_id: true`"), "{error}");
    }
    let records = texts(&["a", "b"]);
    for op in ["create", "index"] {
        let without = output(&fake.address(), &format!(r#", "auto_id": true, "op": "{op}""#));
        assert_eq!(rows(&without.write_batch(&records).await.unwrap()), (vec![], vec![]));
        assert_eq!(fake.state().actions.last().unwrap()[op], json!({ "_index": "logs" }));
    }
    assert_eq!(fake.documents().len(), 4);
}

#[tokio::test]
async fn documents_that_were_there_already_are_counted_by_themselves() {
    let fake = Fake::start().await;
    let mut output = open(&settings(&fake.address(), ""), &context()).unwrap();
    let there = Arc::new(std::sync::atomic::AtomicU64::new(0));
    output.there.counter = metrics::Counter::from_arc(there.clone());
    let records = texts(&["a", "b"]);
    for _ in 0..3 {
        output.write_batch(&records).await.unwrap();
    }
    assert_eq!((fake.documents().len(), there.load(std::sync::atomic::Ordering::Relaxed)), (2, 4));
}

#[tokio::test]
async fn documents_that_went_to_a_failure_store_are_delivered_and_counted_by_themselves() {
    let fake = Fake::start().await;
    let mut output = open(&settings(&fake.address(), ""), &context()).unwrap();
    let aside = Arc::new(std::sync::atomic::AtomicU64::new(0));
    output.aside.counter = metrics::Counter::from_arc(aside.clone());
    for texts in [&["a", "odd 1", "odd 2"][..], &["odd 3"]] {
        let written = output.write_batch(&self::texts(texts)).await.unwrap();
        assert_eq!(rows(&written), (vec![], vec![]));
    }
    assert!(fake.state().paths[0].contains("items.*.failure_store"), "{:?}", fake.state().paths);
    assert_eq!((fake.documents().len(), aside.load(std::sync::atomic::Ordering::Relaxed)), (1, 3));
}

#[tokio::test]
async fn of_equal_records_none_is_lost_where_one_of_them_is_busy() {
    let fake = Fake::start().await;
    let output = output(&fake.address(), "");
    let records = texts(&["busy second", "other", "busy second", "busy second"]);
    let mut left = records;
    for _ in 0..5 {
        let written = output.write_batch(&left).await.unwrap();
        let Some((again, _)) = written.again else { break };
        left = Arc::new(left.take(&again.into()).unwrap());
    }
    assert_eq!(fake.documents().len(), 4, "each of them is a document, once");
}

#[tokio::test]
async fn a_request_that_is_too_large_is_halved_until_the_record_stands_alone_that_no_node_takes() {
    let fake = Fake::start().await;
    fake.state().largest = 400;
    let output = output(&fake.address(), "");
    let long = "x".repeat(500);
    let records = texts(&["a", "b", "c", &long, "d", "e", "f"]);
    let written = output.write_batch(&records).await.unwrap();
    assert_eq!(rows(&written), (vec![3], vec![]));
    assert!(written.refused[0].reason.starts_with("413"), "{written:?}");
    assert_eq!(fake.documents().len(), 6);
    let sizes = fake.state().sizes.clone();
    assert!(sizes.iter().filter(|size| **size > 400).count() <= 4, "{sizes:?}");
}

#[tokio::test]
async fn a_request_has_no_more_bytes_than_it_may_and_goes_compressed_where_that_is_wanted() {
    let fake = Fake::start().await;
    let records = numbered(0, 100);
    for compression in ["none", "gzip"] {
        fake.state().sizes.clear();
        let more = format!(r#", "max_bytes": "2kB", "compression": "{compression}""#);
        let written = output(&fake.address(), &more).write_batch(&records).await.unwrap();
        assert_eq!(rows(&written), (vec![], vec![]));
        let sizes = fake.state().sizes.clone();
        assert!(sizes.len() > 3 && sizes.iter().all(|size| *size <= 2000), "{sizes:?}");
    }
    assert_eq!(fake.documents().len(), 100);
    let encodings = fake.state().encodings.clone();
    assert!(encodings.iter().any(Option::is_some) && encodings.iter().any(Option::is_none));
}

#[tokio::test]
async fn what_a_node_says_to_the_whole_request_decides_what_is_done_next() {
    let fake = Fake::start().await;
    let output = output(&fake.address(), "");
    for (status, kind) in [
        (429, "busy"),
        (503, "unreachable"),
        (500, "unreachable"),
        (408, "unreachable"),
        (401, "denied"),
        (403, "denied"),
        (404, "denied"),
        (400, "denied"),
        (307, "denied"),
    ] {
        fake.state().statuses.push_back(status);
        let error = output.write_batch(&numbered(0, 3)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}: {error}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        if status == 429 {
            let WriteError::Busy { after, .. } = error else { panic!("{error:?}") };
            assert_eq!(after, Some(Duration::from_secs(7)));
        }
    }
    fake.state().statuses.push_back(200);
    let error = output.write_batch(&numbered(0, 3)).await.unwrap_err();
    assert!(error.to_string().contains("none to a bulk request"), "{error}");
}

#[tokio::test]
async fn what_is_said_of_documents_is_told_of_them_and_what_is_said_of_all_of_the_node() {
    let fake = Fake::start().await;
    let output = output(&fake.address(), "");
    let write =
        async |records: &[&str]| output.write_batch(&texts(records)).await.map(|written| rows(&written));
    assert_eq!(write(&["busy 429 a", "b"]).await.unwrap(), (vec![], vec![0]));
    assert_eq!(write(&["busy 503 c"]).await.unwrap(), (vec![], vec![0]));
    assert_eq!(write(&["busy 429 d", "busy 503 e"]).await.unwrap_err().kind(), "unreachable");
    assert_eq!(write(&["no index"]).await.unwrap_err().kind(), "denied");
    assert!(output.tells_apart());
    assert!(!super::tests::output(&fake.address(), r#", "op": "index""#).tells_apart());
}

#[tokio::test]
async fn what_is_wrong_with_the_one_index_is_waited_for_and_with_one_of_many_it_costs_its_records() {
    let fake = Fake::start().await;
    let records = texts(&["no index", "no right", "no pipeline", "blocked", "fine"]);
    let pipeline = r#", "pipeline": "clean""#;
    let written = output(&fake.address(), pipeline).write_batch(&records).await.unwrap();
    assert_eq!(rows(&written), (vec![], vec![0, 1, 2, 3]));
    assert_eq!(written.again.unwrap().1.kind(), "denied");
    let mut many = settings(&fake.address(), r#", "pipeline": "p-{m}""#);
    many.index = Template::parse("logs-{m}").unwrap();
    let many = many.open(&context()).unwrap();
    let written = many.write_batch(&records).await.unwrap();
    assert_eq!(rows(&written), (vec![0, 1, 2, 3], vec![]));
}

#[tokio::test]
async fn a_probe_is_content_with_no_400_but_that_of_a_node() {
    let fake = Fake::start().await;
    let output = output(&fake.address(), "");
    output.probe().await.unwrap();
    fake.state().statuses.push_back(400);
    assert_eq!(output.probe().await.unwrap_err().kind(), "denied");
}

#[tokio::test]
async fn a_node_that_asks_for_an_endless_pause_is_believed_for_an_hour() {
    let fake = Fake::start().await;
    let output = output(&fake.address(), "");
    for (asks, believed) in [("18446744073709551615", 3600), ("Tue, 14 Nov 2023 22:13:30 GMT", 10)] {
        fake.state().after = Some(asks.to_owned());
        fake.state().statuses.push_back(429);
        let error = output.write_batch(&numbered(0, 1)).await.unwrap_err();
        let WriteError::Busy { after, .. } = error else { panic!("{error:?}") };
        assert_eq!(after, Some(Duration::from_secs(believed)), "{asks}");
    }
}

#[tokio::test]
async fn a_pause_that_a_node_asks_for_is_kept_whatever_it_fails_by() {
    let fake = Fake::start().await;
    let output = output(&fake.address(), "");
    fake.state().after = Some("7".to_owned());
    for status in [429, 503, 502, 408] {
        fake.state().statuses.push_back(status);
        let error = output.write_batch(&numbered(0, 1)).await.unwrap_err();
        assert_eq!(error.after(), Some(Duration::from_secs(7)), "{status}: {error}");
    }
}

#[tokio::test]
async fn what_a_node_says_is_read_where_its_answers_come_compressed_though_nobody_asked() {
    let fake = Fake::start().await;
    fake.state().is_pressed = true;
    let output = output(&fake.address(), "");
    let written = output.write_batch(&texts(&["a", "wrong", "b"])).await.unwrap();
    assert_eq!((rows(&written), fake.documents().len()), ((vec![1], vec![]), 2));
    fake.state().statuses.push_back(401);
    let error = output.write_batch(&texts(&["c"])).await.unwrap_err().to_string();
    assert!(error.contains("an answer"), "{error}");
}

#[tokio::test]
async fn a_node_that_is_gone_costs_nothing_where_there_is_another() {
    let fake = Fake::start().await;
    let gone = format!("http://127.0.0.1:{}", flitch_tests::ports::free());
    let both = format!(r#"{gone}", "{}"#, fake.address());
    let both: ElasticsearchSettings =
        serde_json::from_str(&format!(r#"{{ "nodes": ["{both}"], "index": "logs" }}"#)).unwrap();
    let both = both.open(&context()).unwrap();
    for n in 0..4 {
        let written = both.write_batch(&numbered(n * 10, 10)).await.unwrap();
        assert_eq!(rows(&written), (vec![], vec![]));
    }
    assert_eq!(fake.documents().len(), 40);
    let error = both.probe().await.unwrap_err();
    assert!(error.to_string().contains(&gone), "a probe names the node: {error}");
    let alone = output(&gone, "").write_batch(&numbered(0, 3)).await.unwrap_err();
    assert_eq!(alone.kind(), "unreachable");
}

#[tokio::test]
async fn a_record_says_where_it_goes_by_what_id_and_through_what() {
    let fake = Fake::start().await;
    let more = r#", "id": "{n}-{@tag}", "routing": "r{n}", "pipeline": "{nothing}", "op": "index""#;
    let mut settings = settings(&fake.address(), more);
    settings.index = Template::parse("logs-{@tag}-{n}").unwrap();
    let written = settings.open(&context()).unwrap().write_batch(&numbered(7, 1)).await.unwrap();
    assert_eq!(rows(&written), (vec![], vec![]));
    let action = fake.state().actions.pop().unwrap();
    assert_eq!(action, json!({ "index": { "_index": "logs-test-7", "_id": "7-test", "routing": "r7" } }));
}

#[tokio::test]
async fn a_record_whose_id_cannot_be_one_costs_itself_alone() {
    let fake = Fake::start().await;
    let output = output(&fake.address(), r#", "id": "{m}{k|}""#);
    let long = "x".repeat(513);
    let written = output.write_batch(&texts(&["a", "", &long, "é"])).await.unwrap();
    assert_eq!(rows(&written), (vec![1, 2], vec![]));
    assert_eq!(fake.documents().len(), 2);
}

#[tokio::test]
async fn an_id_may_be_of_some_fields_alone_and_a_record_without_any_costs_itself_alone() {
    let fake = Fake::start().await;
    let output = output(&fake.address(), r#", "id_fields": ["n", "@tag"]"#);
    let ids = || {
        let actions = std::mem::take(&mut fake.state().actions);
        actions.iter().map(|action| action["create"]["_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    output.write_batch(&numbered(1, 2)).await.unwrap();
    let first = ids();
    let others = Encoding { rename: [("message".to_owned(), "m".to_owned())].into(), ..Encoding::default() };
    let again = settings(&fake.address(), r#", "id_fields": ["n", "@tag"]"#);
    let again = again.open(&context_with(others, Framing::Messages)).unwrap();
    again.write_batch(&numbered(1, 2)).await.unwrap();
    assert_eq!(ids(), first, "whatever is written of a record");
    assert_ne!(first[0], first[1]);
    let written = output.write_batch(&texts(&["a", "b"])).await.unwrap();
    assert_eq!(rows(&written), (vec![0, 1], vec![]));
    assert!(written.refused[0].reason.contains("`id_fields`"));
}

#[tokio::test]
async fn names_are_those_of_ecs_where_that_is_wanted() {
    let fake = Fake::start().await;
    let written = output(&fake.address(), r#", "ecs": true"#).write_batch(&numbered(1, 1)).await.unwrap();
    assert_eq!(rows(&written), (vec![], vec![]));
    let document: serde_json::Value = serde_json::from_slice(&fake.documents()[0]).unwrap();
    assert_eq!((&document["event"]["dataset"], &document["@tag"]), (&json!("test"), &json!(null)));
    let own = Encoding { rename: [("host".to_owned(), "h".to_owned())].into(), ..Encoding::default() };
    let named = ecs::named(&own).unwrap();
    assert_eq!(named.encoding().rename["host"], "h");
    assert_eq!(named.encoding().rename["file"], "log.file.path");
}

#[tokio::test]
async fn a_probe_tells_what_is_missing_by_name() {
    let fake = Fake::start().await;
    let probe =
        async |more: &str| output(&fake.address(), more).probe().await.map_err(|error| error.to_string());
    probe("").await.unwrap();
    fake.state().statuses.push_back(401);
    assert!(probe("").await.unwrap_err().contains("401"));
    let said = probe(r#", "data_stream": true"#).await.unwrap_err();
    assert!(said.contains("`logs`") && said.contains("template"), "{said}");
    fake.state().patterns = vec!["other-*".to_owned(), "lo*s".to_owned()];
    probe(r#", "data_stream": true"#).await.unwrap();
    let said = probe(r#", "pipeline": "clean""#).await.unwrap_err();
    assert!(said.contains("`clean`"), "{said}");
}

#[tokio::test]
async fn who_flitch_is_stands_in_the_head_of_each_request_and_nowhere_in_a_log() {
    let fake = Fake::start().await;
    for (auth, begin) in [
        (r#"{ "basic": { "username": "ada", "password": "secret" } }"#, "Basic YWRhOnNlY3JldA=="),
        (r#"{ "api_key": { "api_key": "id:secret" } }"#, "ApiKey aWQ6c2VjcmV0"),
        (r#"{ "api_key": { "api_key": "aWQ6c2VjcmV0" } }"#, "ApiKey aWQ6c2VjcmV0"),
        (
            r#"{ "sigv4": { "region": "eu-central-1", "access_key_id": "AK", "secret_access_key": "secret",
                "session_token": "token" } }"#,
            "AWS4-HMAC-SHA256 Credential=AK/",
        ),
    ] {
        let more = format!(r#", "auth": {auth}"#);
        output(&fake.address(), &more).write_batch(&numbered(0, 2)).await.unwrap();
        let headers = fake.state().headers.pop().unwrap();
        let said = headers["authorization"].to_str().unwrap();
        assert!(said.starts_with(begin), "{said}");
        if begin.starts_with("AWS4") {
            assert!(said.contains("/eu-central-1/es/aws4_request") && said.contains("host;"), "{said}");
            assert_eq!(headers["x-amz-security-token"], "token");
            assert_eq!(headers["x-amz-content-sha256"].len(), 64, "the body is signed too");
        }
        assert!(!format!("{:?}", settings("http://es:9200", &more)).contains("secret\""));
    }
}

#[tokio::test]
async fn a_node_behind_a_path_is_found_there() {
    let fake = Fake::start().await;
    let node = format!("{}/behind/a/front", fake.address());
    output(&node, "").write_batch(&numbered(0, 1)).await.unwrap();
    assert!(
        fake.state().paths.iter().all(|path| path.starts_with("/behind/a/front/_bulk?")),
        "{:?}",
        fake.state().paths
    );
    assert_eq!(documents(b"{}\n{}\n").len(), 1);
}

#[tokio::test]
async fn a_node_that_finds_a_request_too_large_and_cuts_its_answer_off_has_said_it_all_the_same() {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let _node = flitch_core::tasks::joined_thread("node", move || {
        for stream in listener.incoming() {
            let (mut stream, mut piece) = (stream.unwrap(), [0; 1024]);
            let _ = stream.read(&mut piece);
            let _ = stream
                .write_all(b"HTTP/1.1 413 Request Entity Too Large\r\ncontent-length: 100\r\n\r\n<html>");
        }
    });
    let written = output(&address, "").write_batch(&texts(&["a", "b"])).await.unwrap();
    assert_eq!(rows(&written), (vec![0, 1], vec![]));
    assert!(written.refused[0].reason.starts_with("413"), "{}", written.refused[0].reason);
}
