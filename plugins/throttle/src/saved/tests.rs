use crate::Throttle;
use flitch_sdk::testing::Tester;
use serde_json::{Value as Json, json};

fn throttle(settings: Json) -> Tester {
    Tester::new::<Throttle, _>(settings).unwrap()
}

/// How many of ten records with this key go on.
fn kept(filter: &mut Tester, key: &str) -> usize {
    filter.run((0..10).map(|_| json!({"k": key}))).records.len()
}

#[test]
fn budgets_that_were_spent_stay_spent_and_the_most_spent_of_several_states_counts() {
    let settings = json!({"key": "k", "limit": 3, "window_seconds": 60});
    let (mut one, mut other) = (throttle(settings.clone()), throttle(settings.clone()));
    assert_eq!(kept(&mut one, "a"), 3);
    other.run([json!({"k": "a"}), json!({"k": "b"})]);
    for order in [[0, 1], [1, 0]] {
        let states = [one.save::<Throttle>(), other.save::<Throttle>()];
        let mut both = throttle(settings.clone());
        order.iter().for_each(|state| both.restore::<Throttle>(&states[*state]).unwrap());
        assert_eq!((kept(&mut both, "a"), kept(&mut both, "b"), kept(&mut both, "c")), (0, 2, 3));
    }
}

#[test]
fn a_state_that_means_something_else_or_is_damaged_is_refused() {
    let settings = json!({"key": "k", "limit": 3});
    let mut filter = throttle(settings.clone());
    kept(&mut filter, "a");
    let saved = filter.save::<Throttle>();
    let why =
        |settings: Json, saved: &[u8]| throttle(settings).restore::<Throttle>(saved).unwrap_err().to_string();
    assert!(why(json!({"limit": 3}), &saved).contains("settings.key"));
    let mut newer = saved.clone();
    newer[0] = 3;
    assert_eq!(why(settings.clone(), &newer), "its format is not known");
    let head = 1 + 4 + 1;
    for length in 0..saved.len() {
        let restored = throttle(settings.clone()).restore::<Throttle>(&saved[..length]);
        assert_eq!(restored.is_ok(), length == head, "{length}");
    }
}

#[test]
fn a_late_record_is_late_after_a_restart_too_and_budgets_stay_as_they_were() {
    let settings = json!({"limit": 3, "window_seconds": 60});
    let mut before = throttle(settings.clone());
    assert_eq!(before.run([json!({"@timestamp": "2026-01-01T01:00:00Z"})]).records.len(), 1);
    let mut after = throttle(settings);
    after.restore::<Throttle>(&before.save::<Throttle>()).unwrap();
    let late = (0..10).map(|_| json!({"@timestamp": "2026-01-01T00:00:00Z"}));
    assert_eq!(after.run(late).records.len(), 2);
}

#[test]
fn what_an_older_version_has_saved_is_read() {
    let at = |seconds: i64| seconds * 1_000_000_000;
    let mut saved = vec![1];
    for text in ["k", "k=a\n", "k=b\n"] {
        saved.extend((text.len() as u32).to_le_bytes());
        saved.extend(text.as_bytes());
        match text {
            "k" => {}
            // Two of three records spent, and all of them.
            "k=a\n" => saved.extend(at(40).to_le_bytes()),
            _ => saved.extend(at(60).to_le_bytes()),
        }
    }
    let mut filter = throttle(json!({"key": "k", "limit": 3, "window_seconds": 60}));
    filter.restore::<Throttle>(&saved).unwrap();
    let mut kept = |key: &str, time: &str| {
        filter.run((0..10).map(|_| json!({"k": key, "@timestamp": time}))).records.len()
    };
    assert_eq!((kept("a", "1970-01-01T00:00:00Z"), kept("b", "1970-01-01T00:00:00Z")), (1, 0));
    assert_eq!((kept("a", "1970-01-01T00:00:30Z"), kept("b", "1970-01-01T00:00:30Z")), (1, 1));
}
