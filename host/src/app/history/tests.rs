use super::*;
use flitch_filters::FilterSettings;

fn made(sha256: &str) -> Made {
    Made { sha256: sha256.into(), settings: FilterSettings::of("mine.wasm"), provenance: None }
}

fn all(made: &[(&str, Made)]) -> BTreeMap<Arc<str>, Made> {
    made.iter().map(|(name, made)| ((*name).into(), made.clone())).collect()
}

fn words(history: &History) -> Vec<String> {
    let word = |text: &Option<String>| text.clone().unwrap_or_default();
    let line = |e: Entry| {
        format!(
            "{} {:?} {:?} {}>{} {}",
            e.filter,
            e.by,
            e.result,
            word(&e.from),
            word(&e.to),
            word(&e.reason)
        )
    };
    history.of(None).into_iter().map(line).collect()
}

#[test]
fn what_changed_and_what_failed_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(folder.path(), Clock::system());
    let (one, two) = (all(&[("a", made("1")), ("b", made("1"))]), all(&[("a", made("2"))]));
    history.changed(By::Start, &BTreeMap::new(), &one);
    history.changed(By::File, &one, &one);
    history.changed(By::File, &one, &two);
    history.failed(By::Api, "a", two.get("a"), "no component".to_owned());
    let mut others = two.clone();
    others.get_mut("a").unwrap().settings.settings = serde_json::json!({"x": 1});
    history.changed(By::Config, &two, &others);
    let want = [
        "a Start InForce >1 ",
        "b Start InForce >1 ",
        "a File InForce 1>2 ",
        "b File Removed 1> ",
        "a Api Failed 2> no component",
        "a Config InForce 2>2 ",
    ];
    assert_eq!(words(&history), want);
    let again = History::open(folder.path(), Clock::system());
    assert_eq!(words(&again), want);
    assert_eq!(again.of(Some("b")).len(), 2);
    assert!(again.since("a").is_some() && again.since("c").is_none());
}

#[test]
fn code_that_was_rolled_back_is_known_until_other_code_comes() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(folder.path(), Clock::system());
    history.note(By::Probation, "a", Outcome::RolledBack, Some(&made("2")), Some(&made("1")), None);
    history.note(By::File, "a", Outcome::Failed, Some(&made("1")), None, None);
    history.note(By::Probation, "b", Outcome::RolledBack, Some(&made("2")), Some(&made("1")), None);
    history.note(By::File, "b", Outcome::InForce, Some(&made("1")), Some(&made("3")), None);
    let again = History::open(folder.path(), Clock::system());
    let want = BTreeMap::from([("a".to_owned(), ("2".to_owned(), "1".to_owned()))]);
    assert_eq!(again.left_rolled_back(), want);
}

#[test]
fn it_does_not_grow_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(folder.path(), Clock::system());
    for number in 0..3 * KEPT {
        history.failed(By::File, "a", None, number.to_string());
    }
    let lines = || fs::read_to_string(folder.path().join(FILE)).unwrap().lines().count();
    assert!(history.of(None).len() < 2 * KEPT && lines() <= 2 * KEPT);
    fs::write(
        folder.path().join(FILE),
        "half a li\n".repeat(2) + &fs::read_to_string(folder.path().join(FILE)).unwrap(),
    )
    .unwrap();
    let again = History::open(folder.path(), Clock::system());
    assert_eq!(again.of(None).len(), KEPT);
    assert_eq!(again.of(None).last().unwrap().reason.as_deref(), Some("2999"));
    assert_eq!(lines(), KEPT);
}
