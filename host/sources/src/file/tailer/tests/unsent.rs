//! What a file ends with and is not sent yet, when the file is cut.

use super::super::super::rig::{Got, Rig, ms, s};
use super::super::super::settings::{Codec, MultilineSettings};

fn joining() -> Rig {
    let mut rig = Rig::new();
    let start = Some("^[a-z]".to_owned().try_into().unwrap());
    rig.settings.multiline = Some(MultilineSettings { start, ..Default::default() });
    rig
}

#[test]
fn a_record_that_waits_for_its_next_line_outlives_the_cut_of_its_file() {
    // The file is shorter than before, and longer; the last line has its end, and has none.
    let files = ["", "two\n", "a file that grew past its old end\n 3\ntwo\n"];
    for (next, end) in files.iter().flat_map(|next| [(*next, ""), (*next, "\n")]) {
        let mut rig = joining();
        rig.append("a.log", format!("zero\none\n 1\n 2{end}"));
        rig.start();
        rig.pass(ms(500));
        assert_eq!(rig.lines(), ["zero"]);
        rig.copytruncate("a.log", "a.old");
        rig.append("a.log", next);
        rig.pass(ms(500));
        let lines = rig.lines();
        assert_eq!(lines[0], "one\n 1\n 2", "{next}");
        rig.pass(s(2));
        let last = if next.is_empty() { None } else { Some("two".to_owned()) };
        assert_eq!(rig.lines().pop(), last);
        // It is there once, and its file goes on.
        rig.append("a.log", "three\nfour\n");
        rig.pass(s(2));
        assert_eq!(rig.lines(), ["three", "four"]);
        rig.stop();
        rig.start();
        rig.pass(s(2));
        assert!(rig.lines().is_empty());
    }
}

#[test]
fn a_line_without_an_end_outlives_the_cut_of_its_file_in_any_charset() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    for is_utf16 in [false, true] {
        let mut rig = Rig::new();
        let encode = |text: &str| match is_utf16 {
            true => [&b"\xff\xfe"[..], &utf16(text)].concat(),
            false => text.as_bytes().to_vec(),
        };
        rig.append("a.log", encode("one\nhälf"));
        rig.start();
        rig.pass(ms(500));
        rig.copytruncate("a.log", "a.old");
        rig.append("a.log", encode("two\n"));
        rig.pass(s(1));
        assert_eq!(rig.lines(), ["one", "hälf", "two"]);
    }
}

#[test]
fn a_half_object_is_told_when_its_file_is_cut() {
    let mut rig = Rig::new();
    rig.settings.codec = Codec::Json;
    rig.append("a.log", "{\"message\":\"one\"}\n{\"mess");
    rig.start();
    rig.pass(ms(500));
    rig.copytruncate("a.log", "a.old");
    rig.append("a.log", "{\"message\":\"two\"}\n");
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["one", "two"]);
    assert_eq!(rig.accounts().dead_lettered, 1);
}

#[test]
fn the_open_line_of_a_container_outlives_the_cut_of_its_file() {
    let mut rig = Rig::new();
    rig.settings.codec = Codec::Cri;
    rig.append("a.log", "2026-11-25T10:00:00Z stdout P one-\n2026-11-25T10:00:01Z stderr F two\n");
    rig.start();
    rig.pass(ms(500));
    rig.copytruncate("a.log", "a.old");
    rig.append("a.log", "2026-11-25T10:00:02Z stdout F three\n");
    rig.pass(s(1));
    let lines = [
        "stderr 2026-11-25T10:00:01Z two",
        "stdout 2026-11-25T10:00:00Z one-",
        "stdout 2026-11-25T10:00:02Z three",
    ];
    assert_eq!(rig.lines(), lines);
}

#[test]
fn what_was_kept_goes_on_record_by_record_where_a_batch_has_room_for_one() {
    let mut rig = joining();
    rig.cx.cut.rows = 1;
    rig.append("a.log", "one\n 1\nhalf");
    rig.start();
    rig.pass(ms(500));
    rig.copytruncate("a.log", "a.old");
    rig.pass(s(1));
    let got = |line: &str| Got { file: "a.log".to_owned(), line: line.to_owned(), truncated: false };
    assert_eq!(rig.got, [got("one\n 1"), got("half")]);
}
