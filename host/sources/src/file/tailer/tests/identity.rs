use std::fs;

use super::super::super::rig::{Rig, Settle, glob, ms, s};
use super::forms::gzip;

/// Lines that all files of a program begin with.
fn banner() -> String {
    "# a program that introduces itself\n".repeat(20)
}

/// A rig over `*.log*`, with what it has read of `a.log`.
fn rotating(text: &str) -> Rig {
    let mut rig = Rig::new();
    rig.settings.include = vec![glob(format!("{}/logs/*.log*", rig.dir.path().display()))];
    rig.append("a.log", text);
    rig.start();
    rig.pass(s(2));
    rig
}

/// What logrotate's `compress` does.
fn compress(rig: &Rig, name: &str) {
    let text = fs::read_to_string(rig.path(name)).unwrap();
    fs::write(rig.path(&format!("{name}.gz")), gzip(&text)).unwrap();
    rig.remove(name);
}

#[test]
fn a_file_that_was_cut_and_begins_alike_is_known_by_what_stands_before_its_position() {
    for away in [false, true] {
        let mut rig = Rig::new();
        rig.append("a.log", banner() + "one\n");
        rig.start();
        rig.pass(s(2));
        assert_eq!(rig.lines().len(), 21);
        if away {
            rig.stop();
        }
        rig.copytruncate("a.log", "a.old");
        rig.append("a.log", banner() + "two\nthree\n");
        if away {
            rig.start();
        }
        rig.pass(s(2));
        let lines = rig.lines();
        assert_eq!(lines.len(), 22, "{away}: {lines:?}");
        assert_eq!(lines[20..], ["two", "three"]);
    }
}

#[test]
fn a_file_that_was_read_is_not_read_again_when_it_is_compressed() {
    for away in [false, true] {
        let mut rig = rotating("one\ntwo\n");
        rig.rename("a.log", "a.log.1");
        rig.append("a.log", "three\n");
        rig.pass(s(2));
        assert_eq!(rig.lines(), ["one", "two", "three"]);
        if away {
            rig.stop();
        }
        compress(&rig, "a.log.1");
        if away {
            rig.start();
        }
        rig.pass(s(20));
        assert!(rig.lines().is_empty());
        rig.stop();
        rig.start();
        rig.pass(s(20));
        assert!(rig.lines().is_empty());
        rig.append("b.log.1.gz", gzip("one\nof another file\n"));
        rig.pass(s(10));
        assert_eq!(rig.lines(), ["one", "of another file"]);
    }
}

#[test]
fn what_was_not_read_of_a_file_before_it_was_compressed_is_read_from_the_compressed_one() {
    let mut rig = rotating("one\n");
    rig.stop();
    rig.append("a.log", "two\n");
    rig.rename("a.log", "a.log.1");
    compress(&rig, "a.log.1");
    rig.start();
    rig.pass(s(10));
    assert_eq!(rig.lines(), ["one", "two"]);
}

#[test]
fn a_compressed_file_waits_for_the_plain_one_that_is_still_read() {
    let mut rig = rotating("one\n");
    rig.settle = Settle::Hold;
    rig.append("a.log", "two\n");
    rig.pass(ms(500));
    compress(&rig, "a.log");
    rig.pass(s(30));
    assert_eq!(rig.lines(), ["one", "two"]);
    for batch in rig.held.drain(..) {
        batch.receipt.delivered();
    }
    rig.settle = Settle::Delivered;
    rig.pass(s(10));
    assert!(rig.lines().is_empty());
    assert_eq!(rig.tailer.as_ref().unwrap().tails.len(), 1, "the plain one is let go");
}

#[test]
fn a_compressed_file_that_only_begins_like_one_that_was_read_is_read() {
    let mut rig = rotating(&(banner() + "one\n"));
    rig.got.clear();
    rig.append("b.log.1.gz", gzip(&(banner() + "two\n")));
    rig.append("c.log.1.gz", gzip(banner()));
    rig.pass(s(10));
    assert_eq!(rig.lines().len(), 21 + 20);
}

#[test]
fn a_compressed_file_that_takes_the_place_of_another_does_not_bear_its_name() {
    let mut rig = rotating("one\n");
    rig.rename("a.log", "b.log.gz");
    // The same inode, with other content: as if it were given to a new file.
    fs::write(rig.path("b.log.gz"), gzip("two\n")).unwrap();
    rig.pass(s(10));
    let got: Vec<_> = rig.got.iter().map(|got| (&*got.file, &*got.line)).collect();
    assert_eq!(got, [("a.log", "one"), ("b.log.gz", "two")]);
}

#[test]
fn a_file_that_is_renamed_to_another_name_of_ours_goes_on_under_its_first_name() {
    let mut rig = rotating("one\n");
    rig.rename("a.log", "a.log.1");
    rig.append("a.log.1", "two\n");
    rig.pass(s(2));
    assert!(rig.got.iter().all(|got| got.file == "a.log"), "{:?}", rig.got);
    assert_eq!(rig.lines(), ["one", "two"]);
}
