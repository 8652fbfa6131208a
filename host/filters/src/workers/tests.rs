use super::*;
use flitch_core::batch::StreamId;
use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::blocking::block_on;
use flitch_core::buffers::Buffer;
use flitch_core::inlet::Pass;
use flitch_core::receipt::{Verdict, issue};
use flitch_core::router::Route;
use flitch_core::telemetry::Tally;

impl<F: FnMut(Batch) -> Batch> Filters for F {
    fn run(&mut self, batch: Batch, _: &mut dyn FnMut(Batch)) -> Batch {
        self(batch)
    }

    fn change(&mut self, _: &Arc<Program>) {}

    fn worse(&mut self) -> Option<(Arc<Filter>, String)> {
        None
    }

    fn take_gone(&mut self) -> Vec<Step> {
        Vec::new()
    }

    fn due(&self) -> Option<Instant> {
        None
    }

    fn save(&mut self) {}
}

/// A pipeline with one worker, whose filters are `chain`.
struct Bench {
    workers: Workers,
    buffer: Buffer,
    health: Arc<Health>,
    verdicts: Arc<Mutex<Vec<(usize, Verdict)>>>,
}

impl Bench {
    fn new(chain: fn(&Arc<Program>) -> Box<dyn Filters>) -> Bench {
        let buffer = Buffer::with_room(16 << 20);
        let router = Arc::new(Router::new(vec![Route::to(buffer.clone())], Tally::noop()));
        let health = Arc::<Health>::default();
        let shared = Shared::new("test", Inlet::new(25, router), Arc::default(), &health);
        let part = Part::new(&health, "worker", "test-0");
        let worker = Worker { shared: shared.clone(), part, chain: Box::new(chain) };
        let threads = vec![flitch_core::tasks::joined_thread("test", move || worker.run()).unwrap()];
        Bench { workers: Workers { shared, threads }, buffer, health, verdicts: Arc::default() }
    }

    /// A batch of `rows` records, which is known by their number.
    fn push(&self, rows: usize, stream: StreamId) {
        let mut builder = Builder::new();
        for _ in 0..rows {
            builder.begin_record();
            builder.key(b"n").int(1);
            builder.end_record();
        }
        let records = Arc::new(builder.finish(InvalidUtf8::Replace, &Constants::new()).records);
        let verdicts = self.verdicts.clone();
        let receipt = issue(&Arc::default(), rows, 0, move |verdict| verdicts.lock().push((rows, verdict)));
        block_on(self.workers.inlet().push(Batch { records, receipt, stream }, &Pass::default())).unwrap();
    }
}

#[test]
fn a_panic_costs_its_batch_and_neither_the_worker_nor_the_order() {
    let bench = Bench::new(|_| {
        Box::new(|batch: Batch| {
            assert_ne!(batch.records.rows(), 2, "nobody likes two");
            batch
        })
    });
    let stream = StreamId::next();
    (1..=4).for_each(|rows| bench.push(rows, stream));
    bench.workers.finish();
    let rows = std::iter::from_fn(|| bench.buffer.try_lease()).map(|batch| batch.records.rows());
    assert_eq!(rows.collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!(bench.verdicts.lock()[0], (2, Verdict::Again));
    let failures = &bench.health.failures()["worker test-0"];
    assert_eq!((failures.count, failures.down), (1, false));
}

#[test]
fn a_worker_that_fails_again_and_again_is_down_until_it_works_and_ends_when_it_is_to() {
    let bench = Bench::new(|_| panic!("there is no chain"));
    let stream = StreamId::next();
    bench.push(1, stream);
    bench.push(2, stream);
    while bench.health.down().is_empty() {
        thread::yield_now();
    }
    assert_eq!(bench.health.down(), ["worker test-0: it panicked; the log says where"]);
    assert_eq!(*bench.verdicts.lock(), [(1, Verdict::Again), (2, Verdict::Again)]);
    bench.workers.finish();
    assert!(bench.health.down().is_empty());
}
