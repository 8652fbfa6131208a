use std::io::{Read, Write};
use std::net::TcpStream;

use flitch_tests::http;
use flitch_tests::servers::azurite::{ACCOUNT, Azurite, KEY};
use flitch_tests::servers::consumer::read_count;
use flitch_tests::servers::kafka::{CONNECTION_STRING, Kafka};
use flitch_tests::servers::nginx::Nginx;
use flitch_tests::wait::eventually;
use serde_json::{Map, Value};

use super::{arrived, objects, prepared};
use crate::support::*;

const EXAMPLE: &str = "1-pixel-server";
const HITS: usize = 300;

/// What a line of the log must become, taken apart without flitch: by its quotes.
fn expected(line: &str) -> Option<Value> {
    let parts: Vec<&str> = line.split('"').collect();
    let (front, request, behind) = (*parts.first()?, *parts.get(1)?, *parts.get(2)?);
    let mut front = front.split(' ');
    let mut record = Map::new();
    let mut put = |name: &str, value: &str| {
        if value != "-" {
            record.insert(name.to_owned(), value.into());
        }
    };
    for name in ["remote", "host", "user"] {
        put(name, front.next()?);
    }
    let time = front.next()?.trim_matches(['[', ']']).replace("+00:00", "Z");
    match request.split(' ').collect::<Vec<_>>()[..] {
        [method, path, protocol] => {
            put("method", method);
            put("path", path);
            put("protocol", protocol);
        }
        _ => put("request", request),
    }
    put("referer", parts.get(3)?);
    put("agent", parts.get(5)?);
    put("cookie", parts.get(7)?);
    let mut numbers = behind.split_whitespace().map(|number| number.parse::<i64>().ok());
    record.insert("code".into(), numbers.next()??.into());
    record.insert("size".into(), numbers.next()??.into());
    record.insert("@timestamp".into(), time.into());
    record.insert("@tag".into(), "nginx.access".into());
    Some(record.into())
}

#[test]
fn every_hit_is_in_event_hubs_on_the_screen_and_in_the_archive_as_nginx_logged_it() {
    let kafka = Kafka::shared_sasl();
    kafka.create_topic("example-clicks", 4).unwrap();
    let azurite = Azurite::start("pixels").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let conf = std::fs::read_to_string(super::folder(EXAMPLE).join("nginx.conf")).unwrap();
    let nginx = Nginx::start_with(folder.path(), "pixel", &conf).unwrap();
    let storage = format!("AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={}", azurite.endpoint());
    let mut flitch = prepared(
        EXAMPLE,
        "flitch.yaml",
        &[
            ("ACCESS_LOG", &nginx.access_log().to_string_lossy()),
            ("EVENT_HUBS_CONNECTION_STRING", CONNECTION_STRING),
            ("EVENT_HUBS_ENDPOINT", &kafka.sasl_bootstrap()),
            ("EVENT_HUB", "example-clicks"),
            ("CA_FILE", &kafka.authority_file().to_string_lossy()),
            ("AZURE_STORAGE_CONNECTION_STRING", &storage),
        ],
    );
    flitch.run();
    for n in 0..HITS {
        let cookie = format!("uid=visitor{}", n % 7);
        let agent = ["curl/7.58.0", "Mozilla/5.0 (X11; \"quoted\") caf\u{e9}", "-"][n % 3];
        let headers = [("Cookie", &*cookie), ("User-Agent", agent), ("Referer", "http://127.0.0.1/")];
        let headers = if n % 5 == 0 { &headers[1..2] } else { &headers[..] };
        http::request("GET", nginx.address(), &format!("/i?param=testing&n={n}"), headers, &[]).unwrap();
    }
    // What scanners send is no request, and a hit all the same.
    let mut scanner = TcpStream::connect(nginx.address()).unwrap();
    scanner.write_all(b"\x16\x03\x01\x02\r\n\r\n").unwrap();
    scanner.read_to_end(&mut Vec::new()).unwrap();
    let log = || std::fs::read_to_string(nginx.access_log()).unwrap_or_default();
    eventually("nginx has logged all", DEADLINE, || log().lines().count() == HITS + 1);
    // A line that is none of nginx's goes to the dead letters, and holds up nobody.
    open(&nginx.access_log()).write_all(b"logrotate was here\n").unwrap();
    let mut hits: Vec<Value> = log().lines().filter_map(expected).collect();
    for hit in &mut hits {
        hit["file"] = nginx.access_log().to_string_lossy().into();
    }
    assert_eq!(hits.len(), HITS + 1);

    let events = read_count(&kafka.bootstrap(), "example-clicks", hits.len(), DEADLINE).unwrap();
    for event in &events {
        let cookie = event.json()["cookie"].as_str().map(|cookie| cookie.as_bytes().to_vec());
        assert_eq!(event.key, cookie);
    }
    arrived("Event Hubs", events.iter().map(|event| event.json()), &hits);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    arrived("the screen", objects(&flitch.log()), &hits);
    let blobs = azurite.blobs("pixels").unwrap();
    let text = blobs.values().map(|blob| String::from_utf8(blob.clone()).unwrap()).collect::<String>();
    arrived("the archive", objects(&text), &hits);
    assert!(
        blobs.keys().all(|name| name.starts_with("date=20") && name.contains("/hour=")),
        "{:?}",
        blobs.keys()
    );
    let letters = flitch.cli(&["dead-letters", "list", "-c", &flitch.config_file().to_string_lossy()], "");
    assert!(
        letters.stdout.contains("1  filter parse") && letters.stdout.contains("1  in all"),
        "{letters:?}"
    );
}
