//! The template is a crate of its own; here it is compiled, and its tests run, with the SDK's.

#[path = "../template/src/lib.rs"]
#[allow(missing_docs)]
mod template;

#[test]
fn the_tutorial_shows_the_template() {
    let (readme, code) = (include_str!("../README.md"), include_str!("../template/src/lib.rs"));
    let (filter, test) = code.split_once("#[cfg(test)]").expect("the template has tests");
    let (_, filter) = filter.split_once("\n\n").expect("the template begins with what it is");
    assert!(readme.contains(filter.trim_end()), "copy the filter from template/src/lib.rs to README.md");
    assert!(readme.contains(test.trim_end()), "copy the test from template/src/lib.rs to README.md");
}
