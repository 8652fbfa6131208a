//! What came after a file that was followed, and went before the source started again.

use std::fs;

use super::super::super::rig::{Rig, Settle, glob, s};
use super::forms::gzip;

/// What is read at the next start of a folder in which `a.log` was followed and rotated, and these files have come.
fn read_beside(include: &str, exclude: &[&str], rotated: bool, come: &[&str]) -> Vec<String> {
    let mut rig = Rig::new();
    rig.settings.include = vec![glob(format!("{}/logs/{include}", rig.dir.path().display()))];
    let folder = rig.dir.path().join("logs").display().to_string();
    rig.settings.exclude = exclude.iter().map(|text| glob(text.replace("LOGS", &folder))).collect();
    rig.append("a.log", "one\n");
    rig.start();
    rig.pass(s(2));
    assert_eq!(rig.lines(), ["one"]);
    rig.stop();
    if rotated {
        rig.rename("a.log", "a.log.7");
        rig.append("a.log", "two\n");
    }
    for name in come {
        let text = format!("{name}\n");
        fs::write(rig.path(name), if name.ends_with(".gz") { gzip(&text) } else { text.into_bytes() })
            .unwrap();
    }
    rig.start();
    rig.pass(s(10));
    let mut lines = rig.lines();
    lines.sort();
    lines
}

const COME: [&str; 6] =
    ["a.log.1", "a.log.2.gz", "a-2026-11-25.log", "a.log.audit", "a.log.swp", "a.log-notes.txt"];

#[test]
fn only_what_looks_like_a_rotation_of_a_file_is_taken_for_what_came_after_it() {
    let read = read_beside("a.log", &[], true, &COME);
    assert_eq!(read, ["a-2026-11-25.log", "a.log.1", "a.log.2.gz", "two"]);
    assert!(
        read_beside("a.log", &[], false, &COME).is_empty(),
        "where nothing was rotated nothing came after it"
    );
}

#[test]
fn what_is_excluded_is_left_out_as_what_came_after_a_file_too() {
    for exclude in ["*.gz", "a.log.2*", "LOGS/*.gz", "LOGS/a.log.2.gz", "**/*.gz"] {
        let read = read_beside("a.log", &[exclude], true, &COME);
        assert_eq!(read, ["a-2026-11-25.log", "a.log.1", "two"], "{exclude}");
    }
    assert_eq!(read_beside("a.log", &["a.log.*", "a-*"], true, &COME), ["two"]);
}

#[test]
fn files_to_which_a_link_led_while_we_were_away_are_read_if_their_names_tell_when_they_were() {
    let days = |of: &str| ["24", "25", "26", "27"].map(|day| of.replace("DAY", day));
    for of in ["app-2026-11-DAY.log", "app.202611DAY", "app.host.log.INFO.202611DAY-100000.4711"] {
        let [first, second, third, last] = days(of);
        let mut rig = Rig::new();
        rig.link("a.log", &first);
        rig.append_real(&first, "one\n");
        // Nobody follows those that a link to them never was.
        rig.append_real("b-2026-11-24.log", "b\n");
        rig.start();
        rig.pass(s(2));
        assert_eq!(rig.lines(), ["one"]);
        rig.stop();
        for name in [&second, &third, &last] {
            rig.append_real(name, &format!("{name}\n"));
        }
        rig.append_real(&first, "late\n");
        let others = ["b-2026-11-25.log", "app-1.log", "app-2.log", "app-2026-11-25.log.audit", "app.2026"];
        others.iter().for_each(|name| rig.append_real(name, "other\n"));
        // As long as the link leads to the first, it is nobody's business what lies beside it.
        rig.start();
        rig.pass(s(2));
        assert_eq!(rig.lines(), ["late"], "{of}");
        rig.stop();
        rig.append_real(&first, "later\n");
        rig.remove("a.log");
        rig.link("a.log", &last);
        rig.start();
        rig.pass(s(2));
        let mut lines = rig.lines();
        lines.sort();
        let mut all = vec![second.clone(), third.clone(), last.clone(), "later".to_owned()];
        all.sort();
        assert_eq!(lines, all, "{of}");
        rig.stop();
        rig.start();
        rig.pass(s(2));
        assert!(rig.lines().is_empty());
    }
}

/// What was followed was seen to be rotated, and let go or not, before its successor came.
#[test]
fn what_came_after_a_file_that_was_seen_to_be_rotated_is_read_though_it_was_rotated_itself_since() {
    for wait in [1, 60] {
        for (first, second) in [("a.log.1", "a.log.2"), ("a.log.20261124", "a.log.20261124")] {
            let mut rig = Rig::new();
            rig.append("a.log", "one\n");
            rig.start();
            rig.pass(s(2));
            rig.rename("a.log", first);
            rig.pass(s(wait));
            assert_eq!(rig.lines(), ["one"]);
            rig.stop();
            if first != second {
                rig.rename(first, second);
            }
            let successor = if first == second { "a.log.20261125" } else { "a.log.1" };
            for last in [false, true] {
                rig.append("a.log", "two\n");
                if last {
                    rig.append("a.log", "three\n");
                } else {
                    rig.rename("a.log", successor);
                }
            }
            // What nobody named so is nobody's business.
            rig.append("b.log.1", "b\n");
            rig.start();
            rig.pass(s(2));
            let mut lines = rig.lines();
            lines.sort();
            assert_eq!(lines, ["three", "two", "two"], "{successor} after {wait} s");
            rig.stop();
            rig.start();
            rig.pass(s(2));
            assert!(rig.lines().is_empty(), "it is known then");
        }
    }
}

/// From the stop on nobody looks for files, however long what is on its way may take to arrive.
#[test]
fn what_comes_and_goes_while_a_source_waits_for_its_records_to_arrive_is_read_at_the_next_start() {
    let mut rig = Rig::new();
    let hour = 60 * 60;
    rig.start = jiff::Timestamp::now().as_nanosecond() as i64 - hour * 1_000_000_000;
    rig.set_forward(s(0));
    rig.append("a.log", "one\n");
    rig.settle = Settle::Hold;
    rig.start();
    rig.pass(s(2));
    rig.rename("a.log", "a.log.2");
    rig.append("a.log", "two\n");
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "three\n");
    rig.set_forward(s(2 * hour.unsigned_abs()));
    rig.held.drain(..).for_each(|batch| batch.receipt.delivered());
    rig.stop();
    assert_eq!(rig.lines(), ["one"]);
    rig.settle = Settle::Delivered;
    rig.start();
    rig.pass(s(2));
    let mut lines = rig.lines();
    lines.sort();
    assert_eq!(lines, ["three", "two"]);
}

#[test]
fn what_was_not_read_of_a_file_that_was_rotated_is_read_where_it_was_compressed_while_flitch_was_away() {
    for late in ["", "three\n"] {
        let mut rig = Rig::new();
        rig.append("a.log", "one\ntwo\n");
        rig.start();
        rig.pass(s(1));
        let rotated = "a.log.20261125-100000";
        rig.rename("a.log", rotated);
        rig.append("a.log", "new\n");
        rig.pass(s(2));
        assert_eq!(rig.lines(), ["one", "two", "new"]);
        rig.stop();
        rig.append(rotated, late);
        let text = fs::read(rig.path(rotated)).unwrap();
        fs::write(rig.path(&format!("{rotated}.gz")), gzip(text)).unwrap();
        rig.remove(rotated);
        rig.start();
        rig.pass(s(5));
        assert_eq!(rig.lines().concat(), late.trim_end());
        rig.stop();
        rig.start();
        rig.pass(s(5));
        assert!(rig.lines().is_empty(), "it is known then");
    }
}

#[test]
fn what_was_found_empty_and_not_read_is_read_where_it_was_compressed_while_flitch_was_away() {
    let mut rig = Rig::new();
    // All was written before the positions were saved last.
    rig.start = i64::from(i32::MAX) * 1_000_000_000;
    rig.set_forward(s(0));
    rig.append("a.log", "");
    rig.start();
    rig.pass(s(2));
    rig.append("a.log", "one\ntwo\n");
    rig.stop();
    fs::write(rig.path("a.log.2.gz"), gzip(fs::read(rig.path("a.log")).unwrap())).unwrap();
    rig.remove("a.log");
    rig.append("a.log", "three\n");
    rig.start();
    rig.pass(s(5));
    let mut lines = rig.lines();
    lines.sort();
    assert_eq!(lines, ["one", "three", "two"]);
}

/// Numbers move on at each rotation, and a compressed file has the time at which its content was written last, so that neither its
/// name nor its time tell that it is one that was followed.
#[test]
fn what_was_not_safe_of_a_file_is_read_where_it_was_rotated_on_and_compressed_while_flitch_was_away() {
    for safe in ["", "one\n"] {
        for was_rotated in [false, true] {
            let mut rig = Rig::new();
            rig.settings.include = vec![glob(format!("{}/logs/a.log", rig.dir.path().display()))];
            // All was written before the positions were saved last.
            rig.start = i64::from(i32::MAX) * 1_000_000_000;
            rig.set_forward(s(0));
            rig.append("a.log", safe);
            rig.start();
            rig.pass(s(2));
            assert_eq!(rig.lines().concat(), safe.trim_end());
            rig.stalled = true;
            rig.append("a.log", "two\nthree\n");
            rig.pass(s(2));
            if was_rotated {
                rig.rename("a.log", "a.log.1");
                rig.append("a.log", "new\n");
                rig.pass(s(2));
            }
            rig.stop();
            let (old, compressed) =
                if was_rotated { ("a.log.1", "a.log.2.gz") } else { ("a.log", "a.log.1.gz") };
            fs::write(rig.path(compressed), gzip(fs::read(rig.path(old)).unwrap())).unwrap();
            rig.remove(old);
            if was_rotated {
                rig.rename("a.log", "a.log.1");
            }
            rig.append("a.log", "newest\n");
            // What others rotated, and what was read before, is nobody's business.
            fs::write(rig.path("a.log.3.gz"), gzip("zero\n")).unwrap();
            fs::write(rig.path("b.log.2.gz"), gzip(format!("{safe}two\n"))).unwrap();
            rig.stalled = false;
            rig.drain();
            rig.lines();
            rig.start();
            rig.pass(s(5));
            let mut lines = rig.lines();
            lines.sort();
            let all: &[&str] = match was_rotated {
                true => &["new", "newest", "three", "two"],
                false => &["newest", "three", "two"],
            };
            assert_eq!(lines, all, "{safe:?}, {was_rotated}");
            rig.stop();
            rig.start();
            rig.pass(s(5));
            assert!(rig.lines().is_empty(), "it is known then");
        }
    }
}
