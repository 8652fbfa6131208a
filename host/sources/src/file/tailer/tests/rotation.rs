use super::super::super::rig::{Rig, Settle, glob, ms, s};

#[test]
fn a_renamed_file_is_read_to_its_end_and_its_successor_from_its_beginning() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\n");
    rig.start();
    rig.settle_down();
    rig.append("a.log", "two\n");
    rig.rename("a.log", "a.log.1");
    rig.append("a.log.1", "three\n");
    rig.append("a.log", "four\n");
    rig.pass(s(1));
    rig.append("a.log.1", "five\n");
    rig.append("a.log", "six\n");
    rig.pass(s(1));
    let mut lines = rig.lines();
    lines.sort();
    assert_eq!(lines, ["five", "four", "one", "six", "three", "two"]);
    rig.pass(s(6));
    assert_eq!(rig.tailer.as_ref().unwrap().tails.len(), 1, "the old file is let go");
}

#[test]
fn a_renamed_file_that_a_glob_still_matches_is_not_read_twice() {
    let mut rig = Rig::new();
    rig.settings.include = vec![glob(format!("{}/logs/a.log*", rig.dir.path().display()))];
    rig.append("a.log", "one\n");
    rig.start();
    rig.settle_down();
    for round in 0..3 {
        rig.rename("a.log", &format!("a.log.{round}"));
        rig.append("a.log", format!("round {round}\n"));
        rig.pass(s(2));
    }
    rig.stop();
    rig.start();
    rig.pass(s(2));
    assert_eq!(rig.lines(), ["one", "round 0", "round 1", "round 2"]);
}

#[test]
fn a_file_that_is_cut_is_read_from_its_beginning() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\ntwo\n");
    rig.start();
    rig.pass(s(2));
    rig.copytruncate("a.log", "a.log.1");
    rig.append("a.log", "3\n");
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["one", "two", "3"]);
}

#[test]
fn a_file_that_was_cut_and_grew_past_its_old_end_is_known_by_its_content() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\n");
    rig.start();
    rig.pass(s(2));
    rig.copytruncate("a.log", "a.log.1");
    rig.append("a.log", "three is longer than one\nfour\n");
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["one", "three is longer than one", "four"]);
    rig.copytruncate("a.log", "a.log.1");
    rig.append("a.log", "5 is longer than three..\nfour\n");
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["5 is longer than three..", "four"], "of the same length");
}

#[test]
fn a_file_that_was_cut_while_we_were_away_is_read_from_its_beginning() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\n");
    rig.append("b.log", "uno\n");
    rig.start();
    rig.pass(s(2));
    rig.stop();
    rig.copytruncate("a.log", "a.log.1");
    rig.append("a.log", "2\n");
    rig.copytruncate("b.log", "b.log.1");
    rig.append("b.log", "dos tres quattro\n");
    rig.start();
    rig.pass(s(1));
    let mut lines = rig.lines();
    lines.sort();
    assert_eq!(lines, ["2", "dos tres quattro", "one", "uno"]);
}

#[test]
fn an_inode_that_is_given_to_another_file_makes_a_new_file() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\n");
    rig.start();
    rig.pass(s(2));
    rig.stop();
    // The same device and inode as in the checkpoint, with other content.
    std::fs::write(rig.path("a.log"), "another\n").unwrap();
    rig.start();
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["one", "another"]);
}

#[test]
fn a_removed_file_is_read_to_its_end_and_forgotten_once_it_is_safe() {
    let mut rig = Rig::new();
    rig.settle = Settle::Hold;
    rig.append("a.log", "one\n");
    rig.start();
    rig.settle_down();
    rig.append("a.log", "two\nthree");
    rig.remove("a.log");
    rig.pass(s(8));
    assert_eq!(rig.lines(), ["one", "two", "three"]);
    rig.pass(s(20));
    assert_eq!(rig.tailer.as_ref().unwrap().tails.len(), 1, "it is kept until its records are safe");
    for batch in rig.held.drain(..) {
        batch.receipt.delivered();
    }
    rig.pass(s(2));
    assert!(rig.tailer.as_ref().unwrap().tails.is_empty());
    rig.pass(s(700));
    assert_eq!(rig.saved("a.log"), None);
}

#[test]
fn what_was_renamed_before_its_end_was_read_is_found_after_a_restart() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\n");
    rig.start();
    rig.pass(s(2));
    rig.stop();
    rig.append("a.log", "two\n");
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "three\n");
    rig.start();
    rig.pass(s(1));
    let mut lines = rig.lines();
    lines.sort();
    assert_eq!(lines, ["one", "three", "two"]);
}

#[test]
fn a_file_whose_records_came_back_is_read_again_after_it_was_removed() {
    let mut rig = Rig::new();
    rig.settle = Settle::Again;
    rig.append("a.log", "one\n");
    rig.start();
    rig.settle_down();
    rig.remove("a.log");
    rig.pass(ms(500));
    rig.got.clear();
    rig.settle = Settle::Delivered;
    rig.pass(s(10));
    assert_eq!(rig.lines(), ["one"]);
    assert!(rig.tailer.as_ref().unwrap().tails.is_empty());
}
