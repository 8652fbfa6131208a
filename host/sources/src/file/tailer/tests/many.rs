use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::super::super::rig::{Rig, ms, s};
use super::super::super::watch::News;

#[test]
fn what_grows_is_read_before_a_walk_over_many_files_ends() {
    let mut rig = Rig::new();
    // The system must be asked where each of them leads.
    for file in 0..1500 {
        rig.append_real(&format!("{file}.log"), "x\n");
        rig.link(&format!("{file}.log"), &format!("{file}.log"));
    }
    rig.start();
    rig.settle_down();
    assert_eq!(rig.lines().len(), 1500);
    rig.turn_cost = ms(50);
    rig.set_forward(s(1));
    let tailer = rig.tailer.as_mut().unwrap();
    tailer.turn(rig.now).unwrap();
    assert!(tailer.scan.is_under_way());
    rig.append_real("700.log", "new\n");
    let written = [rig.real("700.log").canonicalize().unwrap()].into();
    let now = rig.now;
    rig.tailer.as_mut().unwrap().changed(&News { written, ..News::default() }, now);
    let mut turns = 0;
    while rig.got.is_empty() {
        let now = rig.now;
        rig.tailer.as_mut().unwrap().turn(now).unwrap();
        rig.drain();
        turns += 1;
    }
    assert!(turns < 5 && rig.tailer.as_ref().unwrap().scan.is_under_way(), "{turns}");
    assert_eq!(rig.lines(), ["new"]);
}

#[test]
fn a_walk_that_takes_longer_than_its_interval_is_followed_by_a_pause() {
    let mut rig = Rig::new();
    for file in 0..1500 {
        rig.append_real(&format!("{file}.log"), "x\n");
        rig.link(&format!("{file}.log"), &format!("{file}.log"));
    }
    rig.start();
    let began = rig.now;
    let tailer = loop {
        let now = rig.now;
        let tailer = rig.tailer.as_mut().unwrap();
        tailer.turn(now).unwrap();
        if !tailer.scan.is_under_way() {
            break tailer;
        }
        rig.set_forward(ms(100));
    };
    assert!(rig.now >= began + s(2), "it takes longer than its interval");
    assert_eq!(tailer.next_walk, rig.now + s(1), "which counts from its end");
}

#[test]
fn where_looks_take_long_quiet_files_are_looked_at_more_rarely_and_lively_ones_as_ever() {
    let mut rig = Rig::new();
    for file in 0..1000 {
        rig.append(&format!("{file}.log"), "x\n");
    }
    rig.start();
    rig.pass(s(15));
    assert_eq!(rig.lines().len(), 1000);
    assert!(rig.tailer.as_ref().unwrap().rounds.lively.is_empty());
    // Some looks take 50 ms together.
    let (clock, start) = (Arc::new(AtomicU64::new(0)), rig.now);
    let slow = clock.clone();
    rig.tailer.as_mut().unwrap().stopwatch =
        Box::new(move || start + Duration::from_millis(slow.fetch_add(50, Ordering::Relaxed)));
    rig.pass(s(20));
    let slices = clock.load(Ordering::Relaxed) / 100;
    assert!(slices < 60, "{slices} slices of looks and walks in 20 s");
    rig.append("500.log", "one\n");
    rig.pass(s(10));
    assert_eq!(rig.lines(), ["one"]);
    rig.append("500.log", "two\n");
    rig.pass(ms(1_100));
    assert_eq!(rig.lines(), ["two"], "it is lively now");
}

#[test]
fn the_names_of_many_quiet_files_are_taken_without_a_question_to_the_system() {
    let mut rig = Rig::new();
    for file in 0..3000 {
        rig.append(&format!("{file}.log"), "x\n");
    }
    rig.start();
    rig.settle_down();
    assert_eq!(rig.lines().len(), 3000);
    rig.set_forward(s(1));
    // 2,048 names, the rest of them, and what is missing: none is.
    let mut turns = 0;
    loop {
        let now = rig.now;
        rig.tailer.as_mut().unwrap().turn(now).unwrap();
        turns += 1;
        if !rig.tailer.as_ref().unwrap().scan.is_under_way() {
            break;
        }
    }
    assert!(turns <= 5, "{turns}");
}
