//! Compressed files beside plain ones that begin like them.

use std::fs;

use super::super::super::rig::{Rig, Settle, glob, ms, s};
use super::forms::gzip;
use flitch_core::units::Span;

/// What every file of a program begins with that writes a header: short enough to be all that is looked at first.
const HEADER: &str = "#Version: 1.0\n#Fields: a b c\n";

fn rig() -> Rig {
    let mut rig = Rig::new();
    rig.settings.include = vec![glob(format!("{}/logs/*.log*", rig.dir.path().display()))];
    rig
}

/// What logrotate's `compress` does.
fn compress(rig: &Rig, name: &str, to: &str) {
    fs::write(rig.path(to), gzip(fs::read(rig.path(name)).unwrap())).unwrap();
    rig.remove(name);
}

fn behind(rig: &Rig) -> u64 {
    rig.tailer.as_ref().unwrap().tails.values().map(|tail| tail.behind()).sum()
}

#[test]
fn a_compressed_file_is_read_though_a_plain_one_holds_nothing_but_the_same_header() {
    for later in ["", "day2 a\n"] {
        let mut rig = rig();
        rig.append("a.log", HEADER.to_owned() + "day1 a\n");
        rig.start();
        rig.pass(s(2));
        assert_eq!(rig.lines().len(), 3);
        rig.stop();
        rig.append("a.log", "day1 b\nday1 c\n");
        compress(&rig, "a.log", "a.log.1.gz");
        rig.append("a.log", HEADER);
        rig.start();
        rig.pass(ms(300));
        rig.append("a.log", later);
        rig.pass(s(10));
        let mut lines = rig.lines();
        lines.retain(|line| !line.starts_with('#'));
        lines.sort();
        let all: Vec<&str> =
            ["day1 b", "day1 c", later.trim_end()].into_iter().filter(|l| !l.is_empty()).collect();
        assert_eq!(lines, all, "{later:?}");
        assert_eq!(behind(&rig), 0);
    }
}

#[test]
fn a_compressed_file_is_known_after_a_restart_though_the_plain_one_was_let_go_before() {
    let mut rig = rig();
    rig.settings.rotate_wait = Span(s(0));
    rig.append("a.log", "");
    rig.append("a.log.1", "one\ntwo\n");
    rig.start();
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["one", "two"]);
    compress(&rig, "a.log.1", "a.log.1.gz");
    rig.pass(ms(1500));
    assert_eq!(rig.tailer.as_ref().unwrap().tails.len(), 2, "the plain one is gone, the other still");
    rig.stop();
    rig.start();
    rig.pass(s(5));
    rig.append("a.log.1.gz", gzip("three\n"));
    rig.pass(s(5));
    assert_eq!(rig.lines(), ["three"]);
}

#[test]
fn a_file_that_was_removed_is_forgotten_when_nobody_can_have_compressed_it_any_more() {
    let mut rig = rig();
    rig.append("a.log", "one\n");
    rig.start();
    rig.pass(s(1));
    rig.remove("a.log");
    rig.pass(s(60));
    assert_eq!(rig.saved("a.log"), Some(4));
    rig.pass(s(700));
    assert_eq!(rig.saved("a.log"), None);
    assert!(rig.tailer.as_ref().unwrap().kept.is_empty());
}

#[test]
fn a_compressed_file_that_nobody_has_read_is_read_beside_a_plain_one_that_begins_like_it() {
    for plain in [HEADER, "#Ver", "#Version: 1.0\n#Fields: a b c\nnew1\n"] {
        for settle in [Settle::Delivered, Settle::Hold] {
            let mut rig = rig();
            rig.settle = settle;
            rig.append("a.log", plain);
            rig.append("old.log.gz", gzip(HEADER.to_owned() + "old1\nold2\n"));
            rig.start();
            rig.pass(s(3));
            let lines = rig.lines();
            assert!(lines.ends_with(&["old1".to_owned(), "old2".to_owned()]), "{plain:?}: {lines:?}");
        }
    }
}

#[test]
fn a_compressed_file_that_is_kept_beside_the_plain_one_does_not_come_twice() {
    let mut rig = rig();
    rig.append("a.log", "one\ntwo\n");
    rig.append("a.log.gz", gzip("one\ntwo\n"));
    rig.settle = Settle::Hold;
    rig.start();
    rig.pass(s(5));
    assert_eq!(rig.lines(), ["one", "two"]);
    assert!(behind(&rig) > 0, "while it is not decided the compressed one waits, and is seen to");
    rig.held.drain(..).for_each(|batch| batch.receipt.delivered());
    rig.settle = Settle::Delivered;
    rig.pass(s(5));
    assert_eq!(behind(&rig), 0, "it is decided while the plain one is followed");
    rig.append("a.log", "three\n");
    rig.pass(s(5));
    assert_eq!(rig.lines(), ["three"]);
    assert_eq!(rig.tailer.as_ref().unwrap().tails.len(), 2);
}

#[test]
fn a_file_that_is_compressed_and_then_cut_comes_once() {
    for away in [false, true] {
        for header in ["", HEADER] {
            let mut rig = rig();
            rig.append("a.log", header.to_owned() + "one\n");
            rig.start();
            rig.pass(s(2));
            rig.got.clear();
            let hold = || if away { Settle::Delivered } else { Settle::Hold };
            if away {
                rig.stop();
            }
            rig.settle = hold();
            rig.append("a.log", "two\n");
            if !away {
                rig.pass(ms(500));
            }
            fs::write(rig.path("a.log.1.gz"), gzip(fs::read(rig.path("a.log")).unwrap())).unwrap();
            if !away {
                rig.pass(s(4));
                // What was read arrives.
                rig.held.drain(..).for_each(|batch| batch.receipt.delivered());
                rig.settle = Settle::Delivered;
            }
            fs::OpenOptions::new().write(true).open(rig.path("a.log")).and_then(|f| f.set_len(0)).unwrap();
            rig.append("a.log", header.to_owned() + "3\n");
            if away {
                rig.start();
            }
            rig.pass(s(10));
            let mut lines = rig.lines();
            lines.retain(|line| !line.starts_with('#'));
            lines.sort();
            assert_eq!(lines, ["3", "two"], "{away}, {header:?}");
        }
    }
}

#[test]
fn what_is_written_to_a_file_while_it_is_compressed_is_read_from_the_one_that_is_held_open() {
    for wait in [2, 4, 20] {
        let mut rig = rig();
        rig.settle = Settle::Hold;
        rig.append("a.log", HEADER.repeat(20));
        rig.start();
        rig.pass(s(2));
        let compressed = gzip(fs::read(rig.path("a.log")).unwrap());
        rig.append("a.log", "two\n");
        rig.pass(s(1));
        fs::write(rig.path("a.log.gz"), compressed).unwrap();
        rig.remove("a.log");
        // Also where it is let go at once when all of it is safe.
        rig.pass(s(wait));
        rig.held.drain(..).for_each(|batch| batch.receipt.delivered());
        rig.settle = Settle::Delivered;
        rig.pass(s(10));
        let lines = rig.lines();
        assert_eq!((lines.len(), &*lines[40]), (41, "two"), "{wait}");
        assert_eq!(behind(&rig), 0);
    }
}

#[test]
fn a_compressed_file_that_comes_in_parts_waits_until_it_is_whole() {
    let mut rig = rig();
    let text: String = (0..20_000).map(|n| format!("{n}\n")).collect();
    rig.append("a.log", &text);
    rig.start();
    rig.pass(s(2));
    assert_eq!(rig.lines().len(), 20_000);
    let bytes = gzip(&text);
    rig.append("a.log.gz", &bytes[..bytes.len() / 2]);
    rig.pass(s(8));
    rig.append("a.log.gz", &bytes[bytes.len() / 2..]);
    rig.pass(s(2));
    rig.remove("a.log");
    rig.pass(s(12));
    assert!(rig.lines().is_empty());
    assert_eq!(behind(&rig), 0);
}
