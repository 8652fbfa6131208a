use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::guest;
use crate::settings::FilterSettings;
use crate::tests::{STOCK, context, messages};
use flitch_core::batch::Records;

fn filter(settings: &FilterSettings) -> Arc<Filter> {
    let cx = context();
    let plugin =
        guest::Component::load(&cx.engine, STOCK.origin(&settings.plugin, &cx.folder).unwrap()).unwrap();
    Arc::new(Filter::new("mine", settings, plugin, &cx).unwrap())
}

/// The stock plugin `dissect`, which survives everything.
fn dissect() -> Arc<Filter> {
    let mut settings = FilterSettings::of("dissect");
    settings.settings = json!({"pattern": "%{first} %{second}"});
    filter(&settings)
}

/// The guest in C, which does as it is told.
fn guest_in_c() -> Arc<Filter> {
    let mut settings = FilterSettings::of(flitch_tests::guests::c_filter().to_str().unwrap());
    settings.limits.time = flitch_core::units::Span(Duration::from_millis(100));
    filter(&settings)
}

fn seen(filter: &Filter, batches: &[Arc<Records>]) {
    batches.iter().for_each(|records| filter.recent.see(records));
}

fn held(new: &Filter, old: &Filter) -> Result<(), String> {
    hold(new, old, &context()).map_err(|error| format!("{error:#}"))
}

#[test]
fn what_a_new_generation_cannot_survive_and_the_old_one_can_fails_it() {
    for (word, says) in [("TRAP", "trap: "), ("NONSENSE row", "answer: ")] {
        let (old, new) = (dissect(), guest_in_c());
        seen(&old, &[messages(&["a b", "c d"]), messages(&["e f", "g h", word, "i j"])]);
        let why = held(&new, &old).unwrap_err();
        assert!(why.contains("it cannot survive record 2: ") && why.contains(says), "{why}");
    }
}

#[test]
fn a_new_generation_that_spins_and_the_old_one_does_not_fails_where_it_has_the_time() {
    let mut settings = guest_in_c().configured.clone();
    settings.limits.time = flitch_core::units::Span(Duration::from_secs(1));
    let said = Judge::new(filter(&settings), None).judge(&messages(&["e f", "g h", "SPIN", "i j"]));
    let why = worse(&said, &Judgement::default(), false).unwrap();
    assert!(why.contains("it cannot survive record 2: deadline: "), "{why}");
}

#[test]
fn what_neither_survives_and_what_is_rejected_fails_nothing() {
    let (old, new) = (guest_in_c(), guest_in_c());
    seen(&old, &[messages(&["a", "TRAP", "b"]), messages(&["REJECT it", "DROP it"])]);
    assert_eq!(held(&new, &old), Ok(()));
    let fresh = guest_in_c();
    assert_eq!(held(&new, &fresh), Ok(()), "there is nothing to try it on");
}

#[test]
fn the_cases_beside_a_plugin_are_run_by_other_code_before_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.wasm");
    std::fs::write(&file, STOCK.component("dissect").unwrap()).unwrap();
    let mut settings = FilterSettings::of(file.to_str().unwrap());
    settings.settings = json!({"pattern": "%{first} %{second}"});
    let new = filter(&settings);
    let case = folder.path().join("cases/takes-apart");
    std::fs::create_dir_all(&case).unwrap();
    let write = |name: &str, text: &str| std::fs::write(case.join(name), text).unwrap();
    write("settings.json", r#"{"pattern": "%{one}-%{two}"}"#);
    write("in.ndjson", "{\"message\":\"a-b\"}\n");
    write("out.ndjson", "{\"one\":\"a\",\"two\":\"b\"}\n");
    assert_eq!(held(&new, &guest_in_c()), Ok(()));
    write("out.ndjson", "{\"one\":\"a\",\"two\":\"c\"}\n");
    let why = held(&new, &guest_in_c()).unwrap_err();
    assert!(why.contains("takes-apart") && why.contains("two"), "{why}");
    assert_eq!(held(&new, &new), Ok(()), "the same code with other settings need not");
    // Of several plugins in a folder nobody knows whose `cases` are; `mine.cases` are its own.
    std::fs::write(folder.path().join("other.wasm"), b"").unwrap();
    assert_eq!(held(&new, &guest_in_c()), Ok(()));
    std::fs::rename(folder.path().join("cases"), folder.path().join("mine.cases")).unwrap();
    assert!(held(&new, &guest_in_c()).is_err());
}

/// What a plugin said that was given these rows: those that took too long, and those that nobody came to.
fn late(condemned: &[u32], unjudged: &[u32], faults: &[FaultKind]) -> Judgement {
    let reasons = |rows: &[u32], reason: &str| rows.iter().map(|row| (*row, reason.into())).collect();
    Judgement {
        condemned: condemned.to_vec(),
        rejected: reasons(condemned, "deadline: it took longer than 1s"),
        unjudged: reasons(unjudged, "the search took longer than 10s"),
        faults: faults.to_vec(),
        ..Judgement::default()
    }
}

#[test]
fn records_that_nobody_came_to_fail_nothing_and_a_plugin_that_does_not_start_does() {
    use FaultKind::{Deadline, Start};
    let before = Judgement::default();
    assert_eq!(worse(&late(&[], &[3, 4], &[Deadline]), &before, false), None);
    assert!(worse(&late(&[2], &[3, 4], &[Deadline]), &before, false).unwrap().contains("record 2: deadline"));
    assert!(worse(&late(&[], &[3, 4], &[Start]), &before, true).unwrap().contains("record 3"));
}

#[test]
fn a_deadline_says_nothing_where_others_had_the_processor() {
    use FaultKind::{Deadline, Trap};
    let before = Judgement::default();
    for faults in [&[Deadline][..], &[Deadline, Deadline]] {
        assert_eq!(worse(&late(&[], &[], faults), &before, true), None);
        assert!(worse(&late(&[], &[], faults), &before, false).unwrap().contains("a whole batch (deadline)"));
        assert_eq!(worse(&late(&[2], &[], faults), &before, true), None);
        assert!(worse(&late(&[2], &[], faults), &before, false).is_some());
    }
    assert!(worse(&late(&[], &[], &[Deadline, Trap]), &before, true).unwrap().contains("(trap)"));
    let time = |wall, own| Time { wall: Duration::from_secs(wall), own: Duration::from_secs(own) };
    assert!(time(10, 4).is_short() && !time(10, 5).is_short());
}
