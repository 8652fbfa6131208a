use std::net::Ipv4Addr;
use std::sync::Arc;

use flitch_core::telemetry::Health;
use flitch_core::units::{Bytes, Span};
use flitch_tests::http_server::{Reply, Request, Server};

use super::*;

const GOOD: &str = "key,city\n1,Delft\n2,Oslo\n";
/// So long that every pause is over.
const LATER: Duration = Duration::from_secs(1 << 20);

/// A server whose answer can be changed, and what it was asked.
struct Bench {
    server: Server,
    answer: Arc<Mutex<Reply>>,
    asked: Arc<Mutex<Vec<Request>>>,
    folder: tempfile::TempDir,
}

fn ok(body: &str, etag: &str) -> Reply {
    Reply { status: 200, headers: vec![("ETag", etag.to_owned())], body: body.as_bytes().to_vec() }
}

impl Bench {
    fn new() -> Bench {
        let (answer, asked) =
            (Arc::new(Mutex::new(ok(GOOD, "\"1\""))), Arc::<Mutex<Vec<Request>>>::default());
        let (told, heard) = (answer.clone(), asked.clone());
        let server = Server::start(&[Ipv4Addr::LOCALHOST], move |request| {
            heard.lock().push(request.clone());
            told.lock().clone()
        });
        Bench { server: server.unwrap(), answer, asked, folder: tempfile::tempdir().unwrap() }
    }

    fn remote(&self) -> Remote {
        let url = format!("http://127.0.0.1:{}/cities.csv", self.server.port());
        let settings = TableSettings {
            url: Some(url),
            path: None,
            max_bytes: Bytes(1000),
            ..TableSettings::of_file("", "key")
        };
        settings.check().unwrap();
        Remote::new("cities", &settings, self.folder.path()).unwrap()
    }

    fn answers(&self, reply: Reply) {
        *self.answer.lock() = reply;
    }
}

fn rows(content: Option<Content>) -> Option<usize> {
    content.map(|content| content.len())
}

#[test]
fn a_table_is_asked_for_when_it_is_time_and_taken_when_it_is_another_one() {
    let bench = Bench::new();
    let remote = bench.remote();
    let first = remote.first().unwrap();
    assert_eq!(first.len(), 2);
    assert_eq!(rows(remote.refresh(&first, Instant::now())), None, "it is not yet time");
    assert_eq!(bench.asked.lock().len(), 1);
    bench.answers(Reply { status: 304, ..Reply::default() });
    assert_eq!(rows(remote.refresh(&first, Instant::now() + LATER)), None);
    assert_eq!(bench.asked.lock()[1].header("if-none-match"), Some("\"1\""));
    bench.answers(ok("key,city\n3,Rome\n", "\"2\""));
    assert_eq!(rows(remote.refresh(&first, Instant::now() + LATER)), Some(1));
    let again = bench.remote();
    assert_eq!(rows(again.kept().unwrap()), Some(1), "the copy outlives the process");
    again.refresh(&first, Instant::now());
    assert_eq!(bench.asked.lock()[3].header("if-none-match"), Some("\"2\""));
}

#[test]
fn a_server_that_is_busy_at_the_start_is_asked_again_and_one_that_refuses_is_not() {
    let bench = Bench::new();
    let answers = |first: Reply, later: Reply| {
        let (asked, count) = (bench.asked.clone(), bench.asked.lock().len());
        let server = Server::start(&[Ipv4Addr::LOCALHOST], move |request| {
            asked.lock().push(request.clone());
            if asked.lock().len() - count < 3 { first.clone() } else { later.clone() }
        });
        let server = server.unwrap();
        let url = Some(format!("http://127.0.0.1:{}/cities.csv", server.port()));
        // No pause is longer.
        let every = Span(Duration::from_millis(1));
        let settings = TableSettings { url, path: None, every, ..TableSettings::of_file("", "key") };
        let first = Remote::new("cities", &settings, bench.folder.path()).unwrap().first();
        (
            first.map(|content| content.len()).map_err(|error| error.to_string()),
            bench.asked.lock().len() - count,
        )
    };
    let status = |status| Reply { status, ..Reply::default() };
    assert_eq!(answers(status(503), ok(GOOD, "\"1\"")), (Ok(2), 3));
    assert_eq!(answers(status(0), ok(GOOD, "\"1\"")), (Ok(2), 3), "a connection that is closed");
    let (refused, asked) = answers(status(503), status(503));
    assert!(refused.unwrap_err().contains("503 Service Unavailable"));
    assert_eq!(asked, 4);
    let (refused, asked) = answers(status(401), ok(GOOD, "\"1\""));
    assert!(refused.unwrap_err().contains("401 Unauthorized"));
    assert_eq!(asked, 1);
}

#[test]
fn what_a_server_says_badly_leaves_the_rows_and_the_copy_and_is_told() {
    let bench = Bench::new();
    let (remote, health) = (bench.remote(), Arc::<Health>::default());
    let first = remote.first().unwrap();
    remote.heard_by(Ailment::of(&health, "table", "cities"));
    for (reply, words) in [
        (Reply { status: 500, ..Reply::default() }, "500 Internal Server Error"),
        (ok("<html>", "\"x\""), "has no `key`"),
        (ok("key,town\n1,Delft\n", "\"x\""), "`city`, which filters may ask for, is gone"),
        (ok(&format!("key,city\n1,{}\n", "x".repeat(1000)), "\"x\""), "more than 1kB"),
        (Reply { status: 0, ..Reply::default() }, "it cannot be fetched from http://127.0.0.1"),
    ] {
        bench.answers(reply);
        assert_eq!(rows(remote.refresh(&first, Instant::now() + LATER)), None);
        let told = health.ailments()["table cities"].clone();
        assert!(told.contains(words), "{words}: {told}");
        assert_eq!(rows(bench.remote().kept().unwrap()), Some(2));
    }
    assert_eq!(fs::read_dir(bench.folder.path()).unwrap().count(), 2, "nothing of it is left");
    assert_eq!(remote.state.lock().failures, 5);
    bench.answers(ok(GOOD, "\"3\""));
    assert_eq!(rows(remote.refresh(&first, Instant::now() + LATER)), Some(2));
    assert!(health.ailments().is_empty());
}

#[test]
fn a_copy_of_something_else_or_one_that_is_damaged_is_none() {
    let bench = Bench::new();
    let error = bench.remote();
    bench.answers(Reply { status: 404, ..Reply::default() });
    assert!(format!("{:#}", error.first().unwrap_err()).contains("404 Not Found"));
    assert!(error.kept().unwrap().is_none());
    bench.answers(ok(GOOD, "\"1\""));
    bench.remote().first().unwrap();
    let meta = bench.folder.path().join("cities.json");
    let text = fs::read_to_string(&meta).unwrap();
    fs::write(&meta, text.replace("cities.csv", "towns.csv")).unwrap();
    assert!(bench.remote().kept().unwrap().is_none(), "it is what another URL had");
    fs::write(&meta, &text).unwrap();
    fs::write(bench.folder.path().join("cities"), GOOD.replace("Oslo", "Rome")).unwrap();
    let error = bench.remote().kept().unwrap_err();
    assert!(error.to_string().contains("is not what was fetched"), "{error:#}");
    fs::write(&meta, "{").unwrap();
    assert!(bench.remote().kept().is_err());
}
