use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::{Batch, StreamId};
use flitch_core::dead_letter::DeadLetters;
use flitch_core::receipt::{Ledger, issue};
use flitch_core::telemetry::Health;
use flitch_outputs::{Answer, Parcel, RetrySettings, Written};

/// An output whose loop panics the first times it begins.
#[derive(Default)]
struct Fragile {
    panics: AtomicU32,
    written: AtomicU32,
}

impl flitch_outputs::Output for Fragile {
    fn write<'a>(&'a self, parcel: &'a Parcel) -> Answer<'a, Written> {
        self.written.fetch_add(parcel.rows() as u32, Ordering::Relaxed);
        Box::pin(std::future::ready(Ok(Written::default())))
    }

    fn concurrency(&self) -> usize {
        let left = self.panics.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        assert!(left.is_err(), "not yet");
        1
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

struct Bench {
    output: Arc<Fragile>,
    buffer: Buffer,
    health: Arc<Health>,
    ledger: Arc<Ledger>,
    leave: CancellationToken,
    ended: CancellationToken,
    before: CancellationToken,
    task: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new(panics: u32) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let output = Arc::new(Fragile { panics: panics.into(), ..Fragile::default() });
        let buffer = Buffer::with_room(16 << 20);
        let [leave, ended, before] = std::array::from_fn(|_| CancellationToken::new());
        let flow = Outflow {
            name: "out".into(),
            output: output.clone(),
            buffer: buffer.clone(),
            retry: RetrySettings::default(),
            dead_letters: DeadLetters::open(folder.path()).unwrap(),
            health: Arc::default(),
            leave: leave.clone(),
        };
        let (health, ledger) = (Arc::<Health>::default(), Arc::<Ledger>::default());
        let part = Part::new(&health, "output", "out");
        let task = flitch_core::tasks::joined(run(flow, part, Some(before.clone()), ended.clone()));
        Bench { output, buffer, health, ledger, leave, ended, before, task, _folder: folder }
    }

    async fn push(&self) {
        let mut builder = Builder::new();
        builder.begin_record();
        builder.key(b"n").int(1);
        builder.end_record();
        let records = Arc::new(builder.finish(InvalidUtf8::Replace, &Constants::new()).records);
        let receipt = issue(&self.ledger, 1, 1, |_| {});
        self.buffer.push(Batch { records, receipt, stream: StreamId::UNORDERED }).await.unwrap();
    }

    async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_loop_that_panics_comes_back_with_its_buffer() {
    let bench = Bench::new(2);
    bench.before.cancel();
    bench.push().await;
    bench.settle().await;
    assert_eq!(bench.health.down().len(), 1);
    bench.buffer.close();
    bench.task.await.unwrap();
    assert_eq!(bench.output.written.load(Ordering::Relaxed), 1);
    assert_eq!((bench.ledger.read().delivered, bench.ledger.read().returned), (1, 0));
    assert!(bench.ended.is_cancelled() && bench.health.down().is_empty());
    assert_eq!(bench.health.failures()["output out"].count, 2);
}

#[tokio::test(start_paused = true)]
async fn an_output_writes_nothing_before_the_one_that_it_replaces_has_ended() {
    let bench = Bench::new(0);
    bench.push().await;
    bench.settle().await;
    assert_eq!(bench.output.written.load(Ordering::Relaxed), 0);
    bench.before.cancel();
    bench.settle().await;
    assert_eq!(bench.output.written.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn what_an_output_leaves_goes_back_before_it_counts_as_ended() {
    let bench = Bench::new(0);
    bench.push().await;
    bench.leave.cancel();
    bench.ended.cancelled().await;
    assert_eq!(bench.ledger.read().returned, 1);
    bench.task.await.unwrap();
}
