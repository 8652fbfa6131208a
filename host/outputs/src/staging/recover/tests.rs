use std::time::Duration;

use arrow_schema::TimeUnit;
use tempfile::TempDir;
use tokio::time::Instant;

use super::super::tests::plan;
use super::super::yard::Yard;
use super::super::{TablePlan, read_table};
use super::*;
use crate::Ledgers;
use crate::contract::{canonical, placed};
use flitch_core::batch::{Batch, StreamId};
use flitch_core::receipt::{self, Ledger, Verdict};

/// What objects are.
#[derive(Clone, Copy, Debug)]
struct Made {
    compression: Compression,
    is_table: bool,
}

const TEXT: Made = Made { compression: Compression::None, is_table: false };
const TABLE: Made = Made { compression: Compression::Zstd, is_table: true };
const ALL: [Made; 5] = [
    TEXT,
    Made { compression: Compression::Gzip, ..TEXT },
    Made { compression: Compression::Zstd, ..TEXT },
    TABLE,
    Made { compression: Compression::Snappy, ..TABLE },
];

/// A plan for such objects.
fn made(home: &TempDir, Made { compression, is_table }: Made) -> Plan {
    let table = is_table.then_some(TablePlan { unit: TimeUnit::Microsecond, is_strict: false });
    let extension = if is_table { ".parquet" } else { ".ndjson" }.to_owned();
    Plan { compression, table, extension, ..plan(home, "a/") }
}

/// The records of a file, a line each.
fn lines(path: &Path, Made { compression, is_table }: Made) -> Vec<Vec<u8>> {
    if is_table {
        return read_table(&std::fs::read(path).unwrap());
    }
    let mut text = Vec::new();
    expanded(path, compression).unwrap().read_to_end(&mut text).unwrap();
    text.split_inclusive(|byte| *byte == b'\n').map(canonical).collect()
}

/// A yard that stores, and the accounts of the source `in`.
fn yard(home: &TempDir, made_of: Made) -> (Yard, Arc<Ledger>) {
    let ledger = Arc::new(Ledger::of("in"));
    let accounts = ledger.clone();
    let ledgers = Ledgers(Arc::new(move |source: &str| {
        assert_eq!(source, "in");
        accounts.clone()
    }));
    let plan = Plan { stored: true, ledgers, ..made(home, made_of) };
    (Yard::new(plan).unwrap(), ledger)
}

/// Puts rows in, and answers where their source hears of them.
fn put(yard: &mut Yard, ledger: &Arc<Ledger>, from: i64, rows: usize) -> Arc<Mutex<Option<Verdict>>> {
    let heard = Arc::new(Mutex::new(None));
    let tell = heard.clone();
    let receipt = receipt::issue(ledger, rows, 0, move |verdict| *tell.lock() = Some(verdict));
    let records = placed(from, rows);
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

/// The records of all objects that come out, which are safe, in order.
fn arrived(yard: &mut Yard, made: Made) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while let Some(Sealed { object, shares }) = yard.pop() {
        assert!(shares.is_empty(), "all is settled");
        let lines = lines(&object.path, made);
        assert_eq!(object.rows as usize, lines.len());
        assert_eq!(object.length, std::fs::metadata(&object.path).unwrap().len());
        assert!(object.name.ends_with(if made.is_table { ".parquet" } else { ".ndjson" }));
        object.arrived();
        found.extend(lines);
    }
    found
}

/// The numbers of records.
fn numbers(lines: &[Vec<u8>]) -> Vec<i64> {
    let number = |line: &Vec<u8>| {
        let line: serde_json::Value = serde_json::from_slice(line).unwrap();
        let n = line["n"].as_i64().unwrap();
        assert_eq!(line["message"], format!("<line {n}, \"quoted\"\n>"));
        n
    };
    lines.iter().map(number).collect()
}

#[tokio::test(start_paused = true)]
async fn records_are_safe_when_they_are_synced_and_not_before() {
    for made in ALL {
        let home = tempfile::tempdir().unwrap();
        let (mut yard, ledger) = yard(&home, made);
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
        assert_eq!(numbers(&arrived(&mut yard, made)), (0..200).collect::<Vec<_>>());
        let accounts = ledger.read();
        assert_eq!(
            (accounts.restored, accounts.delivered, accounts.in_flight()),
            (200, 200, 0),
            "{accounts:?}"
        );
        let folder = yard.folder().to_owned();
        drop(yard);
        assert!(!folder.exists(), "nothing is left of what has arrived");
    }
}

#[tokio::test]
async fn what_was_stored_is_finished_by_the_next_process_and_what_was_not_is_no_part_of_it() {
    for made in ALL {
        let home = tempfile::tempdir().unwrap();
        let (mut before, ledger) = yard(&home, made);
        put(&mut before, &ledger, 0, 100);
        before.hurry(Instant::now());
        put(&mut before, &ledger, 100, 50);
        before.hurry(Instant::now());
        // The disk has more than was synced.
        let heard = put(&mut before, &ledger, 150, 50);
        let file = before.folder().join(if made.is_table { "1.rows" } else { "1" });
        let mut bytes = std::fs::read(&file).unwrap();
        bytes.extend_from_slice(b"the begin of more");
        std::fs::write(&file, bytes).unwrap();
        crash(&home, before);
        assert_eq!(*heard.lock(), Some(Verdict::Again));

        let (mut after, ledger) = yard(&home, Made { compression: Compression::Zstd, ..TEXT });
        // It has the name that it would have had, were it stored or not.
        let elsewhere = tempfile::tempdir().unwrap();
        let (mut other, accounts) = yard(&elsewhere, made);
        put(&mut other, &accounts, 0, 150);
        other.close_all(Instant::now());
        let named = other.pop().unwrap();
        let apart = tempfile::tempdir().unwrap();
        let mut delivered = Yard::new(self::made(&apart, made)).unwrap();
        put(&mut delivered, &accounts, 0, 150);
        delivered.close_all(Instant::now());
        assert_eq!(delivered.pop().unwrap().object.name, named.object.name);
        let mut left = after.pop().unwrap();
        assert_eq!(left.object.name, named.object.name);
        assert_eq!((left.object.rows, left.object.text), (150, named.object.text));
        assert!(lines(&left.object.path, made) == lines(&named.object.path, made));
        // Text is compressed in the pieces in which it was synced.
        let bytes = |object: &Object| std::fs::read(&object.path).unwrap();
        assert!(!made.is_table || bytes(&left.object) == bytes(&named.object));
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
    for made in ALL {
        let home = tempfile::tempdir().unwrap();
        let (mut first, ledger) = yard(&home, made);
        put(&mut first, &ledger, 0, 10);
        first.close_all(Instant::now());
        // Sealed, stored, and given up.
        drop(first.pop().unwrap());
        crash(&home, first);
        for _ in 0..3 {
            let (mut next, _) = yard(&home, made);
            let left = next.pop().expect("it is there");
            assert_eq!(left.object.rows, 10);
            let (mut beside, _) = yard(&home, made);
            assert!(beside.pop().is_none(), "nobody else takes it meanwhile");
        }
        let (mut last, _) = yard(&home, made);
        assert_eq!(arrived(&mut last, made).len(), 10);
        drop(last);
        let (mut none, _) = yard(&home, made);
        assert!(none.pop().is_none());
    }
}

#[tokio::test]
async fn an_object_whose_file_is_not_what_was_stored_is_put_aside_and_holds_up_no_other() {
    // Cut, and one bit of it another, in each form that an object has on disk.
    for (made, is_closed) in ALL.into_iter().flat_map(|made| [(made, true), (made, false)]) {
        for spoil in 0..12 {
            let home = tempfile::tempdir().unwrap();
            let (mut before, ledger) = yard(&home, made);
            if is_closed {
                put(&mut before, &ledger, 0, 1_000);
                before.close_all(Instant::now());
                put(&mut before, &ledger, 1_000, 10);
            } else {
                put(&mut before, &ledger, 1_000, 10);
                before.close_all(Instant::now());
                put(&mut before, &ledger, 0, 1_000);
            }
            before.hurry(Instant::now());
            crash(&home, before);
            let name = match (is_closed, made.is_table) {
                (true, _) => "1",
                (false, true) => "2.rows",
                (false, false) => "2",
            };
            let file = home.path().join("staging/0123456789abcdef-0").join(name);
            let mut bytes = std::fs::read(&file).unwrap();
            let length = bytes.len();
            match spoil {
                0 => bytes.truncate(length - 1),
                1 => bytes.truncate(10),
                2 => bytes.clear(),
                // One of the places where what is there begins, and some within.
                spoil => bytes[[0, 9, 17, 21, 25, 29, 35, length / 2, length - 1][spoil - 3]] ^= 4,
            }
            std::fs::write(&file, bytes).unwrap();
            let (mut after, _) = yard(&home, made);
            let left = arrived(&mut after, made);
            let parked = std::fs::read_dir(home.path().join("parked")).into_iter().flatten().count();
            // What a compression does not look at is no part of the records.
            let is_whole =
                left.len() == 1_010 && numbers(&left).len() == 1_010 && spoil > 2 && !made.is_table;
            assert!(
                is_whole || (left.len(), parked) == (10, 1),
                "{made:?} {is_closed} {spoil}: {}",
                left.len()
            );
        }
    }
}

#[tokio::test]
async fn a_process_that_stores_no_more_finishes_what_was_stored() {
    for made in ALL {
        let home = tempfile::tempdir().unwrap();
        let (mut before, ledger) = yard(&home, made);
        put(&mut before, &ledger, 0, 10);
        before.hurry(Instant::now());
        crash(&home, before);
        let mut after = Yard::new(Plan { age: Duration::from_secs(1), ..plan(&home, "b/") }).unwrap();
        let left = after.pop().unwrap();
        assert!(left.object.name.starts_with("a/") && left.object.rows == 10);
        assert_eq!(numbers(&lines(&left.object.path, made)), (0..10).collect::<Vec<_>>());
        left.object.arrived();
    }
}

#[tokio::test]
async fn what_another_flitch_has_stored_in_another_format_is_left_to_it() {
    let home = tempfile::tempdir().unwrap();
    let (mut before, ledger) = yard(&home, TABLE);
    put(&mut before, &ledger, 0, 10);
    before.hurry(Instant::now());
    crash(&home, before);
    let folder = home.path().join("staging/0123456789abcdef-0");
    let all = |folder: &Path| {
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|file| (std::fs::read(&file).unwrap(), file)).collect::<Vec<_>>()
    };
    // Rows in a format that is to come, and an object of a form that is to come, with a file more.
    let rows = std::fs::read(folder.join("1.rows")).unwrap();
    let journal = std::fs::read_to_string(folder.join("journal")).unwrap();
    let mut other = rows.clone();
    other[8] = 2;
    let checksum = crc32c::crc32c(&other[..16]);
    other[16..20].copy_from_slice(&checksum.to_le_bytes());
    for (rows, journal) in
        [(&other, journal.clone()), (&rows, journal.replace("\"rows\",\"begin", "\"leaves\",\"begin"))]
    {
        std::fs::write(folder.join("1.rows"), rows).unwrap();
        std::fs::write(folder.join("journal"), &journal).unwrap();
        std::fs::write(folder.join("1.more"), "more").unwrap();
        let there = all(&folder);
        let (mut after, ledger) = yard(&home, TABLE);
        assert!(after.pop().is_none());
        // What comes meanwhile goes on.
        put(&mut after, &ledger, 10, 10);
        after.close_all(Instant::now());
        assert_eq!(numbers(&arrived(&mut after, TABLE)), (10..20).collect::<Vec<_>>());
        drop(after);
        assert!(all(&folder) == there);
    }
    std::fs::write(folder.join("1.rows"), rows).unwrap();
    std::fs::write(folder.join("journal"), journal).unwrap();
    let (mut last, _) = yard(&home, TABLE);
    assert_eq!(numbers(&arrived(&mut last, TABLE)), (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_stored_before_tables_could_be_is_finished() {
    let home = tempfile::tempdir().unwrap();
    let (mut before, ledger) = yard(&home, TEXT);
    put(&mut before, &ledger, 0, 10);
    before.hurry(Instant::now());
    crash(&home, before);
    let journal = home.path().join("staging/0123456789abcdef-0/journal");
    let text = std::fs::read_to_string(&journal).unwrap();
    let mut entry: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert!(entry.remove("form").is_some() && entry.remove("id").is_some());
    std::fs::write(&journal, format!("{}\n", serde_json::Value::Object(entry))).unwrap();
    let (mut after, _) = yard(&home, TEXT);
    assert_eq!(numbers(&arrived(&mut after, TEXT)), (0..10).collect::<Vec<_>>());
}

mod faults;
