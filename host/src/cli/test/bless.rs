//! What came out, written into the configuration as what should.

use flitch_core::exact;
use serde_json::{Value as Json, json};

use super::compare::{fits, is_as_it_should, own};
use super::given::Given;
use super::through::{Dead, Outcome};
use crate::config::cases::{Match, Record, TestSettings};
use crate::config::edit::{Editor, Fate, Fixed, ListChange};
use crate::config::{Loaded, load_text};

/// The configuration in which `test` expects what came out.
///
/// # Errors
/// Why that cannot be written, and what to do.
pub fn blessed(
    loaded: &Loaded,
    path: &std::path::Path,
    name: &str,
    given: &Given,
    found: &Outcome,
) -> Result<Loaded, String> {
    if let Some(Dead { by, reason, .. }) = found.dead.iter().find(|dead| dead.is_fault) {
        return Err(format!(
            "`{by}` failed over a record, and did not reject it, so nothing is written: {reason}"
        ));
    }
    let test = &loaded.config.tests[name];
    let mut wanted = loaded.config.clone();
    let after = wanted.tests.get_mut(name).expect("it is one of them");
    let mut changes = Vec::new();
    for (output, should) in &test.out {
        let change = list(should, &found.at(output), test.r#match, given);
        if let Some(list) = after.out.get_mut(output) {
            *list = change.of(should, record);
        }
        changes.push((output, change));
    }
    let letters = letters(test, given, &found.dead);
    let read = |json: &Json| serde_json::from_value(json.clone()).expect("it is one");
    after.dead_letters = letters.of(&test.dead_letters, read);
    after.dropped = test.dropped.map(|_| found.dropped);
    let records = after.out.values().flatten().chain(after.dead_letters.iter().flat_map(|one| &one.record));
    let mut records = records.map(|record| Json::Object(record.clone()));
    if let Some(record) = records.find(exact::has_half_pairs) {
        let record = record.to_string();
        let record = exact::shown(&record);
        return Err(format!(
            "half a surrogate pair is no text in YAML, so nothing is written; name the other fields, with `match: fields`: {record}"
        ));
    }
    let text = edited(loaded, name, &changes, &letters, after).map_err(|Fixed(why)| {
        format!("what came out cannot be written where the test stands: {why}; write it by hand")
    })?;
    match load_text(path, &text) {
        Ok(loaded) if loaded.config == wanted => Ok(loaded),
        Ok(_) => {
            Err("what came out cannot be written where the test stands without changing something else (an \
                      anchor, a layout that is not understood): write it by hand"
                .to_owned())
        }
        Err(error) => Err(format!("with what came out the configuration would be wrong: {error}")),
    }
}

/// The text of the configuration with these changes of a test.
fn edited(
    loaded: &Loaded,
    name: &str,
    changes: &[(&String, ListChange)],
    letters: &ListChange,
    after: &TestSettings,
) -> Result<String, Fixed> {
    const NOWHERE: Fixed = Fixed("it has no place of its own");
    let mut editor = Editor::new(loaded.file.text());
    let test = loaded.file.tree().get("tests").and_then(|tests| tests.get(name)).ok_or(NOWHERE)?;
    for (output, change) in changes.iter().filter(|(_, change)| !change.is_none()) {
        let entry = test.get("out").and_then(|out| out.entry(output)).ok_or(NOWHERE)?;
        editor.list(entry, change)?;
    }
    if !letters.is_none() {
        match test.entry("dead_letters") {
            Some(entry) => editor.list(entry, letters)?,
            None => editor.add(test, "dead_letters", &letters.new)?,
        }
    }
    if let Some(dropped) = after.dropped {
        editor.value(test.get("dropped").ok_or(NOWHERE)?, &dropped.into())?;
    }
    Ok(editor.done())
}

fn record(json: &Json) -> Record {
    json.as_object().cloned().unwrap_or_default()
}

/// What becomes of the records of an output. Those at both ends that are as they should be stay; between them one takes the
/// place of the other, as long as there are others.
fn list(should: &[Record], found: &[Json], r#match: Match, given: &Given) -> ListChange {
    let is_right = |(found, should): &(&Json, &Record)| is_as_it_should(found, should, r#match, given);
    let ahead = found.iter().zip(should).take_while(is_right).count();
    let behind = found[ahead..].iter().rev().zip(should[ahead..].iter().rev()).take_while(is_right).count();
    let (old, new) = (&should[ahead..should.len() - behind], &found[ahead..found.len() - behind]);
    let mut change = ListChange { at: should.len() - behind, ..ListChange::default() };
    change.old = vec![Fate::Stays; ahead];
    for (place, should) in old.iter().enumerate() {
        change.old.push(match new.get(place) {
            Some(found) if is_right(&(found, should)) => Fate::Stays,
            Some(found) => Fate::Becomes(as_it_is(found, should, r#match, given)),
            None => Fate::Goes,
        });
    }
    change.old.extend(vec![Fate::Stays; behind]);
    change.new = new.iter().skip(old.len()).map(|found| own(found, None, given)).collect();
    change
}

/// What a record that came out should be from now on, in place of another.
fn as_it_is(found: &Json, should: &Record, r#match: Match, given: &Given) -> Json {
    match r#match {
        Match::Exact => own(found, Some(should), given),
        Match::Fields => named(found, should),
    }
}

/// The fields of a record that are named; null for one that it has not.
fn named(found: &Json, should: &Record) -> Json {
    let field = |(name, should): (&String, &Json)| {
        let value = match (found.get(name), should) {
            (None, _) => Json::Null,
            (Some(below @ Json::Object(_)), Json::Object(should)) => named(below, should),
            (Some(value), _) => value.clone(),
        };
        (name.clone(), value)
    };
    Json::Object(should.iter().map(field).collect())
}

/// What becomes of the dead letters, which stand in any order.
fn letters(test: &TestSettings, given: &Given, found: &[Dead]) -> ListChange {
    let mut left: Vec<&Dead> = found.iter().collect();
    let mut change = ListChange { at: test.dead_letters.len(), ..ListChange::default() };
    for letter in &test.dead_letters {
        change.old.push(match left.iter().position(|dead| fits(letter, dead)) {
            Some(place) => {
                left.remove(place);
                Fate::Stays
            }
            None => Fate::Goes,
        });
    }
    let mut left = left.into_iter().map(|dead| written(dead, given));
    for fate in change.old.iter_mut().filter(|fate| **fate == Fate::Goes) {
        *fate = left.next().map_or(Fate::Goes, Fate::Becomes);
    }
    change.new = left.collect();
    change
}

/// A dead letter as a test has it.
fn written(dead: &Dead, given: &Given) -> Json {
    let mut letter = json!({"by": dead.by, "reason": dead.reason});
    // What never was a record is none in a test.
    if let record @ Json::Object(_) = own(&dead.record, None, given) {
        letter["record"] = record;
    }
    letter
}
