use super::*;

fn text(node: &Node) -> &str {
    match &node.value {
        Value::Scalar(scalar) => &scalar.text,
        other => panic!("no scalar: {other:?}"),
    }
}

fn at<'t>(source: &'t str, node: &Node) -> &'t str {
    &source[node.location.start..node.location.end]
}

#[test]
fn every_value_knows_its_place() {
    let source = "a: {b: [1, \"zwei\"]}\nc: >\n  folded\n  text\nd: é\n";
    let tree = parse(source).unwrap();
    let a = tree.get("a").unwrap();
    assert_eq!(at(source, a), "{b: [1, \"zwei\"]}");
    let Value::Seq(items) = &a.get("b").unwrap().value else { panic!() };
    assert_eq!((at(source, &items[0]), at(source, &items[1])), ("1", "\"zwei\""));
    assert_eq!(text(&items[1]), "zwei");
    assert_eq!(text(tree.get("c").unwrap()), "folded text\n");
    assert_eq!(at(source, tree.get("d").unwrap()), "é");
    let key = tree.entry("c").unwrap().key_location;
    assert_eq!(&source[key.start..key.end], "c");
}

#[test]
fn a_key_that_stands_twice_is_an_error_with_the_line_of_the_first() {
    let error = parse("a: 1\nb: 2\na: 3\n").unwrap_err();
    assert_eq!(error.location, Location { start: 10, end: 11 });
    assert!(error.help.unwrap().contains("line 1"), "{}", error.message);
}

#[test]
fn an_alias_brings_its_anchor_and_a_merge_key_gives_way_to_what_stands_there() {
    let tree = parse("x-base: &base {a: 1, b: 2}\none: *base\ntwo:\n  <<: *base\n  b: 3\n").unwrap();
    assert_eq!(text(tree.get("one").unwrap().get("b").unwrap()), "2");
    let two = tree.get("two").unwrap();
    assert_eq!((text(two.get("a").unwrap()), text(two.get("b").unwrap())), ("1", "3"));
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut source = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..6 {
        let p = n - 1;
        source +=
            &format!("a{n}: &a{n} [*a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}]\n");
    }
    assert!(parse(&source).unwrap_err().message.contains("aliases add more than"));
}

#[test]
fn what_is_no_yaml_has_a_place() {
    let source = "a:\n  - 1\n b: 2\n";
    let error = parse(source).unwrap_err();
    assert!(error.message.starts_with("this is not YAML: "), "{}", error.message);
    assert!(error.location.start > 7, "{:?}", error.location);
    assert!(parse("a: 1\n---\nb: 2\n").unwrap_err().message.contains("second document"));
    assert!(parse("? [a, b]\n: 1\n").unwrap_err().message.contains("not text"));
    assert!(parse("a: !!python/object x\n").is_err());
    assert!(parse("a: *nowhere\n").is_err());
}

#[test]
fn an_empty_file_is_an_empty_map() {
    for source in ["", "# nothing\n", "---\n"] {
        assert!(
            matches!(parse(source).unwrap().value, Value::Map(entries) if entries.is_empty()),
            "{source:?}"
        );
    }
}
