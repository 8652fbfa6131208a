use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::Workers;
use crate::saved::States;
use crate::tests::STOCK;
use crate::tests::{context, messages, rows};
use flitch_core::batch::{Batch, StreamId};
use flitch_core::blocking::block_on;
use flitch_core::buffers::Buffer;
use flitch_core::inlet::Pass;
use flitch_core::receipt::{self, Ledger};
use flitch_core::router::{Route, Router};
use flitch_core::telemetry::Tally;

/// A plugin file that is the guest in C at first, which writes `upper`.
struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
    settings: FilterSettings,
}

impl File {
    fn new() -> File {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.wasm");
        std::fs::copy(flitch_tests::guests::c_filter(), &path).unwrap();
        let mut settings = FilterSettings::of(path.to_str().unwrap());
        settings.settings = json!({"pattern": "%{first} %{second}"});
        File { _folder: folder, path, settings }
    }

    /// The stock plugin `dissect`, which writes `first` and `second`.
    fn write_dissect(&self) {
        std::fs::write(&self.path, STOCK.component("dissect").unwrap()).unwrap();
    }

    fn load(&self) -> Arc<Program> {
        Arc::new(Program::load(&[("mine", &self.settings)], &context()).unwrap())
    }

    fn next(&self, old: &Program) -> Result<Next, LoadError> {
        next(beside(&[old]), &[("mine", &self.settings)], &context())
    }

    fn write_nonsense(&self) {
        std::fs::write(&self.path, b"\0asm\x0d\0\x01\0 half of it").unwrap();
    }
}

fn beside<'a>(running: &'a [&'a Program]) -> Beside<'a> {
    Beside { running, which: Which::Changed, workers: 1 }
}

#[test]
fn a_program_is_stale_when_a_file_has_other_code() {
    let file = File::new();
    let program = file.load();
    assert!(!program.is_stale());
    std::fs::copy(flitch_tests::guests::c_filter(), &file.path).unwrap();
    assert!(!program.is_stale(), "the same code written again is no new generation");
    file.write_dissect();
    assert!(program.is_stale());
    std::fs::remove_file(&file.path).unwrap();
    assert!(!program.is_stale(), "a file that is gone has no new code");
    assert_eq!(program.files().collect::<Vec<_>>(), std::slice::from_ref(&file.path));
}

#[test]
fn a_file_that_cannot_be_used_leaves_the_filter_as_it_is_and_says_why() {
    let file = File::new();
    let program = file.load();
    file.write_nonsense();
    let next = file.next(&program).unwrap();
    assert!(is_same(&program, &next.program));
    assert_eq!(next.kept[0].filter, "mine");
    assert!(format!("{:#}", next.kept[0].error).contains("flitch can compile"), "{:?}", next.kept);
    assert!(next.program.is_stale(), "the next reload tries again");
    file.write_dissect();
    let next = file.next(&program).unwrap();
    assert!(next.kept.is_empty() && !is_same(&program, &next.program));
}

#[test]
fn a_broken_file_does_not_hold_up_the_other_filters() {
    let file = File::new();
    let program = file.load();
    file.write_nonsense();
    let mut other = FilterSettings::of("set");
    other.settings = json!({"set": {"seen": true}});
    let filters = [("new", &other), ("mine", &file.settings)];
    let next = next(beside(&[&program]), &filters, &context()).unwrap();
    assert_eq!(next.kept.len(), 1);
    let mut chain = Arc::new(next.program).chain();
    let receipt = receipt::issue(&Arc::<Ledger>::default(), 1, 0, |_| {});
    let batch = chain.apply(Batch { records: messages(&["a b"]), receipt, stream: StreamId::next() });
    assert_eq!(rows(&batch.records), [json!({"message": "a b", "seen": true, "upper": "A"})]);
    batch.receipt.delivered();
}

#[test]
fn who_asks_for_one_filter_gets_no_other_that_has_changed_and_those_go_on_with_their_instances() {
    let (one, other) = (File::new(), File::new());
    let filters = [("one", &one.settings), ("other-filter", &other.settings)];
    let program = Arc::new(Program::load(&filters, &context()).unwrap());
    let mut chain = program.chain();
    one.write_dissect();
    other.write_dissect();
    let running: [&Program; 1] = [&program];
    let asked = Beside { which: Which::One("one"), ..beside(&running) };
    let next_one = Arc::new(next(asked, &filters, &context()).unwrap().program);
    let filters_of = |program: &Program| program.filters().to_vec();
    let (before, after) = (filters_of(&program), filters_of(&next_one));
    assert!(!same(&before[0], &after[0]) && Arc::ptr_eq(&before[1], &after[1]));
    let instance = |chain: &chain::Chain| chain.steps[1].instance().map(std::ptr::from_ref);
    chain.change(&next_one);
    let wanted: Vec<_> = chain.wanted().collect();
    assert_eq!(wanted.len(), 2, "each has an instance before the first batch comes");
    assert!(instance(&chain).is_some());
    // What stands in the file already is no new generation, however often somebody asks.
    let running: [&Program; 1] = [&next_one];
    let asked = Beside { which: Which::One("one"), ..beside(&running) };
    assert!(is_same(&next_one, &next(asked, &filters, &context()).unwrap().program));
    std::fs::remove_file(&one.path).unwrap();
    let kept = next(asked, &filters, &context()).unwrap().kept;
    assert_eq!(kept[0].filter, "one", "a file that is gone is told to who asks for it");
}

#[test]
fn a_filter_whose_settings_and_file_changed_is_refused_with_its_reason() {
    let mut file = File::new();
    let program = file.load();
    file.write_nonsense();
    file.settings.settings = json!({"pattern": "%{other}"});
    let error = file.next(&program).unwrap_err();
    assert_eq!(error.filter, "mine");
    assert!(format!("{:#}", error.error).contains("flitch can compile"), "{error:?}");
}

/// Pushes batches of one stream through two workers and swaps in between. Each batch must come out once, in order, and
/// all its records from one generation.
#[test]
fn workers_swap_between_batches_and_no_record_is_lost_or_seen_twice() {
    let file = File::new();
    let old = file.load();
    file.write_dissect();
    let new = Arc::new(file.next(&old).unwrap().program);
    let buffer = Buffer::with_room(1 << 30);
    let router = Arc::new(Router::new(vec![Route::to(buffer.clone())], Tally::noop()));
    let workers = Workers::start("test", old, 2, router, &States::in_memory(), &Arc::default()).unwrap();
    let (ledger, stream, pass) = (Arc::<Ledger>::default(), StreamId::next(), Pass::default());
    for number in 0..300 {
        if number == 150 {
            workers.swap(new.clone());
        }
        let texts: Vec<String> = (0..4).map(|row| format!("b{number} r{row}")).collect();
        let records = messages(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let receipt = receipt::issue(&ledger, 4, 0, |_| {});
        block_on(workers.inlet().push(Batch { records, receipt, stream }, &pass)).unwrap();
    }
    workers.finish();
    let (mut numbers, mut generations) = (Vec::new(), Vec::new());
    while let Some(batch) = buffer.try_lease() {
        let rows = rows(&batch.records);
        let names = |row: &serde_json::Value| (row.get("upper").is_some(), row.get("second").is_some());
        assert!(rows.iter().all(|row| names(row) == names(&rows[0])), "{rows:?}");
        generations.push(names(&rows[0]));
        let texts = rows.iter().map(|row| row["message"].as_str());
        numbers.extend(texts.map(|text| text.map(str::to_owned)));
        batch.receipt.delivered();
    }
    assert_eq!(generations.len(), 300);
    assert_eq!((generations[0], generations[299]), ((true, false), (false, true)));
    assert_eq!(ledger.read().delivered, 1200);
    assert_eq!(ledger.read().in_flight(), 0);
}

#[tokio::test]
async fn a_file_that_is_written_anew_is_noticed() {
    let file = File::new();
    let mut watch = Watch::new();
    watch.follow(std::slice::from_ref(&file.path).to_vec());
    let quiet = tokio::time::timeout(Duration::from_millis(1), watch.changed()).await;
    assert!(quiet.is_err(), "nothing has changed yet");
    file.write_dissect();
    tokio::time::timeout(Duration::from_secs(30), watch.changed()).await.unwrap();
    // By a rename, as package managers do.
    let aside = file.path.with_extension("new");
    std::fs::copy(flitch_tests::guests::c_filter(), &aside).unwrap();
    std::fs::rename(&aside, &file.path).unwrap();
    tokio::time::timeout(Duration::from_secs(30), watch.changed()).await.unwrap();
}

/// The way in which Kubernetes mounts a ConfigMap: the folder that a link leads through is exchanged.
#[tokio::test]
async fn a_file_behind_a_link_that_leads_elsewhere_is_noticed() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let version = |name: &str, code: &[u8]| {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::write(at(name).join("mine.wasm"), code).unwrap();
        symlink(name, at("..new")).unwrap();
        std::fs::rename(at("..new"), at("..data")).unwrap();
    };
    version("..1", &std::fs::read(flitch_tests::guests::c_filter()).unwrap());
    symlink("..data/mine.wasm", at("mine.wasm")).unwrap();
    let settings = FilterSettings::of(at("mine.wasm").to_str().unwrap());
    let program = Program::load(&[("mine", &settings)], &context()).unwrap();
    let mut watch = Watch::new();
    watch.follow(program.files());
    version("..2", &STOCK.component("json").unwrap());
    tokio::time::timeout(Duration::from_secs(30), watch.changed()).await.unwrap();
    assert!(program.is_stale());
}

#[test]
fn code_that_was_put_back_with_other_settings_is_taken_with_those_that_run() {
    let file = File::new();
    let old = file.load();
    file.write_dissect();
    let mut other = file.settings.clone();
    other.settings = json!({"pattern": "%{one}-%{two}"});
    let after = Program::load(&[("mine", &other)], &context()).unwrap();
    old.filters()[0].past.spurn(&after.filters()[0]);
    let kept = next(beside(&[&old]), &[("mine", &other)], &context()).unwrap().kept;
    assert!(kept[0].to_string().contains("it was rolled back with these settings"), "{kept:?}");
    let taken = file.next(&old).unwrap();
    assert!(taken.kept.is_empty() && !same(&old.filters()[0], &taken.program.filters()[0]));
    // With the same settings it is not taken up again by itself.
    old.filters()[0].past.spurn(&taken.program.filters()[0]);
    assert!(!old.is_stale() && is_same(&old, &file.next(&old).unwrap().program));
}

#[test]
fn a_filter_of_another_file_that_changed_is_left_alone() {
    let (one, other) = (File::new(), File::new());
    let filters = [("one", &one.settings), ("other-filter", &other.settings)];
    let program = Program::load(&filters, &context()).unwrap();
    one.write_dissect();
    other.write_nonsense();
    let files = [one.path.clone()].into();
    let running = [&program];
    let asked = Beside { which: Which::Files(&files), ..beside(&running) };
    assert!(asked.which.concerns(&program));
    let next = next(asked, &filters, &context()).unwrap();
    assert!(next.kept.is_empty(), "{:?}", next.kept);
    let (before, after) = (program.filters(), next.program.filters());
    assert!(!same(&before[0], &after[0]) && Arc::ptr_eq(&before[1], &after[1]));
    assert!(!Which::Files(&[one.path.with_extension("other")].into()).concerns(&program));
}

#[tokio::test]
async fn a_file_that_is_written_slowly_holds_up_no_other() {
    let (fast, slow) = (File::new(), File::new());
    let mut watch = Watch::new();
    watch.follow([fast.path.clone(), slow.path.clone()]);
    let write = async {
        let mut code = std::fs::read(&slow.path).unwrap();
        loop {
            code.push(0);
            std::fs::write(&slow.path, &code).unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    fast.write_dissect();
    let found = tokio::select! {
        found = tokio::time::timeout(Duration::from_secs(30), watch.changed()) => found.unwrap(),
        () = write => unreachable!(),
    };
    assert!(found.contains(&fast.path), "{found:?}");
    if !found.contains(&slow.path) {
        let found = tokio::time::timeout(Duration::from_secs(30), watch.changed()).await.unwrap();
        assert_eq!(found, [slow.path.clone()].into());
    }
}
