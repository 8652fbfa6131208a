use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::super::tests::{PARQUET, built, ended, plan, put, records, varied};
use super::*;
use crate::contract::context_with;
use crate::staging::{Plan, Yard};
use flitch_core::batch::encode::Framing;
use flitch_core::receipt::Ledger;

/// What lines become that are stored batch by batch.
fn stored(lines: &[String], rows: usize, bytes: u64) -> BTreeMap<String, Vec<u8>> {
    let (home, ledger) = (tempfile::tempdir().unwrap(), Arc::<Ledger>::default());
    let mut yard = Yard::new(Plan { stored: true, ..plan(&home, "a/", PARQUET, bytes) }).unwrap();
    for lines in lines.chunks(rows) {
        put(&mut yard, &ledger, records(lines));
        yard.hurry(Instant::now());
    }
    let found = ended(&mut yard);
    let accounts = ledger.read();
    assert_eq!((accounts.stored as usize, accounts.in_flight()), (lines.len(), 0));
    found
}

#[test]
fn what_is_stored_becomes_the_same_files_byte_for_byte_as_what_is_not() {
    // Several objects; several row groups; columns that do not suit those of the first row group.
    let mut wide = varied(20_000, 1000);
    wide[18_000] = r#"{"n":18000,"fresh":"f"}"#.to_owned();
    wide[19_000] = r#"{"n":"nineteen"}"#.to_owned();
    let names: Vec<String> = (0..3000).map(|n| format!(r#"{{"n":{n},"k{n}":{n}}}"#)).collect();
    for (lines, bytes) in [(varied(5000, 100), 150_000), (wide, 1 << 40), (names, 1 << 40)] {
        let expected = built(&lines, 1024, PARQUET, bytes);
        for rows in [1024, 100] {
            assert!(stored(&lines, rows, bytes) == expected);
        }
    }
}

#[test]
fn whole_numbers_that_float64_does_not_hold_are_known_when_the_table_is_made() {
    for (large, expected) in [("9007199254740993", 1), ("9007199254740992", 1)] {
        let lines = [format!(r#"{{"v":{large}}}"#), r#"{"v":0.5}"#.to_owned()];
        let files = stored(&lines, 1, 1 << 40);
        assert_eq!(files.len(), expected);
        assert_eq!(files, built(&lines, 2, PARQUET, 1 << 40));
    }
}

/// A table of which rows are in the file, at `home`.
fn table(home: &tempfile::TempDir) -> StoredTable {
    let plan = crate::object::table(&serde_json::from_str(PARQUET).unwrap()).unwrap();
    let encoder = context_with(serde_json::from_str(PARQUET).unwrap(), Framing::Lines).encoder;
    let mut table = StoredTable::new(plan, Compression::Zstd, home.path().join("1"));
    for lines in varied(60, 10).chunks(20) {
        table.add(&encoder.fields(&records(lines)), 0..lines.len());
        table.write().unwrap();
    }
    table
}

#[test]
fn a_bit_that_is_another_is_seen_wherever_it_is_and_so_is_a_file_that_is_cut() {
    let home = tempfile::tempdir().unwrap();
    let table = table(&home);
    let (path, to) = (table.rows().path(), home.path().join("made"));
    let bytes = std::fs::read(path).unwrap();
    assert!(bytes.len() > 2000);
    let made = |bytes: &[u8], length: u64| {
        std::fs::write(path, bytes).unwrap();
        let made = make((path, length), Compression::Zstd, &to);
        assert!(made.is_ok() == to.exists(), "nothing is left of what fails");
        made.map(drop)
    };
    let length = bytes.len() as u64;
    assert!(made(&bytes, length).is_ok());
    for at in 0..bytes.len() {
        let mut spoiled = bytes.clone();
        spoiled[at] ^= 1 << (at % 8);
        assert!(matches!(made(&spoiled, length), Err(Broken::Lost(_))), "byte {at}");
    }
    for short in (0..bytes.len()).step_by(7) {
        assert!(matches!(made(&bytes[..short], length), Err(Broken::Lost(_))), "{short} bytes");
    }
    // What stands behind what was synced is no part of it.
    let more = [&bytes[..], b"the begin of more"].concat();
    assert!(made(&more, length).is_ok());
}

#[test]
fn a_table_that_cannot_be_made_for_want_of_room_is_made_later_and_what_was_written_is_gone_meanwhile() {
    use crate::staging::disk::faults;
    let home = tempfile::tempdir().unwrap();
    let mut table = table(&home);
    faults::mend();
    faults::fail_after(0, true);
    assert!(matches!(table.finish(), Err(Broken::Disk(_))));
    assert!(!table.path().exists());
    faults::mend();
    table.finish().unwrap();
    let (file, _) = table.into_file();
    assert_eq!(crate::staging::read_table(&std::fs::read(file.path()).unwrap()).len(), 60);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
}
