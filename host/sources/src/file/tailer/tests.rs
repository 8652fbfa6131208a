use super::super::rig::{Got, Rig, Settle, ms, s};
use super::super::settings::ReadFrom;
use super::super::watch::News;
use flitch_core::units::Span;
use std::fs;

mod containers;
mod content;
mod cuts;
mod descriptors;
mod forms;
mod identity;
mod links;
mod many;
mod nuls;
mod property;
mod rotation;
mod saving;
mod stall;
mod successors;
mod taken_back;
mod twins;
mod unsent;

#[test]
fn lines_that_are_there_and_lines_that_come_are_read_in_order() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\ntwo\r\n\nfour\n");
    rig.start();
    rig.settle_down();
    assert_eq!(rig.lines(), ["one", "two", "", "four"]);
    rig.append("a.log", "five\nsi");
    rig.pass(ms(300));
    assert_eq!(rig.lines(), ["five"]);
    rig.append("a.log", "x\n");
    rig.pass(ms(300));
    assert_eq!(rig.lines(), ["six"]);
    let accounts = rig.accounts();
    assert_eq!((accounts.received, accounts.received_bytes), (6, 4 + 5 + 1 + 5 + 5 + 4));
    assert_eq!(accounts.in_flight(), 0);
}

#[test]
fn a_hint_saves_the_wait_for_the_next_look() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\n");
    rig.start();
    rig.settle_down();
    rig.append("a.log", "two\n");
    rig.append("b.log", "three\n");
    rig.pass(ms(60));
    assert_eq!(rig.lines(), ["one"]);
    let mut news = News::default();
    news.written.insert(rig.path("a.log"));
    news.named.insert(rig.path("b.log"));
    let now = rig.now;
    rig.tailer.as_mut().unwrap().changed(&news, now);
    rig.settle_down();
    assert_eq!(rig.lines(), ["two", "three"]);
}

#[test]
fn a_restart_goes_on_where_the_records_were_safe() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\ntwo\n");
    rig.start();
    rig.settle_down();
    rig.stop();
    rig.append("a.log", "three\n");
    rig.start();
    rig.settle_down();
    assert_eq!(rig.lines(), ["one", "two", "three"]);
}

#[test]
fn a_kill_before_the_positions_are_saved_costs_duplicates_only() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\n");
    rig.start();
    rig.pass(s(2));
    rig.append("a.log", "two\n");
    rig.pass(ms(300));
    rig.start();
    rig.settle_down();
    assert_eq!(rig.lines(), ["one", "two", "two"]);
}

#[test]
fn a_position_moves_only_when_the_records_are_safe() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\n");
    rig.settle = Settle::Hold;
    rig.start();
    rig.pass(s(5));
    assert_eq!(rig.lines(), ["one"]);
    rig.start();
    rig.settle = Settle::Delivered;
    rig.settle_down();
    assert_eq!(rig.lines(), ["one"]);
}

#[test]
fn records_that_come_back_are_sent_again_after_a_rest() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\ntwo\n");
    rig.settle = Settle::Again;
    rig.start();
    rig.pass(ms(500));
    assert_eq!(rig.lines(), ["one", "two"]);
    rig.append("a.log", "three\n");
    rig.settle = Settle::Delivered;
    rig.pass(ms(400));
    assert!(rig.lines().is_empty(), "nothing is sent past records that came back");
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["one", "two", "three"]);
    assert_eq!(rig.accounts().returned, 2);
}

#[test]
fn a_last_line_without_its_end_is_sent_after_a_time_and_its_rest_is_another_record() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\nhal");
    rig.start();
    rig.pass(s(4));
    assert_eq!(rig.lines(), ["one"]);
    rig.append("a.log", "f");
    rig.pass(s(4));
    assert!(rig.lines().is_empty(), "the time begins again when the file grows");
    rig.pass(s(2));
    assert_eq!(rig.lines(), ["half"]);
    rig.append("a.log", " more\n");
    rig.pass(s(1));
    assert_eq!(rig.lines(), [" more"]);
}

#[test]
fn a_line_longer_than_the_limit_is_cut_and_marked() {
    let mut rig = Rig::new();
    rig.settings.max_line.0 = 5;
    rig.append("a.log", "one\nlonger line\nexact\r\nabcdé\ntwo\n");
    rig.start();
    rig.settle_down();
    let marks: Vec<_> = rig.got.iter().map(|g| (g.line.clone(), g.truncated)).collect();
    let want = [("one", false), ("longe", true), ("exact", false), ("abcd", true), ("two", false)];
    assert_eq!(marks, want.map(|(l, t)| (l.to_owned(), t)));
}

#[test]
fn a_line_longer_than_a_piece_is_found_and_one_without_end_keeps_its_first_part() {
    let mut rig = Rig::new();
    let long = "x".repeat(700_000);
    let endless = "y".repeat(3_000_000);
    rig.append("a.log", format!("{long}\nshort\n{endless}"));
    rig.start();
    rig.pass(s(1));
    assert_eq!(rig.lines(), [long.as_str(), "short"]);
    rig.append("a.log", "y\nafter\n");
    rig.pass(s(1));
    let got: Vec<_> = rig.got.drain(..).map(|g| (g.line.len(), g.truncated)).collect();
    assert_eq!(got, [(1 << 20, true), (5, false)]);
    rig.append("a.log", &endless);
    rig.pass(s(6));
    assert_eq!(rig.got.pop().map(|g| (g.line.len(), g.truncated)), Some((1 << 20, true)));
    rig.append("a.log", "z\n");
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["z"]);
}

#[test]
fn read_from_end_holds_only_for_what_is_there_at_the_first_start() {
    let mut rig = Rig::new();
    rig.settings.read_from = ReadFrom::End;
    rig.append("a.log", "old\nunfin");
    rig.start();
    rig.pass(s(2));
    assert!(rig.lines().is_empty());
    rig.append("a.log", "ished\n");
    rig.append("b.log", "new\n");
    rig.pass(s(2));
    assert_eq!(rig.lines(), ["unfinished", "new"]);
    rig.stop();
    rig.append("c.log", "came while away\n");
    rig.start();
    rig.pass(s(2));
    assert_eq!(rig.lines(), ["came while away"]);
}

#[test]
fn what_was_written_long_ago_is_skipped_but_not_what_comes() {
    let mut rig = Rig::new();
    rig.settings.ignore_older = Some(Span(s(3600)));
    rig.append("a.log", "old\n");
    let then = std::time::UNIX_EPOCH + s(1_690_000_000);
    fs::File::options().write(true).open(rig.path("a.log")).unwrap().set_modified(then).unwrap();
    rig.start();
    rig.pass(s(2));
    rig.append("a.log", "new\n");
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["new"]);
}

#[test]
fn a_file_that_was_written_in_a_future_that_no_record_reaches_is_not_old() {
    let mut rig = Rig::new();
    rig.settings.ignore_older = Some(Span(s(3600)));
    rig.append("a.log", "of a clock that was wrong\n");
    // After 2262 nanoseconds have no room in 64 bits.
    let then = std::time::UNIX_EPOCH + s(12_000_000_000);
    fs::File::options().write(true).open(rig.path("a.log")).unwrap().set_modified(then).unwrap();
    rig.start();
    rig.pass(s(2));
    assert_eq!(rig.lines(), ["of a clock that was wrong"]);
}

#[test]
fn hundreds_of_files_take_turns_and_few_are_open() {
    let mut rig = Rig::new();
    rig.settings.max_open_files = 50;
    let big: String = (0..20_000).map(|n| format!("big {n} {}\n", "x".repeat(100))).collect();
    rig.append("0.log", &big);
    for file in 1..300 {
        rig.append(&format!("{file}.log"), format!("small {file}\n"));
    }
    rig.start();
    rig.settle_down();
    assert_eq!(rig.got.len(), 20_299);
    let last_small = rig.got.iter().rposition(|g| g.line.starts_with("small")).unwrap();
    assert!(
        last_small < 6_000,
        "the small files wait for one piece of the big one only, not for {last_small}"
    );
    rig.got.clear();
    for file in 1..300 {
        rig.append(&format!("{file}.log"), "more\n");
    }
    rig.pass(s(1));
    assert_eq!(rig.lines().len(), 299);
    assert!(rig.tailer.as_ref().unwrap().tails.values().filter(|t| t.content.is_some()).count() <= 50);
}

#[test]
fn batches_are_full_while_there_is_more_and_end_with_the_data() {
    let mut rig = Rig::new();
    let text: String = (0..10_000).map(|n| format!("{n:0242}\n")).collect();
    rig.append("a.log", text);
    rig.start();
    rig.settle_down();
    assert_eq!(rig.got.len(), 10_000);
    assert!(rig.got.iter().enumerate().all(|(n, got)| got.line == format!("{n:0242}")));
    assert!(rig.batches.len() <= 11, "{:?}", rig.batches);
}

#[test]
fn a_file_that_cannot_be_read_holds_up_no_other() {
    let mut rig = Rig::new();
    std::os::unix::fs::symlink(rig.path("nothing"), rig.path("dangling.log")).unwrap();
    fs::create_dir(rig.path("folder.log")).unwrap();
    rig.append("a.log", "one\n");
    rig.start();
    rig.pass(s(2));
    assert_eq!(rig.got, [Got { file: "a.log".into(), line: "one".into(), truncated: false }]);
}

#[test]
fn a_file_under_two_names_is_read_once() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\n");
    fs::hard_link(rig.path("a.log"), rig.path("b.log")).unwrap();
    std::os::unix::fs::symlink(rig.path("a.log"), rig.path("c.log")).unwrap();
    rig.start();
    rig.pass(s(2));
    assert_eq!(rig.lines(), ["one"]);
}

#[test]
fn a_link_out_of_the_folders_that_may_be_read_is_passed_over_and_one_within_them_is_not() {
    let mut rig = Rig::new();
    rig.settings.include.push(super::super::rig::glob(format!("{}/logs/*/*.log", rig.dir.path().display())));
    let make = |rig: &Rig| {
        rig.append("a.log", "one\n");
        fs::create_dir(rig.path("folder")).unwrap();
        rig.append("folder/b.log", "two\n");
        std::os::unix::fs::symlink("folder/b.log", rig.path("c.log")).unwrap();
        rig.link("out.log", "0.log");
        fs::write(rig.real("0.log"), "three\n").unwrap();
        std::os::unix::fs::symlink(rig.real(""), rig.path("out")).unwrap();
    };
    make(&rig);
    rig.settings.within = Some(vec![rig.path("")]);
    rig.start();
    rig.pass(s(2));
    let mut lines = rig.lines();
    lines.sort();
    assert_eq!(lines, ["one", "two"]);
}

#[test]
fn files_that_are_there_are_read_in_the_order_in_which_they_were_written_last() {
    let mut rig = Rig::new();
    for (name, time) in [("a.log", 3), ("b.log", 1), ("c.log", 2)] {
        rig.append(name, format!("{name}\n"));
        let file = fs::File::options().write(true).open(rig.path(name)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + s(time)).unwrap();
    }
    rig.start();
    rig.settle_down();
    assert_eq!(rig.lines(), ["b.log", "c.log", "a.log"]);
}

#[test]
fn a_folder_or_a_pipe_named_as_a_file_is_complained_about_and_holds_up_no_other() {
    let mut rig = Rig::new();
    let named = |rig: &Rig, name: &str| super::super::rig::glob(rig.path(name).display().to_string());
    fs::create_dir(rig.path("folder")).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, rig.path("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    rig.settings.include.extend([named(&rig, "folder"), named(&rig, "pipe")]);
    rig.append("a.log", "one\n");
    rig.start();
    rig.settle_down();
    assert_eq!(rig.lines(), ["one"]);
    let warned = &rig.tailer.as_ref().unwrap().warned;
    assert!(warned.contains(&rig.path("folder")) && warned.contains(&rig.path("pipe")));
}

#[test]
fn a_pipe_that_takes_the_name_of_a_file_is_not_waited_for() {
    let mut rig = Rig::new();
    rig.settings.max_open_files = 1;
    rig.append("a.log", "one\n");
    rig.append("b.log", "two\n");
    rig.start();
    rig.pass(s(2));
    for name in ["a.log", "b.log"] {
        rig.remove(name);
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, rig.path(name), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    }
    rig.append("c.log", "three\n");
    rig.pass(s(20));
    assert_eq!(rig.lines().last().map(String::as_str), Some("three"));
}
