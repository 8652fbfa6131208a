//! Reads the values of `wit/cases`, for the tests of the model and of the SDK alike: the SDK has this file by its path, as
//! it depends on nothing that is only there for tests.

use std::path::Path;

use serde_json::Value as Json;

/// The cases of a file, each by its line.
pub fn cases(name: &str) -> Vec<(String, Json)> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file =
        own.ancestors().map(|folder| folder.join("wit/cases/values").join(name)).find(|file| file.exists());
    let file = file.unwrap_or_else(|| panic!("no wit/cases/values/{name} above {}", own.display()));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let case = |line: &str| (line.to_owned(), serde_json::from_str(line).expect(line));
    let cases: Vec<_> = text.lines().map(case).collect();
    assert!(!cases.is_empty(), "{} holds no case", file.display());
    cases
}

/// A text.
pub fn text(json: &Json) -> &str {
    json.as_str().unwrap_or_else(|| panic!("{json} is no text"))
}

/// A list of texts.
pub fn texts(json: &Json) -> Vec<&str> {
    json.as_array().unwrap_or_else(|| panic!("{json} is no list")).iter().map(text).collect()
}
