//! What every buffer must keep, whatever keeps its batches.

use std::future::Future;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arrow_array::Int64Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{Buffer, BufferSettings, Closed, WhenFull};
use crate::batch::{Batch, Kind, Records, StreamId};
use crate::receipt::{Ledger, Verdict, issue};
use crate::tasks::joined_thread;
use crate::telemetry::Tally;
use crate::units::Bytes;

/// A way of keeping batches.
pub(super) trait Subject {
    /// Whether it keeps batches beyond the process: then their sources hear that they are safe when they are in, and the
    /// buffer gives a batch again that was not settled. Else the source does.
    const KEEPS: bool;

    /// A fresh buffer.
    fn open(settings: &BufferSettings, best_effort: bool, dropped: Tally) -> Buffer;
}

/// Longer than anything takes that is not to wait for ever.
const LONG: Duration = Duration::from_secs(60);

/// Checks the whole contract.
pub(super) async fn keep<S: Subject>() {
    batches_come_out_in_the_order_in_which_they_went_in::<S>().await;
    a_full_buffer_makes_wait_until_there_is_room::<S>().await;
    those_who_wait_are_given_room_in_the_order_of_asking::<S>().await;
    a_batch_larger_than_the_bound_is_taken_by_itself::<S>().await;
    a_closed_buffer_gives_out_what_it_holds_and_takes_no_more::<S>().await;
    closing_wakes_all_who_wait::<S>().await;
    a_push_that_is_given_up_puts_nothing_in::<S>().await;
    a_lease_that_is_given_up_takes_nothing_out::<S>().await;
    a_batch_that_is_settled_is_gone::<S>().await;
    a_lease_that_is_dropped_comes_again::<S>().await;
    what_is_left_behind_is_not_lost::<S>().await;
    of_best_effort_what_does_not_fit_is_dropped_and_no_source_waits::<S>().await;
    it_tells_what_is_inside::<S>().await;
    whatever_meets_in_it_comes_out_once::<S>().await;
}

/// Batches with the accounts of their source.
#[derive(Default)]
struct Source {
    ledger: Arc<Ledger>,
    verdicts: Arc<Mutex<Vec<Verdict>>>,
    heard: Arc<Notify>,
}

impl Source {
    /// A batch of `rows` records that all have this number.
    fn batch(&self, number: i64, rows: usize) -> Batch {
        let field = Arc::new(Kind::Int64.field("n"));
        let array = Arc::new(Int64Array::from(vec![number; rows]));
        let records = Arc::new(Records::of(rows, vec![(field, array)], vec![]).unwrap());
        let (verdicts, heard) = (self.verdicts.clone(), self.heard.clone());
        let receipt = issue(&self.ledger, rows, rows, move |verdict| {
            verdicts.lock().push(verdict);
            heard.notify_one();
        });
        Batch { records, receipt, stream: StreamId::UNORDERED }
    }

    fn verdicts(&self) -> Vec<Verdict> {
        self.verdicts.lock().clone()
    }

    /// The verdicts, when there are so many.
    async fn heard(&self, count: usize) -> Vec<Verdict> {
        let all = async {
            while self.verdicts().len() < count {
                self.heard.notified().await;
            }
        };
        timeout(LONG, all).await.expect("it is told in time");
        self.verdicts()
    }
}

fn number(batch: &Batch) -> i64 {
    batch.records.column("n").unwrap().array().as_primitive::<Int64Type>().value(0)
}

/// What one batch weighs.
fn weight() -> u64 {
    Source::default().batch(0, 1).records.memory() as u64
}

fn with_room<S: Subject>(batches: u64) -> Buffer {
    let max_bytes = Some(Bytes(batches * weight()));
    let settings = BufferSettings { max_bytes, ..BufferSettings::default() };
    S::open(&settings, false, Tally::noop())
}

/// The number of the next batch, which is delivered.
async fn next(buffer: &Buffer) -> Option<i64> {
    let batch = timeout(LONG, buffer.lease()).await.expect("a batch or the end, in time")?;
    let number = number(&batch);
    batch.receipt.delivered();
    Some(number)
}

/// Polls once.
async fn once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::future::poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx))).await
}

async fn batches_come_out_in_the_order_in_which_they_went_in<S: Subject>() {
    let (buffer, source) = (with_room::<S>(10), Source::default());
    for number in 0..5 {
        buffer.push(source.batch(number, 1)).await.unwrap();
    }
    for number in 0..5 {
        assert_eq!(next(&buffer).await, Some(number));
    }
    assert!(buffer.try_lease().is_none());
}

async fn a_full_buffer_makes_wait_until_there_is_room<S: Subject>() {
    let (buffer, source) = (with_room::<S>(2), Source::default());
    buffer.push(source.batch(0, 1)).await.unwrap();
    buffer.push(source.batch(1, 1)).await.unwrap();
    let refused = buffer.try_push(source.batch(2, 1)).unwrap().expect_err("no room");
    assert_eq!(number(&refused), 2);
    let mut third = Box::pin(buffer.push(refused));
    assert!(once(&mut third).await.is_pending());
    assert!(buffer.is_full() && buffer.holds_up());
    assert_eq!(next(&buffer).await, Some(0));
    timeout(LONG, third).await.expect("there is room").unwrap();
    assert_eq!((next(&buffer).await, next(&buffer).await), (Some(1), Some(2)));
    assert!(!buffer.is_full());
}

async fn those_who_wait_are_given_room_in_the_order_of_asking<S: Subject>() {
    let (buffer, source) = (with_room::<S>(1), Source::default());
    buffer.push(source.batch(0, 1)).await.unwrap();
    let mut waiting: Vec<_> = (1..4).map(|n| Box::pin(buffer.push(source.batch(n, 1)))).collect();
    for push in &mut waiting {
        assert!(once(push).await.is_pending());
    }
    for (number, push) in waiting.into_iter().enumerate() {
        assert_eq!(next(&buffer).await, Some(number as i64));
        timeout(LONG, push).await.expect("there is room").unwrap();
    }
    assert_eq!(next(&buffer).await, Some(3));
}

async fn a_batch_larger_than_the_bound_is_taken_by_itself<S: Subject>() {
    let (buffer, source) = (with_room::<S>(1), Source::default());
    timeout(LONG, buffer.push(source.batch(0, 10_000))).await.expect("it does not wait for ever").unwrap();
    assert!(buffer.is_full());
    assert!(buffer.try_push(source.batch(1, 1)).unwrap().is_err());
    assert_eq!(next(&buffer).await, Some(0));
}

async fn a_closed_buffer_gives_out_what_it_holds_and_takes_no_more<S: Subject>() {
    let (buffer, source) = (with_room::<S>(10), Source::default());
    buffer.push(source.batch(0, 1)).await.unwrap();
    buffer.close();
    assert_eq!(buffer.push(source.batch(1, 1)).await, Err(Closed));
    assert!(buffer.try_push(source.batch(2, 1)).is_err());
    assert_eq!((next(&buffer).await, next(&buffer).await), (Some(0), None));
    let refused = source.verdicts().iter().filter(|verdict| **verdict == Verdict::Again).count();
    assert_eq!(refused, 2, "what was not taken is sent again");
}

async fn closing_wakes_all_who_wait<S: Subject>() {
    let (full, empty, source) = (with_room::<S>(1), with_room::<S>(1), Source::default());
    full.push(source.batch(0, 1)).await.unwrap();
    let mut pushes: Vec<_> = (1..3).map(|n| Box::pin(full.push(source.batch(n, 1)))).collect();
    let mut leases: Vec<_> = (0..2).map(|_| Box::pin(empty.lease())).collect();
    for push in &mut pushes {
        assert!(once(push).await.is_pending());
    }
    for lease in &mut leases {
        assert!(once(lease).await.is_pending());
    }
    full.close();
    empty.close();
    for push in pushes {
        assert_eq!(timeout(LONG, push).await.expect("it is woken"), Err(Closed));
    }
    for lease in leases {
        assert!(timeout(LONG, lease).await.expect("it is woken").is_none());
    }
}

async fn a_push_that_is_given_up_puts_nothing_in<S: Subject>() {
    let (buffer, source) = (with_room::<S>(1), Source::default());
    buffer.push(source.batch(0, 1)).await.unwrap();
    {
        let mut push = Box::pin(buffer.push(source.batch(1, 1)));
        assert!(once(&mut push).await.is_pending());
    }
    assert_eq!(source.verdicts().last(), Some(&Verdict::Again));
    assert_eq!(next(&buffer).await, Some(0));
    assert!(buffer.try_lease().is_none() && !buffer.is_full());
}

async fn a_lease_that_is_given_up_takes_nothing_out<S: Subject>() {
    let (buffer, source) = (with_room::<S>(10), Source::default());
    {
        let mut first = Box::pin(buffer.lease());
        assert!(once(&mut first).await.is_pending());
        // It has been woken when it is given up.
        buffer.push(source.batch(0, 1)).await.unwrap();
    }
    assert_eq!(next(&buffer).await, Some(0));
    assert_eq!(source.verdicts(), [Verdict::Safe]);
}

async fn a_batch_that_is_settled_is_gone<S: Subject>() {
    let (buffer, source) = (with_room::<S>(10), Source::default());
    buffer.push(source.batch(0, 3)).await.unwrap();
    if S::KEEPS {
        assert_eq!(source.heard(1).await, [Verdict::Safe]);
    } else {
        assert!(source.verdicts().is_empty());
    }
    let mut batch = timeout(LONG, buffer.lease()).await.expect("a batch, in time").unwrap();
    batch.receipt.split(1).delivered();
    batch.receipt.split(1).dead_lettered();
    batch.receipt.dropped();
    assert!(buffer.try_lease().is_none());
    assert_eq!(source.verdicts(), [Verdict::Safe]);
    assert_eq!(source.ledger.read().in_flight(), 0);
}

async fn a_lease_that_is_dropped_comes_again<S: Subject>() {
    let (buffer, source) = (with_room::<S>(10), Source::default());
    for number in 0..3 {
        buffer.push(source.batch(number, 2)).await.unwrap();
    }
    let mut batch = buffer.lease().await.unwrap();
    batch.receipt.split(1).delivered();
    drop(batch);
    if S::KEEPS {
        assert_eq!(next(&buffer).await, Some(0), "it comes before all that came after it");
        assert!(source.verdicts().iter().all(|verdict| *verdict == Verdict::Safe));
    } else {
        assert_eq!(source.verdicts(), [Verdict::Again]);
    }
    assert_eq!((next(&buffer).await, next(&buffer).await), (Some(1), Some(2)));
    assert_eq!(source.ledger.read().in_flight(), 0);
}

async fn what_is_left_behind_is_not_lost<S: Subject>() {
    let (buffer, source) = (with_room::<S>(10), Source::default());
    buffer.push(source.batch(0, 1)).await.unwrap();
    buffer.leave();
    assert_eq!(source.heard(1).await, [if S::KEEPS { Verdict::Safe } else { Verdict::Again }]);
    assert_eq!(buffer.push(source.batch(1, 1)).await, Err(Closed));
    assert_eq!(source.ledger.read().in_flight(), 0);
}

async fn of_best_effort_what_does_not_fit_is_dropped_and_no_source_waits<S: Subject>() {
    let max_bytes = Some(Bytes(2 * weight()));
    let drops = BufferSettings { max_bytes, when_full: WhenFull::DropNewest, ..BufferSettings::default() };
    let waits = BufferSettings { max_bytes, when_full: WhenFull::Block, ..BufferSettings::default() };
    for (settings, best_effort) in [(drops, false), (waits, true)] {
        let (buffer, source) = (S::open(&settings, best_effort, Tally::noop()), Source::default());
        assert!(buffer.is_best_effort());
        for number in 0..5 {
            timeout(LONG, buffer.push(source.batch(number, 1))).await.expect("it never waits").unwrap();
        }
        assert_eq!(source.verdicts(), [Verdict::Safe; 5]);
        assert!(buffer.is_full() && !buffer.holds_up());
        assert_eq!(source.ledger.read().dropped, 3);
        assert_eq!((next(&buffer).await, next(&buffer).await), (Some(0), Some(1)));
        buffer.push(source.batch(5, 1)).await.unwrap();
        buffer.leave();
        buffer.push(source.batch(6, 1)).await.unwrap();
        timeout(LONG, buffer.ended()).await.expect("it ends");
        let accounts = source.ledger.read();
        let dropped = if S::KEEPS { 4 } else { 5 };
        assert_eq!((accounts.delivered, accounts.dropped, accounts.returned), (2, dropped, 0));
        assert_eq!(accounts.in_flight(), 0);
    }
}

async fn it_tells_what_is_inside<S: Subject>() {
    let (buffer, source) = (with_room::<S>(2), Source::default());
    assert_eq!(buffer.stats(), super::Stats::default());
    buffer.push(source.batch(0, 1)).await.unwrap();
    let stats = buffer.stats();
    assert_eq!((stats.records, stats.bytes, stats.full, stats.closed), (1, weight(), false, false));
    buffer.push(source.batch(1, 1)).await.unwrap();
    let stats = buffer.stats();
    assert_eq!((stats.records, stats.bytes, stats.full), (2, 2 * weight(), true));
    buffer.close();
    assert!(buffer.stats().closed);
    while next(&buffer).await.is_some() {}
    assert_eq!((buffer.stats().records, buffer.stats().bytes), (0, 0));
}

async fn whatever_meets_in_it_comes_out_once<S: Subject>() {
    let (buffer, source) = (with_room::<S>(2), Arc::new(Source::default()));
    let pushes = (0..4).map(|thread| {
        let (buffer, source) = (buffer.clone(), source.clone());
        joined_thread("buffer", move || {
            for number in 0..50 {
                let batch = source.batch(thread * 1000 + number, 1);
                crate::blocking::block_on(buffer.push(batch)).unwrap();
            }
        })
        .unwrap()
    });
    let pushes: Vec<_> = pushes.collect();
    let leases = (0..2).map(|_| {
        let buffer = buffer.clone();
        joined_thread("buffer", move || {
            let mut found = Vec::new();
            while let Some(batch) = crate::blocking::block_on(buffer.lease()) {
                found.push(number(&batch));
                batch.receipt.delivered();
            }
            found
        })
        .unwrap()
    });
    let leases: Vec<_> = leases.collect();
    pushes.into_iter().for_each(|thread| thread.join().unwrap());
    buffer.close();
    let mut found: Vec<i64> = leases.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    found.sort_unstable();
    let expected: Vec<i64> = (0..4).flat_map(|thread| (0..50).map(move |n| thread * 1000 + n)).collect();
    assert_eq!(found, expected);
    assert_eq!(source.ledger.read().delivered, 200);
}
