use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::Result;
use flitch_tests::attack::Attacked;
use flitch_tests::fluent::OneByOne;
use flitch_tests::ports;

use crate::support::*;

/// A flitch under attack whose forward source has these settings, and its port. The client sends as Docker does.
fn start(settings: &str) -> (Attacked, u16) {
    let port = ports::free();
    let source = format!("{{ type: forward, listen: \"127.0.0.1:{port}\"{settings} }}");
    let config = pipeline(&source, &[], "out: { type: blackhole }");
    (Attacked::start(FLITCH, &config, |_| one_by_one(port)), port)
}

/// A way to send records that waits for the answer to each.
fn one_by_one(port: u16) -> Result<impl FnMut(usize) -> Result<()> + Send + 'static> {
    let mut client = OneByOne::connect(port)?;
    Ok(move |n| client.send(&line(n)).map(drop))
}

/// A port's packets that were not delivered to it while nobody reads: what it still has when it is asked.
fn packets(socket: &UdpSocket) -> usize {
    let mut packet = [0; 64];
    std::iter::from_fn(|| socket.recv(&mut packet).ok()).count()
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
    let answers = packets(&other);
    assert!(answers < 100, "{answers} of 1,000 answers were answered");
    attacked.end();
}
