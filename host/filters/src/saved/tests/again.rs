//! Records that are sent again, and states that wait for records to be safe.

use super::*;
use flitch_core::receipt::Receipt;

fn once(keep: bool) -> Arc<Program> {
    let mut settings = FilterSettings::of("dedupe");
    settings.settings = json!({"key": "k"});
    settings.state.keep = keep;
    program("once", &settings)
}

/// Runs a record with this key through a chain. Whether it goes on, and what its source waits for.
fn judged(chain: &mut Chain, key: &str) -> (bool, Receipt) {
    let records = records(&[json!({"k": key})]);
    let receipt = receipt::issue(&Arc::default(), 1, 0, |_| {});
    let batch = chain.apply(Batch { records, receipt, stream: StreamId::UNORDERED });
    (batch.records.rows() == 1, batch.receipt)
}

/// The same of one that is delivered at once.
fn goes_on(chain: &mut Chain, key: &str) -> bool {
    let (goes_on, receipt) = judged(chain, key);
    receipt.delivered();
    goes_on
}

#[test]
fn a_record_that_is_sent_again_is_no_duplicate_of_itself() {
    for keep in [true, false] {
        let states = States::in_memory();
        let mut chain = once(keep).chain_of(&states.shelf("p", 1), 0);
        assert!(goes_on(&mut chain, "delivered"));
        chain.save();
        let (_, under_way) = judged(&mut chain, "lost");
        assert!(!goes_on(&mut chain, "lost"), "it is on its way");
        chain.save();
        drop(under_way);
        assert!(goes_on(&mut chain, "lost"), "keep: {keep}");
        assert!(!goes_on(&mut chain, "lost"));
        assert_eq!(
            goes_on(&mut chain, "delivered"),
            !keep,
            "what is settled is known still, where it is kept"
        );
    }
}

#[test]
fn what_another_worker_and_the_workers_before_have_learned_of_such_records_is_forgotten_as_well() {
    let states = States::in_memory();
    let shelf = states.shelf("p", 2);
    let (mut one, mut other) = (once(true).chain_of(&shelf, 0), once(true).chain_of(&shelf, 1));
    let (_, under_way) = judged(&mut one, "a");
    assert!(goes_on(&mut other, "b"));
    one.save();
    other.save();
    let mut next = once(true).chain_of(&states.shelf("p", 1), 0);
    assert!(!goes_on(&mut next, "a") && !goes_on(&mut next, "b"), "it has what both have learned");
    drop(under_way);
    assert!(goes_on(&mut next, "a"));
}

#[test]
fn a_state_goes_to_disk_when_all_records_are_safe_that_were_judged_before() {
    let folder = tempfile::tempdir().unwrap();
    let kept = |name: &str| file::read(&folder.path().join(name), 1 << 20).unwrap();
    let states = States::open(folder.path(), Clock::fake(7), &Arc::default()).unwrap();
    let shelf = states.shelf("p", 1);
    let mut chain = program("keeps", &stateful()).chain_of(&shelf, 0);
    let mut remember = |state: &str| {
        let records = messages(&[&format!("REMEMBER {state}")]);
        let receipt = receipt::issue(&Arc::default(), 1, 0, |_| {});
        let batch = chain.apply(Batch { records, receipt, stream: StreamId::UNORDERED });
        chain.save();
        states.flush();
        (batch.receipt, chain.due().is_some())
    };
    let (first, _) = remember("one");
    assert_eq!(kept("p.keeps"), None);
    let (second, is_due) = remember("two");
    assert!(is_due, "one state at a time waits; this one is saved later");
    second.delivered();
    states.flush();
    assert_eq!(kept("p.keeps"), None, "the first record is under way");
    first.delivered();
    states.flush();
    assert_eq!(kept("p.keeps").unwrap().states, [(0, bytes("one"))]);
    let (third, is_due) = remember("three");
    assert!(!is_due);
    // Records that were judged after a state was saved do not hold it back.
    let (_fourth, _) = remember("four");
    third.delivered();
    states.flush();
    assert_eq!(kept("p.keeps").unwrap().states, [(0, bytes("three"))]);
}

#[test]
fn a_state_of_records_that_are_sent_again_never_goes_to_disk() {
    let folder = tempfile::tempdir().unwrap();
    let run = |keys: &[&str]| -> Vec<bool> {
        let states = States::open(folder.path(), Clock::fake(7), &Arc::default()).unwrap();
        let shelf = states.shelf("p", 1);
        let mut chain = once(true).chain_of(&shelf, 0);
        let (seen, left): (Vec<_>, Vec<_>) = keys.iter().map(|key| judged(&mut chain, key)).unzip();
        chain.save();
        // The end of a process whose output is away.
        drop((chain, shelf));
        drop(left);
        states.flush();
        seen
    };
    assert_eq!(run(&["a", "b", "a"]), [true, true, false]);
    assert_eq!(run(&["a", "b"]), [true, true]);
}

#[test]
fn a_state_of_records_that_arrive_after_their_workers_have_ended_goes_to_disk() {
    let folder = tempfile::tempdir().unwrap();
    let states = States::open(folder.path(), Clock::fake(7), &Arc::default()).unwrap();
    let shelf = states.shelf("p", 1);
    let mut chain = once(true).chain_of(&shelf, 0);
    let (_, under_way) = judged(&mut chain, "late");
    chain.save();
    drop((chain, shelf));
    assert!(!states.of("once").is_empty(), "it waits");
    under_way.delivered();
    states.flush();
    assert!(states.of("once").is_empty(), "it is on disk alone");
    let states = States::open(folder.path(), Clock::fake(7), &Arc::default()).unwrap();
    let mut chain = once(true).chain_of(&states.shelf("p", 1), 0);
    assert!(!goes_on(&mut chain, "late"));
}
