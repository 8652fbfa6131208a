//! NULs where text should be.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::super::super::rig::{Rig, ms, s};
use super::super::super::settings::{Codec, MultilineSettings};

/// Writes at a place of the file, as a writer does that does not append.
fn write_at(rig: &Rig, place: u64, text: &[u8]) {
    let file = File::options().write(true).create(true).truncate(false).open(rig.path("a.log")).unwrap();
    file.write_all_at(text, place).unwrap();
    // The system's own times may be the same for both of two writes.
    file.set_modified(std::time::UNIX_EPOCH + s(1_700_000_000 + place)).unwrap();
}

fn position(rig: &Rig) -> u64 {
    rig.saved("a.log").unwrap()
}

#[test]
fn what_a_writer_leaves_before_its_old_place_is_skipped() {
    for size in [10, 4_000, 300_000, 3_000_000] {
        let mut rig = Rig::new();
        rig.append("a.log", "x".repeat(size - 1) + "\n");
        rig.start();
        rig.pass(s(1));
        rig.lines();
        rig.copytruncate("a.log", "a.old");
        write_at(&rig, size as u64, b"one\ntwo\n");
        rig.pass(s(2));
        assert_eq!(rig.lines(), ["one", "two"], "{size}");
        rig.stop();
        assert_eq!(position(&rig), size as u64 + 8);
    }
}

#[test]
fn nuls_that_are_written_and_no_hole_are_skipped_too() {
    let mut rig = Rig::new();
    rig.append("a.log", [&b"one\n"[..], &[0; 700_001], b"two\n\0\0three\nfour\0five\n"].concat());
    rig.start();
    rig.settle_down();
    assert_eq!(rig.lines(), ["one", "two", "three", "four\0five"]);
}

#[test]
fn the_position_stays_before_nuls_that_may_be_written_over() {
    for size in [100, 256 << 10, 1_000_000] {
        let mut rig = Rig::new();
        rig.append("a.log", vec![0; size]);
        write_at(&rig, 0, b"one\ntw");
        rig.start();
        rig.pass(s(2));
        assert_eq!(rig.lines(), ["one"]);
        write_at(&rig, 6, b"o\nthree\n");
        rig.pass(s(2));
        assert_eq!(rig.lines(), ["two", "three"], "{size}");
        rig.stop();
        assert_eq!(position(&rig), 14);
        write_at(&rig, 14, b"four\n");
        rig.start();
        rig.pass(s(2));
        assert_eq!(rig.lines(), ["four"]);
    }
}

#[test]
fn a_writer_that_cuts_off_the_nuls_at_its_end_has_written_what_it_had() {
    for size in [100, 256 << 10, 1_000_000] {
        let mut rig = Rig::new();
        rig.append("a.log", vec![0; size]);
        write_at(&rig, 0, b"one\ntwo\nha");
        rig.start();
        rig.pass(s(1));
        assert_eq!(rig.lines(), ["one", "two"]);
        write_at(&rig, 10, b"lf\n");
        let file = File::options().write(true).open(rig.path("a.log")).unwrap();
        file.set_len(13).unwrap();
        rig.pass(s(1));
        assert_eq!(rig.lines(), ["half"], "{size}");
        rig.append("a.log", "four\n");
        rig.pass(s(1));
        assert_eq!(rig.lines(), ["four"], "{size}");
        rig.stop();
        assert_eq!(position(&rig), 18);
    }
}

#[test]
fn a_file_with_nuls_at_its_end_that_is_cut_and_written_anew_is_read_from_its_beginning() {
    for (length, text) in [(0, "new\n"), (0, "one\nnew\nlines\nand\nmore\n"), (4, "")] {
        let mut rig = Rig::new();
        rig.append("a.log", [&b"one\ntwo\n"[..], &[0; 400_000]].concat());
        rig.start();
        rig.pass(s(1));
        assert_eq!(rig.lines(), ["one", "two"]);
        let file = File::options().write(true).open(rig.path("a.log")).unwrap();
        file.set_len(length).unwrap();
        rig.append("a.log", text);
        rig.pass(s(1));
        let all = std::fs::read_to_string(rig.path("a.log")).unwrap();
        assert_eq!(rig.lines(), all.lines().collect::<Vec<_>>());
    }
}

#[test]
fn a_last_line_before_nuls_is_sent_after_a_time_and_without_them() {
    let mut rig = Rig::new();
    rig.append("a.log", [&b"half"[..], &[0; 600_000]].concat());
    rig.start();
    rig.pass(s(7));
    assert_eq!(rig.lines(), ["half"]);
    write_at(&rig, 4, b" more\n");
    rig.pass(s(1));
    assert_eq!(rig.lines(), [" more"]);
}

#[test]
fn a_long_last_line_before_nuls_is_cut_and_the_nuls_are_left() {
    let mut rig = Rig::new();
    rig.settings.max_line.0 = 1_000;
    rig.append("a.log", [vec![b'x'; 400_000], vec![0; 400_000]].concat());
    rig.start();
    rig.pass(s(7));
    assert_eq!(rig.got.pop().map(|got| (got.line, got.truncated)), Some(("x".repeat(1_000), true)));
    rig.stop();
    assert_eq!(position(&rig), 400_000);
}

#[test]
fn a_file_that_goes_with_nuls_at_its_end_is_let_go() {
    let mut rig = Rig::new();
    rig.append("a.log", [&b"one\n"[..], &[0; 400_000]].concat());
    rig.start();
    rig.pass(s(1));
    rig.remove("a.log");
    rig.pass(s(10));
    assert_eq!(rig.lines(), ["one"]);
    assert!(rig.tailer.as_ref().unwrap().tails.is_empty());
}

#[test]
fn nuls_within_a_record_of_several_lines_end_it_but_not_those_at_the_end_of_the_file() {
    let mut rig = Rig::new();
    let start = Some("^[a-z]".to_owned().try_into().unwrap());
    rig.settings.multiline = Some(MultilineSettings { start, ..Default::default() });
    rig.append("a.log", b"one\n 1\n\0\0 2\ntwo\n 1\n\0\0\0\0\0\0\0");
    rig.start();
    rig.pass(ms(500));
    assert_eq!(rig.lines(), ["one\n 1", " 2"]);
    write_at(&rig, 19, b" 2\n");
    rig.pass(s(2));
    assert_eq!(rig.lines(), ["two\n 1\n 2"]);
}

#[test]
fn nuls_before_a_line_of_json_are_skipped() {
    let mut rig = Rig::new();
    rig.settings.codec = Codec::Json;
    rig.append("a.log", b"{\"message\":\"one\"}\n\0\0\0{\"message\":\"two\"}\n");
    rig.start();
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["one", "two"]);
    assert_eq!(rig.accounts().dead_lettered, 0);
}
