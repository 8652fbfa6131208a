use super::*;

#[test]
fn a_new_filter_has_the_tests_that_its_template_has() {
    let folder = tempfile::tempdir().unwrap();
    for (lang, tests) in [
        (Language::Rust, "src/lib.rs"),
        (Language::C, "tests/filter_test.c"),
        (Language::Go, "filter_test.go"),
        (Language::Js, "test/filter.test.js"),
        (Language::Ts, "test/filter.test.ts"),
        (Language::Python, "test_app.py"),
    ] {
        let filter = folder.path().join(format!("in-{lang:?}").to_lowercase());
        run(&Args { folder: filter.clone(), lang }).unwrap();
        let text = std::fs::read_to_string(filter.join(tests)).expect(tests);
        assert!(text.contains("spam.example") && !text.contains(NAME), "{tests}: {text}");
        // Those of the SDK stay behind.
        assert!(!filter.join("sdk/test").exists() && !filter.join("sdk/tests").exists(), "{tests}");
    }
}
