use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::chain::{Chain, Program};
use crate::tests::wasi::log_of;
use crate::tests::{context, messages, records, rows};
use crate::{FilterSettings, Wasi, Workers};
use flitch_core::batch::{Batch, Records, StreamId};
use flitch_core::blocking::block_on;
use flitch_core::buffers::Buffer;
use flitch_core::inlet::Pass;
use flitch_core::receipt::{self, Ledger};
use flitch_core::router::{Route, Router};
use flitch_core::telemetry::Tally;
use flitch_core::units::{Bytes as Size, Span};

mod again;
mod sdks;

fn place() -> Arc<Place> {
    Place::open("p".into(), "f".into(), None, 100, crossbeam_channel::bounded(1).0)
}

/// Has a place keep a state of a worker, of whose records none is under way.
fn put(place: &Place, number: u64, worker: usize, state: &'static str, saved: i64) {
    place.put((number, worker), bytes(state), saved, place.generation());
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn each_worker_has_its_own_state_again_where_there_are_as_many_and_all_are_handed_on_where_there_are_not() {
    let place = place();
    place.begin(1, 3);
    for (worker, state) in ["a", "b", "c"].into_iter().enumerate() {
        put(&place, 1, worker, state, 7);
    }
    place.begin(2, 3);
    let given = |number, worker| place.of(number, worker).0;
    let of = |number, worker| given(number, worker).concat();
    assert_eq!([of(2, 0), of(2, 1), of(2, 2)], [b"a", b"b", b"c"]);
    place.begin(3, 2);
    assert_eq!(given(3, 0), ["a", "c"]);
    assert_eq!(given(3, 1), ["b"]);
    put(&place, 3, 0, "ac", 8);
    assert_eq!(given(3, 0), ["ac"], "its own is in the place of what it was given");
    place.begin(4, 4);
    assert_eq!([of(4, 0), of(4, 1), of(4, 2), of(4, 3)].concat(), b"acb");
    assert!(given(4, 2).is_empty() && given(4, 3).is_empty());
    assert_eq!(place.status().states, 2);
}

#[test]
fn workers_that_others_have_followed_keep_nothing_any_more() {
    let place = place();
    place.begin(1, 1);
    put(&place, 1, 0, "first", 7);
    place.begin(2, 1);
    put(&place, 1, 0, "late", 8);
    place.begin(1, 1);
    assert_eq!(place.of(2, 0).0, ["first"]);
    assert!(place.of(1, 0).0.is_empty());
}

#[test]
fn a_file_holds_what_was_written_and_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.f");
    assert_eq!(file::read(&path, 10).unwrap(), None);
    let states = vec![(0, bytes("one")), (2, bytes("")), (3, bytes("\n\0"))];
    file::write(&path, "p", "f", 1_000_000_007, &states).unwrap();
    assert_eq!(file::read(&path, 10).unwrap(), Some(file::Kept { saved: 1_000_000_007, states }));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left aside");
}

#[test]
fn a_file_that_is_damaged_larger_than_it_may_be_or_of_another_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.f");
    file::write(&path, "p", "f", 7, &[(0, bytes("some state")), (1, bytes("more"))]).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let why = |content: &[u8], most| {
        std::fs::write(&path, content).unwrap();
        file::read(&path, most).unwrap_err().to_string()
    };
    assert_eq!(why(&whole, 9), "it is larger than `state: max_bytes`");
    let text = String::from_utf8(whole.clone()).unwrap();
    assert_eq!(
        why(text.replace("\"flitch_state\":1", "\"flitch_state\":2").as_bytes(), 99),
        "its format is 2, and this flitch knows 1"
    );
    let huge = text.replace("[0,10]", "[0,18446744073709551615]");
    assert_eq!(why(huge.as_bytes(), usize::MAX), "its length is wrong");
    for end in 0..whole.len() {
        assert!(!why(&whole[..end], 99).is_empty(), "{end}");
    }
    let mut spoilt = whole.clone();
    *spoilt.last_mut().unwrap() ^= 1;
    assert_eq!(why(&spoilt, 99), "its content is damaged");
    assert_eq!(why(b"no file of ours", 99), "it is no state of a filter");
    assert_eq!(why(&vec![b'x'; 1 << 20], 99), "it is no state of a filter");
}

/// The guest in C that keeps a state.
fn stateful() -> FilterSettings {
    let mut settings = FilterSettings::of(flitch_tests::guests::stateful_c_filter().to_str().unwrap());
    settings.wasi = Wasi::None;
    settings.limits.memory = Size(8 << 20);
    settings.limits.time = Span(Duration::from_millis(200));
    settings.state.max_bytes = Size(4096);
    settings
}

fn program(name: &str, settings: &FilterSettings) -> Arc<Program> {
    Arc::new(Program::load(&[(name, settings)], &context()).unwrap())
}

fn through(chain: &mut Chain, records: Arc<Records>) -> Arc<Records> {
    let receipt = receipt::issue(&Arc::default(), records.rows(), 0, |_| {});
    let batch = chain.apply(Batch { records, receipt, stream: StreamId::UNORDERED });
    batch.receipt.delivered();
    batch.records
}

/// The `upper` that the guest gives a record with this message.
fn upper(chain: &mut Chain, message: &str) -> String {
    let out = rows(&through(chain, messages(&[message])));
    out.first().map_or_else(String::new, |row| row["upper"].as_str().unwrap().to_owned())
}

fn remember(chain: &mut Chain, state: &str) {
    assert_eq!(upper(chain, &format!("REMEMBER {state}")), state);
}

#[test]
fn a_state_goes_from_one_generation_to_the_next_and_through_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let open = || States::open(folder.path(), Clock::fake(7), &Arc::default()).unwrap();
    let states = open();
    let shelf = states.shelf("p", 1);
    let mut chain = program("keeps", &stateful()).chain_of(&shelf, 0);
    assert!(chain.due().is_none());
    remember(&mut chain, "one");
    assert!(chain.due().is_some(), "it has seen a record");
    chain.save();
    assert!(chain.due().is_none());
    drop(chain);

    let mut chain = program("keeps", &stateful()).chain_of(&shelf, 0);
    assert_eq!(upper(&mut chain, "RECALL"), "one");
    remember(&mut chain, "two");
    chain.save();
    let status = states.of("keeps");
    assert_eq!((status["p"].states, status["p"].bytes), (1, 3));
    assert_eq!(status["p"].saved.as_deref(), Some("1970-01-01T00:00:00.000000007Z"));
    drop((chain, shelf, states));

    let states = open();
    let mut chain = program("keeps", &stateful()).chain_of(&states.shelf("p", 1), 0);
    assert_eq!(upper(&mut chain, "RECALL"), "two");
    let mut other = program("keeps", &stateful()).chain_of(&states.shelf("other", 1), 0);
    assert_eq!(upper(&mut other, "RECALL"), "", "another pipeline has a state of its own");
}

#[test]
fn one_instance_adds_up_what_several_had() {
    let states = States::in_memory();
    let shelf = states.shelf("p", 2);
    let program = program("sums", &stateful());
    for (worker, state) in ["left", "right"].into_iter().enumerate() {
        let mut chain = program.chain_of(&shelf, worker);
        remember(&mut chain, state);
        chain.save();
    }
    let mut chain = program.chain_of(&states.shelf("p", 1), 0);
    assert_eq!(upper(&mut chain, "RECALL"), "left+right");
}

#[test]
fn a_filter_that_stands_twice_in_a_chain_has_two_states() {
    let states = States::in_memory();
    let settings = stateful();
    let program = Program::load(&[("twin", &settings), ("twin", &settings)], &context()).unwrap();
    let program = Arc::new(program);
    let shelf = states.shelf("p", 1);
    let mut chain = program.chain_of(&shelf, 0);
    remember(&mut chain, "both");
    chain.save();
    assert_eq!(states.of("twin").len(), 1);
    assert_eq!(
        states.places.lock().keys().map(|(_, name)| name.as_str()).collect::<Vec<_>>(),
        ["twin", "twin.2"]
    );
}

#[test]
fn an_instance_that_cannot_say_what_it_remembers_is_gone_and_no_record_with_it() {
    for spoils in ["SAVE TRAP", "SAVE SPIN", "SAVE HOG", "SAVE HUGE", "SAVE PAST"] {
        let states = States::in_memory();
        let shelf = states.shelf("p", 1);
        let mut chain = program("spoilt", &stateful()).chain_of(&shelf, 0);
        remember(&mut chain, "good");
        chain.save();
        remember(&mut chain, spoils);
        chain.save();
        assert!(chain.due().is_none(), "{spoils}: it is not asked again at once");
        assert_eq!(chain.memory(), 0, "{spoils}: the instance is gone");
        assert_eq!(upper(&mut chain, "RECALL"), "", "{spoils}: the next one begins empty");
        assert_eq!(upper(&mut chain, "on it goes"), "ON");
        let mut next = program("spoilt", &stateful()).chain_of(&shelf, 0);
        assert_eq!(upper(&mut next, "RECALL"), "good", "{spoils}: what was saved before is there");
    }
}

#[test]
fn a_state_that_the_next_generation_does_not_take_leaves_it_empty_and_is_told() {
    for (state, reason) in [("REFUSE old news", "REFUSE old news"), ("RESTORE TRAP", "trap: ")] {
        let states = States::in_memory();
        let shelf = states.shelf("p", 1);
        let mut chain = program("picky", &stateful()).chain_of(&shelf, 0);
        remember(&mut chain, state);
        chain.save();
        assert_eq!(states.of("picky")["p"].refused, None);
        let mut chain = program("picky", &stateful()).chain_of(&shelf, 0);
        assert_eq!(upper(&mut chain, "RECALL"), "");
        let refused = states.of("picky")["p"].refused.clone().unwrap();
        assert!(refused.starts_with(reason), "{refused}");
        chain.save();
        let mut chain = program("picky", &stateful()).chain_of(&shelf, 0);
        assert_eq!(upper(&mut chain, "fine"), "FINE");
        assert_eq!(states.of("picky")["p"].refused, None, "the empty state took its place");
    }
}

#[test]
fn an_instance_that_a_record_has_cost_begins_empty() {
    let states = States::in_memory();
    let shelf = states.shelf("p", 1);
    let mut chain = program("hurt", &stateful()).chain_of(&shelf, 0);
    remember(&mut chain, "before");
    chain.save();
    assert_eq!(upper(&mut chain, "TRAP"), "");
    assert_eq!(upper(&mut chain, "RECALL"), "", "what it remembered may be why");
}

#[test]
fn nothing_is_kept_where_it_is_not_wanted_or_not_known() {
    let states = States::in_memory();
    let shelf = states.shelf("p", 1);
    let mut unwanted = stateful();
    unwanted.state.keep = false;
    for settings in [unwanted, FilterSettings::of(flitch_tests::guests::c_filter().to_str().unwrap())] {
        let mut chain = program("plain", &settings).chain_of(&shelf, 0);
        upper(&mut chain, "a record");
        assert!(chain.due().is_none());
        chain.save();
        assert!(states.of("plain").is_empty());
    }
    let mut hasty = stateful();
    hasty.state.interval = Span(Duration::from_millis(99));
    let error = Program::load(&[("hasty", &hasty)], &context()).unwrap_err();
    assert!(error.to_string().contains("state.interval"), "{error}");
}

#[test]
fn a_damaged_file_leaves_the_filter_empty_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.lost"), "{\"flitch_state\":1} and no more").unwrap();
    let states = States::open(folder.path(), Clock::fake(7), &Arc::default()).unwrap();
    let mut chain = program("lost", &stateful()).chain_of(&states.shelf("p", 1), 0);
    assert_eq!(upper(&mut chain, "RECALL"), "");
    let refused = states.of("lost")["p"].refused.clone().unwrap();
    assert!(refused.contains("its file cannot be read"), "{refused}");
}

#[test]
fn a_disk_that_takes_nothing_is_told_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let health = Arc::<Health>::default();
    let file = folder.path().join("p.stuck");
    let (wake, _woken) = crossbeam_channel::bounded(1);
    let states = Arc::new(States::new(Some(folder.path().to_owned()), Clock::fake(7), &health, wake));
    let shelf = states.shelf("p", 1);
    let mut chain = program("stuck", &stateful()).chain_of(&shelf, 0);
    remember(&mut chain, "kept");
    // A folder in the place of the file.
    std::fs::create_dir(&file).unwrap();
    chain.save();
    let log = log_of(|| assert!(!states.flush() && !states.flush(), "it is not written"));
    assert!(health.ailments()["state filters"].contains("cannot be written"));
    assert_eq!(log.matches("the states of filters cannot be written").count(), 1, "{log}");
    std::fs::remove_dir(&file).unwrap();
    let log = log_of(|| assert!(states.flush() && states.flush()));
    assert!(health.ailments().is_empty());
    assert_eq!(log.matches("the states of filters are written again").count(), 1, "{log}");
    assert!(file.is_file());
}

#[test]
fn duplicates_are_known_and_budgets_spent_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut dedupe = FilterSettings::of("dedupe");
    dedupe.settings = json!({"key": "k"});
    let mut throttle = FilterSettings::of("throttle");
    throttle.settings = json!({"limit": 1, "window_seconds": 60, "key": "k"});
    let run = |keys: &[&str]| -> Vec<String> {
        let states = States::open(folder.path(), Clock::fake(7), &Arc::default()).unwrap();
        let program = Program::load(&[("once", &dedupe), ("calm", &throttle)], &context()).unwrap();
        let mut chain = Arc::new(program).chain_of(&states.shelf("p", 1), 0);
        let keys: Vec<_> = keys.iter().map(|key| json!({"k": key, "n": 1})).collect();
        let out = rows(&through(&mut chain, records(&keys)));
        chain.save();
        out.iter().map(|row| row["k"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(run(&["a", "b", "a"]), ["a", "b"]);
    assert_eq!(run(&["b", "c"]), ["c"]);
    std::fs::remove_file(folder.path().join("p.once")).unwrap();
    assert_eq!(run(&["a", "d"]), ["d"], "the budget of `a` is spent");
}

#[test]
fn a_worker_that_has_nothing_to_do_saves_what_its_filters_remember_and_so_does_one_that_ends() {
    let folder = tempfile::tempdir().unwrap();
    let states = States::open(folder.path(), Clock::fake(7), &Arc::default()).unwrap();
    let buffer = Buffer::with_room(16 << 20);
    let router = Arc::new(Router::new(vec![Route::to(buffer.clone())], Tally::noop()));
    let deliver = || block_on(buffer.lease()).unwrap().receipt.delivered();
    let mut settings = stateful();
    settings.state.interval = Span(Duration::from_millis(100));
    let filter = program("idle", &settings);
    let workers = Workers::start("p", filter, 1, router, &states, &Arc::default()).unwrap();
    let push = |text: &str| {
        let records = messages(&[text]);
        let receipt = receipt::issue(&Arc::<Ledger>::default(), 1, 0, |_| {});
        let batch = Batch { records, receipt, stream: StreamId::UNORDERED };
        block_on(workers.inlet().push(batch, &Pass::default())).unwrap();
    };
    push("REMEMBER idle");
    deliver();
    while states.of("idle").get("p").is_none_or(|status| status.bytes != 4) {
        std::thread::yield_now();
    }
    push("REMEMBER the end");
    deliver();
    workers.finish();
    assert!(states.of("idle").is_empty(), "it is on disk alone");
    let kept = file::read(&folder.path().join("p.idle"), 4096).unwrap().unwrap();
    assert_eq!(kept.states, [(0, bytes("the end"))]);
}

#[test]
fn files_of_filters_that_are_in_no_use_are_found_by_what_stands_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, pipeline, filter| {
        file::write(&folder.path().join(name), pipeline, filter, 7, &[(0, bytes("state"))]).unwrap();
    };
    write("p.f", "p", "f");
    write("p.f.2", "p", "f");
    write("p.gone", "p", "gone");
    write("q.f", "q", "f");
    std::fs::write(folder.path().join("notes"), "no state").unwrap();
    let left = States::left(folder.path(), |pipeline, filter| pipeline == "p" && filter == "f");
    assert_eq!(left, [folder.path().join("p.gone"), folder.path().join("q.f")]);
    assert!(States::left(&folder.path().join("nowhere"), |_, _| true).is_empty());
}
