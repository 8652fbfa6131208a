use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::config::cases::TestSettings;

fn test(text: &str) -> TestSettings {
    serde_json::from_str(text).unwrap()
}

fn given() -> Given {
    Given { batches: Vec::new(), bad: Vec::new(), tag: "t".into(), time: "1970-01-01T00:00:00Z".into() }
}

fn outcome(out: Vec<Json>, dead: &[(&str, &str, Json)]) -> Outcome {
    let dead = dead.iter().map(|(by, reason, record)| Dead {
        is_fault: false,
        by: (*by).to_owned(),
        reason: (*reason).to_owned(),
        record: record.clone(),
    });
    Outcome { out: BTreeMap::from([(("events".to_owned(), 0), out)]), dead: dead.collect(), dropped: 0 }
}

#[test]
fn a_tag_and_a_time_that_a_record_did_not_bring_are_compared_where_the_test_has_them() {
    let came = json!({"a": 1, "@tag": "t", "@timestamp": "1970-01-01T00:00:00Z"});
    let found = outcome(vec![came], &[]);
    let wrong = |out: &str| {
        expected(&test(&format!(r#"{{"in":["x"],"out":{{"events":[{out}]}}}}"#)), &given(), &found)
    };
    assert!(wrong(r#"{"a":1}"#).is_empty());
    assert!(wrong(r#"{"a":1,"@tag":"t"}"#).is_empty());
    assert!(wrong(r#"{"a":1,"@tag":"u"}"#)[0].contains(r#"`@tag` is "t", and should be "u""#));
    let own = outcome(vec![json!({"a": 1, "@tag": "u"})], &[]);
    let test = test(r#"{"in":["x"],"out":{"events":[{"a":1}]}}"#);
    assert!(expected(&test, &given(), &own)[0].contains("`@tag` is \"u\", and should be missing"));
}

#[test]
fn the_given_fields_alone_are_compared_where_the_test_says_so() {
    let found = outcome(vec![json!({"a": {"b": 1, "c": 2}, "d": 3})], &[]);
    let wrong = |out: &str| {
        let text = format!(r#"{{"in":["x"],"match":"fields","out":{{"events":[{out}]}}}}"#);
        expected(&test(&text), &given(), &found).join("\n")
    };
    assert_eq!(wrong(r#"{"a":{"b":1},"e":null}"#), "");
    assert!(wrong(r#"{"a":{"b":2},"d":null}"#).contains("`a.b` is 1, and should be 2"));
    assert!(wrong(r#"{"a":{"b":2},"d":null}"#).contains("`d` is 3, and should be null"));
    let of_member = wrong(r#"{"a":{"x":1}}"#);
    assert!(of_member.contains("`a.x` is missing, and should be 1"), "{of_member}");
    assert!(!of_member.contains("should be missing"), "{of_member}");
    assert!(wrong("").contains("1 records go on, and 0 should"));
}

#[test]
fn dead_letters_come_in_any_order_and_none_may_come_that_is_not_expected() {
    let letters = [("parse", "no `[` in it", json!({"message": "x"})), ("when", "no time", json!({"a": 1}))];
    let found = outcome(Vec::new(), &letters);
    let wrong = |letters: &str| {
        let text = format!(r#"{{"in":["x"],"out":{{"events":[]}},"dead_letters":[{letters}]}}"#);
        expected(&test(&text), &given(), &found).join("\n")
    };
    assert_eq!(wrong(r#"{"reason":"time"},{"reason":"no `[`","by":"parse","record":{"message":"x"}}"#), "");
    let told = wrong(r#"{"reason":"time","by":"parse"},{"reason":"no `[`"}"#);
    assert!(told.contains(r#"should not be"#) && told.contains(r#"when: "no time": {"a":1}"#), "{told}");
    assert!(told.contains("missing\n  parse: \"time\""), "{told}");
}

#[test]
fn a_result_that_depends_on_the_cut_is_told_with_the_manner() {
    let together =
        outcome(vec![json!({"n": 0}), json!({"n": 1})], &[("f", "r", json!(1)), ("g", "s", json!(2))]);
    let other =
        outcome(vec![json!({"n": 0}), json!({"n": 0})], &[("g", "s", json!(2)), ("f", "r", json!(1))]);
    let wrong = same(&together, &other, &Manner::OneByOne);
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(wrong[0].starts_with("record by record it is another result than all together: output `events`"));
    assert!(wrong[0].contains("`n` is 0, and should be 1"), "{wrong:?}");
    let wrong = same(&together, &outcome(Vec::new(), &[]), &Manner::Cut { seed: 7, number: 1 });
    assert!(wrong[0].contains("`--seed 7`") && wrong[1].contains("dead letters are\n  none"), "{wrong:?}");
}
