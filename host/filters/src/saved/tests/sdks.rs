//! What filters of the SDKs beside Rust's remember, through their components.

use super::*;

/// Numbers records with the conformance guest of an SDK, as far as it has counted.
#[track_caller]
fn keeps_what_a_filter_remembers(language: &str) {
    let guest = flitch_tests::guests::of_sdk(language, "conformance");
    let mut settings = FilterSettings::of(guest.to_str().unwrap());
    settings.settings = json!({"steps": [{"do": "number", "to": "n"}]});
    let folder = tempfile::tempdir().unwrap();
    let states = States::open(folder.path(), Clock::fake(7), &Arc::default()).unwrap();
    let numbers = |chain: &mut Chain| -> Vec<i64> {
        let out = rows(&through(chain, messages(&["a", "b"])));
        out.iter().map(|row| row["n"].as_i64().unwrap()).collect()
    };
    let shelf = states.shelf("p", 2);
    let counts = program("counts", &settings);
    for worker in 0..2 {
        let mut chain = counts.chain_of(&shelf, worker);
        assert_eq!(numbers(&mut chain), [1, 2]);
        chain.save();
    }
    let mut chain = counts.chain_of(&states.shelf("p", 1), 0);
    assert_eq!(numbers(&mut chain), [5, 6], "it adds up what two workers had");
    assert_eq!(states.of("counts")["p"].refused, None);

    let shelf = states.shelf("q", 1);
    let mut other = program("counts", &stateful()).chain_of(&shelf, 0);
    remember(&mut other, "2 of another format");
    other.save();
    let mut chain = counts.chain_of(&shelf, 0);
    assert_eq!(numbers(&mut chain), [1, 2], "it begins empty");
    assert_eq!(states.of("counts")["q"].refused.as_deref(), Some("its format is not known"));
}

#[test]
fn a_filter_in_c_keeps_what_it_remembers() {
    keeps_what_a_filter_remembers("c");
}

#[test]
fn a_filter_in_go_keeps_what_it_remembers() {
    keeps_what_a_filter_remembers("go");
}

#[test]
fn a_filter_in_python_keeps_what_it_remembers() {
    keeps_what_a_filter_remembers("python");
}

#[test]
fn a_filter_in_javascript_keeps_what_it_remembers() {
    keeps_what_a_filter_remembers("js");
}
