use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use super::super::super::rig::{Rig, Settle, ms, s};

#[test]
fn a_file_is_on_disk_before_its_first_record_goes_on_and_read_on_when_it_was_killed_and_renamed() {
    let mut rig = Rig::new();
    rig.start();
    rig.pass(s(2));
    rig.settle = Settle::Hold;
    rig.append("a.log", "one\n");
    // A walk finds it, its first record goes on, and flitch is killed.
    while rig.got.is_empty() {
        rig.pass(ms(10));
    }
    assert_eq!(rig.saved("a.log"), Some(0));
    rig.append("a.log", "two\n");
    rig.rename("a.log", "elsewhere");
    rig.settle = Settle::Delivered;
    rig.start();
    rig.got.clear();
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["one", "two"]);
}

#[test]
fn the_first_safe_position_is_saved_at_once_and_the_next_ones_each_interval() {
    let mut rig = Rig::new();
    rig.start();
    rig.pass(s(2));
    rig.append("a.log", "one\n");
    while rig.got.is_empty() {
        rig.pass(ms(10));
    }
    rig.pass(ms(30));
    assert_eq!(rig.saved("a.log"), Some(4));
    rig.append("a.log", "two\n");
    rig.pass(ms(400));
    assert_eq!(rig.got.len(), 2);
    assert_eq!(rig.saved("a.log"), Some(4));
    rig.pass(ms(800));
    assert_eq!(rig.saved("a.log"), Some(8));
}

#[test]
fn a_file_that_was_empty_when_it_was_renamed_is_found_after_a_restart() {
    let mut rig = Rig::new();
    rig.append("a.log", "");
    rig.start();
    rig.pass(s(2));
    rig.rename("a.log", "elsewhere");
    rig.append("elsewhere", "by a writer that does not know\n");
    rig.start();
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["by a writer that does not know"]);
}

#[test]
fn a_name_that_is_not_utf8_does_not_stop_the_saving() {
    let mut rig = Rig::new();
    let name = OsString::from_vec(b"\xff\xfe.log".to_vec());
    fs::write(rig.path("").join(&name), "odd\n").unwrap();
    rig.append("a.log", "one\n");
    rig.start();
    rig.pass(s(2));
    assert_eq!(rig.got.len(), 2);
    rig.start();
    rig.pass(s(2));
    assert_eq!(rig.got.len(), 2, "both positions were saved");
}

#[test]
fn reading_goes_on_while_positions_cannot_be_saved_and_they_are_saved_once_they_can() {
    let mut rig = Rig::new();
    rig.start();
    rig.pass(s(2));
    let state = rig.dir.path().join("state");
    fs::remove_dir_all(&state).unwrap();
    fs::write(&state, "no folder").unwrap();
    // What is open is written to still: more than a whole file's worth makes a new one.
    for line in 0..3 {
        rig.append(&format!("{line}.log"), format!("{line}\n"));
        rig.tailer.as_mut().unwrap().next_whole_save = rig.now;
        rig.pass(s(2));
    }
    assert_eq!(rig.lines(), ["0", "1", "2"]);
    let ailments = rig.cx.health.ailments();
    assert!(ailments["positions logs"].contains("they cannot be saved"), "{ailments:?}");
    fs::remove_file(&state).unwrap();
    fs::create_dir(&state).unwrap();
    rig.pass(s(2));
    assert_eq!(rig.saved("2.log"), Some(2));
    assert!(rig.cx.health.ailments().is_empty());
}

#[test]
fn positions_that_somebody_removes_are_saved_again() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\n");
    rig.append("b.log", "one\n");
    rig.start();
    rig.pass(s(2));
    fs::remove_dir_all(rig.dir.path().join("state")).unwrap();
    rig.append("a.log", "two\n");
    rig.pass(s(3));
    assert_eq!((rig.saved("a.log"), rig.saved("b.log")), (Some(8), Some(4)));
    assert!(rig.cx.health.ailments().is_empty());
}

#[test]
fn a_file_whose_position_is_damaged_is_read_from_its_beginning_and_all_others_go_on() {
    let mut rig = Rig::new();
    rig.settings.read_from = super::ReadFrom::End;
    rig.start();
    rig.pass(s(1));
    rig.append("a.log", "one\n");
    rig.append("b.log", "one\n");
    rig.pass(s(2));
    rig.stop();
    rig.lines();
    let path = rig.dir.path().join("state/checkpoints.ndjson");
    let saved = fs::read_to_string(&path).unwrap();
    let damaged = saved.lines().map(|line| if line.contains("a.log") { "\0\0\0" } else { line });
    fs::write(&path, damaged.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    rig.append("a.log", "two\n");
    rig.append("b.log", "two\n");
    rig.start();
    rig.pass(s(2));
    let mut got: Vec<_> = rig.got.drain(..).map(|got| format!("{} {}", got.file, got.line)).collect();
    got.sort();
    assert_eq!(got, ["a.log one", "a.log two", "b.log two"]);
}

#[test]
fn a_kill_in_the_middle_of_the_first_search_leaves_it_the_first() {
    let mut rig = Rig::new();
    rig.settings.read_from = super::ReadFrom::End;
    for file in 0..300 {
        rig.append(&format!("{file}.log"), "old\n");
    }
    rig.start();
    for _ in 0..4 {
        let now = rig.now;
        rig.tailer.as_mut().unwrap().turn(now).unwrap();
    }
    rig.start();
    rig.pass(s(2));
    assert!(rig.lines().is_empty());
}

#[test]
fn a_file_that_cannot_be_read_for_days_goes_on_where_it_was() {
    let mut rig = Rig::new();
    rig.settings.scan_interval = flitch_core::units::Span(s(60));
    rig.append("a.log", "one\n");
    rig.append("b.log", "one\n");
    rig.start();
    rig.pass(s(120));
    // A link that leads to itself can be read by nobody, whatever the rights of whoever runs the test.
    let (kept, gone) = (rig.real("a.log"), rig.real("b.log"));
    fs::create_dir_all(rig.real("")).unwrap();
    fs::rename(rig.path("a.log"), &kept).unwrap();
    fs::rename(rig.path("b.log"), &gone).unwrap();
    std::os::unix::fs::symlink("a.log", rig.path("a.log")).unwrap();
    rig.pass(s(50 * 3600));
    assert_eq!(rig.lines(), ["one", "one"]);
    assert_eq!((rig.saved("a.log"), rig.saved("b.log")), (Some(4), None), "what is not there is forgotten");
    rig.start();
    rig.pass(s(3600));
    fs::remove_file(rig.path("a.log")).unwrap();
    fs::rename(kept, rig.path("a.log")).unwrap();
    rig.append("a.log", "two\n");
    rig.pass(s(120));
    assert_eq!(rig.lines(), ["two"]);
}
