use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use tokio::task::{JoinHandle, yield_now};

use super::*;
use crate::batch::builder::Builder;
use crate::batch::constants::Constants;
use crate::batch::utf8::InvalidUtf8;
use crate::buffers::Buffer;
use crate::testing::pipeline;

type Verdicts = Arc<Mutex<Vec<(i64, Verdict)>>>;

/// A source whose batches are numbers.
#[derive(Clone)]
struct Bench {
    intake: Intake,
    stop: CancellationToken,
    verdicts: Verdicts,
}

impl Bench {
    fn new(inlet: &Inlet) -> Bench {
        let stop = CancellationToken::new();
        let intake = Intake::new(Arc::default(), vec![inlet.clone()], stop.clone());
        Bench { intake, stop, verdicts: Verdicts::default() }
    }

    fn send(&self, number: i64, stream: StreamId) -> JoinHandle<Result<(), Closed>> {
        let mut builder = Builder::new();
        builder.begin_record();
        builder.key(b"n").int(number);
        builder.end_record();
        let records = Arc::new(builder.finish(InvalidUtf8::Replace, &Constants::new()).records);
        let bench = self.clone();
        let verdicts = self.verdicts.clone();
        let told = move |verdict| verdicts.lock().push((number, verdict));
        crate::tasks::joined(async move { bench.intake.send(records, 1, stream, told).await })
    }

    fn verdicts(&self) -> Vec<(i64, Verdict)> {
        std::mem::take(&mut *self.verdicts.lock())
    }
}

/// Lets every task go as far as it can.
async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

/// Takes out what is in a buffer, and delivers it.
fn taken(buffer: &Buffer) -> Vec<i64> {
    let mut numbers = Vec::new();
    while let Some(batch) = buffer.try_lease() {
        let column = batch.records.column("n").unwrap().array().clone();
        numbers.extend(column.as_primitive::<Int64Type>().values());
        batch.receipt.delivered();
    }
    numbers
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_behind_a_reload_when_the_pipeline_before_has_let_go_of_it() {
    let ((old, old_buffer), (new, new_buffer)) = (pipeline(1), pipeline(1 << 20));
    let (bench, stream) = (Bench::new(&old), StreamId::next());
    bench.send(0, stream).await.unwrap().unwrap();
    let blocked = bench.send(1, stream);
    settle().await;
    let handover = bench.intake.connect(vec![new]).unwrap();
    let deadline = soon();
    let handing = crate::tasks::joined(async move {
        let arrived = handover.let_go(deadline).await;
        handover.open(arrived);
        arrived
    });
    settle().await;
    assert!(!blocked.is_finished() && !handing.is_finished());
    assert_eq!(taken(&old_buffer), [0]);
    blocked.await.unwrap().unwrap();
    assert!(handing.await.unwrap(), "it let go in time");
    bench.send(2, stream).await.unwrap().unwrap();
    assert_eq!((taken(&old_buffer), taken(&new_buffer)), (vec![1], vec![2]));
    assert_eq!(bench.verdicts().iter().filter(|(_, verdict)| *verdict == Verdict::Again).count(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_pipeline_before_has_at_the_deadline_comes_back_before_the_stream_goes_on() {
    let ((old, old_buffer), (new, new_buffer)) = (pipeline(1), pipeline(1 << 20));
    let (bench, stream) = (Bench::new(&old), StreamId::next());
    bench.send(0, stream).await.unwrap().unwrap();
    let blocked = bench.send(1, stream);
    settle().await;
    let handover = bench.intake.connect(vec![new]).unwrap();
    assert!(!handover.let_go(soon()).await);
    // To be left behind by a reload is no end.
    blocked.await.unwrap().unwrap();
    assert_eq!(bench.verdicts(), [(1, Verdict::Again)]);
    let waits = bench.send(2, stream);
    let of_another = bench.send(20, StreamId::next());
    settle().await;
    assert!(!waits.is_finished() && !of_another.is_finished());
    handover.open(false);
    waits.await.unwrap().unwrap();
    of_another.await.unwrap().unwrap();
    // Number 2 would come before 1. Whatever stream was there goes on from what its source knows to be safe.
    let mut verdicts = bench.verdicts();
    verdicts.sort_by_key(|(number, _)| *number);
    assert_eq!(verdicts, [(2, Verdict::Again), (20, Verdict::Again)]);
    for (number, stream) in [(1, stream), (2, stream), (30, StreamId::next())] {
        bench.send(number, stream).await.unwrap().unwrap();
    }
    assert_eq!((taken(&old_buffer), taken(&new_buffer)), (vec![0], vec![1, 2, 30]));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_slept_through_a_reload_hears_of_what_was_dropped_in_the_one_after() {
    let ((first, _first), (second, second_buffer), (third, third_buffer)) =
        (pipeline(1), pipeline(1 << 20), pipeline(1 << 20));
    let (bench, stream) = (Bench::new(&first), StreamId::next());
    bench.intake.connect(vec![second]).unwrap().open(false);
    let handover = bench.intake.connect(vec![third]).unwrap();
    assert!(handover.let_go(soon()).await);
    handover.open(true);
    for number in [1, 2] {
        bench.send(number, stream).await.unwrap().unwrap();
    }
    assert_eq!(bench.verdicts(), [(1, Verdict::Again)]);
    assert_eq!((taken(&second_buffer), taken(&third_buffer)), (vec![], vec![2]));
}

#[tokio::test(start_paused = true)]
async fn what_has_no_order_waits_for_no_pipeline_before() {
    let ((old, _old_buffer), (new, new_buffer)) = (pipeline(1), pipeline(1 << 20));
    let bench = Bench::new(&old);
    let handover = bench.intake.connect(vec![new]).unwrap();
    bench.send(1, StreamId::UNORDERED).await.unwrap().unwrap();
    assert_eq!(taken(&new_buffer), [1]);
    handover.open(true);
}

#[tokio::test(start_paused = true)]
async fn a_reload_during_another_waits_for_the_pipelines_of_both() {
    let ((first, first_buffer), (second, _), (third, third_buffer)) =
        (pipeline(1), pipeline(1), pipeline(1 << 20));
    let (bench, stream) = (Bench::new(&first), StreamId::next());
    bench.send(0, stream).await.unwrap().unwrap();
    let blocked = bench.send(1, stream);
    settle().await;
    let one = bench.intake.connect(vec![second]).unwrap();
    let other = bench.intake.connect(vec![third]).unwrap();
    let deadline = soon();
    let others = crate::tasks::joined(async move {
        let arrived = other.let_go(deadline).await;
        other.open(arrived);
    });
    settle().await;
    assert!(!others.is_finished(), "the second pipeline has nothing, but the first one has");
    assert_eq!(taken(&first_buffer), [0]);
    blocked.await.unwrap().unwrap();
    assert!(one.let_go(deadline).await);
    one.open(true);
    others.await.unwrap();
    bench.send(2, stream).await.unwrap().unwrap();
    assert_eq!((taken(&first_buffer), taken(&third_buffer)), (vec![1], vec![2]));
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_leaves_the_pipelines_as_they_are_holds_nobody_up() {
    let (inlet, buffer) = pipeline(1 << 20);
    let bench = Bench::new(&inlet);
    assert!(bench.intake.connect(vec![inlet]).is_none());
    bench.send(1, StreamId::next()).await.unwrap().unwrap();
    assert_eq!(taken(&buffer), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_is_closed_ends_nobody_but_a_source_that_is_to_stop() {
    let ((old, old_buffer), (new, _new_buffer)) = (pipeline(1), pipeline(1));
    let (bench, stream) = (Bench::new(&old), StreamId::next());
    old_buffer.close();
    let sent = bench.send(1, stream);
    settle().await;
    assert!(!sent.is_finished());
    assert_eq!(bench.verdicts(), [(1, Verdict::Again)]);
    let handover = bench.intake.connect(vec![new]).unwrap();
    assert_eq!(sent.await.unwrap(), Ok(()));
    assert!(handover.let_go(soon()).await);
    handover.open(true);

    let bench = Bench::new(&old);
    let sent = bench.send(1, stream);
    settle().await;
    bench.stop.cancel();
    assert_eq!(sent.await.unwrap(), Err(Closed));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_over_sends_in_vain() {
    let (inlet, buffer) = pipeline(1);
    let (bench, stream) = (Bench::new(&inlet), StreamId::next());
    bench.send(0, stream).await.unwrap().unwrap();
    let blocked = bench.send(1, stream);
    settle().await;
    bench.intake.close();
    assert_eq!(blocked.await.unwrap(), Err(Closed));
    assert_eq!(bench.send(2, stream).await.unwrap(), Err(Closed));
    // What is in the buffer goes its way.
    assert_eq!(taken(&buffer), [0]);
    let again = |number| (number, Verdict::Again);
    assert_eq!(bench.verdicts(), [again(1), again(2), (0, Verdict::Safe)]);
}
