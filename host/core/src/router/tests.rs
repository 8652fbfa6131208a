use arrow_array::Int64Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use parking_lot::Mutex;
use proptest::prelude::*;

use super::*;
use crate::batch::origin::{Origins, Root};
use crate::batch::{Kind, Records, StreamId};
use crate::blocking::block_on;
use crate::receipt::{Ledger, Verdict, issue};

fn batch(ledger: &Arc<Ledger>, numbers: std::ops::Range<i64>, verdicts: &Arc<Mutex<Vec<Verdict>>>) -> Batch {
    let array = Int64Array::from_iter_values(numbers);
    let rows = arrow_array::Array::len(&array);
    let field = Arc::new(Kind::Int64.field("n"));
    let records = Records::of(rows, vec![(field, Arc::new(array))], vec![]).unwrap();
    let verdicts = verdicts.clone();
    let receipt = issue(ledger, rows, rows, move |v| verdicts.lock().push(v));
    Batch { records: Arc::new(records), receipt, stream: StreamId::UNORDERED }
}

fn buffer() -> Buffer {
    Buffer::with_room(16 << 20)
}

fn between(from: i64, to: i64) -> Option<Condition> {
    let settings = serde_json::json!({"field": "n", "at_least": from, "at_most": to - 1});
    Some(serde_json::from_value(settings).unwrap())
}

fn numbers(batch: &Batch) -> Vec<i64> {
    batch.records.column("n").unwrap().array().as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn a_batch_that_goes_whole_is_not_copied() {
    let (ledger, verdicts) = (Arc::default(), Arc::default());
    let (first, second) = (buffer(), buffer());
    let routes = vec![Route::to(first.clone()), Route::to(second.clone()).when(between(0, 100))];
    let batch = batch(&ledger, 0..10, &verdicts);
    let records = batch.records.clone();
    block_on(Router::new(routes, Tally::noop()).push(batch)).unwrap();
    for buffer in [first, second] {
        let batch = buffer.try_lease().unwrap();
        assert!(Arc::ptr_eq(&batch.records, &records));
        batch.receipt.delivered();
    }
    assert_eq!(*verdicts.lock(), [Verdict::Safe]);
}

#[test]
fn records_that_no_route_takes_are_counted_as_dropped() {
    let (ledger, verdicts) = (Arc::default(), Arc::default());
    let taken = buffer();
    let routes =
        vec![Route::to(taken.clone()).when(between(2, 4)), Route::to(buffer()).when(between(20, 30))];
    block_on(Router::new(routes, Tally::noop()).push(batch(&ledger, 0..10, &verdicts))).unwrap();
    assert_eq!(ledger.read().dropped, 8);
    assert!(verdicts.lock().is_empty());
    let batch = taken.try_lease().unwrap();
    assert_eq!(numbers(&batch), [2, 3]);
    batch.receipt.delivered();
    assert_eq!(ledger.read().in_flight(), 0);
    assert_eq!(*verdicts.lock(), [Verdict::Safe]);
}

#[tokio::test]
async fn a_batch_without_a_route_is_dropped_whole() {
    let (ledger, verdicts) = (Arc::default(), Arc::default());
    Router::new(vec![], Tally::noop()).push(batch(&ledger, 0..10, &verdicts)).await.unwrap();
    assert_eq!(ledger.read().dropped, 10);
    assert_eq!(*verdicts.lock(), [Verdict::Safe]);
}

#[test]
fn a_closed_buffer_sends_the_records_back() {
    let (ledger, verdicts) = (Arc::default(), Arc::default());
    let closed = buffer();
    closed.close();
    let router = Router::new(vec![Route::to(closed)], Tally::noop());
    assert_eq!(block_on(router.push(batch(&ledger, 0..3, &verdicts))), Err(Closed));
    assert_eq!(*verdicts.lock(), [Verdict::Again]);
}

proptest! {
    #[test]
    fn every_record_goes_to_each_route_that_takes_it_and_the_accounts_hold(
        ranges in prop::collection::vec(prop::option::of((0i64..12, 0i64..12)), 0..4),
        rows in 0i64..10,
    ) {
        let (ledger, verdicts) = (Arc::default(), Arc::default());
        let outs: Vec<_> = ranges.iter().map(|range| (*range, buffer())).collect();
        let route = |(range, to): &(Option<(i64, i64)>, Buffer)| {
            Route::to(to.clone()).when(range.and_then(|(from, until)| between(from, until)))
        };
        let router = Router::new(outs.iter().map(route).collect(), Tally::noop());
        let batch = batch(&ledger, 0..rows, &verdicts);
        if rows > 0 {
            block_on(router.push(batch)).unwrap();
        } else {
            batch.receipt.dropped();
        }
        let mut routed = std::collections::BTreeSet::new();
        let mut delivered = 0;
        for (range, out) in outs {
            let takes = |n: &i64| range.is_none_or(|(from, until)| (from..until).contains(n));
            let expected: Vec<i64> = (0..rows).filter(takes).collect();
            let batch = out.try_lease();
            prop_assert_eq!(batch.as_ref().map(numbers).unwrap_or_default(), expected.clone());
            delivered += expected.len() as u64;
            routed.extend(expected);
            if let Some(batch) = batch {
                batch.receipt.delivered();
            }
        }
        let accounts = ledger.read();
        prop_assert_eq!(accounts.delivered, delivered);
        prop_assert_eq!(accounts.dropped, rows as u64 - routed.len() as u64);
        prop_assert_eq!(accounts.in_flight(), 0);
        prop_assert_eq!(&*verdicts.lock(), &[Verdict::Safe]);
    }
}

#[test]
fn a_record_has_an_origin_of_its_own_in_each_pipeline_and_is_encoded_once_for_all() {
    let origins = Origins::counted(Root::of("test", &[]), 0, 10);
    let (ledger, verdicts) = (Arc::default(), Arc::default());
    let records = Records::clone(&batch(&ledger, 0..10, &verdicts).records).with_origins(Some(origins));
    let records = Arc::new(records);
    let through = |pipeline: &str| {
        [between(2, 4), None].map(|condition| {
            let out = buffer();
            let batch = Batch { records: records.clone(), ..batch(&ledger, 0..10, &verdicts) };
            let router = Router::new(vec![Route::to(out.clone()).when(condition)], Tally::noop());
            block_on(router.of_pipeline(pipeline).push(batch)).unwrap();
            let batch = out.try_lease().unwrap();
            batch.receipt.delivered();
            batch.records
        })
    };
    let ([one_part, one], [_, other]) = (through("one"), through("other"));
    let id = |records: &Records, row| records.origins().unwrap().id(row);
    assert_eq!([id(&one_part, 0), id(&one_part, 1)], [id(&one, 2), id(&one, 3)]);
    assert_ne!(id(&one, 0), id(&other, 0));
    assert!(Arc::ptr_eq(&one.ndjson(), &other.ndjson()));
}
