use std::collections::BTreeMap;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use super::super::Compression;
use super::super::tests::plan;
use super::super::yard::Yard;
use super::*;
use crate::Ledgers;
use crate::contract::numbered;
use flitch_core::batch::{Batch, StreamId};
use flitch_core::receipt::{self, Ledger, Verdict};

/// A yard that stores, and the accounts of the source `in`.
fn yard(home: &TempDir, compression: Compression) -> (Yard, Arc<Ledger>) {
    let ledger = Arc::new(Ledger::of("in"));
    let accounts = ledger.clone();
    let ledgers = Ledgers(Arc::new(move |source: &str| {
        assert_eq!(source, "in");
        accounts.clone()
    }));
    let plan = Plan { stored: true, ledgers, compression, ..plan(home, "a/") };
    (Yard::new(plan).unwrap(), ledger)
}

/// Puts rows in, and answers where their source hears of them.
fn put(yard: &mut Yard, ledger: &Arc<Ledger>, from: i64, rows: usize) -> Arc<Mutex<Option<Verdict>>> {
    let heard = Arc::new(Mutex::new(None));
    let tell = heard.clone();
    let receipt = receipt::issue(ledger, rows, 0, move |verdict| *tell.lock() = Some(verdict));
    let records = numbered(from, rows);
    yard.put(Batch { records, receipt, stream: StreamId::UNORDERED }, Instant::now());
    heard
}

/// Ends a process: nothing of it is tidied up, and the next one is another.
fn crash(home: &TempDir, yard: Yard) {
    let above = home.path().join("staging");
    let own = yard.folder().to_owned();
    let copy = home.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    for file in std::fs::read_dir(&own).unwrap().flatten() {
        std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    drop(yard);
    let _ = std::fs::remove_dir_all(&own);
    std::fs::rename(&copy, above.join("0123456789abcdef-0")).unwrap();
}

/// The objects that come out, whose records are safe, by name.
fn arrived(yard: &mut Yard) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    while let Some(Sealed { object, shares }) = yard.pop() {
        assert!(shares.is_empty(), "all is settled");
        let mut text = String::new();
        expanded(&object.path, Compression::None).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!((object.rows as usize, object.text as usize), (text.lines().count(), text.len()));
        assert_eq!(object.length, std::fs::metadata(&object.path).unwrap().len());
        object.arrived();
        found.insert(object.name.clone(), text);
    }
    found
}

#[tokio::test(start_paused = true)]
async fn records_are_safe_when_they_are_synced_and_not_before() {
    let home = tempfile::tempdir().unwrap();
    let (mut yard, ledger) = yard(&home, Compression::None);
    let heard = put(&mut yard, &ledger, 0, 100);
    assert_eq!(*heard.lock(), None);
    let due = yard.due().unwrap();
    tokio::time::advance(due - Instant::now()).await;
    yard.tend(Instant::now());
    assert_eq!(*heard.lock(), Some(Verdict::Safe));
    let accounts = ledger.read();
    assert_eq!((accounts.stored, accounts.in_flight()), (100, 0), "{accounts:?}");
    assert!(yard.pop().is_none(), "the object goes on");
    // Somebody who waits for more is not kept for a second.
    let heard = put(&mut yard, &ledger, 100, 100);
    yard.hurry(Instant::now());
    assert_eq!(*heard.lock(), Some(Verdict::Safe));
    yard.close_all(Instant::now());
    let found = arrived(&mut yard);
    assert_eq!(found.values().next().unwrap().lines().count(), 200);
    let accounts = ledger.read();
    assert_eq!((accounts.restored, accounts.delivered, accounts.in_flight()), (200, 200, 0), "{accounts:?}");
    let folder = yard.folder().to_owned();
    drop(yard);
    assert!(!folder.exists(), "nothing is left of what has arrived");
}

#[tokio::test]
async fn what_was_stored_is_finished_by_the_next_process_and_what_was_not_is_no_part_of_it() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let home = tempfile::tempdir().unwrap();
        let (mut before, ledger) = yard(&home, compression);
        put(&mut before, &ledger, 0, 100);
        before.hurry(Instant::now());
        put(&mut before, &ledger, 100, 50);
        before.hurry(Instant::now());
        // The disk has more than was synced.
        let heard = put(&mut before, &ledger, 150, 50);
        let file = before.folder().join("1");
        let mut bytes = std::fs::read(&file).unwrap();
        bytes.extend_from_slice(b"the begin of more");
        std::fs::write(&file, bytes).unwrap();
        crash(&home, before);
        assert_eq!(*heard.lock(), Some(Verdict::Again));

        let (mut after, ledger) = yard(&home, Compression::Zstd);
        // It has the name that it would have had.
        let elsewhere = tempfile::tempdir().unwrap();
        let (mut other, accounts) = yard(&elsewhere, compression);
        put(&mut other, &accounts, 0, 150);
        other.close_all(Instant::now());
        let named = other.pop().unwrap();
        let mut left = after.pop().unwrap();
        assert_eq!(left.object.name, named.object.name);
        assert_eq!((left.object.rows, left.object.text), (150, named.object.text));
        left.object.arrived();
        left.shares.clear();
        drop(left);
        let accounts = ledger.read();
        assert_eq!((accounts.restored, accounts.delivered), (150, 150), "{accounts:?}");
        drop(after);
        let left = std::fs::read_dir(home.path().join("staging")).unwrap().count();
        assert_eq!(left, 0, "nothing is left of what has arrived");
    }
}

#[tokio::test]
async fn an_object_that_was_not_written_stays_for_the_next_one_as_often_as_it_takes() {
    let home = tempfile::tempdir().unwrap();
    let (mut first, ledger) = yard(&home, Compression::None);
    put(&mut first, &ledger, 0, 10);
    first.close_all(Instant::now());
    // Sealed, stored, and given up.
    drop(first.pop().unwrap());
    crash(&home, first);
    for _ in 0..3 {
        let (mut next, _) = yard(&home, Compression::None);
        let left = next.pop().expect("it is there");
        assert_eq!(left.object.rows, 10);
        let (mut beside, _) = yard(&home, Compression::None);
        assert!(beside.pop().is_none(), "nobody else takes it meanwhile");
    }
    let (mut last, _) = yard(&home, Compression::None);
    assert_eq!(arrived(&mut last).len(), 1);
    drop(last);
    let (mut none, _) = yard(&home, Compression::None);
    assert!(none.pop().is_none());
}

#[tokio::test]
async fn an_object_whose_file_is_not_what_was_stored_is_put_aside_and_holds_up_no_other() {
    for spoil in [0, 1] {
        let home = tempfile::tempdir().unwrap();
        let (mut before, ledger) = yard(&home, Compression::Zstd);
        put(&mut before, &ledger, 0, 1_000);
        before.close_all(Instant::now());
        put(&mut before, &ledger, 1_000, 10);
        before.hurry(Instant::now());
        crash(&home, before);
        let file = home.path().join("staging/0123456789abcdef-0/1");
        let mut bytes = std::fs::read(&file).unwrap();
        match spoil {
            0 => bytes.truncate(100),
            _ => bytes[..8].fill(0),
        }
        std::fs::write(&file, bytes).unwrap();
        let (mut after, _) = yard(&home, Compression::Zstd);
        let left = after.pop().unwrap();
        assert_eq!(left.object.rows, 10);
        left.object.arrived();
        assert!(after.pop().is_none());
        assert_eq!(std::fs::read_dir(home.path().join("parked")).unwrap().count(), 1);
    }
}

#[tokio::test]
async fn a_process_that_stores_no_more_finishes_what_was_stored() {
    let home = tempfile::tempdir().unwrap();
    let (mut before, ledger) = yard(&home, Compression::None);
    put(&mut before, &ledger, 0, 10);
    before.hurry(Instant::now());
    crash(&home, before);
    let mut after = Yard::new(Plan { age: Duration::from_secs(1), ..plan(&home, "b/") }).unwrap();
    let left = after.pop().unwrap();
    assert!(left.object.name.starts_with("a/") && left.object.rows == 10);
    left.object.arrived();
}
