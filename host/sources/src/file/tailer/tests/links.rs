use super::super::super::rig::{Rig, Settle, glob, ms, s};
use std::fs;

/// A rig with a link to a file that holds a line.
fn linked(most: usize) -> Rig {
    let mut rig = Rig::new();
    rig.settings.max_open_files = most;
    rig.link("web.log", "0.log");
    rig.append_real("0.log", "one\n");
    rig
}

/// What kubelet does: another name for the file, and a new one in its place.
fn rotate(rig: &Rig, round: usize) {
    fs::rename(rig.real("0.log"), rig.real(&format!("0.log.{round}"))).unwrap();
    rig.append_real("0.log", &format!("first of {round}\n"));
}

#[test]
fn a_file_behind_a_link_is_read_to_its_end_after_it_was_renamed_though_it_was_closed() {
    let mut rig = linked(1);
    rig.append("other.log", "other\n");
    rig.start();
    rig.pass(s(2));
    rig.append("other.log", "other\n");
    rig.pass(ms(300));
    rig.append_real("0.log", "two\n");
    rotate(&rig, 1);
    rig.append_real("0.log.1", "three\n");
    rig.pass(s(2));
    let mut lines = rig.lines();
    lines.sort();
    assert_eq!(lines, ["first of 1", "one", "other", "other", "three", "two"]);
    assert!(rig.got.iter().all(|got| got.file != "0.log.1"), "records keep the name of the link");
}

#[test]
fn the_folders_that_links_lead_over_are_watched_even_if_nothing_is_there_yet() {
    let mut rig = linked(512);
    rig.link("soon.log", "soon.log");
    rig.start();
    let folders = loop {
        let now = rig.now;
        let tailer = rig.tailer.as_mut().unwrap();
        tailer.turn(now).unwrap();
        if let Some(folders) = tailer.take_folders() {
            break folders;
        }
    };
    assert!(folders.contains(&rig.path("").components().collect::<std::path::PathBuf>()), "{folders:?}");
    let pods = rig.real("x").parent().unwrap().canonicalize().unwrap();
    assert!(folders.contains(&pods), "{folders:?}");
}

#[test]
fn files_behind_a_link_that_are_renamed_faster_than_anybody_looks_are_read_to_their_end() {
    for most in [1, 512] {
        let mut rig = linked(most);
        rig.start();
        rig.settle_down();
        let real = |rig: &Rig, name: &str| rig.real(name).canonicalize().unwrap();
        let pods = real(&rig, "0.log").parent().unwrap().to_owned();
        let mut moves = Vec::new();
        for round in 0..5 {
            // The file that was renamed before has a number more now.
            if round > 0 {
                fs::rename(rig.real("0.log.last"), rig.real(&format!("0.log.{round}"))).unwrap();
                moves.push((pods.join("0.log.last"), pods.join(format!("0.log.{round}"))));
            }
            fs::rename(rig.real("0.log"), rig.real("0.log.last")).unwrap();
            moves.push((pods.join("0.log"), pods.join("0.log.last")));
            rig.append_real("0.log.last", "from a writer that has it open\n");
            rig.append_real("0.log", &format!("first of {round}\n"));
        }
        rig.tell_moves(&moves);
        rig.pass(s(3));
        let lines = rig.lines();
        for line in ["one", "first of 0", "first of 1", "first of 2", "first of 3", "first of 4"] {
            assert_eq!(lines.iter().filter(|l| *l == line).count(), 1, "{line} of {lines:?}");
        }
        assert_eq!(lines.len(), 11, "{lines:?}");
        rig.pass(s(20));
        assert_eq!(rig.tailer.as_ref().unwrap().tails.len(), 1, "the old ones are let go");
    }
}

#[test]
fn files_without_links_that_are_renamed_faster_than_anybody_looks_are_read_to_their_end() {
    let mut rig = Rig::new();
    rig.append("a.log", "0\n");
    rig.start();
    rig.settle_down();
    let mut moves = Vec::new();
    for round in 1..5 {
        rig.rename("a.log", &format!("a.old.{round}"));
        moves.push((rig.path("a.log"), rig.path(&format!("a.old.{round}"))));
        rig.append("a.log", format!("{round}\n"));
    }
    rig.tell_moves(&moves);
    rig.pass(s(3));
    let mut lines = rig.lines();
    lines.sort();
    assert_eq!(lines, ["0", "1", "2", "3", "4"]);
}

#[test]
fn a_file_behind_a_link_that_was_renamed_while_we_were_away_is_read_to_its_end() {
    for killed in [false, true] {
        let mut rig = linked(1);
        rig.start();
        rig.pass(s(2));
        if !killed {
            rig.stop();
        }
        rig.append_real("0.log", "two\n");
        rotate(&rig, 1);
        rig.start();
        rig.pass(s(1));
        let mut lines = rig.lines();
        lines.sort();
        assert_eq!(lines, ["first of 1", "one", "two"]);
        // And once more, with an old file that is still followed.
        rig.settle = Settle::Hold;
        rig.append_real("0.log.1", "late\n");
        rig.pass(s(1));
        rig.got.clear();
        rig.settle = Settle::Delivered;
        rig.start();
        rig.pass(s(1));
        assert_eq!(rig.lines(), ["late"]);
    }
}

#[test]
fn a_link_that_leads_to_another_file_from_now_on_begins_with_that() {
    let mut rig = linked(512);
    rig.start();
    rig.settle_down();
    rig.append_real("0.log", "two\n");
    rig.append_real("1.log", "another\n");
    rig.remove("web.log");
    rig.link("web.log", "1.log");
    rig.pass(s(2));
    let mut lines = rig.lines();
    lines.sort();
    assert_eq!(lines, ["another", "one", "two"]);
}

#[test]
fn files_that_came_and_were_renamed_while_we_were_away_are_read_too() {
    for by_link in [true, false] {
        let mut rig = Rig::new();
        // The files are made now, and the rig's own time is long ago.
        let real = |rig: &Rig, name: &str| if by_link { rig.real(name) } else { rig.path(name) };
        if by_link {
            rig.link("0.log", "0.log");
            rig.append_real("0.log", "one\n");
        } else {
            rig.append("0.log", "one\n");
        }
        rig.start();
        rig.pass(s(2));
        rig.stop();
        for round in 1..4 {
            fs::rename(real(&rig, "0.log"), real(&rig, &format!("0.log.{round}"))).unwrap();
            fs::write(real(&rig, "0.log"), format!("first of {round}\n")).unwrap();
        }
        fs::write(real(&rig, "other.txt"), "not ours\n").unwrap();
        for _ in 0..2 {
            rig.start();
            rig.pass(s(1));
            let mut lines = rig.lines();
            lines.sort();
            assert!(
                lines == ["first of 1", "first of 2", "first of 3", "one"] || lines.is_empty(),
                "{lines:?}"
            );
            rig.stop();
        }
    }
}

#[test]
fn what_copytruncate_copied_while_we_were_away_is_not_taken_for_a_file_that_came() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\n");
    rig.start();
    rig.pass(s(2));
    rig.stop();
    rig.copytruncate("a.log", "a.log.1");
    rig.append("a.log", "2\n");
    rig.start();
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["one", "2"]);
}

/// As a release is put in place of the one before it: `current/a.log`, where `current` leads to `1` and then to `2`.
#[test]
fn what_was_not_read_behind_a_link_to_a_folder_is_read_though_that_leads_elsewhere_by_now() {
    for is_away in [true, false] {
        let mut rig = Rig::new();
        let current = rig.path("current");
        let lead_to = |release: &str| {
            fs::remove_file(&current).ok();
            std::os::unix::fs::symlink(release, &current).unwrap();
        };
        for release in ["1", "2"] {
            fs::create_dir(rig.path(release)).unwrap();
        }
        rig.settings.include = vec![glob(format!("{}/logs/current/*.log", rig.dir.path().display()))];
        lead_to("1");
        rig.append("1/a.log", "one\n");
        rig.start();
        rig.pass(s(2));
        assert_eq!(rig.lines(), ["one"]);
        match is_away {
            true => rig.stop(),
            // As where too many others are open.
            false => rig.tailer.as_mut().unwrap().tails.values_mut().for_each(|tail| tail.content = None),
        }
        rig.append("1/a.log", "two\n");
        rig.append("2/a.log", "new\n");
        lead_to("2");
        if is_away {
            rig.start();
        }
        rig.pass(s(5));
        let mut lines = rig.lines();
        lines.sort();
        assert_eq!(lines, ["new", "two"], "{is_away}");
        rig.stop();
        rig.start();
        rig.pass(s(5));
        assert!(rig.lines().is_empty());
    }
}
