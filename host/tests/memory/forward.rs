use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use flitch_sources::SourceKind;
use flitch_sources::forward::ForwardSettings;
use rmp::encode as pack;

use super::allocator::alone;
use super::hold;
use super::rig::Rig;

fn rig() -> Rig {
    Rig::start(|address, cx| {
        let settings = serde_json::json!({ "listen": address.to_string(), "udp_heartbeat": false });
        let settings: ForwardSettings = serde_json::from_value(settings).unwrap();
        settings.start(cx)
    })
}

/// Sends bytes on a connection of their own, and waits until the source is through with them.
fn send(address: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // It may be cut off for what it says.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}

fn text(out: &mut Vec<u8>, text: &str) {
    pack::write_str(out, text).unwrap();
}

/// `["t", [[0, record], ...], option]`, whose records `record` writes.
fn message(records: usize, mut record: impl FnMut(&mut Vec<u8>, usize)) -> Vec<u8> {
    let mut out = Vec::new();
    pack::write_array_len(&mut out, 2).unwrap();
    text(&mut out, "t");
    pack::write_array_len(&mut out, records as u32).unwrap();
    for n in 0..records {
        pack::write_array_len(&mut out, 2).unwrap();
        pack::write_uint(&mut out, 0).unwrap();
        record(&mut out, n);
    }
    out
}

fn map(out: &mut Vec<u8>, from: usize, names: usize) {
    pack::write_map_len(out, names as u32).unwrap();
    for n in from..from + names {
        text(out, &format!("k{n}"));
        pack::write_uint(out, n as u64).unwrap();
    }
}

/// The same entries as one binary, expanded from gzip.
fn compressed(entries: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(entries).unwrap();
    let mut out = Vec::new();
    pack::write_array_len(&mut out, 3).unwrap();
    text(&mut out, "t");
    let gzip = gzip.finish().unwrap();
    pack::write_bin(&mut out, &gzip).unwrap();
    pack::write_map_len(&mut out, 1).unwrap();
    text(&mut out, "compressed");
    text(&mut out, "gzip");
    out
}

fn messages() -> Vec<(&'static str, Vec<u8>)> {
    let nested = |out: &mut Vec<u8>, depth: usize| {
        for _ in 0..depth {
            pack::write_map_len(out, 1).unwrap();
            text(out, "a");
        }
        pack::write_nil(out).unwrap();
    };
    let mut declared = Vec::new();
    pack::write_array_len(&mut declared, 2).unwrap();
    text(&mut declared, "t");
    pack::write_array_len(&mut declared, u32::MAX).unwrap();
    let mut huge_text = vec![0x92, 0xa1, b't', 0xdb];
    huge_text.extend(u32::MAX.to_be_bytes());
    vec![
        ("a name of its own in each record", message(70_000, |out, n| map(out, n, 1))),
        ("200 names of its own in each", message(500, |out, n| map(out, 200 * n, 200))),
        ("one record of 100,000 names", message(1, |out, _| map(out, 0, 100_000))),
        ("no members at all", message(200_000, |out, _| map(out, 0, 0))),
        ("maps inside one another", message(3000, |out, _| nested(out, 100))),
        ("one map inside another, 300,000 deep", message(1, |out, _| nested(out, 300_000))),
        ("an array of 4 billion entries that do not come", declared),
        ("a text of 4 GB that does not come", huge_text),
        ("bytes that are no MessagePack", vec![0xc1; 1 << 20]),
        ("entries that are no entries", message(300_000, |out, _| pack::write_nil(out).unwrap())),
    ]
}

#[test]
fn a_message_of_forward_is_held_within_eight_times_its_size() {
    let (_alone, rig) = (alone(), rig());
    for (what, message) in messages() {
        hold(what, message.len(), || send(rig.address, &message));
    }
}

#[test]
fn entries_that_expand_are_held_a_piece_at_a_time() {
    let (_alone, rig) = (alone(), rig());
    for names in [0, 1, 200] {
        let mut entries = Vec::new();
        for n in 0.. {
            pack::write_array_len(&mut entries, 2).unwrap();
            pack::write_uint(&mut entries, 0).unwrap();
            map(&mut entries, names * n, names);
            if entries.len() > 4 << 20 {
                break;
            }
        }
        let message = compressed(&entries);
        hold("entries that expand", message.len(), || send(rig.address, &message));
    }
}
