use std::path::Path;

use serde_json::json;

use super::*;
use crate::config::tree;

/// What becomes of a text when the value at a path of keys is another.
fn valued(text: &str, path: &[&str], new: &Json) -> Result<String, Fixed> {
    let root = tree::parse(text).unwrap();
    let node = path.iter().fold(&root, |node, key| node.get(key).unwrap());
    let mut editor = Editor::new(text);
    editor.value(node, new).map(|()| editor.done())
}

/// What becomes of a text when its list `list` changes.
fn listed(text: &str, old: &[Fate], new: &[Json], at: usize) -> Result<String, Fixed> {
    let root = tree::parse(text).unwrap();
    let mut editor = Editor::new(text);
    let change = ListChange { old: old.to_vec(), new: new.to_vec(), at };
    editor.list(root.entry("list").unwrap(), &change).map(|()| editor.done())
}

use Fate::{Becomes, Goes, Stays};

#[test]
fn only_the_values_that_differ_are_written_and_comments_stay() {
    let text = "a:\n  b: 1   # one\n  c: [x, { d: \"two words\", e: 'f' }] # list\n# end\n";
    let new = json!({"b": 2, "c": ["x", {"d": "three: words", "e": true}]});
    assert_eq!(
        valued(text, &["a"], &new).unwrap(),
        "a:\n  b: 2   # one\n  c: [x, { d: \"three: words\", e: true }] # list\n# end\n"
    );
    assert_eq!(valued(text, &["a", "b"], &json!(1)).unwrap(), text);
}

#[test]
fn a_map_with_other_fields_keeps_the_order_of_those_it_had() {
    let text = "a: { z: 1, b: x }  # why\n";
    let new = json!({"b": "x", "c": null, "z": 2.5});
    assert_eq!(valued(text, &["a"], &new).unwrap(), "a: { z: 2.5, b: x, c: null }  # why\n");
}

#[test]
fn members_of_a_map_in_lines_come_and_go_with_their_lines() {
    let text = "a:\n  - b: x  # first\n    # about c\n    c: y\n    d: [1]\n  - e\n";
    let becomes = |new: Json| valued(text, &["a"], &json!([new, "e"]));
    assert_eq!(
        becomes(json!({"b": "z", "d": [1], "f": {"g": 1}, "h": "x: y"})).unwrap(),
        "a:\n  - b: z  # first\n    # about c\n    d: [1]\n    f: { g: 1 }\n    h: \"x: y\"\n  - e\n"
    );
    assert_eq!(
        becomes(json!({"b": "x", "m": null})).unwrap(),
        "a:\n  - b: x  # first\n    m: null\n    # about c\n  - e\n"
    );
    assert_eq!(becomes(json!({"c": "y"})).unwrap_err(), COMMENTS, "it stands between the dash and `c`");
    assert_eq!(becomes(json!({"m": 1})).unwrap_err(), COMMENTS);
    let text = "a:\n  - b: x\n    c: y\n    d: z\n";
    assert_eq!(valued(text, &["a"], &json!([{"d": "z"}])).unwrap(), "a:\n  - d: z\n");
    assert_eq!(valued(text, &["a"], &json!([{"m": 1}])).unwrap(), "a:\n  - { m: 1 }\n");
    assert_eq!(valued("a:\n  b:\n  c: 1\n", &["a"], &json!({"b": 2, "c": 1})).unwrap_err(), ANCHOR);
}

#[test]
fn a_comment_is_never_lost() {
    let flow = "a: {\n  b: 1, # one\n  c: 2,\n}\n";
    assert_eq!(valued(flow, &["a"], &json!({"b": 1})).unwrap_err(), COMMENTS);
    assert_eq!(
        valued(flow, &["a"], &json!({"b": 3, "c": 2})).unwrap(),
        "a: {\n  b: 3, # one\n  c: 2,\n}\n",
        "nothing comes or goes"
    );
    assert_eq!(listed("list:\n  - a # one\n  - b\n", &[Goes, Goes], &[], 2).unwrap_err(), COMMENTS);
    assert_eq!(valued("a: 'b # c'\n", &["a"], &json!("d")).unwrap(), "a: d\n", "it is none");
}

#[test]
fn entries_of_a_list_come_and_go_with_their_lines() {
    let text = "list:\n  - a  # first\n  # about b\n  - b\n  - x: 1\n    y: 2\nnext: 1\n";
    assert_eq!(
        listed(text, &[Stays, Goes, Becomes(json!({"x": 1, "y": 3}))], &[], 3).unwrap(),
        "list:\n  - a  # first\n  # about b\n  - x: 1\n    y: 3\nnext: 1\n"
    );
    assert_eq!(
        listed(text, &[Stays, Stays, Stays], &[json!("c"), json!({"d": [1]})], 3).unwrap(),
        "list:\n  - a  # first\n  # about b\n  - b\n  - x: 1\n    y: 2\n  - c\n  - { d: [1] }\nnext: 1\n"
    );
    assert_eq!(
        listed(text, &[Stays, Stays, Stays], &[json!("c")], 1).unwrap(),
        "list:\n  - a  # first\n  - c\n  # about b\n  - b\n  - x: 1\n    y: 2\nnext: 1\n"
    );
    assert_eq!(
        listed(text, &[Stays, Stays, Stays], &[json!("c")], 0).unwrap(),
        "list:\n  - c\n  - a  # first\n  # about b\n  - b\n  - x: 1\n    y: 2\nnext: 1\n"
    );
    let bare = "list:\n  - a\n  - x: 1\n    y: 2\nnext: 1\n";
    assert_eq!(listed(bare, &[Goes, Goes], &[], 2).unwrap(), "list: []\nnext: 1\n");
    assert_eq!(listed("list:\n- a\n- b", &[Stays, Goes], &[], 2).unwrap(), "list:\n- a\n");
}

#[test]
fn a_list_in_brackets_stays_one() {
    let text = "m: { list: [a, { b: 1 }] }\n";
    let root = tree::parse(text).unwrap();
    let mut editor = Editor::new(text);
    let change = ListChange { old: vec![Goes, Becomes(json!({"b": 2}))], new: Vec::new(), at: 2 };
    editor.list(root.get("m").unwrap().entry("list").unwrap(), &change).unwrap();
    assert_eq!(editor.done(), "m: { list: [{ b: 2 }] }\n");
    assert_eq!(
        listed("list: [a, b] # x\n", &[Stays, Stays], &[json!(1)], 1).unwrap(),
        "list: [a, 1, b] # x\n"
    );
    assert_eq!(listed("list: [a]\n", &[Goes], &[], 1).unwrap(), "list: []\n");
    let several = "list: [\n  a,\n  b,\n]\n";
    assert_eq!(listed(several, &[Stays, Stays], &[json!("c")], 2).unwrap(), "list: [\n  a,\n  b,\n  c,\n]\n");
    let empty = "  \nlist: []  # all\nnext: 1\n";
    assert_eq!(
        listed(empty, &[], &[json!("c"), json!("d")], 0).unwrap(),
        "  \nlist:\n  - c\n  - d  # all\nnext: 1\n"
    );
}

#[test]
fn a_key_is_added_where_the_map_ends() {
    for (text, after) in [
        ("t:\n  one:\n    in: [x]\n    out:\n      a:\n        - b # c\n\nnext: 1\n", {
            "t:\n  one:\n    in: [x]\n    out:\n      a:\n        - b # c\n    dead:\n      - { by: x }\n\nnext: 1\n"
        }),
        ("t:\n  one: { in: [x], out: { a: [] } }\n", {
            "t:\n  one: { in: [x], out: { a: [] }, dead: [{ by: x }] }\n"
        }),
    ] {
        let root = tree::parse(text).unwrap();
        let mut editor = Editor::new(text);
        let one = root.get("t").unwrap().get("one").unwrap();
        editor.add(one, "dead", &[json!({"by": "x"})]).unwrap();
        assert_eq!(editor.done(), after);
    }
}

#[test]
fn what_stands_elsewhere_is_left_alone() {
    let text =
        "x-a: &a [1, { b: 2 }]\nlist: *a\nother:\n  - &b { c: 1 }\n  - *b\n  - text\nmerged: { <<: *b }\n";
    assert_eq!(listed(text, &[Stays, Goes], &[], 2).unwrap_err(), ANCHOR);
    assert_eq!(valued(text, &["other"], &json!([{"c": 1}, {"c": 2}, "text"])).unwrap_err(), ANCHOR);
    assert_eq!(valued(text, &["merged"], &json!({"c": 2})).unwrap_err(), ANCHOR);
    let block = "a:\n  b: |\n    one\n    two\n";
    assert_eq!(valued(block, &["a", "b"], &json!("three")).unwrap_err(), LAYOUT);
    let commented = "list: [\n  a, # why\n  b,\n]\n";
    assert_eq!(listed(commented, &[Stays, Goes], &[], 2).unwrap_err(), COMMENTS);
}

#[test]
fn values_are_read_back_as_they_were() {
    for value in [
        json!({"a b": [1, -2.5, 1e300, null, true], "@t": "2026-01-01T00:00:00Z", "": {}}),
        json!("${HOME} $${x} $"),
        json!([
            "yes", "no", "null", "~", "1", "1e5", "a: b", "a #b", " a", "a ", "- a", "'", "\"", "\\", "*a",
            "nan"
        ]),
        json!("line\nline\ttab\u{0}\u{7f}\u{85}\u{2028}\u{feff}ü😀"),
    ] {
        let text = format!("value: {}\n", flow(&value));
        let mut root = tree::parse(&text).unwrap_or_else(|error| panic!("{error:?}: {text}"));
        let outside =
            crate::config::interpolate::Outside { variable: &|_| None, folder: Path::new("/nowhere") };
        let wrong = crate::config::interpolate::interpolate(&mut root, &text, &outside, &|_| Ok(()));
        assert!(wrong.is_empty(), "{wrong:?}");
        assert_eq!(de::read::<Json>(root.get("value").unwrap()).value.ok(), Some(value), "{text}");
    }
}
