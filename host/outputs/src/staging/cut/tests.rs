use std::sync::Arc;

use tokio::time::Instant;

use super::*;
use crate::contract::{context_with, placed};
use crate::staging::tests::plan;
use crate::staging::{Letters, Yard};
use flitch_core::batch::encode::{Encoding, Framing};
use flitch_core::batch::{Batch, StreamId};
use flitch_core::receipt::{self, Ledger};

/// An object of records with these numbers, in batches of ten.
fn object(plan: &Plan, ledger: &Arc<Ledger>, count: i64) -> Sealed {
    let mut yard = Yard::new(plan.clone()).unwrap();
    for from in (0..count).step_by(10) {
        let records = placed(from, (count - from).min(10) as usize);
        let receipt = receipt::issue(ledger, records.rows(), 0, |_| {});
        assert!(yard.put(Batch { records, receipt, stream: StreamId::UNORDERED }, Instant::now()).is_none());
    }
    yard.close_all(Instant::now());
    yard.pop().unwrap()
}

fn text(object: &Object, compression: Compression) -> String {
    let mut text = String::new();
    expanded(&object.path, compression).unwrap().read_to_string(&mut text).unwrap();
    text
}

fn letters(object: &Object) -> String {
    let mut letters = Letters::of(object).unwrap();
    let mut all = Vec::new();
    while let Some((mut piece, _)) = letters.next(100).unwrap() {
        all.append(&mut piece);
    }
    String::from_utf8(all).unwrap()
}

#[tokio::test]
async fn the_parts_of_an_object_are_its_rows_in_order_with_their_letters_and_their_shares() {
    let columns = vec!["n".to_owned(), "line".to_owned()];
    let csv = Encoding { format: Format::Csv, columns, ..Encoding::default() };
    for (encoding, compression) in [(Encoding::default(), Compression::Gzip), (csv, Compression::None)] {
        for count in [2, 15, 16, 17, 1000] {
            let (home, ledger) = (tempfile::tempdir().unwrap(), Arc::<Ledger>::default());
            let encoder = context_with(encoding.clone(), Framing::Lines).encoder;
            let plan = Plan { keeps: true, encoder, compression, ..plan(&home, "a-") };
            let whole = object(&plan, &ledger, count);
            let header = plan.encoder.header().map(|header| String::from_utf8(header.to_vec()).unwrap());
            let header = header.unwrap_or_default();
            let (expected, dead) = (text(&whole.object, compression), letters(&whole.object));
            let parts = cut(whole, &plan).unwrap();
            assert_eq!(parts.len() as i64, count.min(16));
            let (mut found, mut found_dead, mut rows) = (header.clone(), String::new(), Vec::new());
            for Sealed { object, shares } in &parts {
                let text = text(object, compression);
                let own = text.strip_prefix(&header).unwrap();
                assert_eq!((own.lines().count() as u64, own.len() as u64), (object.rows, object.text));
                assert_eq!(shares.iter().map(|share| share.records()).sum::<u64>(), object.rows);
                found += own;
                found_dead += &letters(object);
                rows.push(object.rows);
            }
            assert_eq!((found, found_dead), (expected, dead));
            assert!(rows.iter().max().unwrap() - rows.iter().min().unwrap() <= 1, "{rows:?}");
            parts.into_iter().flat_map(|part| part.shares).for_each(|share| share.delivered());
            let accounts = ledger.read();
            assert_eq!((accounts.delivered, accounts.in_flight()), (count as u64, 0));
        }
    }
}

#[tokio::test]
async fn parts_are_named_by_what_is_in_them_and_counted_and_removed_as_objects_are() {
    let (home, ledger) = (tempfile::tempdir().unwrap(), Arc::<Ledger>::default());
    let plan = Plan { keeps: true, ..plan(&home, "a-") };
    let names = || {
        let parts = cut(object(&plan, &ledger, 100), &plan).unwrap();
        let all = parts[0].object._held.all.clone();
        let held = all.load(std::sync::atomic::Ordering::Relaxed);
        assert!(held >= 16 * OBJECT, "{held}");
        let names: Vec<String> = parts.iter().map(|part| part.object.name.clone()).collect();
        drop(parts);
        assert_eq!(all.load(std::sync::atomic::Ordering::Relaxed), 0);
        names
    };
    let first = names();
    assert_eq!(first, names());
    assert!(first.iter().all(|name| name.starts_with("a-") && name.ends_with(".ndjson")), "{first:?}");
    let left = |folder: std::path::PathBuf| std::fs::read_dir(folder).unwrap().count();
    let folders = std::fs::read_dir(&plan.folder).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(folders.map(left).sum::<usize>(), 0, "no file stays");
}

#[tokio::test]
async fn a_disk_that_fails_while_an_object_is_cut_leaves_nothing_and_costs_no_record() {
    let (home, ledger) = (tempfile::tempdir().unwrap(), Arc::<Ledger>::default());
    let plan = Plan { keeps: true, ..plan(&home, "a-") };
    let whole = object(&plan, &ledger, 100);
    let folder = whole.object.path.parent().unwrap().to_owned();
    // The fourth part cannot be written: a folder has its name.
    std::fs::create_dir(folder.join("1-3")).unwrap();
    assert!(cut(whole, &plan).is_err());
    let accounts = ledger.read();
    assert_eq!((accounts.delivered, accounts.dead_lettered, accounts.in_flight()), (0, 0, 0), "sent again");
    std::fs::remove_dir(folder.join("1-3")).unwrap();
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
}

#[tokio::test]
async fn the_parts_of_a_table_are_its_rows_in_order_in_the_same_columns() {
    let parquet = Encoding { format: Format::Parquet, ..Encoding::default() };
    for count in [2, 17, 5000] {
        let (home, ledger) = (tempfile::tempdir().unwrap(), Arc::<Ledger>::default());
        let encoder = context_with(parquet.clone(), Framing::Lines).encoder;
        let table = crate::object::table(&parquet);
        let extension = ".parquet".to_owned();
        let compression = Compression::Snappy;
        let plan = Plan { keeps: true, encoder, table, compression, extension, ..plan(&home, "a-") };
        let whole = object(&plan, &ledger, count);
        let rows = |object: &Object| crate::staging::read_table(&std::fs::read(&object.path).unwrap());
        let (expected, dead) = (rows(&whole.object), letters(&whole.object));
        let parts = cut(whole, &plan).unwrap();
        let (mut found, mut found_dead) = (Vec::new(), String::new());
        for Sealed { object, shares } in &parts {
            let rows = rows(object);
            assert_eq!(rows.len() as u64, object.rows);
            assert_eq!(shares.iter().map(|share| share.records()).sum::<u64>(), object.rows);
            assert_eq!(std::fs::metadata(&object.path).unwrap().len(), object.length);
            found.extend(rows);
            found_dead += &letters(object);
        }
        assert!(found == expected && found_dead == dead);
        let again = cut(parts.into_iter().last().unwrap(), &plan);
        assert!(count == 2 || again.unwrap().len() > 1);
    }
}
