use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use flitch_core::batch::encode::{Encoder, Encoding, Framing};
use flitch_tests::http_server::{Reply, Request, Server};
use parking_lot::Mutex;
use tempfile::TempDir;

use super::*;
use crate::contract::{Found, Specimen, Subject, context};

/// The files of a cluster in memory, which answers as WebHDFS does.
#[derive(Default)]
struct Cluster {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    /// What was asked, as `OP path`.
    asked: Mutex<Vec<String>>,
    /// Takes so many bytes of the next write, and breaks off.
    breaks: Mutex<Option<usize>>,
    is_standby: bool,
    /// A file that stands where a folder must be.
    in_the_way: Option<&'static str>,
}

fn text(status: u16, body: String) -> Reply {
    Reply { status, body: body.into_bytes(), ..Reply::default() }
}

fn refuses(status: u16, exception: &str) -> Reply {
    text(
        status,
        serde_json::json!({"RemoteException": {"exception": exception, "message": "no\nat …"}}).to_string(),
    )
}

fn truth(is_so: bool) -> Reply {
    text(200, format!("{{\"boolean\":{is_so}}}"))
}

impl Cluster {
    fn answer(&self, request: &Request) -> Reply {
        let decoded =
            |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
        let path = decoded(request.path.strip_prefix("/webhdfs/v1").expect("all is below"));
        let query: BTreeMap<String, String> = request
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), decoded(value)))
            .collect();
        let op = query["op"].clone();
        self.asked.lock().push(format!("{op} {path}"));
        if self.is_standby {
            return refuses(403, "StandbyException");
        }
        if query.get("user.name").map(String::as_str) != Some("edge") {
            return refuses(401, "AuthenticationException");
        }
        if let Some(file) = self.in_the_way.filter(|file| path.starts_with(&format!("{file}/"))) {
            let said = serde_json::json!({
                "exception": "ParentNotDirectoryException", "message": format!("{file} (is not a directory)"),
            });
            return text(403, serde_json::json!({ "RemoteException": said }).to_string());
        }
        let has_data = query.contains_key("data");
        match op.as_str() {
            "CREATE" | "APPEND" if !has_data => {
                let host = request.header("host").unwrap();
                let location = format!("http://{host}{}?{}&data=true", request.path, request.query);
                Reply { headers: vec![("location", location)], ..text(307, String::new()) }
            }
            "CREATE" | "APPEND" => {
                let body = &request.body;
                let mut files = self.files.lock();
                if op == "CREATE" && query["overwrite"] == "false" && files.contains_key(&path) {
                    return refuses(403, "FileAlreadyExistsException");
                }
                let file = files.entry(path).or_default();
                if op == "CREATE" {
                    file.clear();
                }
                match self.breaks.lock().take() {
                    Some(bytes) => {
                        file.extend_from_slice(&body[..bytes.min(body.len())]);
                        refuses(500, "IOException")
                    }
                    None => {
                        file.extend_from_slice(body);
                        text(if op == "CREATE" { 201 } else { 200 }, String::new())
                    }
                }
            }
            "GETFILESTATUS" => match self.files.lock().get(&path) {
                Some(file) => {
                    text(200, format!("{{\"FileStatus\":{{\"length\":{},\"type\":\"FILE\"}}}}", file.len()))
                }
                None => refuses(404, "FileNotFoundException"),
            },
            "RENAME" => {
                let mut files = self.files.lock();
                if files.contains_key(&query["destination"]) {
                    return truth(false);
                }
                let file = files.remove(&path);
                truth(file.map(|file| files.insert(query["destination"].clone(), file)).is_some())
            }
            "TRUNCATE" => {
                let length = query["newlength"].parse().unwrap();
                self.files.lock().get_mut(&path).unwrap().truncate(length);
                truth(true)
            }
            "DELETE" => truth(self.files.lock().remove(&path).is_some()),
            other => refuses(400, other),
        }
    }
}

/// A server of a cluster, and its address.
fn served(cluster: &Arc<Cluster>) -> (Server, SocketAddr) {
    let cluster = cluster.clone();
    let server = Server::start(&[Ipv4Addr::LOCALHOST], move |request| cluster.answer(request)).unwrap();
    let address = (Ipv4Addr::LOCALHOST, server.port()).into();
    (server, address)
}

fn open(
    endpoints: &[SocketAddr],
    more: &str,
    home: &TempDir,
    cx: &OutputContext,
) -> anyhow::Result<Arc<dyn Output>> {
    let endpoints: Vec<String> = endpoints.iter().map(|address| format!("http://{address}")).collect();
    let mut settings = serde_json::json!({ "endpoints": endpoints, "username": "edge", "root": "/logs" });
    let more: serde_json::Value = serde_json::from_str(more)?;
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let settings: WebhdfsSettings = serde_json::from_value(settings)?;
    settings.open(&OutputContext { state_dir: home.path().join("out"), ..cx.clone() })
}

impl Specimen for WebhdfsSettings {
    fn takes(_: Format) -> bool {
        true
    }

    async fn subject(_: usize, cx: &OutputContext) -> Subject {
        let (cluster, home) = (Arc::new(Cluster::default()), tempfile::tempdir().unwrap());
        let (server, address) = served(&cluster);
        let by_field = open(&[address], r#"{"key":"c/{k}","compression":"none"}"#, &home, cx).unwrap();
        let output = open(&[address], r#"{"key":"a/b-","compression":"none"}"#, &home, cx).unwrap();
        let header = cx.encoder.header().unwrap_or_default();
        let read = move || {
            let _keep = (&home, &server);
            let mut all = header.to_vec();
            // A file that was given up is there under another name.
            let is_whole = |name: &str| !name.ends_with(".unfinished");
            for (_, text) in cluster.files.lock().iter().filter(|(name, _)| is_whole(name)) {
                let text = match text.starts_with(b"PAR1") {
                    true => crate::staging::read_table(text).concat(),
                    false => text.clone(),
                };
                all.extend_from_slice(text.strip_prefix(&header[..]).expect("a file begins with the header"));
            }
            Found::Stream(all)
        };
        Subject { output, read: Some(Box::new(read)), by_field: Some(by_field), cut: None }
    }
}

/// Has an object built of ten records.
fn put(yard: &mut crate::staging::Yard, from: i64) {
    use flitch_core::batch::{Batch, StreamId};
    use flitch_core::receipt;
    let receipt = receipt::issue(&Arc::default(), 10, 0, |_| {});
    let now = tokio::time::Instant::now();
    yard.put(Batch { records: crate::contract::placed(from, 10), receipt, stream: StreamId::UNORDERED }, now);
    yard.close_all(now);
}

/// Writes records as the delivery loop does, trying three times.
async fn write(output: &Arc<dyn Output>, from: i64) -> Vec<String> {
    let mut yard = crate::staging::Yard::new(output.builds().unwrap()).unwrap();
    put(&mut yard, from);
    let sealed = yard.pop().unwrap();
    let mut errors = Vec::new();
    while errors.len() < 3 {
        match output.send(&sealed.object).await {
            Ok(_) => break,
            Err(error) => errors.push(error.to_string()),
        }
    }
    sealed.shares.into_iter().for_each(|share| share.delivered());
    errors
}

#[tokio::test]
async fn a_file_is_there_as_a_whole_or_not_at_all_and_once() {
    let (cluster, home) = (Arc::new(Cluster::default()), tempfile::tempdir().unwrap());
    let (_server, address) = served(&cluster);
    let output = open(&[address], r#"{"key":"a/","compression":"none"}"#, &home, &context()).unwrap();
    *cluster.breaks.lock() = Some(100);
    assert_eq!(write(&output, 0).await.len(), 1);
    let first = cluster.files.lock().clone();
    assert_eq!(first.len(), 1, "{:?}", first.keys());
    assert!(first.keys().all(|name| name.starts_with("/logs/a/") && name.ends_with(".ndjson")));
    cluster.asked.lock().clear();
    assert!(write(&output, 0).await.is_empty());
    assert_eq!(*cluster.files.lock(), first);
    assert_eq!(cluster.asked.lock().len(), 1, "{:?}", cluster.asked.lock());
}

#[tokio::test]
async fn what_a_process_before_this_one_has_not_finished_is_removed() {
    let (cluster, home) = (Arc::new(Cluster::default()), tempfile::tempdir().unwrap());
    let (_server, address) = served(&cluster);
    cluster.files.lock().insert("/logs/.x.1.unfinished".to_owned(), b"half".to_vec());
    let notes = home.path().join("out/uploads");
    std::fs::create_dir_all(&notes).unwrap();
    std::fs::write(notes.join("0123-1"), r#"{"object":"/logs/.x.1.unfinished","upload":""}"#).unwrap();
    let output = open(&[address], r#"{"key":"a/"}"#, &home, &context()).unwrap();
    output.begin().await.unwrap();
    assert!(cluster.files.lock().is_empty());
    assert_eq!(std::fs::read_dir(&notes).unwrap().count(), 0);
}

#[tokio::test]
async fn what_is_appended_in_part_is_cut_off_before_it_is_appended_again() {
    let (cluster, home) = (Arc::new(Cluster::default()), tempfile::tempdir().unwrap());
    let (_server, address) = served(&cluster);
    let more = r#"{"key":"all","append":true,"compression":"none"}"#;
    let output = open(&[address], more, &home, &context()).unwrap();
    for from in [0, 10, 20] {
        *cluster.breaks.lock() = Some(100);
        assert_eq!(write(&output, from).await.len(), 1);
    }
    assert_eq!(numbers(&cluster, "/logs/all.ndjson"), (0..30).collect::<Vec<_>>());
}

/// The numbers of the records in a file, each of whose lines is a whole record.
fn numbers(cluster: &Cluster, file: &str) -> Vec<u64> {
    let text = String::from_utf8(cluster.files.lock()[file].clone()).unwrap();
    let number = |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["n"].as_u64().unwrap();
    text.lines().map(number).collect()
}

#[tokio::test]
async fn what_a_process_before_this_one_has_appended_in_part_is_cut_off() {
    let (cluster, home) = (Arc::new(Cluster::default()), tempfile::tempdir().unwrap());
    let (_server, address) = served(&cluster);
    let open = |key: &str| {
        let more = format!(r#"{{"key":"{key}","append":true,"compression":"none"}}"#);
        super::tests::open(&[address], &more, &home, &context()).unwrap()
    };
    let breaks_off = async |key: &str, from: i64, taken: usize| {
        let output = open(key);
        let mut yard = crate::staging::Yard::new(output.builds().unwrap()).unwrap();
        put(&mut yard, from);
        *cluster.breaks.lock() = Some(taken);
        output.send(&yard.pop().unwrap().object).await.unwrap_err();
    };
    let notes = || std::fs::read_dir(home.path().join("out/appends")).unwrap().count();
    for key in ["some", "none"] {
        assert!(write(&open(key), 0).await.is_empty());
    }
    assert_eq!(notes(), 0);
    for key in ["some", "none"] {
        breaks_off(key, 10, 100).await;
    }
    // One that made the file, and one whose answer was lost.
    breaks_off("new", 0, 100).await;
    breaks_off("lost", 0, usize::MAX).await;
    for key in ["some", "new", "lost"] {
        assert!(write(&open(key), 20).await.is_empty());
    }
    assert_eq!(numbers(&cluster, "/logs/some.ndjson"), (0..10).chain(20..30).collect::<Vec<_>>());
    assert_eq!(numbers(&cluster, "/logs/new.ndjson"), (20..30).collect::<Vec<_>>());
    assert_eq!(numbers(&cluster, "/logs/lost.ndjson"), (20..30).collect::<Vec<_>>());
    // To this one comes nothing more.
    open("none").begin().await.unwrap();
    assert_eq!(numbers(&cluster, "/logs/none.ndjson"), (0..10).collect::<Vec<_>>());
    assert_eq!(notes(), 0);
}

#[tokio::test]
async fn what_has_arrived_is_cut_off_by_nobody() {
    let (cluster, home) = (Arc::new(Cluster::default()), tempfile::tempdir().unwrap());
    let (_server, address) = served(&cluster);
    let more = r#"{"key":"all","append":true,"compression":"none"}"#;
    let output = open(&[address], more, &home, &context()).unwrap();
    let notes = home.path().join("out/appends");
    let mut yard = crate::staging::Yard::new(output.builds().unwrap()).unwrap();
    put(&mut yard, 0);
    let first = yard.pop().unwrap();
    *cluster.breaks.lock() = Some(usize::MAX);
    output.send(&first.object).await.unwrap_err();
    // Its note cannot be taken away for the moment: it has not arrived, and nothing comes behind it.
    let note = std::fs::read_dir(&notes).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(&note).unwrap();
    std::fs::create_dir(&note).unwrap();
    output.send(&first.object).await.unwrap_err();
    std::fs::remove_dir(&note).unwrap();
    output.send(&first.object).await.unwrap();
    assert!(write(&output, 10).await.is_empty());
    output.begin().await.unwrap();
    assert_eq!(numbers(&cluster, "/logs/all.ndjson"), (0..20).collect::<Vec<_>>());
    // Somebody has taken the file away, and another one in its place is shorter than what a note says.
    output
        .send(&{
            put(&mut yard, 20);
            *cluster.breaks.lock() = Some(100);
            yard.pop().unwrap().object
        })
        .await
        .unwrap_err();
    cluster.files.lock().insert("/logs/all.ndjson".to_owned(), Vec::new());
    assert!(write(&open(&[address], more, &home, &context()).unwrap(), 30).await.is_empty());
    assert_eq!(numbers(&cluster, "/logs/all.ndjson"), (30..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_server_that_is_active_is_found_and_kept() {
    let standby = Arc::new(Cluster { is_standby: true, ..Cluster::default() });
    let (active, home) = (Arc::new(Cluster::default()), tempfile::tempdir().unwrap());
    let (servers, addresses): (Vec<_>, Vec<_>) = [&standby, &active].map(served).into_iter().unzip();
    let output = open(&addresses, r#"{"key":"a/"}"#, &home, &context()).unwrap();
    assert!(write(&output, 0).await.is_empty());
    assert!(write(&output, 10).await.is_empty());
    assert_eq!((standby.asked.lock().len(), active.files.lock().len()), (1, 2));
    drop(servers);
}

#[tokio::test]
async fn what_a_server_refuses_is_told_by_its_name() {
    let (cluster, home) = (Arc::new(Cluster::default()), tempfile::tempdir().unwrap());
    let (_server, address) = served(&cluster);
    let output = open(&[address], r#"{"username":"somebody"}"#, &home, &context()).unwrap();
    let error = output.probe().await.unwrap_err();
    assert_eq!(error.kind(), "denied");
    assert!(error.to_string().contains("401: AuthenticationException: no"), "{error}");
    let output = open(&[address], "{}", &home, &context()).unwrap();
    output.probe().await.unwrap();
    assert!(cluster.files.lock().is_empty());
}

#[test]
fn an_answer_that_leads_elsewhere_is_for_an_operator() {
    for status in [301, 302, 308] {
        assert_eq!(WriteError::from(fault::fault(status, None, "")).kind(), "denied", "{status}");
    }
}

#[tokio::test]
async fn a_pause_that_a_server_asks_for_is_kept() {
    for status in [429, 503] {
        let headers = vec![("retry-after", "7".to_owned())];
        let busy = move |_: &Request| Reply { headers: headers.clone(), ..text(status, String::new()) };
        let server = Server::start(&[Ipv4Addr::LOCALHOST], busy).unwrap();
        let (home, address) = (tempfile::tempdir().unwrap(), (Ipv4Addr::LOCALHOST, server.port()).into());
        let error = open(&[address], "{}", &home, &context()).unwrap().probe().await.unwrap_err();
        assert_eq!(error.after(), Some(Duration::from_secs(7)), "{error}");
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused_by_their_names() {
    let home = tempfile::tempdir().unwrap();
    let address = "127.0.0.1:1".parse().unwrap();
    for (more, said) in [
        (r#"{"root":"logs"}"#, "`root`"),
        (r#"{"append":true,"key":"a/"}"#, "`key`"),
        (r#"{"endpoints":[]}"#, "`endpoints`"),
        (r#"{"endpoints":["namenode:9870"]}"#, "`endpoints`"),
        (r#"{"username":null,"password":"p"}"#, "`password`"),
        (r#"{"bearer_token":"t","password":"p"}"#, "`password`"),
        (r#"{"delegation_token":"t"}"#, "`username`"),
        (r#"{"permission":"rw"}"#, "`permission`"),
    ] {
        let error = open(&[address], more, &home, &context()).map(drop).unwrap_err();
        assert!(format!("{error:#}").contains(said), "{more}: {error:#}");
    }
}

#[test]
fn a_csv_file_that_is_appended_to_has_no_names_of_columns_in_its_middle() {
    let (home, address) = (tempfile::tempdir().unwrap(), "127.0.0.1:1".parse().unwrap());
    let opened = |more: &str, header: bool| {
        let columns = vec!["n".to_owned()];
        let encoding = Encoding { format: Format::Csv, columns, header, ..Encoding::default() };
        let encoder = Encoder::new(encoding, Framing::FullLines).unwrap();
        open(&[address], more, &home, &OutputContext { encoder, ..context() }).map(drop)
    };
    let appending = r#"{"append":true,"key":"all"}"#;
    let error = format!("{:#}", opened(appending, true).unwrap_err());
    assert!(error.contains("`append`") && error.contains("`header: false`"), "{error}");
    opened(appending, false).unwrap();
    opened("{}", true).unwrap();
}

#[tokio::test]
async fn a_file_where_the_folder_of_one_key_must_be_costs_that_key_alone_and_where_all_begin_nothing() {
    use flitch_core::batch::{Batch, StreamId};
    use flitch_core::receipt;
    // The file that is in the way, the key, and which of ten records are refused for good, or wait.
    for (in_the_way, key, refused, barred) in [
        ("/logs/3", "{n}/", 1, 0),
        ("/logs", "{n}/", 0, 10),
        ("/logs/a", "a/{n}/", 0, 10),
        ("/logs/a/7", "a/{n}/", 1, 0),
        ("/logs/a", "a/", 0, 1),
    ] {
        let cluster = Arc::new(Cluster { in_the_way: Some(in_the_way), ..Cluster::default() });
        let (home, (_server, address)) = (tempfile::tempdir().unwrap(), served(&cluster));
        let more = serde_json::json!({ "key": key, "compression": "none" }).to_string();
        let output = open(&[address], &more, &home, &context()).unwrap();
        let mut yard = crate::staging::Yard::new(output.builds().unwrap()).unwrap();
        let receipt = receipt::issue(&Arc::default(), 10, 0, |_| {});
        let (records, now) = (crate::contract::placed(0, 10), tokio::time::Instant::now());
        yard.put(Batch { records, receipt, stream: StreamId::UNORDERED }, now);
        yard.close_all(now);
        let mut found = (0, 0);
        while let Some(sealed) = yard.pop() {
            match output.send(&sealed.object).await {
                Ok(Fate::Safe) => {}
                Ok(Fate::Refused(said)) if said.contains(in_the_way) => found.0 += 1,
                Err(WriteError::Barred { is_final: false, .. }) => found.1 += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(found, (refused, barred), "{in_the_way} {key}");
    }
}
