use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow_array::Int64Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use parking_lot::Mutex;

use super::*;
use crate::{Answer, Parcel, Refusal};
use flitch_core::batch::{Batch, Kind, StreamId};
use flitch_core::buffers::BufferSettings;
use flitch_core::dead_letter::{DeadLetterSettings, WhenFull};
use flitch_core::receipt::{Ledger, Verdict, issue};
use flitch_core::units::Bytes;

type Script = Box<dyn Fn(&[i64]) -> Result<Written, WriteError> + Send + Sync>;

/// An output that answers as it is told and remembers when it was asked.
struct Scripted {
    answer: Script,
    concurrency: usize,
    tells_apart: bool,
    takes: Duration,
    writes: Mutex<Vec<(Duration, Vec<i64>)>>,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    begin: Instant,
}

impl Scripted {
    fn new(answer: impl Fn(&[i64]) -> Result<Written, WriteError> + Send + Sync + 'static) -> Scripted {
        Scripted {
            answer: Box::new(answer),
            concurrency: 1,
            tells_apart: false,
            takes: Duration::ZERO,
            writes: Mutex::default(),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
            begin: Instant::now(),
        }
    }

    /// Answers in turn; then every write goes through.
    fn in_turn(answers: Vec<Result<Written, WriteError>>) -> Scripted {
        let answers = Mutex::new(VecDeque::from(answers));
        Scripted::new(move |_| answers.lock().pop_front().unwrap_or_else(|| Ok(Written::default())))
    }

    fn values(&self) -> Vec<Vec<i64>> {
        self.writes.lock().iter().map(|(_, v)| v.clone()).collect()
    }

    fn times(&self) -> Vec<Duration> {
        self.writes.lock().iter().map(|(t, _)| *t).collect()
    }
}

fn values(records: &Records) -> Vec<i64> {
    let column = records.column("n").unwrap();
    let array = column.array().as_primitive::<Int64Type>();
    (0..array.len()).map(|i| array.value(i)).collect()
}

impl Output for Scripted {
    fn write<'a>(&'a self, parcel: &'a Parcel) -> Answer<'a, Written> {
        Box::pin(async move {
            let values = values(parcel.batch());
            self.writes.lock().push((self.begin.elapsed(), values.clone()));
            let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_under_way.fetch_max(under_way, Ordering::SeqCst);
            if !self.takes.is_zero() {
                tokio::time::sleep(self.takes).await;
            }
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            (self.answer)(&values)
        })
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn tells_apart(&self) -> bool {
        self.tells_apart
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

fn busy(after: Option<u64>) -> WriteError {
    WriteError::Busy { after: after.map(Duration::from_secs), reason: "slow down".into() }
}

fn unreachable() -> WriteError {
    WriteError::Unreachable { reason: "no route".into() }
}

/// Batches on their way through a delivery loop.
struct Bench {
    output: Arc<Scripted>,
    buffer: Buffer,
    ledger: Arc<Ledger>,
    verdicts: Arc<Mutex<Vec<Verdict>>>,
    letters: tempfile::TempDir,
    policy: RetrySettings,
    stop: CancellationToken,
}

impl Bench {
    fn new(output: Scripted) -> Bench {
        Bench {
            output: Arc::new(output),
            buffer: Buffer::with_room(16 << 20),
            ledger: Arc::default(),
            verdicts: Arc::default(),
            letters: tempfile::tempdir().unwrap(),
            policy: RetrySettings::default(),
            stop: CancellationToken::new(),
        }
    }

    /// In front of an output that no source waits for, with room for so many bytes.
    fn best_effort(output: Scripted, bytes: u64) -> Bench {
        let settings = BufferSettings { max_bytes: Some(Bytes(bytes)), ..BufferSettings::default() };
        let buffer = Buffer::in_memory("out", &settings, true, Tally::noop());
        Bench { buffer, ..Bench::new(output) }
    }

    async fn push(&self, numbers: std::ops::Range<i64>) {
        let array = Int64Array::from_iter_values(numbers);
        let rows = array.len();
        let field = Arc::new(Kind::Int64.field("n"));
        let records = Records::of(rows, vec![(field, Arc::new(array))], vec![]).unwrap();
        let verdicts = self.verdicts.clone();
        let receipt = issue(&self.ledger, rows, rows, move |v| verdicts.lock().push(v));
        let batch = Batch { records: Arc::new(records), receipt, stream: StreamId::UNORDERED };
        self.buffer.push(batch).await.unwrap();
    }

    fn start(&self) -> impl Future<Output = ()> + use<> {
        self.start_with(DeadLetters::open(self.letters.path()).unwrap())
    }

    fn start_with(&self, letters: DeadLetters) -> impl Future<Output = ()> + use<> {
        let (output, buffer) = (self.output.clone(), self.buffer.clone());
        deliver(
            "out".into(),
            output,
            buffer,
            self.policy.clone(),
            letters,
            flitch_core::telemetry::health::Ailment::unheard(),
            self.stop.clone(),
        )
    }

    /// Delivers all that was pushed.
    async fn finish(&self) {
        self.buffer.close();
        self.start().await;
        let accounts = self.ledger.read();
        assert_eq!(accounts.in_flight(), 0);
        assert_eq!(accounts.received, accounts.delivered + accounts.dead_lettered + accounts.returned);
    }
}

#[tokio::test(start_paused = true)]
async fn batches_are_delivered_in_order_and_settled() {
    let bench = Bench::new(Scripted::in_turn(vec![]));
    bench.push(0..3).await;
    bench.push(3..5).await;
    bench.finish().await;
    assert_eq!(bench.output.values(), [vec![0, 1, 2], vec![3, 4]]);
    assert_eq!(*bench.verdicts.lock(), [Verdict::Safe, Verdict::Safe]);
    assert_eq!(bench.ledger.read().delivered, 5);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_goes_through_keeps_the_next_one_waiting_for_no_time() {
    let bench = Bench::new(Scripted::in_turn(vec![]));
    let begin = Instant::now();
    for n in 0..500 {
        bench.push(n..n + 1).await;
    }
    bench.finish().await;
    assert_eq!(bench.ledger.read().delivered, 500);
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_down_is_tried_again_with_growing_pauses() {
    let bench = Bench::new(Scripted::in_turn((0..12).map(|_| Err(unreachable())).collect()));
    bench.push(0..1).await;
    bench.finish().await;
    let times = bench.output.times();
    let pauses: Vec<f64> = times.windows(2).map(|w| (w[1] - w[0]).as_secs_f64()).collect();
    assert_eq!(pauses.len(), 12);
    for (place, pause) in pauses.iter().enumerate() {
        let full = (0.2 * f64::from(1 << place)).min(30.0);
        assert!((full * 0.49..=full * 1.01).contains(pause), "pause {place} is {pause}, full is {full}");
    }
    assert_eq!(*bench.verdicts.lock(), [Verdict::Safe]);
}

#[tokio::test(start_paused = true)]
async fn a_busy_destination_gets_the_pause_it_asks_for() {
    let bench = Bench::new(Scripted::in_turn(vec![Err(busy(Some(7)))]));
    bench.push(0..1).await;
    bench.push(1..2).await;
    bench.finish().await;
    let times = bench.output.times();
    assert_eq!(times[1] - times[0], Duration::from_secs(7));
    assert_eq!(bench.ledger.read().delivered, 2);
}

#[tokio::test(start_paused = true)]
async fn denied_access_is_tried_again_slowly() {
    let denied = || Err(WriteError::Denied { reason: "wrong key".into() });
    let bench = Bench::new(Scripted::in_turn(vec![denied(), denied()]));
    bench.push(0..1).await;
    bench.finish().await;
    let times = bench.output.times();
    assert!(times.windows(2).all(|w| w[1] - w[0] >= Duration::from_millis(14_990)), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn only_one_write_probes_while_the_breaker_is_open() {
    let begin = Instant::now();
    let mut output = Scripted::new(move |_| {
        if begin.elapsed() < Duration::from_secs(60) { Err(unreachable()) } else { Ok(Written::default()) }
    });
    (output.concurrency, output.takes) = (8, Duration::from_millis(10));
    let bench = Bench::new(output);
    for n in 0..8 {
        bench.push(n..n + 1).await;
    }
    bench.finish().await;
    let times = bench.output.times();
    let open = Duration::from_secs(20)..Duration::from_secs(60);
    let probes: Vec<_> = times.iter().filter(|t| open.contains(*t)).collect();
    assert!((1..=6).contains(&probes.len()), "{probes:?}");
    assert!(probes.windows(2).all(|w| *w[1] - *w[0] >= Duration::from_secs(5)), "{probes:?}");
    assert_eq!(bench.ledger.read().delivered, 8);
}

#[tokio::test(start_paused = true)]
async fn writes_that_fail_together_are_tried_again_in_their_order() {
    let begin = Instant::now();
    let mut output = Scripted::new(move |_| {
        if begin.elapsed() < Duration::from_secs(90) { Err(unreachable()) } else { Ok(Written::default()) }
    });
    (output.concurrency, output.takes) = (4, Duration::from_millis(10));
    let bench = Bench::new(output);
    for n in 0..6 {
        bench.push(n..n + 1).await;
    }
    bench.finish().await;
    let values = bench.output.values().concat();
    let (tried, arrived) = values.split_at(values.len() - 6);
    // Together at first, and then one after the other, the oldest first.
    assert!(tried.chunks(4).all(|round| [0, 1, 2, 3].starts_with(round)), "{values:?}");
    assert!(tried.len() > 4 * RetrySettings::default().breaker_after as usize, "{values:?}");
    // The others follow the one that got through.
    assert_eq!(arrived.iter().collect::<BTreeSet<_>>().len(), 6, "{values:?}");
    assert_eq!(arrived[4..], [4, 5], "{values:?}");
}

#[tokio::test(start_paused = true)]
async fn as_many_writes_are_under_way_as_the_output_allows() {
    let mut output = Scripted::in_turn(vec![]);
    (output.concurrency, output.takes) = (3, Duration::from_secs(1));
    let bench = Bench::new(output);
    for n in 0..9 {
        bench.push(n..n + 1).await;
    }
    bench.finish().await;
    assert_eq!(bench.output.most_under_way.load(Ordering::SeqCst), 3);
    assert_eq!(bench.output.values().concat(), (0..9).collect::<Vec<_>>());
    assert_eq!(bench.output.begin.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_poisoned_batch_is_halved_until_the_bad_records_stand_alone() {
    let bad = [3, 4, 11];
    let output = Scripted::new(move |rows| {
        if rows.iter().any(|n| bad.contains(n)) {
            return Err(WriteError::Poison { reason: "bad field".into() });
        }
        Ok(Written::default())
    });
    let bench = Bench::new(output);
    bench.push(0..16).await;
    bench.finish().await;
    let accounts = bench.ledger.read();
    assert_eq!((accounts.delivered, accounts.dead_lettered), (13, 3));
    assert_eq!(*bench.verdicts.lock(), [Verdict::Safe]);
    let alone: Vec<_> =
        bench.output.values().into_iter().filter(|v| v.len() == 1 && bad.contains(&v[0])).collect();
    assert_eq!(alone, [[3], [4], [11]]);
    assert_eq!(bench.output.begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn refused_rows_become_dead_letters_and_the_others_are_safe() {
    let refused = vec![Refusal { row: 1, reason: "too long".into() }];
    let bench = Bench::new(Scripted::in_turn(vec![Ok(Written { bytes: 9, refused, again: None })]));
    bench.push(0..3).await;
    bench.finish().await;
    let accounts = bench.ledger.read();
    assert_eq!((accounts.delivered, accounts.dead_lettered), (2, 1));
    assert_eq!(bench.output.values().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn rows_to_write_again_are_written_alone() {
    let again = Some((vec![0, 2], busy(None)));
    let bench = Bench::new(Scripted::in_turn(vec![Ok(Written { bytes: 1, refused: vec![], again })]));
    bench.push(10..14).await;
    bench.finish().await;
    assert_eq!(bench.output.values(), [vec![10, 11, 12, 13], vec![10, 12]]);
    assert_eq!(bench.ledger.read().delivered, 4);
}

#[tokio::test(start_paused = true)]
async fn suspect_rows_are_halved_alone() {
    let first = AtomicUsize::new(0);
    let poison = || WriteError::Poison { reason: "one of these is too large".into() };
    let output = Scripted::new(move |rows| {
        if first.fetch_add(1, Ordering::SeqCst) == 0 {
            return Ok(Written { bytes: 1, refused: vec![], again: Some((vec![1, 2, 3], poison())) });
        }
        if rows.contains(&2) { Err(poison()) } else { Ok(Written::default()) }
    });
    let bench = Bench::new(output);
    bench.push(0..4).await;
    bench.finish().await;
    let accounts = bench.ledger.read();
    assert_eq!((accounts.delivered, accounts.dead_lettered), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_given_up_after_the_attempts_it_may_have() {
    let mut bench = Bench::new(Scripted::new(|_| Err(unreachable())));
    bench.policy.attempts = Some(3);
    bench.push(0..2).await;
    bench.finish().await;
    assert_eq!(bench.output.values().len(), 3);
    assert_eq!(bench.ledger.read().dead_lettered, 2);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_stays_open_while_the_dead_letters_have_no_room() {
    let mut bench = Bench::new(Scripted::new(|_| Err(unreachable())));
    bench.policy.attempts = Some(1);
    let letters = DeadLetters::open(bench.letters.path()).unwrap();
    let room = |bytes| DeadLetterSettings {
        max_bytes: Bytes(bytes),
        when_full: WhenFull::Stop,
        ..Default::default()
    };
    letters.configure(&room(1));
    letters.raw("source", "other", [("the first is taken however small the room", &b"x"[..])]).unwrap();
    bench.push(0..2).await;
    bench.buffer.close();
    let running = flitch_core::tasks::joined(bench.start_with(letters.clone()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(bench.verdicts.lock().is_empty());
    letters.configure(&room(1 << 20));
    running.await.unwrap();
    assert_eq!(*bench.verdicts.lock(), [Verdict::Safe]);
    assert_eq!(bench.ledger.read().dead_lettered, 2);
}

#[tokio::test(start_paused = true)]
async fn a_hard_stop_leaves_what_is_not_delivered_to_be_sent_again() {
    let bench = Bench::new(Scripted::new(|_| Err(unreachable())));
    bench.push(0..2).await;
    bench.push(2..3).await;
    let running = flitch_core::tasks::joined(bench.start());
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(bench.verdicts.lock().is_empty());
    bench.stop.cancel();
    running.await.unwrap();
    assert_eq!(*bench.verdicts.lock(), [Verdict::Again]);
    // The second batch was never taken out of the buffer.
    assert_eq!(bench.buffer.try_lease().unwrap().records.rows(), 1);
    assert_eq!(bench.ledger.read().returned, 3);
}

#[tokio::test(start_paused = true)]
async fn no_source_waits_for_an_output_of_best_effort() {
    let bench = Bench::best_effort(Scripted::in_turn(vec![Err(unreachable())]), 1 << 20);
    bench.push(0..3).await;
    bench.push(3..5).await;
    assert_eq!(*bench.verdicts.lock(), [Verdict::Safe, Verdict::Safe]);
    assert_eq!(bench.ledger.read().in_flight(), 5);
    bench.finish().await;
    assert_eq!(bench.ledger.read().delivered, 5);
}

#[tokio::test(start_paused = true)]
async fn what_an_output_of_best_effort_has_no_room_for_or_leaves_is_dropped_and_counted() {
    let bench = Bench::best_effort(Scripted::new(|_| Err(unreachable())), 2000);
    let running = flitch_core::tasks::joined(bench.start());
    for n in 0..100 {
        bench.push(n * 10..n * 10 + 10).await;
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(!bench.buffer.holds_up());
    assert_eq!(*bench.verdicts.lock(), [Verdict::Safe; 100]);
    let accounts = bench.ledger.read();
    assert!(accounts.dropped > 500 && accounts.in_flight() > 10, "{accounts:?}");
    assert_eq!(accounts.received, accounts.dropped + accounts.in_flight());
    bench.stop.cancel();
    running.await.unwrap();
    // What a pipeline that ends last still brings is no source's business either.
    bench.push(0..10).await;
    let accounts = bench.ledger.read();
    assert_eq!((accounts.received, accounts.dropped, accounts.returned), (1010, 1010, 0));
    assert_eq!(*bench.verdicts.lock(), [Verdict::Safe; 101]);
}

#[tokio::test(start_paused = true)]
async fn an_output_that_panics_costs_its_batch_a_second_way_and_not_the_loop() {
    let bench = Bench::new(Scripted::new(|rows| {
        assert!(!rows.contains(&1), "a bug");
        Ok(Written::default())
    }));
    bench.push(0..2).await;
    bench.push(2..4).await;
    bench.finish().await;
    assert_eq!(*bench.verdicts.lock(), [Verdict::Again, Verdict::Safe]);
    assert_eq!(bench.ledger.read().returned, 2);
}

mod beside;
