//! Batches of which more comes than may be held at a time.

use std::time::Duration;

use flitch_core::batch::builder::MAX_COLUMNS;
use flitch_core::batch::value::Scalar;
use flitch_core::batch::{Batch, StreamId};
use flitch_core::receipt::{self, Ledger, Verdict};
use flitch_core::units::Span;
use flitch_model::MAX_SET;

use super::*;
use crate::guest::FaultKind;
use crate::judge::Judge;

/// Elements of the array of each record, and records.
const PARTS: usize = 1000;
const RECORDS: usize = 40;
/// What is held, and one answer more of a record that stands alone.
const MOST: usize = (8 << 20) + (2 << 20);

/// Records of 3 kB, each of which becomes 900 kB, and together more than all of them may.
fn large() -> Arc<Records> {
    let text = "x".repeat(900);
    records(&(0..RECORDS).map(|n| json!({"n": n, "t": text, "arr": vec![1; PARTS]})).collect::<Vec<_>>())
}

fn program() -> Arc<Program> {
    let mut split = FilterSettings::of("split");
    split.settings = json!({"field": "arr"});
    let mut mark = FilterSettings::of("set");
    mark.settings = json!({"set": {"seen": true}});
    Arc::new(Program::load(&[("split", &split), ("mark", &mark)], &context()).unwrap())
}

fn numbers(records: &Records) -> Vec<i64> {
    let column = records.column("n").unwrap();
    let number = |row| match column.scalar(row) {
        Some(Scalar::Int(number)) => number,
        other => panic!("{other:?}"),
    };
    (0..records.rows()).map(number).collect()
}

/// The number of each record as often as it has parts.
fn all() -> Vec<i64> {
    (0..RECORDS as i64).flat_map(|number| std::iter::repeat_n(number, PARTS)).collect()
}

#[test]
fn what_comes_of_a_batch_that_is_cut_up_goes_on_in_pieces_in_order() {
    let ledger = Arc::<Ledger>::default();
    let (tell, told) = crossbeam_channel::bounded(1);
    let receipt = receipt::issue(&ledger, RECORDS, 0, move |verdict| tell.send(verdict).unwrap());
    let mut chain = program().chain();
    let (mut found, mut pieces) = (Vec::new(), 0);
    let mut take = |piece: Batch| {
        assert_eq!(piece.records.rows() as u64, piece.receipt.records());
        assert!(piece.records.memory() <= MOST, "{} bytes", piece.records.memory());
        assert!(piece.records.column("seen").is_some(), "it went through all filters");
        found.extend(numbers(&piece.records));
        pieces += 1;
        piece.receipt.delivered();
    };
    let batch = Batch { records: large(), receipt, stream: StreamId::next() };
    let last = chain.apply_in_pieces(0, batch, &mut take);
    assert!(told.is_empty(), "the last piece is on its way");
    take(last);
    assert_eq!(found, all());
    assert!(pieces >= 4, "{pieces}");
    assert_eq!(told.try_recv(), Ok(Verdict::Safe));
    let accounts = ledger.read();
    assert_eq!((accounts.delivered, accounts.in_flight()), ((RECORDS * PARTS) as u64, 0));
}

#[test]
fn who_takes_all_at_once_gets_all_of_it() {
    let receipt = receipt::issue(&Arc::default(), RECORDS, 0, |_| {});
    let batch = Batch { records: large(), receipt, stream: StreamId::UNORDERED };
    let out = program().chain().apply(batch);
    assert_eq!(out.receipt.records(), (RECORDS * PARTS) as u64);
    assert_eq!(numbers(&out.records), all());
    out.receipt.delivered();
}

#[test]
fn a_judge_that_keeps_nothing_says_the_same_of_each_record() {
    let filter = &program().filters()[0].clone();
    let said = Judge::new(filter.clone(), None).keeping_nothing().judge(&large());
    assert!(said.parts.is_empty() && said.faults.contains(&FaultKind::Answer));
    assert!(said.rejected.is_empty() && said.unjudged.is_empty());
    let (some, judged) = Judge::new(filter.clone(), None).judge_some(&large());
    assert!(judged > 0 && judged < RECORDS);
    let held: usize = some.parts.iter().map(|part| part.records.memory()).sum();
    assert!((8 << 20..=MOST).contains(&held), "{held}");
}

/// A plugin, its settings, and the record of each number.
type Case<'a> = (&'a str, Json, &'a dyn Fn(usize) -> Json);

#[test]
fn records_that_share_no_names_go_on_in_pieces_of_few_columns_and_are_what_they_are_alone() {
    let members = |record: usize| (0..200).map(move |name| (format!("k{record}_{name}"), json!(name)));
    let object = |record| Json::Object(members(record).collect());
    let line = |record| members(record).map(|(name, value)| format!("{name}={value} ")).collect::<String>();
    const NAMES: &str = "function names(tag, time, record)
        local made = {}
        for name = 1, 200 do made['k' .. record.n .. '_' .. name] = name end
        return 2, time, made
    end";
    let cases: [Case<'_>; 4] = [
        ("json", json!({}), &|record| json!({"message": object(record).to_string()})),
        ("logfmt", json!({}), &|record| json!({"message": line(record)})),
        ("flatten", json!({"separator": "_"}), &|record| json!({"in": object(record)})),
        ("lua", json!({"call": "names", "code": NAMES}), &|record| json!({"n": record})),
    ];
    for (plugin, settings, record) in cases {
        let mut filter = FilterSettings::of(plugin);
        (filter.settings, filter.limits.time) = (settings, Span(Duration::from_secs(600)));
        let all: Vec<Json> = (0..60).map(record).collect();
        let mut alone = Alone::load(plugin, &filter, &context()).unwrap();
        let one_by_one: Vec<Json> =
            all.iter().flat_map(|one| rows(&alone.run(records(std::slice::from_ref(one))).0)).collect();

        let program = Arc::new(Program::load(&[(plugin, &filter)], &context()).unwrap());
        let receipt = receipt::issue(&Arc::<Ledger>::default(), all.len(), 0, |_| {});
        let (mut found, mut widest) = (Vec::new(), 0);
        let mut take = |piece: Batch| {
            widest = widest.max(piece.records.iter().count());
            found.extend(rows(&piece.records));
            piece.receipt.delivered();
        };
        let batch = Batch { records: records(&all), receipt, stream: StreamId::next() };
        let last = program.chain().apply_in_pieces(0, batch, &mut take);
        take(last);
        assert_eq!(found, one_by_one, "{plugin}");
        assert!(widest <= MAX_COLUMNS + MAX_SET, "{plugin}: {widest}");
    }
}
