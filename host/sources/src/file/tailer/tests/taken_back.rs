//! Last lines without an end that their writer takes back.

use std::fs::OpenOptions;

use super::super::super::rig::{Rig, Settle, s};

/// Cuts a file and writes on.
fn replace(rig: &Rig, length: u64, text: &str) {
    OpenOptions::new().write(true).open(rig.path("a.log")).and_then(|file| file.set_len(length)).unwrap();
    rig.append("a.log", text);
}

#[test]
fn a_line_of_which_nothing_was_sent_can_be_taken_back_and_no_other_comes_again() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\ntwo\nat 10%");
    rig.start();
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["one", "two"]);
    for text in ["at 9%", "", "at"] {
        replace(&rig, 8, text);
        rig.pass(s(1));
        assert!(rig.lines().is_empty(), "{text}");
    }
    replace(&rig, 8, "done\n");
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["done"]);
}

#[test]
fn a_line_longer_than_the_limit_can_be_taken_back_too() {
    let mut rig = Rig::new();
    rig.settings.max_line.0 = 20;
    rig.append("a.log", format!("one\n{}", "x".repeat(500)));
    rig.start();
    rig.pass(s(1));
    replace(&rig, 4, "two\n");
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["one", "two"]);
}

#[test]
fn what_stands_in_the_place_of_a_line_that_was_sent_is_a_record_and_no_other_comes_again() {
    let head = "x".repeat(300);
    for head in ["", "one\n", &format!("{head}\n")] {
        let mut rig = Rig::new();
        rig.append("a.log", format!("{head}at 10%"));
        rig.start();
        rig.pass(s(6));
        assert_eq!(rig.lines().last().unwrap(), "at 10%");
        for text in ["at 9%", "at 100%", "to 200%"] {
            replace(&rig, head.len() as u64, text);
            rig.pass(s(6));
            assert_eq!(rig.lines(), [text], "{head}");
        }
        replace(&rig, head.len() as u64, "done\n");
        rig.append("a.log", "two\n");
        rig.pass(s(1));
        assert_eq!(rig.lines(), ["done", "two"]);
        rig.stop();
        rig.start();
        rig.pass(s(6));
        assert!(rig.lines().is_empty());
    }
}

#[test]
fn a_file_with_other_content_before_such_a_line_is_read_from_its_beginning() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\ntwo\nat 10%");
    rig.start();
    rig.pass(s(6));
    assert_eq!(rig.lines(), ["one", "two", "at 10%"]);
    replace(&rig, 0, "one\nTWO\nat 1%\n");
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["one", "TWO", "at 1%"]);
}

#[test]
fn what_is_not_safe_before_such_a_line_comes_again() {
    let mut rig = Rig::new();
    rig.settle = Settle::Hold;
    rig.append("a.log", "one\nat 10%");
    rig.start();
    rig.pass(s(6));
    assert_eq!(rig.lines(), ["one", "at 10%"]);
    replace(&rig, 4, "done\n");
    rig.settle = Settle::Delivered;
    rig.pass(s(1));
    rig.held.clear();
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["one", "done"]);
    assert_eq!(rig.saved("a.log"), Some(9));
}

#[test]
fn a_line_without_an_end_can_be_taken_back_while_flitch_is_away_and_no_other_comes_again() {
    for text in ["done\n", "at 100%\n", "a\n"] {
        let mut rig = Rig::new();
        rig.append("a.log", "one\nat 10%");
        rig.start();
        rig.pass(s(1));
        assert_eq!(rig.lines(), ["one"]);
        rig.stop();
        replace(&rig, 4, text);
        rig.start();
        rig.pass(s(1));
        assert_eq!(rig.lines(), [text.trim_end()]);
    }
}
