use crate::Dedupe;
use flitch_sdk::testing::Tester;
use serde_json::{Value as Json, json};

fn dedupe(settings: Json) -> Tester {
    Tester::new::<Dedupe, _>(settings).unwrap()
}

/// Runs records with these keys, and answers those that went on.
fn kept(filter: &mut Tester, keys: &[&str]) -> Vec<String> {
    let records = keys.iter().map(|key| json!({"k": key}));
    filter.run(records).records.iter().map(|record| record["k"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_was_saved_is_remembered_and_adds_up_over_several_states() {
    let settings = json!({"key": "k"});
    let (mut one, mut other) = (dedupe(settings.clone()), dedupe(settings.clone()));
    kept(&mut one, &["a", "b"]);
    kept(&mut other, &["b", "c"]);
    let mut both = dedupe(settings);
    both.restore::<Dedupe>(&one.save::<Dedupe>()).unwrap();
    both.restore::<Dedupe>(&other.save::<Dedupe>()).unwrap();
    assert_eq!(kept(&mut both, &["a", "b", "c", "d"]), ["d"]);
}

#[test]
fn no_more_is_restored_than_there_is_room_for_and_the_last_known_stays() {
    let mut large = dedupe(json!({"key": "k"}));
    let keys: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    kept(&mut large, &keys);
    let mut small = dedupe(json!({"key": "k", "max_keys": 10}));
    small.restore::<Dedupe>(&large.save::<Dedupe>()).unwrap();
    assert!(small.save::<Dedupe>().len() <= 33 + 10 * 40);
    assert!(kept(&mut small, &keys).len() >= 90);
}

#[test]
fn a_state_that_means_something_else_or_is_damaged_is_refused() {
    let mut filter = dedupe(json!({"key": "k"}));
    kept(&mut filter, &["a"]);
    let saved = filter.save::<Dedupe>();
    let why =
        |settings: Json, saved: &[u8]| dedupe(settings).restore::<Dedupe>(saved).unwrap_err().to_string();
    assert!(why(json!({"key": "other"}), &saved).contains("settings.key"));
    assert!(why(json!({}), &saved).contains("settings.key"));
    let mut newer = saved.clone();
    newer[0] = 2;
    assert_eq!(why(json!({"key": "k"}), &newer), "its format is not known");
    assert_eq!(why(json!({"key": "k"}), &[]), "its format is not known");
    for length in 1..saved.len() {
        let mut filter = dedupe(json!({"key": "k"}));
        let is_whole = length == 33;
        assert_eq!(filter.restore::<Dedupe>(&saved[..length]).is_ok(), is_whole, "{length}");
    }
}
