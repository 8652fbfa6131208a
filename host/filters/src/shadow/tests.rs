use std::time::Instant;

use serde_json::{Value as Json, json};

use super::*;
use crate::Wasi;
use crate::chain::{Chain, Program};
use crate::tests::{context, messages, records, rows};
use flitch_core::batch::{Batch, StreamId};
use flitch_core::receipt::{self, Accounts, Ledger};
use flitch_core::units::{Bytes, Span};

fn shadow(plugin: &str, settings: Option<Json>) -> ShadowSettings {
    ShadowSettings { plugin: plugin.to_owned(), settings, rate: 1.0, limits: None, examples: 10 }
}

/// The stock plugin `set` with this settings, and a shadow of it with those.
fn set(old: Json, new: Json) -> FilterSettings {
    let mut settings = FilterSettings::of("set");
    settings.settings = old;
    settings.shadow = Some(shadow("set", Some(new)));
    settings
}

/// The guest in C, which does nothing of note, and beside it the same as `change` makes it.
fn beside_c(change: impl FnOnce(&mut ShadowSettings)) -> FilterSettings {
    let plugin = flitch_tests::guests::c_filter().to_str().unwrap().to_owned();
    // It goes by the field `text`, so that the live filter sees nothing of what its shadow dies of.
    let mut settings = FilterSettings::of("set");
    settings.settings = json!({"set": {"seen": true}});
    settings.wasi = Wasi::None;
    let mut shadow = shadow(&plugin, Some(json!({})));
    change(&mut shadow);
    settings.shadow = Some(shadow);
    settings
}

/// One worker's chain of one filter.
struct Bench {
    program: Arc<Program>,
    chain: Chain,
    ledger: Arc<Ledger>,
}

impl Bench {
    fn new(settings: &FilterSettings) -> Bench {
        let program = Arc::new(Program::load(&[("mine", settings)], &context()).unwrap());
        Bench { chain: program.chain(), program, ledger: Arc::default() }
    }

    fn run(&mut self, records: Arc<Records>) -> Vec<Json> {
        let receipt = receipt::issue(&self.ledger, records.rows(), 0, |_| {});
        let batch = self.chain.apply(Batch { records, receipt, stream: StreamId::UNORDERED });
        batch.receipt.delivered();
        rows(&batch.records)
    }

    fn shadow(&self) -> &Arc<Shadow> {
        self.program.filters()[0].shadow.as_ref().unwrap()
    }

    /// The report when so many records are compared or skipped.
    fn report(&self, records: u64) -> Report {
        loop {
            let report = self.shadow().report();
            if report.records + report.skipped >= records {
                return report;
            }
            std::thread::yield_now();
        }
    }
}

#[test]
fn two_that_say_the_same_agree_in_every_record_and_field() {
    let same = json!({"set": {"seen": true}, "rename": {"a": "b"}});
    let mut bench = Bench::new(&set(same.clone(), same));
    let out = bench.run(records(&[json!({"a": 1, "x": "y"}), json!({"a": "text"}), json!({"x": [1]})]));
    assert_eq!(out[0], json!({"b": 1, "x": "y", "seen": true}));
    let report = bench.report(3);
    assert_eq!((report.records, report.same, report.batches, report.skipped), (3, 3, 1, 0));
    assert_eq!(report.outcomes, BTreeMap::from([("kept", BTreeMap::from([("kept", 3)]))]));
    let field = |same| FieldReport { same, ..FieldReport::default() };
    assert_eq!(report.fields["b"], field(2));
    assert_eq!(report.fields["x"], field(2));
    assert_eq!(report.fields["seen"], field(3));
    assert!(report.examples.is_empty());
    assert!(report.old.ns_per_record > 0.0 && report.new.ns_per_record > 0.0);
}

#[test]
fn differences_are_told_by_field_with_kinds_and_examples() {
    let mut bench = Bench::new(&set(
        json!({"set": {"level": "info", "n": 5, "gone": 1, "same": 1}}),
        json!({"set": {"level": "warn", "n": "5", "more": 2, "same": 1}}),
    ));
    let out = bench.run(messages(&["a", "b"]));
    assert_eq!(
        out[1],
        json!({"message": "b", "level": "info", "n": 5, "gone": 1, "same": 1}),
        "of the shadow nothing comes"
    );
    let report = bench.report(2);
    assert_eq!((report.records, report.same), (2, 0));
    let field = |same, different, only_old, only_new| FieldReport {
        same,
        different,
        only_old,
        only_new,
        ..FieldReport::default()
    };
    assert_eq!(report.fields["level"], field(0, 2, 0, 0));
    assert_eq!(report.fields["n"].kinds, BTreeMap::from([("int64 -> text".to_owned(), 2)]));
    assert_eq!(report.fields["gone"], field(0, 0, 2, 0));
    assert_eq!(report.fields["more"], field(0, 0, 0, 2));
    assert_eq!(report.fields["same"], field(2, 0, 0, 0));
    assert_eq!(report.fields["message"], field(2, 0, 0, 0));
    let example = |field: &str| report.examples.iter().find(|e| e.field.as_deref() == Some(field)).unwrap();
    assert_eq!(example("n").old.as_deref(), Some("5"));
    assert_eq!(example("n").new.as_deref(), Some("\"5\""));
    assert_eq!((&example("gone").new, &example("more").old), (&None, &None));
}

#[test]
fn no_value_is_shown_that_was_not_asked_for_and_no_more_than_were() {
    let differing = || set(json!({"set": {"level": "info"}}), json!({"set": {"level": "x".repeat(1000)}}));
    let mut silent = differing();
    silent.shadow.as_mut().unwrap().examples = 0;
    let mut bench = Bench::new(&silent);
    bench.run(messages(&["a secret"; 100]));
    let report = bench.report(100);
    assert_eq!(report.fields["level"].different, 100);
    let text = serde_json::to_string(&report).unwrap();
    assert!(!text.contains("secret") && !text.contains("info"), "{text}");

    let mut bench = Bench::new(&differing());
    for n in 1..=5 {
        bench.run(messages(&["a"; 100]));
        bench.report(n * 100);
    }
    let report = bench.report(500);
    assert_eq!(report.examples.len(), 3, "of one field");
    assert!(report.examples.iter().all(|example| example.new.as_ref().unwrap().len() < 300));
}

#[test]
fn what_becomes_of_records_is_compared_too() {
    let mut settings = FilterSettings::of("match");
    settings.settings = json!({"keep": {"field": "n", "at_least": 3}});
    let mut other = shadow("match", Some(json!({"keep": {"field": "n", "at_least": 5}})));
    other.examples = 100;
    settings.shadow = Some(other);
    let mut bench = Bench::new(&settings);
    let out = bench.run(records(&(0..10).map(|n| json!({"n": n})).collect::<Vec<_>>()));
    assert_eq!(out.len(), 7);
    let report = bench.report(10);
    let by = |pairs: &[(&'static str, u64)]| pairs.iter().copied().collect::<BTreeMap<_, _>>();
    assert_eq!(report.outcomes["kept"], by(&[("kept", 5), ("dropped", 2)]));
    assert_eq!(report.outcomes["dropped"], by(&[("dropped", 3)]));
    assert_eq!((report.same, report.fields["n"].same), (8, 5));
    assert_eq!(report.examples.len(), 2);
    assert_eq!(report.examples[0].new.as_deref(), Some("dropped"));
    let accounts: Accounts = bench.ledger.read();
    assert_eq!((accounts.delivered, accounts.dropped, accounts.in_flight()), (7, 3, 0), "it settles nothing");
}

/// Runs batches with this message beside good ones through a filter whose shadow dies of it. The live side must be as if
/// there were none.
fn survives(poison: &str, kind: &str) {
    let mut bench = Bench::new(&beside_c(|shadow| {
        shadow.limits = Some(crate::LimitSettings {
            memory: Bytes(8 << 20),
            time: Span(Duration::from_millis(50)),
            ..Default::default()
        });
    }));
    for _ in 0..3 {
        let out = bench.run(messages(&["good", poison, "better"]));
        let expected = ["good", poison, "better"].map(|text| json!({"message": text, "seen": true})).to_vec();
        assert_eq!(out, expected, "{poison}");
    }
    let report = bench.report(9);
    assert!(report.new.faults.contains_key(kind), "{poison}: {report:?}");
    assert!(report.old.faults.is_empty());
    assert!(report.outcomes["kept"]["rejected"] >= 1, "{poison}: {report:?}");
    let accounts = bench.ledger.read();
    assert_eq!((accounts.delivered, accounts.dead_lettered, accounts.in_flight()), (9, 0, 0), "{poison}");
}

#[test]
fn a_shadow_that_traps_spins_eats_memory_or_answers_nonsense_costs_the_filter_nothing() {
    survives("TRAP", "trap");
    survives("SPIN", "deadline");
    survives("HOG", "memory");
    survives("NONSENSE row", "answer");
    survives("NONSENSE huge", "answer");
}

#[test]
fn a_filter_never_waits_for_its_shadow_and_what_it_cannot_take_is_skipped_and_counted() {
    // The shadow spins for long over the first batch.
    let mut bench = Bench::new(&beside_c(|shadow| {
        shadow.limits =
            Some(crate::LimitSettings { time: Span(Duration::from_secs(20)), ..Default::default() });
    }));
    bench.run(messages(&["SPIN"]));
    for n in 0..200 {
        assert_eq!(bench.run(messages(&["good"])).len(), 1, "{n}");
    }
    let report = bench.shadow().report();
    assert_eq!(report.records, 0, "it is at its first batch yet");
    assert!(report.skipped >= 200 - WAITING as u64, "{report:?}");
    // The thread is left behind, and stops at the end of the test's process.
}

#[test]
fn no_more_bytes_are_held_for_a_shadow_than_a_bound() {
    let mut bench = Bench::new(&beside_c(|shadow| {
        shadow.limits =
            Some(crate::LimitSettings { time: Span(Duration::from_secs(20)), ..Default::default() });
    }));
    bench.run(messages(&["SPIN"]));
    let large = "x".repeat(7 << 20);
    for _ in 0..4 {
        bench.run(messages(&[&large]));
        assert!(bench.shadow().held.load(Ordering::Relaxed) <= MAX_HELD);
    }
    assert!(bench.shadow().report().skipped >= 3);
}

#[test]
fn as_many_batches_are_taken_as_the_rate_says() {
    for (rate, wanted) in [(1.0, 1000), (0.25, 250), (0.1, 100), (0.001, 1)] {
        let mut settings = set(json!({"set": {"a": 1}}), json!({"set": {"a": 1}}));
        settings.shadow.as_mut().unwrap().rate = rate;
        let bench = Bench::new(&settings);
        let taken = (0..1000).filter(|_| bench.shadow().takes()).count();
        assert!(taken.abs_diff(wanted) <= 1, "{rate}: {taken}");
    }
}

#[test]
fn a_shadow_that_cannot_be_used_is_refused_as_a_plugin_is() {
    let refused = |change: fn(&mut ShadowSettings)| {
        let mut settings = set(json!({"set": {"a": 1}}), json!({"set": {"a": 1}}));
        change(settings.shadow.as_mut().unwrap());
        let failed = Program::load(&[("mine", &settings)], &context()).unwrap_err();
        assert!(failed.error.is::<ShadowError>(), "{failed}");
        failed.to_string()
    };
    assert!(
        refused(|s| s.plugin = "sett".to_owned())
            .contains("filter `mine`: its shadow: no stock plugin is named `sett`")
    );
    assert!(refused(|s| s.settings = Some(json!({"sett": {}}))).contains("refuses its settings"));
    for rate in [0.0, -1.0, 1.1, f64::NAN] {
        let mut settings = set(json!({"set": {"a": 1}}), json!({"set": {"a": 1}}));
        settings.shadow.as_mut().unwrap().rate = rate;
        let failed = Program::load(&[("mine", &settings)], &context()).unwrap_err().to_string();
        assert!(failed.contains("rate"), "{failed}");
    }
    assert!(refused(|s| s.examples = 101).contains("more than 100"));
}

#[test]
fn a_shadow_ends_with_its_filter() {
    let mut bench = Bench::new(&set(json!({"set": {"a": 1}}), json!({"set": {"a": 1}})));
    bench.run(messages(&["one"]));
    bench.report(1);
    let shadow = Arc::downgrade(bench.shadow());
    let report = Arc::downgrade(&bench.shadow().report);
    drop(bench);
    assert!(shadow.upgrade().is_none());
    let began = Instant::now();
    // The thread holds the report for as long as it runs.
    while report.upgrade().is_some() {
        assert!(began.elapsed() < Duration::from_secs(60), "its thread is still there");
        std::thread::yield_now();
    }
}

#[test]
fn a_new_shadow_file_is_taken_without_a_new_generation_of_the_filter_and_a_broken_one_leaves_what_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shadow.wasm");
    std::fs::copy(flitch_tests::guests::c_filter(), &path).unwrap();
    let mut settings = FilterSettings::of("set");
    settings.settings = json!({"set": {"a": 1}});
    settings.shadow = Some(shadow(path.to_str().unwrap(), Some(json!({}))));
    let program = Program::load(&[("mine", &settings)], &context()).unwrap();
    assert_eq!(program.files().collect::<Vec<_>>(), std::slice::from_ref(&path));
    assert!(!program.is_stale());
    let filters = [("mine", &settings)];
    let running = [&program];
    let beside = crate::swap::Beside { running: &running, which: crate::swap::Which::Changed, workers: 1 };
    std::fs::write(&path, "half of it").unwrap();
    assert!(program.is_stale());
    let next = crate::swap::next(beside, &filters, &context()).unwrap();
    assert!(crate::swap::is_same(&program, &next.program));
    assert!(next.kept[0].to_string().contains("its shadow"), "{:?}", next.kept);
    std::fs::copy(flitch_tests::guests::stateful_c_filter(), &path).unwrap();
    let next = crate::swap::next(beside, &filters, &context()).unwrap();
    assert!(next.kept.is_empty() && !crate::swap::is_same(&program, &next.program));
    goes_on(&program, &next.program);

    let mut other = settings.clone();
    other.shadow = None;
    let next = crate::swap::next(beside, &[("mine", &other)], &context()).unwrap();
    assert!(next.program.filters()[0].shadow.is_none());
    goes_on(&program, &next.program);
    other.settings = json!({"set": {"a": 2}});
    let next = crate::swap::next(beside, &[("mine", &other)], &context()).unwrap();
    crate::swap::take_over(&program, &next.program);
    let probation = next.program.filters()[0].on_probation().unwrap();
    assert_eq!(probation.before, program.filters()[0].plugin().sha256());
    assert_eq!((probation.records, probation.lost, probation.rejected), (0, 0, 0));
}

/// The filter of a program is that of the one before, with the same past.
fn goes_on(before: &Program, after: &Program) {
    crate::swap::take_over(before, after);
    let (before, after) = (&before.filters()[0], &after.filters()[0]);
    assert!(Arc::ptr_eq(&before.past, &after.past) && after.on_probation().is_none());
}

use report::FieldReport;
use std::collections::BTreeMap;
