//! What a guest that traps, spins, hogs memory or answers nonsense does to the records beside its own.

use std::time::Duration;

use super::*;
use crate::guest::limits::Bounds;
use flitch_core::batch::{Batch, StreamId};
use flitch_core::dead_letter::DeadLetters;
use flitch_core::receipt::{self, Accounts, Ledger, Verdict};
use flitch_core::units::{Bytes, Span};

pub(super) fn settings() -> FilterSettings {
    let mut settings = FilterSettings::of(flitch_tests::guests::c_filter().to_str().unwrap());
    settings.wasi = Wasi::None;
    settings.limits.time = Span(Duration::from_secs(5));
    settings.limits.memory = Bytes(8 << 20);
    settings
}

/// Loads the guest in C with `change` made to its settings.
pub(super) fn guest(change: impl FnOnce(&mut FilterSettings)) -> Alone {
    let mut settings = settings();
    change(&mut settings);
    Alone::load("c", &settings, &context()).unwrap()
}

/// The `upper` of each row, or its message where it has none.
pub(super) fn uppers(records: &Records) -> Vec<String> {
    let text = |row: &Json| row.get("upper").unwrap_or(&row["message"]).as_str().unwrap().to_owned();
    rows(records).iter().map(text).collect()
}

/// Runs `poison` among a hundred good records. All others must go on in order, and it alone be rejected with a
/// reason that has `word`.
pub(super) fn isolates(poison: &str, word: &str) {
    isolates_with(guest(|_| {}), poison, word);
}

pub(super) fn isolates_with(mut guest: Alone, poison: &str, word: &str) {
    for place in [0, 37, 99] {
        let mut texts: Vec<String> = (0..100).map(|n| format!("row{n}")).collect();
        texts[place] = poison.to_owned();
        let (out, rejected) = guest.run(messages(&texts.iter().map(String::as_str).collect::<Vec<_>>()));
        let good: Vec<String> = (0..100).filter(|n| *n != place).map(|n| format!("ROW{n}")).collect();
        assert_eq!(uppers(&out), good, "{poison} at {place}");
        assert_eq!(rejected.len(), 1, "{poison} at {place}: {rejected:?}");
        assert!(rejected[0].reason.contains(word), "{}", rejected[0].reason);
        assert!(rejected[0].reason.contains("c-filter (sha256 "), "{}", rejected[0].reason);
        let record: Json = serde_json::from_slice(&rejected[0].record).unwrap();
        assert_eq!(record["message"], poison, "the record is as it came");
        assert!(record.get("upper").is_none());
    }
    let accounts = guest.ledger().read();
    assert_eq!((accounts.in_flight(), accounts.returned, accounts.dead_lettered), (0, 0, 3));
}

#[test]
fn a_record_that_traps_is_isolated() {
    isolates("TRAP", "trap: ");
}

#[test]
fn what_a_guest_says_before_it_traps_is_part_of_the_reason() {
    isolates("PANIC no such thing", "instruction executed; it said: no such thing");
    let (_, rejected) = guest(|_| {}).run(messages(&["PANIC one", "TRAP"]));
    assert!(rejected[0].reason.ends_with("it said: one"), "{}", rejected[0].reason);
    assert!(rejected[1].reason.ends_with("executed"), "no word of another record: {}", rejected[1].reason);
}

#[test]
fn a_record_that_spins_is_isolated() {
    let impatient = guest(|s| s.limits.time = Span(Duration::from_millis(50)));
    isolates_with(impatient, "SPIN", "deadline: it ran longer than 50ms");
}

#[test]
fn a_record_that_wants_too_much_memory_is_isolated() {
    isolates("HOG", "memory: it wanted more than 8MiB");
}

#[test]
fn a_row_that_does_not_exist_is_nonsense() {
    isolates("NONSENSE row", "answer: it takes row");
    isolates("NONSENSE rejected", "answer: it rejects row");
    isolates("NONSENSE both", "answer: it rejects row 0 and takes it");
}

#[test]
fn a_column_that_is_no_column_is_nonsense() {
    isolates("NONSENSE ends", "answer: column `upper`");
    isolates("NONSENSE past", "answer: column `upper`");
    isolates("NONSENSE short", "answer: column `upper`");
    isolates("NONSENSE bitmap", "answer: column `upper`: a bitmap of 0 bytes");
    isolates("NONSENSE twice", "answer: column `upper` stands twice");
}

#[test]
fn values_that_are_not_what_they_say_are_nonsense() {
    isolates("NONSENSE utf8", "answer: column `upper`: its text is not UTF-8");
    isolates("NONSENSE json", "answer: column `upper`: row 0 is not JSON");
}

#[test]
fn two_records_of_one_batch_that_are_answered_with_nonsense_are_both_rejected() {
    for (one, other) in [(3, 96), (49, 50), (0, 1), (98, 99)] {
        let mut guest = guest(|_| {});
        let mut texts: Vec<String> = (0..100).map(|n| format!("row{n}")).collect();
        texts[one] = "NONSENSE utf8".to_owned();
        texts[other] = "NONSENSE past".to_owned();
        let (out, rejected) = guest.run(messages(&texts.iter().map(String::as_str).collect::<Vec<_>>()));
        let good: Vec<String> =
            (0..100).filter(|n| ![one, other].contains(n)).map(|n| format!("ROW{n}")).collect();
        assert_eq!(uppers(&out), good, "{one} and {other}");
        let records: Vec<Json> =
            rejected.iter().map(|r| serde_json::from_slice(&r.record).unwrap()).collect();
        assert_eq!(records.iter().map(|r| &r["message"]).collect::<Vec<_>>(), [&texts[one], &texts[other]]);
        assert!(rejected.iter().all(|r| r.reason.contains("answer: column `upper`")), "{rejected:?}");
        let accounts = guest.ledger().read();
        assert_eq!((accounts.dead_lettered, accounts.delivered, accounts.in_flight()), (2, 98, 0));
    }
}

#[test]
fn an_answer_that_is_too_large_is_nonsense() {
    isolates("NONSENSE huge", "answer: ");
    let mut guest = guest(|s| s.limits.memory = Bytes(128 << 20));
    let (out, rejected) = guest.run(messages(&["a", "NONSENSE large", "b"]));
    assert_eq!(uppers(&out), ["A", "B"]);
    assert!(rejected[0].reason.contains("larger than `limits: answer` allows"), "{}", rejected[0].reason);
}

#[test]
fn what_a_guest_rejects_or_drops_costs_no_instance() {
    let mut guest = guest(|_| {});
    let (out, rejected) = guest.run(messages(&["a", "REJECT me", "b", "DROP me", "c"]));
    assert_eq!(uppers(&out), ["A", "B", "C"]);
    assert_eq!(rejected.len(), 1);
    assert!(rejected[0].reason.ends_with(": REJECT me"), "{}", rejected[0].reason);
    let accounts = guest.ledger().read();
    assert_eq!(accounts, Accounts { received: 5, dropped: 1, dead_lettered: 1, delivered: 3, ..accounts });
}

#[test]
fn an_error_rejects_the_batch_as_a_whole() {
    let mut guest = guest(|_| {});
    let (out, rejected) = guest.run(messages(&["a", "FAIL today", "b"]));
    assert_eq!(out.rows(), 0);
    assert_eq!(rejected.len(), 3);
    assert!(rejected.iter().all(|r| r.reason.ends_with(": FAIL today")), "{rejected:?}");
}

#[test]
fn several_poison_records_are_each_isolated() {
    let mut guest = guest(|s| s.limits.time = Span(Duration::from_millis(100)));
    let texts = ["TRAP 1", "a", "SPIN", "HOG", "b", "REJECT", "TRAP 2", "c", "NONSENSE row", "DROP", "d"];
    let (out, rejected) = guest.run(messages(&texts));
    assert_eq!(uppers(&out), ["A", "B", "C", "D"]);
    assert_eq!(rejected.len(), 6);
    assert_eq!(guest.ledger().read().in_flight(), 0);
}

#[test]
fn pass_lets_rejected_records_go_on_in_their_place_with_the_reason() {
    let mut guest = guest(|s| s.on_error = OnError::Pass);
    let (out, rejected) = guest.run(messages(&["a", "TRAP", "b", "REJECT me", "DROP", "c"]));
    assert_eq!(uppers(&out), ["A", "TRAP", "B", "REJECT me", "C"]);
    assert_eq!(rejected, []);
    let rows = rows(&out);
    assert!(rows[1]["@error"].as_str().unwrap().contains("trap: "), "{}", rows[1]);
    assert!(rows[3]["@error"].as_str().unwrap().ends_with(": REJECT me"), "{}", rows[3]);
    assert!(rows[0].get("@error").is_none());
    let accounts = guest.ledger().read();
    assert_eq!(accounts, Accounts { received: 6, dropped: 1, delivered: 5, ..accounts });
    assert_eq!(accounts.in_flight(), 0);
}

#[test]
fn drop_drops_rejected_records_and_counts_them() {
    let mut guest = guest(|s| s.on_error = OnError::Drop);
    let (out, rejected) = guest.run(messages(&["a", "TRAP", "b", "REJECT me"]));
    assert_eq!(uppers(&out), ["A", "B"]);
    assert_eq!(rejected, []);
    let accounts = guest.ledger().read();
    assert_eq!(accounts, Accounts { received: 4, dropped: 2, delivered: 2, ..accounts });
}

#[test]
fn a_batch_in_which_every_record_spins_ends_and_loses_nothing() {
    let mut guest = guest(|s| s.limits.time = Span(Duration::from_millis(30)));
    let texts: Vec<String> = (0..400).map(|_| "SPIN".to_owned()).collect();
    let (out, rejected) = guest.run(messages(&texts.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!((out.rows(), rejected.len()), (0, 400));
    assert!(rejected[399].reason.contains("was not judged"), "{}", rejected[399].reason);
    let (out, _) = guest.run(messages(&["a"]));
    assert_eq!(uppers(&out), ["A"], "the next batch is as good as any");
}

#[test]
fn rejected_records_become_dead_letters_with_the_filter_and_its_plugin() {
    let folder = tempfile::tempdir().unwrap();
    let dead_letters = DeadLetters::open(folder.path()).unwrap();
    let cx = FilterContext { dead_letters: Some(dead_letters), ..context() };
    let mut guest = Alone::load("c", &settings(), &cx).unwrap();
    let (out, rejected) = guest.run(messages(&["a", "TRAP \"x\"", "b"]));
    assert_eq!((uppers(&out), rejected), (vec!["A".to_owned(), "B".to_owned()], vec![]));
    let accounts = guest.ledger().read();
    assert_eq!((accounts.dead_lettered, accounts.in_flight()), (1, 0));
    let files = std::fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().path());
    let text: String = files.filter(|f| f.is_file()).map(|f| std::fs::read_to_string(f).unwrap()).collect();
    let letter: Json = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((&letter["stage"], &letter["component"]), (&json!("filter"), &json!("c")));
    assert!(letter["reason"].as_str().unwrap().contains("c-filter (sha256 "), "{letter}");
}

#[test]
fn a_filter_that_copies_a_row_over_and_over_is_stopped_before_it_takes_the_hosts_memory() {
    let records = messages(&[&"x".repeat(1 << 20), "y"]);
    let take = vec![0; 1 << 20];
    let bounds = Bounds { bytes: 16 << 20, ..Bounds::none() };
    let fault = changes::apply(&records, Some(&take), Vec::new(), &[], &bounds).unwrap_err();
    assert!(fault.reason.contains("may have 16777216"), "{fault}");
}

#[test]
fn the_receipt_settles_when_the_records_that_go_on_do() {
    let ledger = Arc::<Ledger>::default();
    let program = Arc::new(Program::load(&[("c", &settings())], &context()).unwrap());
    let mut chain = program.chain();
    let (tell, told) = crossbeam_channel::bounded(1);
    let records = messages(&["a", "DROP", "TRAP", "b"]);
    let receipt = receipt::issue(&ledger, 4, 0, move |verdict| tell.send(verdict).unwrap());
    let out = chain.apply(Batch { records, receipt, stream: StreamId::next() });
    assert_eq!((out.records.rows(), out.receipt.records()), (2, 2));
    assert!(told.is_empty());
    out.receipt.delivered();
    assert_eq!(told.recv().unwrap(), Verdict::Safe);
}
