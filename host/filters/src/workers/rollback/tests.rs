use std::path::Path;

use serde_json::json;

use super::*;
use crate::chain::try_out;
use crate::tests::{context, messages, rows};
use crate::{Component, FilterContext, FilterSettings};
use flitch_core::batch::{Batch, StreamId};
use flitch_core::blocking::block_on;
use flitch_core::buffers::Buffer;
use flitch_core::dead_letter::{DeadLetterSettings, DeadLetters, WhenFull};
use flitch_core::receipt::{self, Ledger};
use flitch_core::router::{Route, Router};
use flitch_core::telemetry::Tally;
use flitch_core::units::Bytes;

/// A pipeline of two workers with one filter, `mine`.
struct Bench {
    folder: tempfile::TempDir,
    cx: FilterContext,
    workers: Option<Workers>,
    buffer: Buffer,
    ledger: Arc<Ledger>,
    stream: StreamId,
    sent: usize,
}

/// The stock plugin `dissect`, which takes everything and writes `first` and `second`.
fn dissect() -> FilterSettings {
    let mut settings = FilterSettings::of("dissect");
    settings.settings = json!({"pattern": "%{first} %{second}"});
    settings
}

/// The guest in C, which rejects what begins with `REJECT`, and writes `upper`.
fn guest_in_c() -> FilterSettings {
    FilterSettings::of(flitch_tests::guests::c_filter().to_str().unwrap())
}

impl Bench {
    fn start(first: &FilterSettings) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let cx = FilterContext { dead_letters: Some(DeadLetters::open(folder.path()).unwrap()), ..context() };
        let buffer = Buffer::with_room(1 << 30);
        let router = Arc::new(Router::new(vec![Route::to(buffer.clone())], Tally::noop()));
        let program = Arc::new(Program::of(vec![filter(first, &cx)]));
        let workers = Some(
            Workers::start("test", program, 2, router, &crate::saved::States::in_memory(), &Arc::default())
                .unwrap(),
        );
        Bench { folder, cx, workers, buffer, ledger: Arc::default(), stream: StreamId::next(), sent: 0 }
    }

    fn workers(&self) -> &Workers {
        self.workers.as_ref().unwrap()
    }

    fn swap(&self, to: &FilterSettings) -> Arc<Filter> {
        let filter = filter(to, &self.cx);
        self.workers().swap(Arc::new(Program::of(vec![filter.clone()])));
        filter
    }

    /// Sends `batches` of 20 records each, which begin with `word` and have a number each.
    fn send(&mut self, batches: usize, word: &str) {
        for _ in 0..batches {
            let texts: Vec<String> = (self.sent..self.sent + 20).map(|n| format!("{word} {n}")).collect();
            self.sent += 20;
            let records = messages(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            let receipt = receipt::issue(&self.ledger, 20, 0, |_| {});
            let batch = Batch { records, receipt, stream: self.stream };
            block_on(self.workers().inlet().push(batch, &Pass::default())).unwrap();
        }
    }

    /// Waits until so many records were judged by a filter.
    fn judged(&self, filter: &Filter, count: u64) {
        while filter.past.conduct.read().rows < count {
            std::thread::yield_now();
        }
    }

    fn first(&self) -> Arc<Filter> {
        self.workers().program().filters()[0].clone()
    }

    /// What comes out until all workers have ended: the numbers in order, each with the first of the columns that filters
    /// write.
    fn end(&mut self) -> Vec<(usize, &'static str)> {
        self.workers.take().unwrap().finish();
        let mut out = Vec::new();
        while let Some(batch) = self.buffer.try_lease() {
            for row in rows(&batch.records) {
                // `dissect` takes the text away.
                let text = row.get("message").or(row.get("second")).and_then(|text| text.as_str()).unwrap();
                let number = text.rsplit(' ').next().unwrap().parse().unwrap();
                let by =
                    ["upper", "second"].into_iter().find(|name| row.get(name).is_some()).unwrap_or("nobody");
                out.push((number, by));
            }
            batch.receipt.delivered();
        }
        assert_eq!(self.ledger.read().in_flight(), 0);
        out.sort_unstable();
        out
    }

    /// Has room for no more letters among those that there are.
    fn fill_the_letters(&self) {
        let letters = self.cx.dead_letters.as_ref().unwrap();
        letters.raw("source", "in", [("it is here first", &b"letter"[..])]).unwrap();
        let (max_bytes, when_full) = (Bytes(1), WhenFull::Stop);
        letters.configure(&DeadLetterSettings { max_bytes, when_full, ..DeadLetterSettings::default() });
    }

    /// How many letters there are.
    fn letters(&self) -> usize {
        letters(self.folder.path())
    }
}

fn letters(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let letters = files.filter(|path| path.extension().is_some_and(|ending| ending == "ndjson"));
    letters.map(|path| std::fs::read_to_string(path).unwrap().lines().count()).sum()
}

fn filter(settings: &FilterSettings, cx: &FilterContext) -> Arc<Filter> {
    let plugin = Component::load(&cx.engine, cx.stock.origin(&settings.plugin, &cx.folder).unwrap()).unwrap();
    try_out("mine", settings, plugin, cx).unwrap()
}

#[test]
fn a_generation_that_rejects_more_goes_by_itself_and_what_it_rejected_is_run_again() {
    let mut bench = Bench::start(&dissect());
    let first = bench.first();
    bench.send(20, "REJECT");
    bench.judged(&first, 400);
    let later = bench.swap(&guest_in_c());
    bench.send(50, "REJECT");
    bench.judged(&first, 500);
    let [back] = &bench.workers().generations().look()[..] else { panic!() };
    assert!(Arc::ptr_eq(&back.from, &later) && Arc::ptr_eq(&back.to, &first));
    assert!(back.reason.starts_with("it rejected "), "{}", back.reason);
    let sent = bench.sent;
    let out = bench.end();
    let want: Vec<_> = (0..sent).map(|number| (number, "second")).collect();
    assert_eq!(out, want, "each is there once, and none by the generation that had to go");
    assert_eq!(bench.letters(), 0, "what arrived is taken back from the dead letters");
    let accounts = bench.ledger.read();
    assert_eq!(accounts.delivered, sent as u64);
    assert_eq!((accounts.restored, accounts.dead_lettered), (accounts.dead_lettered, accounts.restored));
    assert!(accounts.restored > 0);
}

#[test]
fn what_is_rejected_on_probation_is_on_disk_at_once_and_what_both_reject_is_a_letter_once() {
    let mut bench = Bench::start(&guest_in_c());
    bench.send(10, "REJECT");
    let first = bench.first();
    bench.judged(&first, 200);
    let mut settings = guest_in_c();
    settings.limits.answer = 9;
    let later = bench.swap(&settings);
    bench.send(10, "REJECT");
    bench.judged(&later, 200);
    while bench.letters() < 400 {
        std::thread::yield_now();
    }
    assert!(bench.workers().generations().look().is_empty(), "it is no worse than the one before");
    assert!(bench.workers().generations().roll_back("mine", "somebody asked for it"));
    assert!(
        !bench.workers().generations().roll_back("mine", "somebody asked for it"),
        "nothing is before the first"
    );
    assert!(!bench.workers().generations().roll_back("other", "somebody asked for it"));
    assert_eq!(bench.end(), []);
    assert_eq!(bench.letters(), 400);
    assert!(Arc::ptr_eq(&bench.workers_filter_before(&later), &first));
}

impl Bench {
    fn workers_filter_before(&self, filter: &Filter) -> Arc<Filter> {
        filter.past.probation().unwrap().old.clone()
    }
}

#[test]
fn a_generation_that_cannot_survive_records_goes_by_itself() {
    let mut bench = Bench::start(&dissect());
    let first = bench.first();
    bench.send(1, "fine");
    bench.judged(&first, 20);
    bench.swap(&guest_in_c());
    bench.send(2, "TRAP");
    bench.judged(&first, 21);
    bench.send(2, "TRAP");
    let [back] = &bench.workers().generations().look()[..] else { panic!() };
    assert!(back.reason.starts_with("it could not survive "), "{}", back.reason);
    assert!(bench.end().iter().all(|(_, by)| *by == "second"));
}

#[test]
fn a_generation_that_is_to_go_does_not_wait_for_room_among_the_dead_letters() {
    for by_hand in [false, true] {
        let mut bench = Bench::start(&dissect());
        let first = bench.first();
        bench.send(20, "REJECT");
        bench.judged(&first, 400);
        bench.fill_the_letters();
        let later = bench.swap(&guest_in_c());
        bench.send(2, "REJECT");
        bench.judged(&later, 40);
        let generations = bench.workers().generations();
        assert!(!by_hand || generations.roll_back("mine", "somebody asked for it"));
        let [back] = &generations.look()[..] else { panic!("it stays, and its pipeline with it") };
        assert!(Arc::ptr_eq(&back.from, &later) && Arc::ptr_eq(&back.to, &first));
        bench.send(10, "REJECT");
        let sent = bench.sent;
        let out = bench.end();
        let after: Vec<_> = out.into_iter().filter(|(number, _)| *number >= 440).collect();
        assert_eq!(after, (440..sent).map(|number| (number, "second")).collect::<Vec<_>>());
        assert_eq!(bench.letters(), 1, "what it rejected is sent again by its source, or was judged anew");
    }
}

#[test]
fn one_that_stood_its_probation_can_still_be_put_back_by_hand_and_is_not_taken_up_again_by_itself() {
    let mut bench = Bench::start(&dissect());
    let first = bench.first();
    let mut settings = guest_in_c();
    settings.probation.r#for = flitch_core::units::Span(std::time::Duration::ZERO);
    let later = bench.swap(&settings);
    assert!(!later.past.probation().unwrap().is_open());
    bench.send(1, "REJECT");
    bench.judged(&later, 20);
    assert!(bench.workers().generations().look().is_empty());
    assert!(bench.workers().generations().runs(&later) && !bench.workers().generations().runs(&first));
    assert!(bench.workers().generations().roll_back("mine", "somebody asked for it"));
    assert!(bench.workers().generations().runs(&first));
    let spurned = first.past.spurned().unwrap();
    assert_eq!((&*spurned.sha256, &spurned.settings), (later.plugin().sha256(), &settings));
    bench.send(1, "a");
    assert_eq!(bench.end().len(), 20);
    assert_eq!(bench.letters(), 20, "what it rejected is no affair of a probation that is over");
}

#[test]
fn a_batch_that_is_judged_while_its_filter_is_put_back_is_judged_by_the_one_before() {
    let bench = Bench::start(&dissect());
    let later = bench.swap(&guest_in_c());
    let mut chain = bench.workers().program().chain();
    later.past.probation().unwrap().fail().unwrap();
    let receipt = receipt::issue(&bench.ledger, 2, 0, |_| {});
    let records = messages(&["REJECT 1", "b 2"]);
    let batch = chain.apply(Batch { records, receipt, stream: StreamId::UNORDERED });
    assert!(rows(&batch.records).iter().all(|row| row.get("second").is_some()));
    assert_eq!(batch.receipt.records(), 2);
    batch.receipt.delivered();
    assert_eq!(bench.letters(), 0);
}
