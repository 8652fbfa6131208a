//! What became of the records of a test, beside what should.

use flitch_core::batch::{TAG, TIMESTAMP};
use flitch_model::cases;
use serde_json::{Map, Value as Json};

use super::given::Given;
use super::through::{Dead, Manner, Outcome};
use crate::config::cases::{Letter, Match, Record, TestSettings};

/// What is otherwise than the test says.
pub fn expected(test: &TestSettings, given: &Given, found: &Outcome) -> Vec<String> {
    let mut wrong = Vec::new();
    for (output, should) in &test.out {
        let arrived = found.at(output);
        let mut has: Vec<Json> = arrived.iter().map(|record| own(record, None, given)).collect();
        for (at, (has, should)) in has.iter_mut().zip(should).enumerate() {
            *has = compared(&arrived[at], should, test.r#match, given);
        }
        wrong.extend(lists(&format!("output `{output}`"), &has, should.iter().cloned().map(Json::Object)));
    }
    wrong.extend(letters(&test.dead_letters, given, &found.dead));
    if let Some(should) = test.dropped.filter(|should| *should != found.dropped) {
        wrong.push(format!("{} records are dropped, and {should} should be", found.dropped));
    }
    wrong
}

/// What comes out otherwise when the batches are cut otherwise.
pub fn same(together: &Outcome, cut: &Outcome, manner: &Manner) -> Vec<String> {
    let mut wrong = Vec::new();
    for (route, records) in &together.out {
        let found = cut.out.get(route).map(Vec::as_slice).unwrap_or_default();
        let output = &route.0;
        let place = format!("{manner} it is another result than all together: output `{output}`");
        wrong.extend(lists(&place, found, records.iter().cloned()));
    }
    // Those of the first filter come before those of the second in each batch.
    let sorted = |dead: &[Dead]| {
        let mut lines: Vec<String> = dead.iter().map(line).collect();
        lines.sort();
        lines
    };
    let (all, alone) = (sorted(&together.dead), sorted(&cut.dead));
    if all != alone {
        wrong.push(format!(
            "{manner} it is another result than all together: dead letters are{}\nand all together{}",
            list(&alone),
            list(&all)
        ));
    }
    if together.dropped != cut.dropped {
        wrong.push(format!(
            "{manner} {} records are dropped, and all together {}",
            cut.dropped, together.dropped
        ));
    }
    wrong
}

/// What differs between two lists of records.
fn lists(place: &str, found: &[Json], should: impl Iterator<Item = Json>) -> Option<String> {
    let outcome = |records| cases::Outcome { records, rejected: Vec::new() };
    let differs = cases::compare(&outcome(found.to_vec()), &outcome(should.collect())).err()?;
    // A record of which no field is compared is none by itself.
    let is_told = |line: &&str| {
        !["`` is {}, and should be missing", "`` is missing, and should be {}"].contains(&line.trim_start())
    };
    Some(format!("{place}: {}", differs.lines().filter(is_told).collect::<Vec<_>>().join("\n")))
}

/// Whether a record is as a test says.
pub fn is_as_it_should(found: &Json, should: &Record, r#match: Match, given: &Given) -> bool {
    compared(found, should, r#match, given) == Json::Object(should.clone())
}

/// Of a record what is compared with what it should be.
fn compared(found: &Json, should: &Record, r#match: Match, given: &Given) -> Json {
    match r#match {
        Match::Exact => own(found, Some(should), given),
        Match::Fields => only(found, should),
    }
}

/// The record without the tag and the time that it did not bring, where it `should` not have them.
pub fn own(record: &Json, should: Option<&Record>, given: &Given) -> Json {
    let mut record = record.clone();
    if let Some(fields) = record.as_object_mut() {
        let is_wanted = |name: &str| should.is_some_and(|should| should.contains_key(name));
        fields.retain(|name, value| match name.as_str() {
            TAG => is_wanted(TAG) || *value != *given.tag,
            TIMESTAMP => is_wanted(TIMESTAMP) || *value != *given.time,
            _ => true,
        });
    }
    record
}

/// The fields of a record that `should` be there, as they are.
fn only(record: &Json, should: &Record) -> Json {
    let field = |(name, should): (&String, &Json)| {
        let value = match (record.get(name), should) {
            (None, Json::Null) => Json::Null,
            (None, _) => return None,
            (Some(below @ Json::Object(_)), Json::Object(should)) => {
                let below = only(below, should);
                // Nothing of it is there: its fields are what is missing.
                let has_any = should.is_empty() || below.as_object().is_some_and(|below| !below.is_empty());
                return has_any.then(|| (name.clone(), below));
            }
            (Some(value), _) => value.clone(),
        };
        Some((name.clone(), value))
    };
    Json::Object(should.iter().filter_map(field).collect::<Map<_, _>>())
}

/// What is otherwise with the dead letters, which come in any order.
fn letters(should: &[Letter], given: &Given, found: &[Dead]) -> Option<String> {
    let mut left: Vec<&Dead> = found.iter().collect();
    let mut missing = Vec::new();
    for letter in should {
        match left.iter().position(|dead| fits(letter, dead)) {
            Some(place) => drop(left.remove(place)),
            None => missing.push(described(letter)),
        }
    }
    let mut wrong = Vec::new();
    if !left.is_empty() {
        let shown = |dead: &&Dead| line(&Dead { record: own(&dead.record, None, given), ..(*dead).clone() });
        wrong.push(format!(
            "dead letters that should not be{}",
            list(&left.iter().map(shown).collect::<Vec<_>>())
        ));
    }
    if !missing.is_empty() {
        wrong.push(format!("dead letters that are missing{}", list(&missing)));
    }
    (!wrong.is_empty()).then(|| wrong.join("\n"))
}

/// Whether a dead letter is this one.
pub fn fits(letter: &Letter, dead: &Dead) -> bool {
    let Letter { reason, by, record } = letter;
    let has = |should: &Record| only(&dead.record, should) == Json::Object(should.clone());
    dead.reason.contains(reason.as_str())
        && by.as_ref().is_none_or(|by| *by == dead.by)
        && record.as_ref().is_none_or(has)
}

fn described(letter: &Letter) -> String {
    let by = letter.by.as_deref().unwrap_or("anybody");
    let record = letter.record.as_ref().map(|record| format!(": {}", Json::Object(record.clone())));
    format!("{by}: {:?}{}", letter.reason, record.unwrap_or_default())
}

fn line(dead: &Dead) -> String {
    format!("{}: {:?}: {}", dead.by, dead.reason, dead.record)
}

fn list(lines: &[String]) -> String {
    match lines {
        [] => "\n  none".to_owned(),
        lines => lines.iter().map(|line| format!("\n  {line}")).collect(),
    }
}

#[cfg(test)]
mod tests;
