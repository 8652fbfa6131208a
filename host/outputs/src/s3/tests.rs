use std::net::Ipv4Addr;

use arrow_array::{ArrayRef, StringArray};
use flitch_tests::http_server::{Reply, Request, Server};
use object_store::aws::AmazonS3ConfigKey;
use parking_lot::Mutex;

use super::*;
use crate::contract::{WriteBatch, context};
use crate::staging::Yard;
use flitch_core::batch::{Batch, Kind, Records, StreamId};
use flitch_core::receipt;

/// An output to a store that is played, below `home`.
fn output(server: &Server, home: &tempfile::TempDir) -> Arc<dyn Output> {
    let json = format!(
        r#"{{ "bucket": "logs", "endpoint": "http://127.0.0.1:{}", "region": "us-east-1", "access_key_id": "id",
              "secret_access_key": "key", "key": "a/", "compression": "none" }}"#,
        server.port()
    );
    let settings: S3Settings = serde_json::from_str(&json).unwrap();
    let cx = OutputContext { state_dir: home.path().to_owned(), ..context() };
    settings.open(&cx).unwrap()
}

/// Records that make an object of three parts.
fn large() -> Arc<Records> {
    let values: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(6 << 20); 3]));
    Arc::new(Records::of(3, vec![(Arc::new(Kind::Text.field("m")), values)], vec![]).unwrap())
}

/// Sends one object until it is safe, which it is at the attempt `attempts`.
async fn send(output: &dyn Output, attempts: usize) {
    let now = tokio::time::Instant::now();
    let mut yard = Yard::new(output.builds().unwrap()).unwrap();
    let receipt = receipt::issue(&Arc::default(), 3, 0, |_| {});
    yard.put(Batch { records: large(), receipt, stream: StreamId::UNORDERED }, now);
    yard.close_all(now);
    let sealed = yard.pop().unwrap();
    for attempt in 1..=attempts {
        let sent = output.send(&sealed.object).await;
        assert_eq!(sent.is_ok(), attempt == attempts, "{attempt}: {sent:?}");
    }
    sealed.shares.into_iter().for_each(|share| share.delivered());
}

fn xml(status: u16, body: &str) -> Reply {
    Reply { status, body: body.as_bytes().to_vec(), ..Reply::default() }
}

fn is_completion(request: &Request) -> bool {
    request.method == "POST" && request.query("uploadId").is_some()
}

/// Plays a store: `complete` answers requests that complete a write in parts, and `cut` says how many parts are cut off.
fn store(
    cut: usize,
    complete: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
) -> (Server, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (kept, counts) = (asked.clone(), Mutex::new((cut, 0)));
    let server = Server::start(&[Ipv4Addr::LOCALHOST], move |request| {
        let what = match request.query("partNumber") {
            Some(part) => format!("part {part}"),
            None if request.method == "POST" && is_completion(request) => {
                format!("complete {}", request.header("if-none-match").unwrap_or("-"))
            }
            None => request.method.clone(),
        };
        kept.lock().push(what.clone());
        let mut counts = counts.lock();
        match what.as_str() {
            "HEAD" => xml(404, ""),
            "POST" => xml(
                200,
                "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
            ),
            "part 2" if counts.0 > 0 => {
                counts.0 -= 1;
                Reply { status: 0, ..Reply::default() }
            }
            "DELETE" => xml(204, ""),
            what if what.starts_with("part") => {
                Reply { status: 200, headers: vec![("etag", format!("\"{what}\""))], ..Reply::default() }
            }
            _ => {
                counts.1 += 1;
                complete(request, counts.1)
            }
        }
    })
    .unwrap();
    (server, asked)
}

const DONE: &str = "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>";

#[tokio::test]
async fn a_write_in_parts_that_is_cut_in_the_middle_goes_on_there_and_makes_an_object_only_where_there_is_none()
 {
    let home = tempfile::tempdir().unwrap();
    let (server, asked) = store(2, |_, _| xml(200, DONE));
    send(&*output(&server, &home), 3).await;
    let asked = asked.lock();
    let wanted = ["HEAD", "POST", "part 1", "part 2", "part 2", "part 2", "part 3", "complete *"];
    assert_eq!(*asked, wanted);
}

#[tokio::test]
async fn a_store_that_does_not_know_the_condition_is_asked_without_it_from_then_on() {
    let home = tempfile::tempdir().unwrap();
    let (server, asked) = store(0, |request, _| match request.header("if-none-match") {
        Some(_) => xml(501, "<Error><Code>NotImplemented</Code></Error>"),
        None => xml(200, DONE),
    });
    let output = output(&server, &home);
    for _ in 0..2 {
        output.write_batch(&large()).await.unwrap();
    }
    let asked = asked.lock();
    let completions: Vec<&String> = asked.iter().filter(|what| what.starts_with("complete")).collect();
    assert_eq!(completions, ["complete *", "complete -", "complete -"]);
}

#[tokio::test]
async fn an_object_that_somebody_else_wrote_meanwhile_is_as_good_and_the_write_in_parts_is_ended() {
    let home = tempfile::tempdir().unwrap();
    let (server, asked) = store(0, |_, _| xml(412, "<Error><Code>PreconditionFailed</Code></Error>"));
    output(&server, &home).write_batch(&large()).await.unwrap();
    let asked = asked.lock();
    assert_eq!(asked[5..], ["complete *", "DELETE"]);
    assert_eq!(std::fs::read_dir(home.path().join("uploads")).unwrap().count(), 0, "no note is left");
}

#[tokio::test]
async fn a_write_in_parts_that_another_has_crossed_begins_anew() {
    let home = tempfile::tempdir().unwrap();
    let (server, asked) = store(0, |_, count| match count {
        1 => xml(409, "<Error><Code>ConditionalRequestConflict</Code></Error>"),
        _ => xml(200, DONE),
    });
    send(&*output(&server, &home), 2).await;
    let once = ["HEAD", "POST", "part 1", "part 2", "part 3", "complete *"];
    let asked = asked.lock();
    assert_eq!(*asked, [&once[..], &["DELETE"], &once].concat());
}

/// The builder of these settings, besides a bucket and a key.
fn built(more: &str) -> anyhow::Result<AmazonS3Builder> {
    let json =
        format!(r#"{{ "bucket": "logs", "access_key_id": "id", "secret_access_key": "key", {more} }}"#);
    serde_json::from_str::<S3Settings>(&json).unwrap().builder()
}

#[test]
fn a_bucket_in_china_is_at_chinas_own_address() {
    let endpoint = |more: &str| built(more).unwrap().get_config_value(&AmazonS3ConfigKey::Endpoint);
    assert_eq!(endpoint(r#""region": "cn-north-1""#).unwrap(), "https://s3.cn-north-1.amazonaws.com.cn");
    let in_host = endpoint(r#""region": "cn-north-1", "force_path_style": false"#);
    assert_eq!(in_host.unwrap(), "https://logs.s3.cn-north-1.amazonaws.com.cn");
    assert_eq!(endpoint(r#""region": "eu-north-1""#), None);
    assert_eq!(endpoint(r#""region": """#), None);
}

#[test]
fn what_no_request_can_hold_is_refused_by_its_key() {
    for (key, value) in
        [("region", "us-east-1\\n"), ("session_token", "abc\\n"), ("endpoint", "https://"), ("endpoint", "x")]
    {
        let error = format!("{:#}", built(&format!(r#""{key}": "{value}""#)).unwrap_err());
        assert!(error.contains(&format!("`{key}`")) && !error.contains("abc"), "{error}");
    }
}

#[tokio::test]
async fn a_pause_that_a_store_asks_for_is_kept() {
    let busy = |_: &Request| Reply {
        headers: vec![("retry-after", "7".to_owned())],
        ..xml(503, "<Error><Code>SlowDown</Code></Error>")
    };
    let server = Server::start(&[Ipv4Addr::LOCALHOST], busy).unwrap();
    let home = tempfile::tempdir().unwrap();
    let output = output(&server, &home);
    let now = tokio::time::Instant::now();
    let mut yard = Yard::new(output.builds().unwrap()).unwrap();
    let receipt = receipt::issue(&Arc::default(), 3, 0, |_| {});
    let records = crate::contract::placed(0, 3);
    yard.put(Batch { records, receipt, stream: StreamId::UNORDERED }, now);
    yard.close_all(now);
    let sealed = yard.pop().unwrap();
    let error = output.send(&sealed.object).await.unwrap_err();
    assert_eq!(error.after(), Some(std::time::Duration::from_secs(7)), "{error}");
}
