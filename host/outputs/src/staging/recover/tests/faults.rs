//! The disk fails at each of its calls, or the process dies in it, or the machine does.

use std::collections::BTreeSet;

use super::*;
use crate::staging::disk::faults;

/// Rows of a batch.
const ROWS: i64 = 20;
/// Batches.
const BATCHES: i64 = 6;

/// What was done until now.
#[derive(Default)]
struct Told {
    /// Where the source of each batch hears of it.
    heard: Vec<Arc<Mutex<Option<Verdict>>>>,
    /// What has arrived.
    found: Vec<Vec<u8>>,
}

impl Told {
    /// The records of which the source knows that they are safe.
    fn safe(&self) -> BTreeSet<i64> {
        let is_safe = |heard: &Arc<Mutex<Option<Verdict>>>| *heard.lock() == Some(Verdict::Safe);
        let safe = (0..).zip(&self.heard).filter(|(_, heard)| is_safe(heard));
        safe.flat_map(|(batch, _)| batch * ROWS..(batch + 1) * ROWS).collect()
    }
}

/// Puts all batches in, each of which is stored by itself; every other object is closed, and some have arrived. What the disk
/// does not take is tried again `times`.
fn run(yard: &mut Yard, ledger: &Arc<Ledger>, made: Made, times: usize) -> Told {
    let mut told = Told::default();
    let rest = |yard: &mut Yard| {
        for _ in 0..times {
            let Some(due) = yard.due().filter(|_| !yard.takes_more()) else { break };
            yard.tend(due);
        }
    };
    for batch in 0..BATCHES {
        told.heard.push(put(yard, ledger, batch * ROWS, ROWS as usize));
        rest(yard);
        yard.hurry(Instant::now());
        rest(yard);
        if batch == 2 {
            yard.close_all(Instant::now());
            rest(yard);
        }
        if batch == 3 {
            told.found.extend(arrived(yard, made));
        }
    }
    told
}

/// Opens a yard where the disk may fail once while that is done.
fn opened(home: &TempDir, made: Made) -> (Yard, Arc<Ledger>) {
    let ledger = Arc::new(Ledger::of("in"));
    let accounts = ledger.clone();
    let ledgers = Ledgers(Arc::new(move |_: &str| accounts.clone()));
    let plan = Plan { stored: true, ledgers, ..super::made(home, made) };
    let yard = Yard::new(plan.clone()).or_else(|_| Yard::new(plan)).unwrap();
    (yard, ledger)
}

/// Asserts that what is safe has arrived, and nothing twice.
#[track_caller]
fn holds(told: &Told, case: &str) {
    let numbers = numbers(&told.found);
    let found: BTreeSet<i64> = numbers.iter().copied().collect();
    assert_eq!(found.len(), numbers.len(), "{case}: something arrived twice");
    let missing: Vec<_> = told.safe().difference(&found).copied().collect();
    assert!(missing.is_empty(), "{case}: {missing:?} were safe");
}

/// The calls of a run in which nothing fails.
fn calls(made: Made) -> u64 {
    let home = tempfile::tempdir().unwrap();
    let (mut before, ledger) = yard(&home, made);
    faults::mend();
    let mut told = run(&mut before, &ledger, made, 0);
    before.close_all(Instant::now());
    let calls = faults::mend();
    told.found.extend(arrived(&mut before, made));
    assert_eq!(told.safe().len() as i64, BATCHES * ROWS);
    holds(&told, "without a fault");
    assert!(calls > 30, "{calls}");
    calls
}

#[tokio::test]
async fn a_call_that_fails_costs_no_record_and_is_done_again() {
    for made in [TEXT, TABLE] {
        for call in 0..calls(made) {
            let home = tempfile::tempdir().unwrap();
            let (mut yard, ledger) = yard(&home, made);
            faults::mend();
            faults::fail_after(call, false);
            let mut told = run(&mut yard, &ledger, made, 3);
            yard.close_all(Instant::now());
            let due = yard.due().unwrap_or_else(Instant::now);
            yard.tend(due);
            faults::mend();
            told.found.extend(arrived(&mut yard, made));
            let case = format!("{made:?} after {call}");
            holds(&told, &case);
            assert_eq!(told.safe().len() as i64, BATCHES * ROWS, "{case}");
            let accounts = ledger.read();
            assert_eq!((accounts.in_flight(), accounts.delivered), (0, (BATCHES * ROWS) as u64), "{case}");
        }
    }
}

#[tokio::test]
async fn what_was_safe_when_the_process_or_the_machine_died_arrives_once() {
    for (made, machine) in [(TEXT, false), (TABLE, false), (TEXT, true), (TABLE, true)] {
        for call in 0..calls(made) {
            let home = tempfile::tempdir().unwrap();
            let (mut before, ledger) = yard(&home, made);
            faults::mend();
            faults::fail_after(call, true);
            let mut told = run(&mut before, &ledger, made, 1);
            // Of what was not synced some is there after a crash, or all, or nothing.
            if machine {
                for file in std::fs::read_dir(before.folder()).unwrap().flatten() {
                    let (there, synced) = (file.metadata().unwrap().len(), faults::outlives(&file.path()));
                    let more = there.saturating_sub(synced) * (call % 3) / 2;
                    let file = OpenOptions::new().write(true).open(file.path()).unwrap();
                    file.set_len(there.min(synced + more)).unwrap();
                }
            }
            crash(&home, before);
            faults::mend();
            // The disk may fail while that is mended, too.
            faults::fail_after(call % 40, false);
            let (mut after, _) = opened(&home, made);
            faults::mend();
            told.found.extend(arrived(&mut after, made));
            holds(&told, &format!("{made:?} after {call}, {machine}"));
            let parked = std::fs::read_dir(home.path().join("parked")).into_iter().flatten().count();
            assert_eq!(parked, 0, "nothing was spoiled");
        }
    }
}
