//! To judge a batch is to do nothing about it.

use std::sync::atomic::{AtomicU64, Ordering};

use ::metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit, with_local_recorder,
};
use parking_lot::Mutex;

use super::faults::settings;
use super::*;
use crate::judge::Judge;
use crate::settle::settle;
use flitch_core::dead_letter::DeadLetters;
use flitch_core::receipt::{self, Ledger};

/// All counters of a thread.
#[derive(Default)]
struct Counters(Mutex<Vec<(String, Arc<AtomicU64>)>>);

impl Counters {
    /// Those that are not zero, without what the plugin counts of its own accord.
    fn counted(&self) -> Vec<(String, u64)> {
        let counters = self.0.lock();
        let read = counters.iter().map(|(name, counter)| (name.clone(), counter.load(Ordering::Relaxed)));
        read.filter(|(name, count)| *count > 0 && name != "flitch_filter_counter_total").collect()
    }
}

impl Recorder for Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let counter = Arc::<AtomicU64>::default();
        self.0.lock().push((key.name().to_owned(), counter.clone()));
        Counter::from_arc(counter)
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// The guest in C, with dead letters in `folder`.
fn judge(folder: &Path) -> Judge {
    let cx = FilterContext { dead_letters: Some(DeadLetters::open(folder).unwrap()), ..context() };
    let settings = settings();
    let plugin = Component::load(&cx.engine, STOCK.origin(&settings.plugin, &cx.folder).unwrap()).unwrap();
    Judge::new(Arc::new(Filter::new("c", &settings, plugin, &cx).unwrap()), None)
}

/// Rows and reasons, without what tells one fault from another of its kind.
fn rows_of(rejected: &[(u32, Arc<str>)]) -> Vec<(u32, &str)> {
    rejected.iter().map(|(row, reason)| (*row, reason.split([';', ' ']).next().unwrap_or_default())).collect()
}

#[test]
fn a_batch_that_is_judged_twice_is_judged_the_same_and_nothing_is_settled() {
    let folder = tempfile::tempdir().unwrap();
    let letters = || -> Vec<_> {
        let files = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap());
        files.filter(|file| file.metadata().unwrap().len() > 0 && file.path().is_file()).collect()
    };
    let counters = Counters::default();
    with_local_recorder(&counters, || {
        let mut judge = judge(folder.path());
        let records = messages(&["a", "REJECT me", "b", "DROP me", "TRAP", "c"]);
        let first = judge.judge(&records);
        let mut second = judge.judge(&records);
        for one in [&first, &second] {
            let uppers: Vec<String> =
                one.parts.iter().flat_map(|part| super::faults::uppers(&part.records)).collect();
            assert_eq!(uppers, ["A", "B", "C"]);
            assert_eq!(rows_of(&one.rejected), [(1, "REJECT"), (4, "trap:")]);
            assert_eq!((one.unjudged.len(), one.dropped, one.grown), (0, 1, 0));
            assert!(one.parts.iter().all(|part| part.is_changed || part.records.rows() == 0));
            assert!(!one.faults.is_empty() && one.faults.iter().all(|kind| *kind == FaultKind::Trap));
            assert_eq!(one.answered.rows, 3);
        }
        assert_eq!(counters.counted(), [], "no record is counted");
        assert_eq!(letters().len(), 0, "no dead letter is written");

        let ledger = Arc::<Ledger>::default();
        let mut receipt = receipt::issue(&ledger, 6, 0, |_| {});
        assert_eq!(settle(judge.filter(), &records, &mut second, &mut receipt, None), []);
        assert_eq!(receipt.records(), 3);
        receipt.delivered();
        let accounts = ledger.read();
        assert_eq!((accounts.delivered, accounts.dropped, accounts.dead_lettered), (3, 1, 2));
        let counted = counters.counted();
        assert!(counted.iter().any(|(name, count)| name.contains("rejected") && *count == 2), "{counted:?}");
        assert_eq!(letters().len(), 1);
    });
}

#[test]
fn a_judgement_says_which_row_each_record_was() {
    let mut alone = super::faults::guest(|settings| settings.on_error = OnError::Pass);
    let judgement = alone.judge(&messages(&["a", "REJECT me", "DROP me", "b"]));
    let part = &judgement.parts[0];
    assert_eq!(super::faults::uppers(&part.records), ["A", "REJECT me", "B"]);
    assert_eq!((part.from, part.rows.as_deref(), part.is_changed), (0, Some(&[0, 1, 3][..]), true));
    assert_eq!(alone.ledger().read().received, 0);
}
