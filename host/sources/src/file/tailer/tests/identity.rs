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

/// The origins of the batches that are held.
fn origins(rig: &Rig) -> Vec<u128> {
    let of = |batch: &flitch_core::batch::Batch| {
        let origins = batch.records.origins().expect("each has one").clone();
        (0..origins.rows()).map(move |row| origins.id(row)).collect::<Vec<_>>()
    };
    rig.held.iter().flat_map(of).collect()
}

#[test]
fn records_have_the_origins_that_they_had_when_they_come_again_in_other_batches() {
    let mut rig = rotating(&"same\n".repeat(20));
    rig.stop();
    let mut read = |forget: bool, rows: usize, name: &str| {
        if forget {
            fs::remove_dir_all(&rig.cx.state_dir).unwrap();
        }
        rig.rename("a.log", name);
        rig.settle = Settle::Hold;
        rig.held.clear();
        rig.cx.cut.rows = rows;
        rig.start();
        rig.pass(s(2));
        rig.rename(name, "a.log");
        origins(&rig)
    };
    let first = read(true, 7, "b.log");
    assert_eq!((first.len(), first.iter().collect::<std::collections::HashSet<_>>().len()), (20, 20));
    // After a crash, and from a source that knows nothing of it.
    assert_eq!(read(false, 3, "c.log"), first);
    assert_eq!(read(true, 100, "c.log"), first);
}

#[test]
fn what_is_written_over_a_file_is_other_records_though_it_is_the_same_text() {
    for away in [false, true] {
        let mut rig = Rig::new();
        rig.settle = Settle::Hold;
        rig.append("a.log", "same\nsame\nsame\n");
        rig.start();
        rig.pass(s(2));
        let first = origins(&rig);
        rig.held.drain(..).for_each(|batch| batch.receipt.delivered());
        rig.pass(s(2));
        if away {
            rig.stop();
        }
        fs::write(rig.path("a.log"), "same\n").unwrap();
        if away {
            rig.start();
        }
        rig.pass(s(2));
        let cut = origins(&rig);
        assert!(cut.len() == 1 && !first.contains(&cut[0]), "{away}: {first:x?}, {cut:x?}");
    }
}

#[test]
fn a_file_that_was_compressed_goes_on_with_the_numbers_that_it_had() {
    let mut rig = rotating("one\ntwo\n");
    rig.settle = Settle::Hold;
    rig.append("a.log", "three\n");
    rig.pass(s(2));
    let before = origins(&rig);
    assert_eq!(before.len(), 1);
    // Its batch is lost.
    compress(&rig, "a.log");
    rig.start();
    rig.pass(s(8));
    assert_eq!(origins(&rig), before);
}

#[test]
fn lines_of_any_charset_and_ending_begin_at_other_places() {
    let text = "å\r\nå\nå\r\n\nå\n";
    let utf16: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for (bytes, starts) in [
        (text.as_bytes(), [0, 4, 7, 11, 12]),
        (&utf16[..], [2, 8, 12, 18, 20]),
        (&b"a\r\na\r\na\r\n\r\na\r\n"[..], [0, 3, 6, 9, 11]),
    ] {
        for rows in [1, 2, 100] {
            let mut rig = Rig::new();
            rig.settle = Settle::Hold;
            rig.cx.cut.rows = rows;
            rig.append("a.log", bytes);
            rig.start();
            rig.pass(s(2));
            let numbers =
                rig.held.iter().flat_map(|batch| batch.records.origins().unwrap().numbers().to_vec());
            assert_eq!(numbers.collect::<Vec<_>>(), starts, "{rows}");
        }
    }
}
