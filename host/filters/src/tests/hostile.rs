//! What a guest does that wants to harm its host: it costs its own record, and the host no more than its limits say.

use std::time::Duration;

use super::faults::{guest, isolates, isolates_with, settings, uppers};
use super::wasi::log_of;
use super::*;
use crate::memory::peak_of;
use flitch_core::units::{Bytes, Span};

#[test]
fn rows_that_are_taken_over_and_over_are_counted_by_what_they_would_hold() {
    let large = format!("NONSENSE again {}", "x".repeat(1 << 20));
    let (out, rejected) = guest(|s| s.limits.memory = Bytes(64 << 20)).run(messages(&["a", "b", &large]));
    assert_eq!(uppers(&out), ["A", "B"]);
    assert_eq!(rejected.len(), 1);
    assert!(rejected[0].reason.contains("answer: it takes rows so often"), "{}", rejected[0].reason);
}

#[test]
fn a_path_that_is_too_deep_or_too_long_is_nonsense() {
    isolates("NONSENSE deep", "has 4001 names; 64 are the most");
    isolates("NONSENSE long", "has 65536 bytes; 16384 are the most");
    isolates("NONSENSE nested", "more than 128 objects and arrays inside one another");
}

#[test]
fn an_answer_has_so_many_fields_and_no_more() {
    isolates("NONSENSE many", "it removes 5000 fields; an answer may have 1024");
}

#[test]
fn calls_of_the_host_in_a_straight_line_end_with_the_deadline() {
    let impatient = guest(|s| s.limits.time = Span(Duration::from_millis(50)));
    isolates_with(impatient, "CHATTER", "deadline: it ran longer than 50ms");
}

#[test]
fn a_host_function_ends_a_guest_whose_time_is_up_and_that_has_not_come_to_where_it_would_be_stopped() {
    for what in ["log", "count", "lookup"] {
        let says = |time| {
            let mut rejected = Vec::new();
            let log = log_of(|| {
                let mut guest = guest(|s| {
                    s.limits.memory = Bytes(64 << 20);
                    s.limits.time = Span(time);
                });
                rejected = guest.run(messages(&[&format!("LATE {what}")])).1;
            });
            (log.contains("still here"), rejected.first().map(|r| r.reason.to_string()).unwrap_or_default())
        };
        assert_eq!(says(Duration::from_secs(3600)), (true, String::new()), "{what}");
        let (is_there, reason) = says(Duration::from_millis(50));
        assert!(!is_there && reason.contains("deadline: it ran longer than 50ms"), "{what}: {reason}");
    }
}

/// The guest in C beside a table `t` with one row, whose column `text` has 10,000 bytes under the key `a`.
fn with_table() -> Alone {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.csv"), format!("key,text\na,{}\n", "x".repeat(10_000))).unwrap();
    let table = TableSettings::of_file("t.csv", "key");
    let tables = Tables::load(&[("t".to_owned(), table)].into(), folder.path()).unwrap();
    let mut settings = settings();
    settings.limits.memory = Bytes(64 << 20);
    Alone::load("c", &settings, &FilterContext { tables: Arc::new(tables), ..context() }).unwrap()
}

#[test]
fn what_a_guest_looks_up_is_no_larger_than_an_answer_may_be() {
    let (out, _) = with_table().run(messages(&["LOOKUP 20", "WANT 20"]));
    assert_eq!(uppers(&out), ["LOOKUP", "WANT"]);
    isolates_with(with_table(), "LOOKUP 100000", "answer: what it looks up is larger");
    isolates_with(with_table(), "WANT 10000", "answer: what it looks up is larger");
}

#[test]
fn counters_and_lines_without_end_cost_nothing_but_time() {
    let mut guest = guest(|_| {});
    let (out, rejected) = guest.run(messages(&["COUNT 100000", "SHOUT 100000", "a"]));
    assert_eq!((uppers(&out), rejected), (vec!["COUNT".to_owned(), "SHOUT".into(), "A".into()], vec![]));
}

#[test]
fn the_error_of_a_batch_is_kept_once_and_short() {
    let error = format!("FAIL {}", "x".repeat(1 << 19));
    let mut texts = vec!["row"; 1000];
    texts[500] = &error;
    let mut guest = guest(|s| s.limits.memory = Bytes(64 << 20));
    let (_, rejected) = guest.run(messages(&texts));
    assert_eq!(rejected.len(), 1000);
    assert!(rejected.iter().all(|r| Arc::ptr_eq(&r.reason, &rejected[0].reason)), "they share one text");
    let reason = &rejected[0].reason;
    assert!(reason.len() < 2300 && reason.ends_with("bytes more)"), "{reason}");
}

#[test]
fn what_a_guest_says_is_kept_short_wherever_it_says_it() {
    for word in ["REJECT", "PANIC"] {
        let mut guest = guest(|s| s.limits.memory = Bytes(64 << 20));
        let (_, rejected) = guest.run(messages(&[&format!("{word} \u{1b}[31m{}", "x".repeat(1 << 19))]));
        let reason = &rejected[0].reason;
        assert!(
            reason.len() < 2300 && reason.contains(" [31mxxx") && reason.contains("bytes more)"),
            "{reason}"
        );
    }
    let mut settings = settings();
    settings.settings = json!({"refuse": "x".repeat(1 << 19)});
    let error = format!("{:#}", Alone::load("c", &settings, &context()).unwrap_err());
    assert!(error.len() < 2300 && error.ends_with("bytes more)"), "{error}");
}

/// What became of 8 records that spin among 384, by their messages: those that came out, and the dead letters.
fn eight_that_spin(texts: &[String], on_error: OnError) -> (Vec<String>, Vec<Rejected>, u64) {
    let mut guest = guest(|s| {
        s.on_error = on_error;
        s.limits.time = Span(Duration::from_millis(100));
    });
    let (out, rejected) = guest.run(messages(&texts.iter().map(String::as_str).collect::<Vec<_>>()));
    let accounts = guest.ledger().read();
    assert_eq!((accounts.in_flight(), accounts.returned), (0, 0));
    (uppers(&out), rejected, accounts.dropped)
}

#[test]
fn a_record_that_nobody_judged_is_a_dead_letter_whatever_on_error_says() {
    // More records that spin than a search has time for, and good ones among them.
    let texts: Vec<String> =
        (0..300).map(|n| if n % 3 == 0 { "row".to_owned() } else { "SPIN".to_owned() }).collect();
    for on_error in [OnError::Drop, OnError::Pass, OnError::DeadLetter] {
        let (out, rejected, dropped) = eight_that_spin(&texts, on_error);
        let unjudged = rejected.iter().filter(|r| r.reason.contains("was not judged")).count();
        assert!(unjudged > 0, "{on_error:?}");
        let good = out.iter().filter(|text| *text == "ROW").count()
            + rejected.iter().filter(|r| String::from_utf8_lossy(&r.record).contains("row")).count();
        assert_eq!(good, 100, "{on_error:?}: no good record is dropped, nor passed on as it came");
        assert_eq!(out.len() + rejected.len() + dropped as usize, 300, "{on_error:?}");
    }
}

#[test]
fn records_that_spin_do_not_cost_their_neighbours() {
    let texts: Vec<String> =
        (0..384).map(|n| if n % 48 == 7 { "SPIN".to_owned() } else { format!("row{n}") }).collect();
    let (out, rejected, dropped) = eight_that_spin(&texts, OnError::Drop);
    let letters: Vec<_> =
        rejected.iter().map(|r| String::from_utf8_lossy(&r.record).to_uppercase()).collect();
    for n in (0..384).filter(|n| n % 48 != 7) {
        let text = format!("ROW{n}");
        let word = format!("{text}\"");
        assert!(out.contains(&text) || letters.iter().any(|letter| letter.contains(&word)), "{text} is gone");
    }
    assert_eq!(out.len() + rejected.len() + dropped as usize, 384);
    let mut sorted = out.clone();
    sorted.sort_by_key(|text| text[3..].parse::<usize>().unwrap());
    assert_eq!(out, sorted, "in order");
}

#[test]
fn a_hostile_guest_makes_the_host_hold_no_more_than_its_limits_say() {
    let large = "x".repeat(1 << 20);
    let cases = [
        vec![format!("NONSENSE again {large}")],
        vec![format!("FAIL {large}"), format!("REJECT {large}"), format!("PANIC {large}")],
        vec!["LOOKUP 100000".to_owned(), "WANT 10000".to_owned(), "LOOKUP 4000000".to_owned()],
        vec!["NONSENSE deep".to_owned(), "NONSENSE long".to_owned(), "NONSENSE many".to_owned()],
        vec!["NONSENSE huge".to_owned(), "NONSENSE large".to_owned()],
        vec!["COUNT 1000000".to_owned(), "SHOUT 1000000".to_owned()],
    ];
    for asked in cases {
        let rows = (0..1000).map(|n| format!("row{n}"));
        let texts: Vec<String> = rows.chain(asked).collect();
        let bytes: usize = texts.iter().map(String::len).sum();
        let records = messages(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let mut guest = with_table();
        let (_, peak) = peak_of(|| guest.run(records));
        // The limit of answers is 8 times what came and 1 MiB, and there may be two copies of what is answered.
        let most = 2 * (8 * bytes + (1 << 20)) + (8 << 20);
        assert!(peak <= most, "{:.20}: {bytes} bytes take {peak} bytes of memory", texts[1000]);
    }
}
