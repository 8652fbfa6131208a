use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, StringArray};
use parking_lot::Mutex;
use tokio::task::yield_now;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::contract::{self, Found, Specimen, Subject};
use crate::parcel::Parcel;
use crate::{Answer, Output, OutputContext, RetrySettings, WriteError, Written, deliver};
use flitch_core::batch::encode::Encoder;
use flitch_core::batch::{Kind, StreamId};
use flitch_core::buffers::{Buffer, Progress};
use flitch_core::dead_letter::DeadLetters;
use flitch_core::receipt::{Ledger, Verdict, issue};

/// What a store was given: the key, and the numbers of each member.
type Given = (Option<String>, Vec<Vec<i64>>);

/// A store that wants parcels. It takes none with a record of the number `poison`.
struct Store {
    wants: Wants,
    poison: i64,
    takes: Duration,
    given: Mutex<Vec<Given>>,
}

fn numbers(records: &Records) -> Vec<i64> {
    records.column("n").unwrap().array().as_primitive::<Int64Type>().values().to_vec()
}

impl Output for Store {
    fn write<'a>(&'a self, parcel: &'a Parcel) -> Answer<'a, Written> {
        Box::pin(async move {
            let key = parcel.key().map(|key| String::from_utf8(key.to_vec()).unwrap());
            let members: Vec<Vec<i64>> = parcel.members().map(|records| numbers(records)).collect();
            assert_eq!(parcel.rows(), members.iter().map(Vec::len).sum::<usize>());
            let is_bad = members.iter().flatten().any(|n| *n == self.poison);
            self.given.lock().push((key, members));
            if !self.takes.is_zero() {
                tokio::time::sleep(self.takes).await;
            }
            if is_bad {
                return Err(WriteError::Poison { reason: "a bad record".into() });
            }
            Ok(Written::default())
        })
    }

    fn wants(&self) -> Option<Wants> {
        Some(self.wants.clone())
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Limits that nothing reaches.
fn far() -> Wants {
    Wants {
        bytes: usize::MAX,
        rows: usize::MAX,
        age: Duration::from_secs(3600),
        key: None,
        open: 1000,
        held: usize::MAX,
    }
}

fn by_key(wants: Wants) -> Wants {
    Wants { key: Some(Template::parse("{k}").unwrap()), ..wants }
}

/// A store behind a delivery loop, which runs until the bench is finished or stopped.
struct Bench {
    store: Arc<Store>,
    buffer: Buffer,
    ledger: Arc<Ledger>,
    /// Of each batch, by its number.
    verdicts: Arc<Mutex<BTreeMap<usize, Verdict>>>,
    batches: usize,
    letters: tempfile::TempDir,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

impl Bench {
    fn new(wants: Wants) -> Bench {
        Bench::of(Store { wants, poison: -1, takes: Duration::ZERO, given: Mutex::default() })
    }

    fn of(store: Store) -> Bench {
        let (store, buffer) = (Arc::new(store), Buffer::with_room(1 << 30));
        let (letters, stop) = (tempfile::tempdir().unwrap(), CancellationToken::new());
        let dead_letters = DeadLetters::open(letters.path()).unwrap();
        let policy = RetrySettings::default();
        let delivery = deliver(
            "out".into(),
            store.clone(),
            buffer.clone(),
            policy,
            dead_letters,
            flitch_core::telemetry::health::Ailment::unheard(),
            stop.clone(),
        );
        let running = flitch_core::tasks::joined(delivery);
        let (ledger, verdicts) = Default::default();
        Bench { store, buffer, ledger, verdicts, batches: 0, letters, stop, running }
    }

    /// Pushes a batch of these numbers, whose field `k` is as `key` says.
    async fn push(&mut self, range: Range<i64>, key: impl Fn(i64) -> Option<&'static str>) {
        let keys = StringArray::from_iter(range.clone().map(key));
        let array = Int64Array::from_iter_values(range);
        let rows = array.len();
        let columns = vec![
            (Arc::new(Kind::Int64.field("n")), Arc::new(array) as _),
            (Arc::new(Kind::Text.field("k")), Arc::new(keys) as _),
        ];
        let records = Arc::new(Records::of(rows, columns, vec![]).unwrap());
        let (verdicts, number) = (self.verdicts.clone(), self.batches);
        self.batches += 1;
        let receipt = issue(&self.ledger, rows, rows, move |verdict| {
            verdicts.lock().insert(number, verdict);
        });
        self.buffer.push(Batch { records, receipt, stream: StreamId::UNORDERED }).await.unwrap();
    }

    /// Lets the loop do what it can without the clock.
    async fn settle(&self) {
        for _ in 0..50 {
            yield_now().await;
        }
    }

    fn given(&self) -> Vec<Given> {
        self.store.given.lock().clone()
    }

    /// Lets the loop end.
    async fn finish(self) -> (Vec<Given>, Arc<Ledger>, String) {
        self.buffer.close();
        self.running.await.unwrap();
        assert_eq!(self.ledger.read().in_flight(), 0);
        let letters = std::fs::read_dir(self.letters.path()).unwrap();
        let text = letters.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        (self.store.given.lock().clone(), self.ledger, text)
    }
}

fn one(number: i64) -> Range<i64> {
    number..number + 1
}

fn any(_: i64) -> Option<&'static str> {
    Some("k")
}

/// What one of the bench's batches of one record weighs.
async fn weight() -> usize {
    let mut bench = Bench::new(far());
    bench.push(one(0), any).await;
    bench.buffer.stats().bytes as usize
}

#[tokio::test(start_paused = true)]
async fn a_parcel_is_closed_when_it_has_its_records() {
    let mut bench = Bench::new(Wants { rows: 4, ..far() });
    for batch in [0..2, 2..3, 3..4] {
        bench.push(batch, any).await;
    }
    bench.push(one(4), any).await;
    bench.settle().await;
    assert_eq!(bench.given(), [(None, vec![vec![0, 1], vec![2], vec![3]])]);
    assert_eq!(bench.verdicts.lock().len(), 3, "the receipts of a parcel are settled, and no other");
    let (given, ..) = bench.finish().await;
    assert_eq!(given[1], (None, vec![vec![4]]), "what is left is written at the end");
}

#[tokio::test(start_paused = true)]
async fn no_parcel_has_more_records_than_are_wanted_however_large_a_batch_is() {
    for (rows, sizes) in
        [(1, vec![1; 17]), (3, vec![3, 3, 3, 3, 3, 2]), (4, vec![4, 4, 4, 4, 1]), (17, vec![17])]
    {
        let mut bench = Bench::new(Wants { rows, ..far() });
        for batch in [0..2, 2..13, 13..14, 14..17] {
            bench.push(batch, any).await;
        }
        let verdicts = bench.verdicts.clone();
        let (given, ledger, _) = bench.finish().await;
        let written: Vec<Vec<i64>> = given.into_iter().map(|(_, members)| members.concat()).collect();
        assert_eq!(written.iter().map(Vec::len).collect::<Vec<_>>(), sizes);
        assert_eq!(written.concat(), (0..17).collect::<Vec<_>>(), "in the order in which they came");
        assert_eq!(ledger.read().delivered, 17);
        assert_eq!(verdicts.lock().values().collect::<Vec<_>>(), [&Verdict::Safe; 4]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_divided_by_what_there_is_room_for_under_each_key() {
    let mut bench = Bench::new(by_key(Wants { rows: 2, ..far() }));
    bench.push(0..7, |n| Some(if n % 2 == 0 { "even" } else { "odd" })).await;
    let (mut given, ledger, _) = bench.finish().await;
    given.sort();
    let of = |key: &str, numbers: &[i64]| (Some(key.to_owned()), vec![numbers.to_vec()]);
    assert_eq!(given, [of("even", &[0, 2]), of("even", &[4, 6]), of("odd", &[1, 3]), of("odd", &[5])]);
    assert_eq!(ledger.read().delivered, 7);
}

#[tokio::test(start_paused = true)]
async fn a_parcel_is_closed_when_it_has_its_bytes() {
    let mut bench = Bench::new(Wants { bytes: 3 * weight().await, ..far() });
    for number in 0..7 {
        bench.push(one(number), any).await;
    }
    let (given, ..) = bench.finish().await;
    let sizes: Vec<usize> = given.iter().map(|(_, members)| members.len()).collect();
    assert_eq!(sizes, [3, 3, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_parcel_is_closed_when_its_first_record_is_old_enough() {
    let mut bench = Bench::new(Wants { age: Duration::from_secs(10), ..far() });
    bench.push(one(0), any).await;
    bench.settle().await;
    tokio::time::advance(Duration::from_secs(6)).await;
    bench.push(one(1), any).await;
    bench.settle().await;
    assert!(bench.given().is_empty());
    tokio::time::advance(Duration::from_millis(4001)).await;
    bench.settle().await;
    assert_eq!(bench.given(), [(None, vec![vec![0], vec![1]])]);
    assert_eq!(bench.verdicts.lock().len(), 2);
    bench.push(one(2), any).await;
    bench.settle().await;
    tokio::time::advance(Duration::from_secs(9)).await;
    bench.settle().await;
    assert_eq!(bench.given().len(), 1, "the next one is as young as its own first record");
    bench.finish().await;
}

#[tokio::test(start_paused = true)]
async fn records_of_one_key_come_together_whatever_batch_they_were_in() {
    let mut bench = Bench::new(by_key(far()));
    let parity = |n: i64| Some(if n % 2 == 0 { "even" } else { "odd" });
    bench.push(0..4, parity).await;
    bench.push(4..6, parity).await;
    let (mut given, ledger, _) = bench.finish().await;
    given.sort();
    let even = (Some("even".to_owned()), vec![vec![0, 2], vec![4]]);
    let odd = (Some("odd".to_owned()), vec![vec![1, 3], vec![5]]);
    assert_eq!(given, [even, odd]);
    assert_eq!(ledger.read().delivered, 6);
}

#[tokio::test(start_paused = true)]
async fn a_record_without_the_key_is_a_dead_letter_alone() {
    let mut bench = Bench::new(by_key(far()));
    bench.push(0..3, |n| (n != 1).then_some("k")).await;
    bench.push(3..4, |_| None).await;
    let verdicts = bench.verdicts.clone();
    let (given, ledger, letters) = bench.finish().await;
    assert_eq!(given, [(Some("k".to_owned()), vec![vec![0, 2]])]);
    assert_eq!((ledger.read().delivered, ledger.read().dead_lettered), (2, 2));
    assert!(letters.contains("a field of the key `{k}` is missing"), "{letters}");
    assert_eq!(verdicts.lock().values().collect::<Vec<_>>(), [&Verdict::Safe; 2]);
}

#[test]
fn records_without_the_key_share_the_reason() {
    let keys = StringArray::from_iter([None, Some("k"), None]);
    let columns = vec![(Arc::new(Kind::Text.field("k")), Arc::new(keys) as _)];
    let records = Arc::new(Records::of(3, columns, vec![]).unwrap());
    let receipt = issue(&Arc::default(), 3, 3, |_| {});
    let mut gather = Gather::new("out", Some(by_key(far())));
    let refused = gather.add(Batch { records, receipt, stream: StreamId::UNORDERED }).unwrap().refusals;
    assert_eq!(refused.iter().map(|refusal| refusal.row).collect::<Vec<_>>(), [0, 2]);
    assert!(Arc::ptr_eq(&refused[0].reason, &refused[1].reason));
}

#[tokio::test(start_paused = true)]
async fn receipts_are_settled_batch_by_batch_when_their_parts_are_safe() {
    let mut bench = Bench::new(by_key(Wants { rows: 2, ..far() }));
    bench.push(0..2, |n| Some(if n == 0 { "a" } else { "b" })).await;
    bench.push(2..3, |_| Some("a")).await;
    bench.settle().await;
    assert_eq!(bench.given(), [(Some("a".to_owned()), vec![vec![0], vec![2]])]);
    let safe: Vec<usize> = bench.verdicts.lock().keys().copied().collect();
    assert_eq!(safe, [1], "a record of the first batch is still open");
    bench.push(3..4, |_| Some("b")).await;
    bench.settle().await;
    assert_eq!(bench.verdicts.lock().len(), 3);
    bench.finish().await;
}

#[tokio::test(start_paused = true)]
async fn one_bad_record_in_a_parcel_of_ten_batches_is_a_dead_letter_alone() {
    let wants = Wants { rows: 30, ..far() };
    let mut bench = Bench::of(Store { wants, poison: 17, takes: Duration::ZERO, given: Mutex::default() });
    for number in 0..10 {
        bench.push(number * 3..number * 3 + 3, any).await;
    }
    bench.settle().await;
    let verdicts = bench.verdicts.clone();
    let (given, ledger, letters) = bench.finish().await;
    assert_eq!(given[0].1.len(), 10);
    assert_eq!((ledger.read().delivered, ledger.read().dead_lettered), (29, 1));
    assert_eq!(letters.lines().count(), 1, "{letters}");
    assert!(letters.contains("a bad record") && letters.contains("\"n\":17"), "{letters}");
    assert_eq!(verdicts.lock().values().collect::<Vec<_>>(), [&Verdict::Safe; 10]);
    assert!(given.iter().filter(|(_, members)| members.concat() == [17]).count() == 1, "{given:?}");
}

#[tokio::test(start_paused = true)]
async fn rows_that_are_refused_or_written_again_are_told_from_each_other_across_members() {
    let receipt = |ledger: &Arc<Ledger>, rows| issue(ledger, rows, rows, |_| {});
    let records = |range: Range<i64>| {
        let array = Int64Array::from_iter_values(range);
        let rows = array.len();
        Arc::new(
            Records::of(rows, vec![(Arc::new(Kind::Int64.field("n")), Arc::new(array))], vec![]).unwrap(),
        )
    };
    let ledgers: Vec<Arc<Ledger>> = (0..3).map(|_| Arc::default()).collect();
    let member = |ledger: usize, range: Range<i64>| Member {
        receipt: receipt(&ledgers[ledger], range.clone().count()),
        records: records(range),
    };
    let mut piece = Piece::new(member(0, 0..3), None);
    piece.push(member(1, 3..5));
    piece.push(member(2, 5..9));
    let refusal = |row| Refusal { row, reason: "no".into() };
    let written = Written { refused: vec![refusal(1), refusal(5)], ..Written::default() };
    let (left, refused) = piece.settle(written, &[0, 3, 4, 8]);
    let left: Vec<Vec<i64>> = left.unwrap().into_members().map(|member| numbers(&member.records)).collect();
    assert_eq!(left, [vec![0], vec![3, 4], vec![8]]);
    let refused: Vec<(Vec<i64>, u32)> =
        refused.iter().map(|refused| (numbers(&refused.member.records), refused.refusals[0].row)).collect();
    assert_eq!(refused, [(vec![0, 1, 2], 1), (vec![5, 6, 7, 8], 0)]);
    let delivered: Vec<u64> = ledgers.iter().map(|ledger| ledger.read().delivered).collect();
    assert_eq!(delivered, [1, 0, 2]);
}

#[tokio::test(start_paused = true)]
async fn for_one_key_more_than_may_be_open_the_idle_one_is_closed() {
    let mut bench = Bench::new(by_key(Wants { open: 2, ..far() }));
    for (number, key) in [(0, "a"), (1, "b"), (2, "a"), (3, "c")] {
        bench.push(one(number), move |_| Some(key)).await;
        bench.settle().await;
    }
    assert_eq!(bench.given(), [(Some("b".to_owned()), vec![vec![1]])]);
    let (given, ..) = bench.finish().await;
    assert_eq!(given.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn no_more_is_taken_than_may_be_held_while_the_store_is_slow() {
    let weight = weight().await;
    let wants = by_key(Wants { held: 10 * weight, ..far() });
    let takes = Duration::from_secs(60);
    let mut bench = Bench::of(Store { wants, poison: -1, takes, given: Mutex::default() });
    let keys = ["a", "b", "c"];
    for number in 0..100 {
        bench.push(one(number), move |n| Some(keys[n as usize % 3])).await;
    }
    bench.settle().await;
    let waiting = bench.buffer.stats().records;
    // Of ten that were held the largest parcel, four records, is being written, and others came in its place.
    assert_eq!(bench.given().len(), 1);
    assert!((84..=90).contains(&waiting), "{waiting} of 100 wait in the buffer");
    let (given, ledger, _) = bench.finish().await;
    assert_eq!(ledger.read().delivered, 100);
    let mut of_a: Vec<i64> = Vec::new();
    for (key, members) in given {
        if key.as_deref() == Some("a") {
            of_a.extend(members.concat());
        }
    }
    assert!(of_a.is_sorted(), "records of one key keep their order: {of_a:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_open_at_a_stop_is_sent_again() {
    let mut bench = Bench::new(far());
    bench.push(0..3, any).await;
    bench.push(3..5, any).await;
    bench.settle().await;
    bench.stop.cancel();
    (&mut bench.running).await.unwrap();
    assert!(bench.given().is_empty());
    assert_eq!(bench.verdicts.lock().values().collect::<Vec<_>>(), [&Verdict::Again; 2]);
    assert_eq!(bench.ledger.read().returned, 5);
}

/// A store that keeps the text of what it is given.
struct Shelf {
    encoder: Encoder,
    text: Arc<Mutex<Vec<u8>>>,
}

impl Output for Shelf {
    fn write<'a>(&'a self, parcel: &'a Parcel) -> Answer<'a, Written> {
        let mut written = Written::default();
        let mut shelf = self.text.lock();
        let mut from = 0;
        for records in parcel.members() {
            let text = self.encoder.encode(records);
            if shelf.is_empty() && !text.text.is_empty() {
                shelf.extend(self.encoder.header().unwrap_or_default());
            }
            shelf.extend_from_slice(&text.text);
            written.bytes += text.text.len() as u64;
            let refused = Written::of(&text).refused.into_iter();
            written.refused.extend(refused.map(|refusal| Refusal { row: from + refusal.row, ..refusal }));
            from += records.rows() as u32;
        }
        Box::pin(std::future::ready(Ok(written)))
    }

    fn wants(&self) -> Option<Wants> {
        Some(far())
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Specimen for Shelf {
    async fn subject(_: usize, cx: &OutputContext) -> Subject {
        let text = Arc::<Mutex<Vec<u8>>>::default();
        let output = Arc::new(Shelf { encoder: cx.encoder.clone(), text: text.clone() });
        let read = move || Found::Stream(text.lock().clone());
        Subject { output, read: Some(Box::new(read)), by_field: None, cut: None }
    }
}

#[tokio::test]
async fn a_store_that_wants_parcels_can_keep_the_contract_of_outputs() {
    contract::keep::<Shelf>().await;
}

#[test]
fn an_output_may_want_more_bytes_than_there_are() {
    assert_eq!(Wants::one(usize::MAX, 1, Duration::ZERO).held, usize::MAX);
}

#[tokio::test(start_paused = true)]
async fn it_is_told_that_records_are_gathered_and_when_a_write_has_ended() {
    let takes = Duration::from_secs(5);
    let mut bench = Bench::of(Store { wants: far(), poison: -1, takes, given: Mutex::default() });
    bench.settle().await;
    assert_eq!(bench.buffer.progress(), Progress::default());
    bench.push(one(1), any).await;
    bench.settle().await;
    assert_eq!(bench.buffer.progress(), Progress { gathers: true, ..Progress::default() });
    tokio::time::sleep(Duration::from_secs(3601)).await;
    assert_eq!(bench.buffer.progress(), Progress { writes: true, ..Progress::default() });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.buffer.progress(), Progress { turns: 1, ..Progress::default() });
    bench.finish().await;
}
