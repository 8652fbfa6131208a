use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::Result;
use flitch_tests::attack::Attacked;
use flitch_tests::fluent::OneByOne;
use flitch_tests::ports;

use crate::support::*;

/// A flitch under attack whose forward source has these settings, and its port. The client sends as Docker does.
fn start(settings: &str) -> (Attacked, u16) {
    let port = ports::free();
    (start_beside(settings, port, || one_by_one(port)), port)
}

/// The same with another client.
fn start_beside<S>(settings: &str, port: u16, connect: impl FnOnce() -> Result<S>) -> Attacked
where
    S: FnMut(usize) -> Result<()> + Send + 'static,
{
    let source = format!("{{ type: forward, listen: \"127.0.0.1:{port}\"{settings} }}");
    let config = pipeline(&source, &[], "out: { type: blackhole }");
    Attacked::start(FLITCH, &config, |_| connect())
}

/// A way to send records that waits for the answer to each.
fn one_by_one(port: u16) -> Result<impl FnMut(usize) -> Result<()> + Send + 'static> {
    let mut client = OneByOne::connect(port)?;
    Ok(move |n| client.send(&line(n)).map(drop))
}

/// An attacker's connection, which gives up where nothing is taken of what it sends.
fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Whether all of it was taken, and not refused or left alone.
fn send(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    stream.write_all(bytes).is_ok()
}

/// A str of MessagePack.
fn text(text: &[u8]) -> Vec<u8> {
    [b"\xdb".as_slice(), &(text.len() as u32).to_be_bytes(), text].concat()
}

/// A map of MessagePack whose values are texts.
fn map(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0x80 | fields.len() as u8];
    for (name, value) in fields {
        bytes.extend(text(name.as_bytes()));
        bytes.extend(text(value));
    }
    bytes
}

#[test]
fn answers_that_a_client_does_not_read_hold_up_that_client_alone() {
    let (attacked, port) = start("");
    let chunk = "x".repeat(2000);
    let message = [b"\x94\xa1t\x00".as_slice(), &map(&[]), &map(&[("chunk", chunk.as_bytes())])].concat();
    let many = message.repeat(200);
    let mut attackers: Vec<_> = (0..8).map(|_| connect(port)).collect();
    for attacker in &mut attackers {
        let taken = (0..500).take_while(|_| send(attacker, &many)).count();
        assert!(taken < 100, "{} bytes were taken without an answer being read", taken * many.len());
    }
    attacked.goes_on("while answers are not read");
    attacked.end();
}

#[test]
fn docker_pieces_on_many_connections_are_held_within_a_bound() {
    let (attacked, port) = start("");
    let log = vec![b'x'; 900 << 10];
    let mut attackers: Vec<_> = (0..60).map(|_| connect(port)).collect();
    for id in 0..14 {
        let id = id.to_string();
        let piece = map(&[("log", &log), ("partial_message", b"true"), ("partial_id", id.as_bytes())]);
        let message = [b"\x94\xa1t\x00".as_slice(), &piece, &map(&[])].concat();
        for attacker in &mut attackers {
            send(attacker, &message);
        }
        attacked.goes_on("while lines stay open");
    }
    drop(attackers);
    attacked.end();
}

#[test]
fn connections_that_say_nothing_shut_nobody_out() {
    let port = ports::free();
    // A client that is new each time, as one that was cut off.
    let client = move |n| one_by_one(port).and_then(|mut send| send(n));
    let attacked = start_beside(", max_connections: 64", port, || Ok(client));
    let mut attackers = Vec::new();
    for n in 0..300 {
        let mut attacker = connect(port);
        // The beginning of a message is no more than nothing.
        send(&mut attacker, &b"\x94\xa1t"[..n % 4]);
        attackers.push(attacker);
    }
    attacked.goes_on("while most connections are silent");
    let mut open = 0;
    for attacker in &mut attackers {
        attacker.set_nonblocking(true).unwrap();
        open += usize::from(
            matches!(attacker.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock),
        );
    }
    assert!(open <= 64, "{open} are open");
    let gave_way = attacked.flitch.metrics().count("flitch_connections_let_go_total", &[("reason", "room")]);
    assert!(gave_way >= 236, "{gave_way} gave way");
    attacked.end();
}

#[test]
fn compressed_entries_that_expand_to_a_thousand_times_their_size_are_held_within_a_bound() {
    let (attacked, port) = start("");
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let packed = |entries: &[u8], compressed: &str, chunk: u8| {
        let options = map(&[("compressed", compressed.as_bytes()), ("chunk", &[chunk])]);
        [b"\x93\xa1t".as_slice(), &text(entries), &options].concat()
    };
    // One entry of 250 MB, and many of a few bytes.
    let one = [b"\x92\x00".as_slice(), &map(&[("log", &vec![b'x'; 250 << 20])])].concat();
    let many = [b"\x92\x00".as_slice(), &map(&[("n", b"1")])].concat().repeat(50_000);
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    let bombs = [(gzip(&one), "gzip"), (gzip(&many), "gzip"), (zstd(&one), "zstd"), (zstd(&many), "zstd")];
    drop((one, many));
    let mut attackers: Vec<_> = (0..24).map(|_| connect(port)).collect();
    for (n, (attacker, (bomb, compressed))) in attackers.iter_mut().zip(bombs.iter().cycle()).enumerate() {
        assert!(
            send(attacker, &packed(bomb, compressed, n as u8)),
            "a bomb of {} bytes is not taken",
            bomb.len()
        );
    }
    attacked.goes_on("while entries expand");
    for attacker in &mut attackers {
        let mut answer = vec![0; b"\x81\xa3ack\xdb\0\0\0\x01c".len()];
        attacker.read_exact(&mut answer).expect("each is answered: what cannot be taken is a dead letter");
    }
    attacked.end();
}

#[test]
fn heartbeats_over_udp_are_answered_and_answers_are_not() {
    let (attacked, port) = start("");
    let listener = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    other.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    other.send_to(&[0], listener).unwrap();
    assert_eq!(other.recv(&mut [0; 64]).unwrap(), 1, "a heartbeat has its answer");
    // As another listener would: each answer is sent back.
    for _ in 0..1000 {
        other.send_to(&[0], listener).unwrap();
    }
    attacked.goes_on("while answers are answered");
    other.set_nonblocking(true).unwrap();
    let answers = std::iter::from_fn(|| other.recv(&mut [0; 64]).ok()).count();
    assert!(answers < 100, "{answers} of 1,000 answers were answered");
    attacked.end();
}
