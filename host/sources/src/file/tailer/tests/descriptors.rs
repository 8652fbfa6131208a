//! How many files are open, of one source and of several.

use std::io;

use rustix::io::Errno;

use super::super::super::pool::Pool;
use super::super::super::rig::{Rig, Settle, s};

fn open(rig: &Rig) -> usize {
    rig.tailer.as_ref().unwrap().tails.values().filter(|tail| tail.content.is_some()).count()
}

/// A rig with so many files, which are read and delivered.
fn with_files(files: usize) -> Rig {
    let rig = Rig::new();
    for file in 0..files {
        rig.append(&format!("{file}.log"), "one\n");
    }
    rig
}

#[test]
fn sources_hold_no_more_files_together_than_they_may_and_read_all_of_them() {
    let pool = Pool::new(30);
    let mut rigs = [with_files(60), with_files(60), with_files(5)];
    for rig in &mut rigs {
        rig.start();
        rig.tailer.as_mut().unwrap().share(&pool);
    }
    for round in 0..20 {
        for rig in &mut rigs {
            rig.append(&format!("{}.log", round % 5), "more\n");
            rig.pass(s(1));
        }
        // Each may have one, so that none stands still.
        assert!(rigs.iter().map(open).sum::<usize>() <= 30 + 2, "{:?}", rigs.each_ref().map(open));
    }
    assert_eq!(rigs.each_mut().map(|rig| rig.lines().len()), [80, 80, 25]);
    let open = rigs.each_ref().map(open);
    assert!(open.iter().all(|open| *open >= 5), "each has what it needs: {open:?}");
}

#[test]
fn a_source_that_ends_leaves_its_files_to_the_others() {
    let pool = Pool::new(20);
    let (mut one, mut other) = (with_files(50), with_files(50));
    for rig in [&mut one, &mut other] {
        rig.start();
        rig.tailer.as_mut().unwrap().share(&pool);
        rig.pass(s(2));
    }
    for file in 0..50 {
        other.append(&format!("{file}.log"), "two\n");
    }
    other.pass(s(2));
    assert!(open(&one) + open(&other) <= 20 + 1);
    one.stop();
    for file in 0..50 {
        other.append(&format!("{file}.log"), "three\n");
    }
    other.pass(s(2));
    assert_eq!((open(&other), other.lines().len()), (20, 150));
}

#[test]
fn a_file_waits_while_all_that_are_open_were_removed_and_is_read_then() {
    let pool = Pool::new(3);
    let mut rig = with_files(3);
    rig.settle = Settle::Hold;
    rig.start();
    rig.tailer.as_mut().unwrap().share(&pool);
    rig.pass(s(1));
    (0..3).for_each(|file| rig.remove(&format!("{file}.log")));
    rig.pass(s(2));
    rig.append("late.log", "late\n");
    rig.pass(s(20));
    assert_eq!((open(&rig), rig.lines().len()), (3, 3), "what was removed is held until it is safe");
    rig.held.drain(..).for_each(|batch| batch.receipt.delivered());
    rig.settle = Settle::Delivered;
    rig.pass(s(10));
    assert_eq!(rig.lines(), ["late"]);
    assert_eq!(open(&rig), 1);
}

/// As on NFS, where another client removes a file, or its server begins anew.
#[test]
fn a_file_whose_handle_its_server_does_not_know_any_more_is_opened_again_by_its_name() {
    let mut rig = with_files(2);
    rig.start();
    rig.pass(s(2));
    assert_eq!((open(&rig), rig.lines().len()), (2, 2));
    rig.remove("1.log");
    for (errno, open_after) in [(Errno::IO, 2), (Errno::STALE, 0)] {
        let error = io::Error::from(errno);
        rig.tailer.as_mut().unwrap().tails.values_mut().for_each(|tail| tail.close_if_stale(&error));
        assert_eq!(open(&rig), open_after, "{error}");
    }
    rig.append("0.log", "two\n");
    rig.pass(s(2));
    assert_eq!(rig.lines(), ["two"]);
    rig.pass(s(60));
    assert_eq!(rig.tailer.as_ref().unwrap().tails.len(), 1, "what has no name is let go");
}
