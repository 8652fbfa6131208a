use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::yield_now;

use super::*;
use flitch_core::telemetry::health::Health;

/// A part whose first runs end as they are told to, and whose last one waits for `stop`.
struct Bench {
    health: Arc<Health>,
    stop: CancellationToken,
    starts: Arc<Mutex<Vec<Instant>>>,
}

fn running(run: impl Future<Output = anyhow::Result<()>> + Send + 'static) -> anyhow::Result<Running> {
    Ok(Box::pin(run))
}

impl Bench {
    fn new() -> Bench {
        Bench { health: Arc::default(), stop: CancellationToken::new(), starts: Arc::default() }
    }

    /// Supervises a part whose run of this number, from 0, is made by `run`.
    fn supervise(
        &self,
        run: impl Fn(u32, CancellationToken) -> anyhow::Result<Running> + Send + 'static,
    ) -> tokio::task::JoinHandle<anyhow::Result<()>> {
        let (part, stop, starts) =
            (Part::new(&self.health, "source", "in"), self.stop.clone(), self.starts.clone());
        let count = AtomicU32::new(1);
        let first = run(0, stop.clone());
        let for_runs = stop.clone();
        let start = move || -> Starting {
            starts.lock().push(Instant::now());
            let next = run(count.fetch_add(1, Ordering::Relaxed), for_runs.clone());
            Box::pin(async move { next })
        };
        keep(part, stop, first, start)
    }

    async fn settle(&self) {
        for _ in 0..50 {
            yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_that_panics_is_down_with_its_reason_and_comes_back_after_a_pause() {
    let bench = Bench::new();
    let begin = Instant::now();
    let task = bench.supervise(|number, stop| {
        running(async move {
            assert!(number > 0, "record 4711 is odd");
            stop.cancelled().await;
            Ok(())
        })
    });
    bench.settle().await;
    assert_eq!(bench.health.down(), ["source in: it panicked; the log says where"]);
    tokio::time::sleep(Duration::from_millis(1001)).await;
    bench.settle().await;
    assert_eq!(*bench.starts.lock(), [begin + Duration::from_secs(1)]);
    assert!(bench.health.down().is_empty());
    let failures = &bench.health.failures()["source in"];
    assert_eq!((failures.count, failures.down), (1, false));
    bench.stop.cancel();
    task.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_while_a_part_cannot_start_and_begin_anew_when_it_has_run_for_long() {
    let bench = Bench::new();
    let begin = Instant::now();
    let task = bench.supervise(|number, stop| match number {
        0..3 => Err(anyhow::anyhow!("the port is in use")),
        3 => running(async {
            sleep(LONGEST).await;
            anyhow::bail!("the disk is gone")
        }),
        _ => running(async move {
            stop.cancelled().await;
            Ok(())
        }),
    });
    bench.settle().await;
    assert_eq!(bench.health.down(), ["source in: the port is in use"]);
    sleep(Duration::from_secs(600)).await;
    let after: Vec<u64> = bench.starts.lock().iter().map(|at| (*at - begin).as_secs()).collect();
    assert_eq!(after, [1, 3, 7, 7 + 60 + 1]);
    assert_eq!(bench.health.failures()["source in"].reason, "the disk is gone");
    bench.stop.cancel();
    task.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_to_stop_does_not_come_back() {
    let bench = Bench::new();
    let task = bench.supervise(|_, stop| {
        running(async move {
            stop.cancelled().await;
            anyhow::bail!("too late")
        })
    });
    bench.settle().await;
    bench.stop.cancel();
    assert_eq!(task.await.unwrap().unwrap_err().to_string(), "too late");
    assert!(bench.starts.lock().is_empty());

    let bench = Bench::new();
    let task = bench.supervise(|_, _| Err(anyhow::anyhow!("never")));
    bench.settle().await;
    assert_eq!(bench.health.down().len(), 1);
    bench.stop.cancel();
    task.await.unwrap().unwrap();
    assert!(bench.health.down().is_empty(), "what is gone for good is missed by nobody");
}
