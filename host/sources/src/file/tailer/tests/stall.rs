use super::super::super::rig::{Rig, s};

/// Lines that fill the buffer of the output and then some, and how many they are.
fn flood() -> (String, usize) {
    (format!("{}\n", "x".repeat(999)).repeat(30_000), 30_000)
}

#[test]
fn while_an_output_takes_nothing_a_file_that_is_rotated_twice_is_opened_and_read_when_it_goes_on() {
    let mut rig = Rig::new();
    let (text, lines) = flood();
    rig.append("a.log", text);
    rig.stalled = true;
    rig.start();
    rig.pass(s(2));
    for round in 1..4 {
        rig.rename("a.log", &format!("a.log.{round}"));
        rig.append("a.log", format!("round {round}\n"));
        rig.pass(s(2));
        rig.remove(&format!("a.log.{round}"));
    }
    rig.pass(s(20));
    assert!(rig.got.is_empty());
    rig.stalled = false;
    rig.pass(s(3));
    let got = rig.lines();
    assert_eq!(got.len(), lines + 3);
    let rounds: Vec<_> = got.iter().filter(|line| line.starts_with("round")).collect();
    assert_eq!(rounds, ["round 1", "round 2", "round 3"]);
    assert_eq!(rig.accounts().in_flight(), 0);
}

#[test]
fn positions_are_saved_while_a_batch_waits_for_room() {
    let mut rig = Rig::new();
    rig.append("b.log", "safe\n");
    rig.start();
    rig.settle_down();
    assert_eq!(rig.lines(), ["safe"]);
    rig.append("a.log", flood().0);
    rig.stalled = true;
    rig.pass(s(3));
    rig.stalled = false;
    rig.start();
    rig.pass(s(3));
    assert!(!rig.lines().contains(&"safe".to_owned()), "its position was saved during the stall");
}

#[test]
fn a_batch_that_waits_when_the_pipelines_close_comes_back_and_its_records_are_read_at_the_next_start() {
    let mut rig = Rig::new();
    let (text, lines) = flood();
    rig.append("a.log", text);
    rig.stalled = true;
    rig.start();
    rig.pass(s(1));
    // Killed: the batch that waits is dropped with the tailer.
    rig.stalled = false;
    rig.start();
    rig.got.clear();
    rig.pass(s(3));
    assert_eq!(rig.lines().len(), lines);
    assert_eq!(rig.accounts().in_flight(), 0);
}
