use std::io::Write;

use super::super::super::rig::{Rig, Settle, ms, s};
use super::super::super::settings::{Codec, Compression, MultilineSettings, ReadFrom};
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::dead_letter::{DeadLetterSettings, WhenFull};
use flitch_core::units::Bytes;

pub fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_ref()).unwrap();
    encoder.finish().unwrap()
}

fn trace() -> MultilineSettings {
    MultilineSettings { start: Some("^[a-z]".to_owned().try_into().unwrap()), ..Default::default() }
}

#[test]
fn a_record_of_several_lines_waits_for_its_last_one_no_longer_than_the_timeout() {
    let mut rig = Rig::new();
    rig.settings.multiline = Some(trace());
    rig.append("a.log", "one\n 1\n");
    rig.start();
    rig.pass(ms(800));
    assert!(rig.lines().is_empty());
    rig.append("a.log", " 2\ntwo\n");
    rig.pass(ms(500));
    assert_eq!(rig.lines(), ["one\n 1\n 2"]);
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["two"]);
    rig.append("a.log", " late\nthree");
    rig.pass(s(2));
    assert!(rig.lines().is_empty(), "a line without its end waits longer, and may belong to those before it");
    rig.pass(s(4));
    assert_eq!(rig.lines(), [" late", "three"]);
}

#[test]
fn an_unfinished_record_of_several_lines_is_whole_after_a_restart() {
    let mut rig = Rig::new();
    rig.settings.multiline = Some(trace());
    rig.append("a.log", "one\ntwo\n 1\n");
    rig.start();
    rig.settle_down();
    rig.stop();
    rig.append("a.log", " 2\nthree\n");
    rig.start();
    rig.pass(ms(500));
    assert_eq!(rig.lines(), ["one", "two\n 1\n 2"]);
}

#[test]
fn records_of_several_lines_go_on_across_pieces() {
    let mut rig = Rig::new();
    rig.settings.multiline = Some(trace());
    let record = |n: usize| format!("record {n}\n{}", format!("  {}\n", "x".repeat(997)).repeat(400));
    let text: String = (0..5).map(record).collect();
    rig.append("a.log", &text);
    rig.start();
    rig.pass(s(2));
    let want: Vec<_> = (0..5).map(|n| record(n).trim_end().to_owned()).collect();
    assert!(rig.lines() == want);
}

#[test]
fn lines_that_are_no_json_go_to_the_dead_letters_and_the_accounts_hold() {
    let mut rig = Rig::new();
    rig.settings.codec = Codec::Json;
    rig.append("a.log", "{\"message\":\"one\"}\nbad\n{\"message\":\"two\"}\n");
    rig.append("b.log", "all\nbad\n");
    rig.start();
    rig.pass(s(2));
    assert_eq!(rig.lines(), ["one", "two"]);
    let accounts = rig.accounts();
    assert_eq!((accounts.received, accounts.dead_lettered, accounts.delivered), (5, 3, 2));
    assert_eq!(accounts.in_flight(), 0);
    let mut reasons = Vec::new();
    flitch_core::dead_letter::read::letters(&rig.dir.path().join("dead"), &Default::default(), |letter| {
        reasons.push(letter.reason);
        Ok(true)
    })
    .unwrap();
    let named = |name| reasons.iter().filter(|r| r.contains(name) && r.contains("no JSON object")).count();
    assert_eq!((named("/a.log: "), named("/b.log: ")), (1, 2), "{reasons:?}");
    rig.stop();
    rig.start();
    rig.pass(s(2));
    assert!(rig.lines().is_empty(), "bad lines move the position too");
    assert_eq!(rig.accounts().received, 5);
}

#[test]
fn the_position_stands_while_bad_lines_cannot_be_written_and_then_nothing_is_missing_or_twice() {
    let mut rig = Rig::new();
    rig.settings.codec = Codec::Json;
    let letters = rig.cx.dead_letters.clone();
    let room = |bytes| {
        letters.configure(&DeadLetterSettings {
            max_bytes: Bytes(bytes),
            when_full: WhenFull::Stop,
            ..Default::default()
        });
    };
    room(1);
    letters.raw("source", "other", [("the first is taken however small the room", &b"x"[..])]).unwrap();
    let good = |n: usize| format!("{{\"message\":\"{n}\"}}\n");
    let first: String = (0..2000).map(good).collect();
    rig.append("a.log", format!("{first}bad\n{}", good(2000)));
    rig.append("b.log", "all\nbad\n");
    rig.start();
    rig.pass(s(10));
    let saved = rig.saved("a.log").unwrap() as usize;
    assert!(saved <= first.len(), "the position of a.log lies behind its bad line: {saved}");
    assert_eq!(rig.saved("b.log"), Some(0));
    let accounts = rig.accounts();
    assert_eq!((accounts.dead_lettered, accounts.in_flight()), (0, 0));
    assert!(accounts.returned > 0);
    // A restart changes nothing.
    rig.start();
    rig.pass(s(3));
    room(1 << 20);
    rig.pass(s(3));
    let lines = rig.lines();
    let expected: Vec<String> = (0..=2000).map(|n| n.to_string()).collect();
    let last: Vec<_> = lines.iter().rev().take(lines.len() - 1024).rev().cloned().collect();
    assert_eq!(last, expected[1024..], "what stands behind a full batch comes once");
    assert_eq!(lines[..1024], expected[..1024]);
    assert_eq!((rig.accounts().dead_lettered, rig.accounts().in_flight()), (3, 0));
}

#[test]
fn text_that_is_not_utf8_is_mended_or_kept_as_bytes() {
    for (invalid, want) in [(InvalidUtf8::Replace, "a\u{fffd}b"), (InvalidUtf8::Bytes, "[97, 255, 98]")] {
        let mut rig = Rig::new();
        rig.settings.invalid_utf8 = invalid;
        rig.append("a.log", b"a\xffb\n");
        rig.start();
        rig.settle_down();
        assert_eq!(rig.lines(), [want]);
    }
}

#[test]
fn a_gzip_file_is_read_once_when_it_is_quiet() {
    let mut rig = Rig::new();
    rig.append("a.log", gzip("one\ntwo"));
    rig.append("b.log", "plain\n");
    rig.start();
    rig.pass(ms(900));
    assert_eq!(rig.lines(), ["plain"]);
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["one", "two"]);
    rig.stop();
    rig.start();
    rig.pass(s(3));
    assert!(rig.lines().is_empty());
    rig.append("a.log", gzip("three\n"));
    rig.pass(s(3));
    assert_eq!(rig.lines(), ["three"], "a member that is added is read");
    let open = rig.tailer.as_ref().unwrap().tails.values().filter(|t| t.content.is_some()).count();
    assert!(open <= 1);
}

#[test]
fn a_gzip_file_that_is_found_before_its_first_bytes_are_in_it_is_read_as_one() {
    let bytes = gzip("one\ntwo\n");
    for (length, turns) in (0..4).flat_map(|length| (0..12).map(move |turns| (length, turns))) {
        let mut rig = Rig::new();
        rig.append("a.log", &bytes[..length]);
        rig.start();
        for _ in 0..turns {
            rig.tailer.as_mut().unwrap().turn(rig.now).unwrap();
        }
        rig.append("a.log", &bytes[length..]);
        rig.pass(s(5));
        assert_eq!(rig.lines(), ["one", "two"], "{length} bytes, and the others after {turns} turns");
        assert_eq!(rig.accounts().in_flight(), 0);
    }
}

#[test]
fn a_gzip_file_whose_second_byte_comes_when_the_first_has_waited_long_enough_is_read_as_one() {
    let bytes = gzip("one\n");
    let mut rig = Rig::new();
    rig.append("a.log", &bytes[..1]);
    rig.start();
    rig.pass(s(1));
    rig.append("a.log", &bytes[1..]);
    // As a look has it that came just before.
    rig.tailer.as_mut().unwrap().tails.values_mut().for_each(|tail| tail.force = true);
    rig.pass(s(9));
    assert_eq!(rig.lines(), ["one"]);
}

#[test]
fn a_file_whose_only_byte_is_the_first_of_gzip_is_read_as_text_after_a_time() {
    let mut rig = Rig::new();
    rig.append("a.log", "\x1f");
    rig.start();
    rig.pass(s(7));
    assert_eq!(rig.lines(), ["\x1f"]);
}

#[test]
fn what_something_else_than_gzip_has_compressed_is_no_text() {
    let heads: [&[u8]; 5] =
        [b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"BZh91AY&SY", b"\x04\x22\x4d\x18", b"PK\x03\x04"];
    for head in heads {
        let all = [head, &b"\x01\nbinary\n\xff\xfe\n"[..]].concat();
        for length in [0, 1, head.len() - 1, head.len(), all.len()] {
            for compression in [Compression::Auto, Compression::None] {
                let mut rig = Rig::new();
                rig.settings.compression = compression;
                rig.append("a.log", &all[..length]);
                rig.append("b.log", "text\n");
                rig.start();
                rig.settle_down();
                rig.append("a.log", &all[length..]);
                rig.pass(s(7));
                let lines = rig.lines();
                assert!(lines.contains(&"text".to_owned()));
                assert_eq!(lines.len() > 1, compression == Compression::None, "{head:?} {length} {lines:?}");
                assert_eq!(rig.accounts().in_flight(), 0);
                // It is let go, and known at the next start, as any other.
                rig.remove("a.log");
                rig.pass(s(10));
                assert_eq!(rig.tailer.as_ref().unwrap().tails.len(), 1);
            }
        }
    }
    let mut rig = Rig::new();
    rig.append("a.log", "BZh is no bzip2\n");
    rig.append("b.log", "(\n");
    rig.append("c.log", "P");
    rig.start();
    rig.pass(s(7));
    let mut lines = rig.lines();
    lines.sort();
    assert_eq!(lines, ["(", "BZh is no bzip2", "P"]);
}

#[test]
fn many_gzip_files_are_read_and_gone_back_in() {
    let mut rig = Rig::new();
    for file in 0..40 {
        rig.append(&format!("{file}.log"), gzip(format!("{}\n", file).repeat(3_000)));
    }
    rig.settle = Settle::Again;
    rig.start();
    rig.pass(s(2));
    assert!(!rig.got.is_empty());
    rig.got.clear();
    rig.settle = Settle::Delivered;
    rig.pass(s(6));
    assert_eq!(rig.got.len(), 120_000);
    rig.stop();
    rig.start();
    rig.pass(s(3));
    assert_eq!(rig.got.len(), 120_000);
}

#[test]
fn a_gzip_file_that_stops_in_the_middle_is_read_as_far_as_it_goes_and_further_when_it_grows() {
    let mut rig = Rig::new();
    let text: String = (0..100_000).map(|n| format!("{n}\n")).collect();
    let bytes = gzip(&text);
    rig.append("a.log", &bytes[..bytes.len() / 2]);
    rig.start();
    rig.pass(s(3));
    let half = rig.got.len();
    assert!(half > 10_000 && half < 90_000, "{half}");
    rig.append("a.log", &bytes[bytes.len() / 2..]);
    rig.pass(s(3));
    assert!(rig.lines().iter().enumerate().all(|(n, line)| *line == n.to_string()));
}

#[test]
fn a_damaged_gzip_file_is_read_up_to_the_damage() {
    let mut rig = Rig::new();
    rig.settings.compression = Compression::Gzip;
    rig.append("a.log", "no gzip");
    let mut bytes = gzip("line\n".repeat(1000));
    let at = bytes.len() - 5;
    bytes[at] ^= 0xff;
    rig.append("b.log", &bytes);
    rig.start();
    rig.pass(s(8));
    assert_eq!(rig.lines().len(), 1000);
    assert!(rig.tailer.as_ref().unwrap().tails.values().all(|t| t.content.is_none() && t.behind() == 0));
}

#[test]
fn gzip_files_that_are_there_are_skipped_when_reading_begins_at_the_end() {
    let mut rig = Rig::new();
    rig.settings.read_from = ReadFrom::End;
    rig.append("a.log", gzip("old\n"));
    rig.start();
    rig.pass(s(3));
    rig.append("b.log", gzip("new\n"));
    rig.pass(s(3));
    assert_eq!(rig.lines(), ["new"]);
}

#[test]
fn what_a_batch_has_in_common_stands_once() {
    let mut rig = Rig::new();
    rig.settings.tag = Some("nginx".into());
    rig.settle = Settle::Hold;
    rig.append("a.log", "one\ntwo\n");
    rig.start();
    rig.settle_down();
    let records = &rig.held[0].records;
    let mut names: Vec<_> = records.constants().schema().fields().iter().map(|f| f.name().clone()).collect();
    names.sort();
    assert_eq!(names, ["@tag", "@timestamp", "file", "host"]);
    assert_eq!(records.columns().num_columns(), 1);
    let line = String::from_utf8(records.ndjson().row(0).to_vec()).unwrap();
    assert!(line.contains("\"@tag\":\"nginx\"") && line.contains("2023-11-14T22:13:20"), "{line}");
}

#[test]
fn columns_that_are_named_empty_are_left_out() {
    let mut rig = Rig::new();
    rig.settings.host_field = String::new();
    rig.settle = Settle::Hold;
    rig.append("a.log", "one\n");
    rig.start();
    rig.settle_down();
    assert!(rig.held[0].records.column("host").is_none());
}
