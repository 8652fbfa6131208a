use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, StringArray};
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;
use crate::contract::{context, numbered, placed};
use flitch_core::batch::origin::{Origins, Root};
use flitch_core::batch::{Batch, Kind, Records, StreamId};
use flitch_core::receipt::{self, Ledger};

/// A plan for objects below `home`, with limits that nothing reaches.
pub(crate) fn plan(home: &TempDir, key: &str) -> Plan {
    let cx = context();
    Plan {
        output: "out".into(),
        folder: home.path().join("staging"),
        key: Template::parse(&format!("{key}_")).unwrap().for_paths(),
        places: None,
        keeps: false,
        longest: 1024,
        part: 1024,
        has_id: true,
        encoder: cx.encoder,
        compression: Compression::None,
        table: None,
        extension: ".ndjson".to_owned(),
        bytes: 1 << 40,
        age: Duration::from_secs(300),
        idle: Duration::from_secs(60),
        open: 100_000,
        held: 1 << 40,
        stored: false,
        ledgers: cx.ledgers,
    }
}

fn batch(ledger: &Arc<Ledger>, records: Arc<Records>) -> Batch {
    let receipt = receipt::issue(ledger, records.rows(), 0, |_| {});
    Batch { records, receipt, stream: StreamId::UNORDERED }
}

/// Records with these values of `k`.
pub(crate) fn keyed(keys: &[Option<String>]) -> Arc<Records> {
    let column: (_, ArrayRef) = (Arc::new(Kind::Text.field("k")), Arc::new(StringArray::from(keys.to_vec())));
    Arc::new(Records::of(keys.len(), vec![column], vec![]).unwrap())
}

/// What is sealed, by name, with how many records each stands for.
fn sealed(yard: &mut Yard) -> BTreeMap<String, (String, u64)> {
    let mut found = BTreeMap::new();
    while let Some(Sealed { object, shares }) = yard.pop() {
        let text = std::fs::read_to_string(&object.path).unwrap();
        let records: u64 = shares.iter().map(|share| share.records()).sum();
        assert_eq!((records, text.lines().count() as u64), (object.rows, object.rows));
        assert_eq!(text.len() as u64, object.length);
        shares.into_iter().for_each(|share| share.delivered());
        assert!(found.insert(object.name.clone(), (text, records)).is_none(), "{} twice", object.name);
    }
    found
}

#[tokio::test]
async fn objects_are_cut_at_the_same_record_however_the_batches_are_cut() {
    let (home, ledger, now) = (tempfile::tempdir().unwrap(), Arc::default(), Instant::now());
    let mut all = Vec::new();
    for rows in [1000, 7, 1] {
        let mut yard = Yard::new(Plan { bytes: 10_000, ..plan(&home, "a/") }).unwrap();
        let mut from = 0;
        while from < 1000 {
            let rows = rows.min(1000 - from);
            assert!(yard.put(batch(&ledger, placed(from as i64, rows)), now).is_none());
            from += rows;
        }
        yard.close_all(now);
        let found = sealed(&mut yard);
        assert!(found.len() > 5, "{}", found.len());
        assert!(found.values().all(|(text, _)| text.len() < 10_200));
        all.push(found);
    }
    assert!(all[0] == all[1] && all[1] == all[2]);
    let accounts = ledger.read();
    assert_eq!((accounts.delivered, accounts.in_flight()), (3000, 0));
}

#[tokio::test]
async fn ten_thousand_objects_are_open_at_once_and_take_what_comes_for_them() {
    let (home, ledger, now) = (tempfile::tempdir().unwrap(), Arc::default(), Instant::now());
    let mut yard = Yard::new(plan(&home, "p={k}/")).unwrap();
    let keys: Vec<_> = (0..10_000).map(|n| Some(format!("{n:05}"))).collect();
    for _ in 0..3 {
        for keys in keys.chunks(1000) {
            assert!(yard.put(batch(&ledger, keyed(keys)), now).is_none());
        }
    }
    assert!(yard.pop().is_none());
    yard.close_all(now);
    let found = sealed(&mut yard);
    assert_eq!((yard.memory().content, yard.memory().beside), (0, 0));
    assert_eq!(found.len(), 10_000);
    for (name, (text, records)) in &found {
        assert_eq!(*records, 3);
        assert_eq!(*text, format!("{{\"k\":\"{}\"}}\n", &name[2..7]).repeat(3), "{name}");
    }
    assert_eq!(ledger.read().in_flight(), 0);
}

/// The names of objects of one record each, of these origins, which all have the same text.
fn names_of(origins: impl Iterator<Item = Origins>, more: impl Fn(Plan) -> Plan) -> Vec<String> {
    let (home, ledger, now) = (tempfile::tempdir().unwrap(), Arc::default(), Instant::now());
    let mut yard = Yard::new(more(plan(&home, "a/"))).unwrap();
    let mut names = Vec::new();
    for origins in origins {
        let records = Records::clone(&keyed(&[Some("same".to_owned())])).with_origins(Some(origins));
        yard.put(batch(&ledger, Arc::new(records)), now);
        yard.close_all(now);
        names.extend(std::iter::from_fn(|| yard.pop()).map(|sealed| {
            sealed.object.arrived();
            sealed.object.name.clone()
        }));
    }
    names
}

#[tokio::test]
async fn objects_of_one_text_have_names_by_where_it_comes_from() {
    let roots = || [Root::of("a", &[]), Root::of("b", &[])].into_iter();
    let table = Some(TablePlan { unit: arrow_schema::TimeUnit::Microsecond, is_strict: false });
    let text = |plan| plan;
    let plans: [fn(Plan) -> Plan; 3] =
        [text, |plan| Plan { stored: true, ..plan }, |plan| Plan { compression: Compression::Zstd, ..plan }];
    let of_table = |stored| move |plan| Plan { stored, table, compression: Compression::Zstd, ..plan };
    let all = |more: &dyn Fn(Plan) -> Plan| {
        let origins = || roots().flat_map(|root| (0..3).map(move |n| Origins::counted(root, n, 1)));
        let names = names_of(origins(), more);
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!((names.len(), distinct.len()), (6, 6), "{names:?}");
        assert_eq!(names, names_of(origins(), more), "the same come again");
    };
    plans.iter().for_each(|more| all(more));
    [true, false].iter().for_each(|stored| all(&of_table(*stored)));
    let drawn = names_of((0..3).map(|_| Origins::drawn(1)), text);
    assert_eq!(drawn.iter().collect::<std::collections::BTreeSet<_>>().len(), 3, "{drawn:?}");
}

#[tokio::test]
async fn what_a_batch_has_in_one_piece_is_the_same_object_as_in_many() {
    let (home, ledger, now) = (tempfile::tempdir().unwrap(), Arc::default(), Instant::now());
    let texts: Vec<_> = (0..3000).map(|n| Some(format!("{n:0>400}"))).collect();
    let mut all = Vec::new();
    for rows in [3000, 800, 7] {
        let mut yard = Yard::new(Plan { bytes: 900_000, ..plan(&home, "a/") }).unwrap();
        for (place, texts) in texts.chunks(rows).enumerate() {
            let origins = Origins::counted(Root::of("test", &[]), (place * rows) as u64, texts.len());
            let records = Records::clone(&keyed(texts)).with_origins(Some(origins));
            yard.put(batch(&ledger, Arc::new(records)), now);
            assert!(yard.memory().content < 3 << 20, "{:?}", yard.memory());
        }
        yard.close_all(now);
        all.push(sealed(&mut yard));
    }
    assert!(all[0].len() == 2 && all[0] == all[1] && all[1] == all[2]);
}

#[tokio::test]
async fn where_open_objects_take_too_much_memory_beside_what_is_in_them_idle_ones_are_closed() {
    let (home, ledger, now) = (tempfile::tempdir().unwrap(), Arc::default(), Instant::now());
    let mut yard = Yard::new(plan(&home, "{k}-")).unwrap();
    for from in (0..40_000).step_by(1000) {
        let keys: Vec<_> = (from..from + 1000).map(|n| Some(format!("{n:05}"))).collect();
        yard.put(batch(&ledger, keyed(&keys)), now);
        assert!(yard.memory().beside <= 64 << 20, "{:?}", yard.memory());
    }
    let closed = sealed(&mut yard);
    assert!((1000..30_000).contains(&closed.len()), "{}", closed.len());
    let is_first = |(place, name): (usize, &String)| name.starts_with(&format!("{place:05}"));
    assert!(closed.keys().enumerate().all(is_first));
    yard.close_all(now);
    assert_eq!(sealed(&mut yard).len() + closed.len(), 40_000);
    assert_eq!((yard.memory().content, yard.memory().beside), (0, 0));
}

#[tokio::test]
async fn for_one_object_more_than_may_be_open_the_idle_one_is_closed() {
    let (home, ledger, now) = (tempfile::tempdir().unwrap(), Arc::default(), Instant::now());
    let mut yard = Yard::new(Plan { open: 2, ..plan(&home, "{k}-") }).unwrap();
    let key = |key: &str| batch(&ledger, keyed(&[Some(key.to_owned())]));
    for name in ["a", "b", "a"] {
        yard.put(key(name), now);
    }
    assert!(yard.pop().is_none());
    yard.put(key("c"), now);
    let names: Vec<String> = sealed(&mut yard).into_keys().map(|name| name[..2].to_owned()).collect();
    assert_eq!(names, ["b-"]);
}

#[tokio::test]
async fn objects_are_closed_by_age_and_when_nothing_comes_for_them() {
    let (home, ledger, now) = (tempfile::tempdir().unwrap(), Arc::default(), Instant::now());
    let mut yard = Yard::new(plan(&home, "{k}-")).unwrap();
    let put = |yard: &mut Yard, key: &str, after: u64| {
        yard.put(batch(&ledger, keyed(&[Some(key.to_owned())])), now + Duration::from_secs(after));
    };
    put(&mut yard, "old", 0);
    put(&mut yard, "idle", 30);
    assert_eq!(yard.due(), Some(now + Duration::from_secs(60)));
    for after in [50, 100, 150, 200, 250, 290] {
        put(&mut yard, "old", after);
        yard.tend(now + Duration::from_secs(after));
    }
    assert!(sealed(&mut yard).keys().all(|name| name.starts_with("idle")));
    assert_eq!(yard.due(), Some(now + Duration::from_secs(300)));
    yard.tend(now + Duration::from_secs(300));
    assert_eq!(sealed(&mut yard).len(), 1);
    assert!(yard.is_empty() && yard.due().is_none());
}

#[tokio::test]
async fn a_record_whose_key_cannot_be_filled_costs_itself_alone() {
    let (home, ledger, now) = (tempfile::tempdir().unwrap(), Arc::default(), Instant::now());
    let mut yard = Yard::new(plan(&home, "p={k}/")).unwrap();
    let long = "x".repeat(2000);
    let values = [Some("a"), None, Some("b/../c"), Some(long.as_str()), Some("a")];
    let keys: Vec<_> = values.iter().map(|value| value.map(str::to_owned)).collect();
    let refused = yard.put(batch(&ledger, keyed(&keys)), now).unwrap();
    assert_eq!(refused.refusals.iter().map(|refusal| refusal.row).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(refused.member.receipt.records(), 2);
    yard.close_all(now);
    let found = sealed(&mut yard);
    assert_eq!(found.values().map(|(_, records)| *records).sum::<u64>(), 3);
    assert!(found.keys().any(|name| name.starts_with("p=b_.._c/")), "{:?}", found.keys());
    drop(refused);
    assert_eq!(ledger.read().in_flight(), 0);
}

#[tokio::test]
async fn as_many_bytes_are_held_as_may_be_and_the_largest_goes_first() {
    let (home, ledger, now) = (tempfile::tempdir().unwrap(), Arc::default(), Instant::now());
    let mut yard = Yard::new(Plan { held: 50_000, ..plan(&home, "{k|none}-") }).unwrap();
    let mut n = 0;
    while yard.takes_more() {
        assert!(!yard.is_stuck());
        yard.put(batch(&ledger, numbered(n, 100)), now);
        yard.put(batch(&ledger, keyed(&[Some(n.to_string())])), now);
        n += 100;
    }
    assert!(yard.is_stuck());
    yard.close_largest(now);
    assert!(!yard.takes_more() && !yard.is_stuck());
    let object = yard.pop().unwrap();
    assert!(object.object.name.starts_with("none-"));
    drop(object);
    assert!(yard.takes_more());
    drop(yard);
    let accounts = ledger.read();
    assert_eq!((accounts.in_flight(), accounts.delivered), (0, 0), "what is dropped is sent again");
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_to_costs_no_record_and_is_tried_again() {
    let (home, ledger, now) = (tempfile::tempdir().unwrap(), Arc::default(), Instant::now());
    let plan = Plan { bytes: 1000, ..plan(&home, "a-") };
    let folder = plan.folder.clone();
    let mut yard = Yard::new(plan).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    yard.put(batch(&ledger, numbered(0, 100)), now);
    assert!(!yard.takes_more() && yard.pop().is_none());
    let due = yard.due().unwrap();
    yard.tend(due);
    assert!(!yard.takes_more());
    std::fs::create_dir_all(yard.folder()).unwrap();
    let due = yard.due().unwrap();
    yard.tend(due);
    assert!(yard.takes_more());
    yard.close_all(due);
    assert_eq!(sealed(&mut yard).values().map(|(_, records)| *records).sum::<u64>(), 100);
    assert_eq!(ledger.read().delivered, 100);
}

#[tokio::test]
async fn what_processes_before_this_one_have_left_is_removed_and_nothing_else() {
    let (home, ledger, now) = (tempfile::tempdir().unwrap(), Arc::default(), Instant::now());
    let plan = plan(&home, "a-");
    std::fs::create_dir_all(plan.folder.join("0123456789abcdef-0")).unwrap();
    std::fs::write(plan.folder.join("0123456789abcdef-0/1"), "cut").unwrap();
    let mut before = Yard::new(plan.clone()).unwrap();
    before.put(batch(&ledger, numbered(0, 10)), now);
    let after = Yard::new(plan.clone()).unwrap();
    assert_eq!(std::fs::read_dir(&plan.folder).unwrap().count(), 2, "both generations have theirs");
    before.close_all(now);
    assert_eq!(sealed(&mut before).len(), 1);
    drop((before, after));
    assert_eq!(std::fs::read_dir(&plan.folder).unwrap().count(), 0);
}

#[test]
fn compressed_pieces_are_one_text() {
    let text = "some text, and again some text\n".repeat(1000);
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let mut press = press::Press::new(compression).unwrap();
        let mut all = Vec::new();
        for piece in text.as_bytes().chunks(7000) {
            let mut keep = |bytes: &[u8]| {
                all.extend_from_slice(bytes);
                Ok(())
            };
            press.press(piece, &mut keep).unwrap();
        }
        let mut found = Vec::new();
        match compression {
            Compression::None | Compression::Snappy => found = all,
            Compression::Gzip => {
                let mut reader = flate2::read::MultiGzDecoder::new(&all[..]);
                std::io::Read::read_to_end(&mut reader, &mut found).unwrap();
            }
            Compression::Zstd => found = zstd::decode_all(&all[..]).unwrap(),
        }
        assert!(found == text.as_bytes(), "{compression:?}");
    }
}
