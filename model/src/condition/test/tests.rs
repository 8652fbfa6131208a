use super::*;
use crate::condition::Number;

fn settings(text: &str) -> ConditionSettings {
    serde_json::from_str(text).unwrap()
}

/// Whether `cell` passes the one test of a condition.
fn holds(text: &str, cell: Cell<'_>) -> bool {
    let settings = ConditionSettings { field: Some("x".to_owned()), ..settings(text) };
    match Test::new(&settings).unwrap() {
        Test::Value(_, test) => test.holds(&cell),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_wrong_names_its_place() {
    let wrong = |text: &str| Test::new(&settings(text)).unwrap_err().to_string();
    assert!(wrong("{}").starts_with("an empty condition"));
    assert!(wrong(r#"{"equals": 1}"#).contains("names no `field`"));
    assert!(wrong(r#"{"field": "x", "glob": []}"#).contains("an empty list"));
    let deep = r#"{"any": [{"field": "a", "exists": true}, {"not": {"all": [{"field": "b"}]}}]}"#;
    assert!(
        wrong(deep).starts_with("any[1]: not: all[0]: the condition on `b` tests nothing"),
        "{}",
        wrong(deep)
    );
}

#[test]
fn every_field_is_named_once() {
    let text = r#"{"field": "a", "equals": 1, "exists": true, "any": [{"field": "b", "exists": false}], "not": {"field": "a", "regex": "."}}"#;
    let test = Test::new(&settings(text)).unwrap();
    assert_eq!(test.fields().into_iter().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_text_that_reads_as_a_number_is_compared_as_one() {
    assert!(holds(r#"{"at_least": 400}"#, Cell::Text(b"404")));
    assert!(holds(r#"{"at_least": "5"}"#, Cell::Text(b"40")));
    assert!(holds(r#"{"at_least": "5"}"#, Cell::Text(b"a")));
    assert!(!holds(r#"{"at_least": 5}"#, Cell::Text(b"a")));
    assert!(holds(r#"{"equals": "404"}"#, Cell::Number(Number::Int(404))));
    assert!(!holds(r#"{"equals": "404.0"}"#, Cell::Text(b"404")), "a text is itself and no other");
}

#[test]
fn whole_numbers_are_exact_beside_fractions() {
    let int = Cell::Number(Number::Int(9_007_199_254_740_993));
    assert!(!holds(r#"{"equals": 9007199254740992.0}"#, int));
    assert!(holds(r#"{"at_least": 9007199254740992.5}"#, int));
    assert!(holds(r#"{"at_most": 1e300}"#, int));
    assert!(!holds(r#"{"at_most": 1}"#, Cell::Number(Number::Float(f64::NAN))));
}

#[test]
fn a_bound_of_the_event_time_that_is_no_time_is_refused() {
    for bound in [r#""yesterday""#, "7", "true"] {
        for key in ["equals", "at_least", "at_most"] {
            let text = format!(r#"{{"field": "@timestamp", "{key}": {bound}}}"#);
            let wrong = Test::new(&settings(&text)).unwrap_err().to_string();
            assert!(wrong.contains("is a time") && wrong.contains("2026-01-31T23:59:59Z"), "{wrong}");
        }
    }
    assert!(Test::new(&settings(r#"{"field": "@timestamp", "regex": "^2026"}"#)).is_ok());
}

#[test]
fn times_are_compared_with_texts_that_are_times() {
    assert!(holds(r#"{"equals": "1970-01-01T00:00:00.000000007Z"}"#, Cell::Time(7)));
    assert!(holds(r#"{"at_least": "1970-01-01T00:00:00.000000007Z"}"#, Cell::Time(8)));
    assert!(!holds(r#"{"at_least": "7"}"#, Cell::Time(8)));
    assert!(!holds(r#"{"at_least": 7}"#, Cell::Time(8)));
}

#[test]
fn patterns_see_a_value_as_json_writes_it() {
    assert!(holds(r#"{"glob": "2.0"}"#, Cell::Number(Number::Float(2.0))));
    assert!(holds(r#"{"regex": "^1e"}"#, Cell::Number(Number::Float(1e300))));
    assert!(holds(r#"{"glob": ["a*", "1970-*7Z"]}"#, Cell::Time(7)));
    assert!(holds(r#"{"glob": "*/b"}"#, Cell::Text(b"a/\n/b")));
    assert!(holds(r#"{"regex": "null"}"#, Cell::Other(b"null")));
    assert!(holds(r#"{"glob": "true"}"#, Cell::Boolean(true)));
}

#[test]
fn one_text_is_known_as_such() {
    let only = |text: &str| match Test::new(&settings(text)).unwrap() {
        Test::Value(_, test) => test.only_text().map(str::to_owned),
        other => panic!("{other:?}"),
    };
    assert_eq!(only(r#"{"field": "x", "in": ["a"]}"#).as_deref(), Some("a"));
    assert_eq!(only(r#"{"field": "x", "in": ["a", "b"]}"#), None);
    assert_eq!(only(r#"{"field": "x", "equals": 1}"#), None);
}
