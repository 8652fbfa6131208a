use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Result, bail};
use flitch_tests::attack::Attacked;
use flitch_tests::{http, ports};

use crate::support::*;

const NDJSON: (&str, &str) = ("Content-Type", "application/x-ndjson");
const GZIP: (&str, &str) = ("Content-Encoding", "gzip");
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// SETTINGS of HTTP/2 without any setting: length 0, type 4 (RFC 9113, section 6.5).
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// A flitch under attack whose HTTP source has these settings, and its address. The client sends one record a
/// connection. It does not mind to be told to come again where `may_wait` says so.
fn start(settings: &str, may_wait: bool) -> (Attacked, SocketAddr) {
    flitch_core::net::descriptors::raise().unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
    let source = format!("{{ type: http, listen: \"{address}\"{settings} }}");
    let config = pipeline(&source, &[], "out: { type: blackhole }");
    let send = move |n: usize| loop {
        let answer = http::post(address, "/good", &[NDJSON], format!("{{\"n\":{n}}}\n").as_bytes())?;
        match answer.status {
            200 => return Ok(()),
            429 if may_wait => continue,
            other => bail!("record {n} was answered by {other}: {}", answer.text()),
        }
    };
    (Attacked::start(FLITCH, &config, |_| Ok(send)), address)
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(text).unwrap();
    gzip.finish().unwrap()
}

/// Posts a body from so many clients at once. Each must be told something.
fn post_at_once(clients: usize, address: SocketAddr, headers: &[(&str, &str)], body: &[u8]) -> Vec<u16> {
    std::thread::scope(|scope| {
        let post = || http::post(address, "/bad", headers, body).map(|answer| answer.status);
        let posting: Vec<_> = (0..clients).map(|_| scope.spawn(post)).collect();
        posting.into_iter().map(|post| post.join().unwrap().unwrap()).collect()
    })
}

/// A connection that says this and no more.
fn say(address: SocketAddr, said: &[u8]) -> Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
    stream.write_all(said)?;
    Ok(stream)
}

#[test]
fn bodies_of_many_names_cost_no_more_than_their_size() {
    let (attacked, address) = start("", true);
    let each: String = (0..60_000).map(|n| format!("{{\"k{n}\":{n}}}\n")).collect();
    let one = format!("{{{}}}", (0..60_000).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>().join(","));
    let rows = |from: usize| (from..from + 200).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(",");
    let many =
        format!("[{}]", (0..400).map(|n| format!("{{{}}}", rows(200 * n))).collect::<Vec<_>>().join(","));
    let deep =
        format!("{{\"a\":{}{}}}\n", "{\"a\":".repeat(100), "1".to_owned() + &"}".repeat(100)).repeat(900);
    let empty = "{}".repeat(450_000);
    for body in [each, one, many, deep, empty] {
        let told = post_at_once(4, address, &[("Content-Type", "application/json")], body.as_bytes());
        assert!(told.iter().all(|status| [200, 429].contains(status)), "{told:?}");
        assert!(told.contains(&200), "{told:?}");
        attacked.goes_on("while bodies of many names are read");
    }
    attacked.end();
}

#[test]
fn small_bodies_that_expand_hold_no_more_than_the_room_that_there_is() {
    let (attacked, address) = start("", true);
    for (text, kind) in [
        ("{}\n".repeat(8 << 20), NDJSON),
        ("x\n".repeat(12 << 20), ("Content-Type", "text/plain")),
        (" ".repeat(25 << 20), NDJSON),
        ("{\"a\":1,\"b\":{\"c\":[1,2]}}\n".repeat(1 << 20), NDJSON),
    ] {
        let bomb = gzip(text.as_bytes());
        assert!(bomb.len() < 100 << 10, "{}", bomb.len());
        let told = post_at_once(30, address, &[kind, GZIP], &bomb);
        assert!(told.iter().all(|status| [200, 408, 413, 429].contains(status)), "{told:?}");
        attacked.goes_on("while small bodies expand");
    }
    // What expands past the limit is refused by its answer, wherever it comes to that.
    let bomb = gzip(&gzip(&vec![b' '; 1 << 30]));
    let told = post_at_once(30, address, &[NDJSON, GZIP, GZIP], &bomb);
    assert!(told.iter().all(|status| [413, 429].contains(status)), "{told:?}");
    attacked.end();
}

#[test]
fn connections_that_say_nothing_keep_out_nobody() {
    let (attacked, address) = start("", false);
    let idle_session = [PREFACE, SETTINGS].concat();
    let said = [&b""[..], b"P", &PREFACE[..20], &idle_session, b"POST / HTTP/1.1\r\nHost: x\r\n"];
    // As many as there may be, and again as many.
    let mut silent = Vec::new();
    for n in 0..2048 {
        silent.push(say(address, said[n % said.len()]).unwrap());
    }
    attacked.goes_on("while 2,048 clients say nothing");
    let metrics = attacked.flitch.metrics();
    let let_go = metrics.count("flitch_connections_let_go_total", &[("listener", "in"), ("reason", "room")]);
    assert!(let_go >= 1000, "{let_go}");
    drop(silent);
    attacked.end();
}

#[test]
fn bodies_that_do_not_come_keep_nobody_from_the_memory() {
    let (attacked, address) = start(", header_timeout: 5s", true);
    let head =
        "POST /slow HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 16000000\r\n\r\n";
    // Those that promise much, and those that send as much as there is room for and then nothing more.
    let promised: Vec<_> = (0..200).map(|_| say(address, head.as_bytes()).unwrap()).collect();
    attacked.goes_on("while 200 bodies are promised");
    let begun = [head.as_bytes(), &vec![b'x'; 1 << 20]].concat();
    let mut stalled: Vec<_> = (0..80).filter_map(|_| say(address, &begun).ok()).collect();
    attacked.goes_on("while 80 bodies have stalled");
    // Who stalls on the memory of others is told so, or cut off.
    assert!(stalled.iter_mut().any(is_refused), "nobody was cut off");
    drop((promised, stalled));
    attacked.end();
}

/// Whether the client was answered by 4xx, or cut off.
fn is_refused(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut status = [0; 10];
    match stream.read_exact(&mut status) {
        Ok(()) => status.starts_with(b"HTTP/1.1 4"),
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}
