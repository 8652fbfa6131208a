use super::*;
use crate::config::tree::parse;

/// What is said about a text that is not YAML.
fn help(text: &str) -> Option<String> {
    parse(text).expect_err(text).help
}

#[test]
fn what_yaml_would_take_for_something_else_is_to_stand_in_quotes() {
    for (text, wanted) in [
        ("a: { t: ${X} }", PLACEHOLDER),
        ("a: [${X}, b]", PLACEHOLDER),
        ("a:\n  { b: \"it's\",\n    c: ${X:-y} }", PLACEHOLDER),
        ("a: { b: ${X}\nc: 1", PLACEHOLDER),
        ("a: {@tag}", TEMPLATE),
        ("a: [{@tag}.log]", TEMPLATE),
        ("a: { t: logs.{@tag}, b: 1 }", TEMPLATE),
        ("a: {host}/x.log", TEMPLATE),
        ("a: { p: /x/{host}.log, q: \"${X}\" }", TEMPLATE),
        ("a: { p: /x/{@timestamp:%Y-%m}.log }", TEMPLATE),
        ("a: [::1]:8080", ADDRESS),
        ("a: { b: [::]:8080 }", ADDRESS),
        ("a: *.log", ALIAS),
        ("a: [/x/*.log, *.txt]", ALIAS),
        ("a: @tag", FIRST),
        ("a: `b`", FIRST),
        ("a: b: c", COLON),
        ("a: - b", LIST),
        ("a: \"\\d+\"", ESCAPE),
        ("a: 'it's'", APOSTROPHE),
        ("a: { b: \"${X}\" c: 1 }", QUOTE),
    ] {
        assert_eq!(help(text).as_deref(), Some(wanted), "{text}");
    }
}

#[test]
fn what_stands_in_quotes_or_comments_is_not_what_is_wrong() {
    for text in [r#"a: ["${X}"}"#, "a: ['{@tag}'} # ${X}", r#"a: ["\"{@tag}"}"#] {
        assert_eq!(help(text).as_deref(), Some(BRACKETS), "{text}");
    }
    assert_eq!(help("a: {b: c} d # {@tag}").as_deref(), Some(KEYS));
    assert_eq!(help("a: { b: don't, c: ${X} }").as_deref(), Some(PLACEHOLDER), "an apostrophe is no quote");
}

#[test]
fn tabs_are_named_and_so_is_their_line_where_the_parser_stops_before_it() {
    let here = "YAML wants spaces where a tab stands";
    for text in ["a:\n\tb: 1", "a: {\n\tb: 1 }", "a: \"x\n\ty\"", "a: |\n  x\n\ty\nb: 1"] {
        assert_eq!(help(text).as_deref(), Some(here), "{text}");
    }
    assert_eq!(help("a:\n  b: 1\n\tc: 2").unwrap(), format!("{here}, in line 3"));
    assert_eq!(help("a: {\n  b: 1,\n\tc: ${X} }").as_deref(), Some(PLACEHOLDER), "the tab is allowed there");
}
