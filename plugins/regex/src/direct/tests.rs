use super::{Direct, Found};
use crate::settings::{Preset, pattern_of, second_pattern_of};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::Cell;

const PRESETS: [Preset; 4] =
    [Preset::NginxCombined, Preset::NginxMain, Preset::ApacheCombined, Preset::ApacheCommon];

/// Compares what comes of the text, which stands among others, with what the crate `regex` says. Answers whether it
/// was for us to say.
fn compare(pattern: &str, direct: &Direct, regex: &regex::bytes::Regex, text: &str) -> bool {
    let data = format!("12 \"{text}\" ab");
    let (from, to) = (4, 4 + text.len());
    let mut places = vec![0; regex.captures_len() * 2];
    let found = direct.find(&data, from, to, &mut places);
    let captures = regex.captures(text.as_bytes());
    match found {
        Found::Unclear => return false,
        Found::Nothing => assert!(captures.is_none(), "{pattern} matches {text:?}"),
        Found::Match => {
            let captures = captures.unwrap_or_else(|| panic!("{pattern} does not match {text:?}"));
            for group in 1..captures.len() {
                let theirs = captures.get(group).map(|group| (from + group.start(), from + group.end()));
                let ours = (places[group * 2], places[group * 2 + 1]);
                assert_eq!(
                    ours,
                    theirs.unwrap_or((usize::MAX, usize::MAX)),
                    "{pattern}, {text:?}, group {group}"
                );
            }
        }
    }
    true
}

/// Characters and classes.
const ATOMS: &[&str] = &[
    "a",
    "ab",
    "b",
    " ",
    "é",
    "\"",
    r"\[",
    "[^ ]",
    r#"[^"]"#,
    r#"[^"\\]"#,
    r"\\.",
    ".",
    r"\w",
    r"\d",
    r"\S",
    r"\s",
    "[0-9]",
    "[a-c]",
    "[a-cé]",
    "(?-u:[^ ])",
    "(?-u:.)",
    "(?i:a)",
    "-",
];

/// How often one stands.
const TIMES: &[&str] = &["", "", "", "*", "+", "?", "*?", "{2}", "{1,2}", "{2,}"];

/// A character, a class, or a few of them.
fn atom() -> impl Strategy<Value = String> {
    (prop::sample::select(ATOMS), prop::sample::select(TIMES)).prop_map(|(atom, times)| {
        if atom == "ab" { format!("(?:ab){times}") } else { format!("{atom}{times}") }
    })
}

/// Patterns of up to a dozen of those, in groups and ways.
fn pattern() -> impl Strategy<Value = String> {
    let tree = atom().prop_recursive(3, 12, 4, |inner| {
        let many = || prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            4 => many().prop_map(|parts| parts.concat()),
            2 => many().prop_map(|parts| format!("({})", parts.concat())),
            2 => many().prop_map(|ways| format!("(?:{})", ways.join("|"))),
            1 => many().prop_map(|ways| format!("(?:{})?", ways.join("|"))),
            1 => many().prop_map(|ways| format!("(?:{})*", ways.join("|"))),
            1 => many().prop_map(|ways| format!("(?:{})+", ways.concat())),
        ]
    });
    (prop::collection::vec(tree, 1..4), prop::bool::weighted(0.7), prop::bool::weighted(0.6)).prop_map(
        |(parts, anchored, closed)| {
            format!("{}{}{}", if anchored { "^" } else { "" }, parts.concat(), if closed { "$" } else { "" })
        },
    )
}

#[test]
fn what_has_one_way_comes_out_as_the_crate_says() {
    let texts = prop::collection::vec(r#"[ab1 \-"\\\[é\n]{0,8}"#, 24);
    let (direct, said) = (Cell::new(0), Cell::new(0));
    let config = Config { cases: 3000, failure_persistence: None, ..Config::default() };
    let compared = TestRunner::new(config).run(&(pattern(), texts), |(pattern, texts)| {
        if let Some(ours) = Direct::new(&pattern) {
            direct.set(direct.get() + 1);
            let theirs = regex::bytes::Regex::new(&pattern).expect("a pattern");
            let ours = texts.iter().filter(|text| compare(&pattern, &ours, &theirs, text)).count();
            said.set(said.get() + ours);
        }
        Ok(())
    });
    compared.unwrap();
    assert!(direct.get() > 100 && said.get() > 1000, "{direct:?} patterns, {said:?} texts");
}

/// A line of an access log that somebody has damaged.
fn damaged(line: &'static str) -> impl Strategy<Value = String> {
    let cut = (0..line.len(), 0..4usize, r#"[-" \[\]\\0aé\n]{0,3}"#);
    prop::collection::vec(cut, 0..4).prop_map(move |cuts| {
        let mut line = line.to_owned();
        for (at, length, put) in cuts {
            let at = line.floor_char_boundary(at.min(line.len()));
            let end = line.floor_char_boundary((at + length).min(line.len()));
            line.replace_range(at..end.max(at), &put);
        }
        line
    })
}

#[test]
fn the_presets_have_one_way_and_come_out_as_the_crate_says() {
    let lines = [
        r#"10.0.0.1 - - [20/Nov/2026:13:00:00 +0000] "GET /a?b=c HTTP/1.1" 200 17 "-" "Mozilla/5.0 (X11)""#,
        r#"10.0.0.1 - alice [20/Nov/2026:13:00:00 +0000] "GET /\"q\\ HTTP/1.1" 404 - "http://é/" "curl \"7\"""#,
        r#"10.0.0.1 - - [20/Nov/2026:13:00:00 +0000] "GET / HTTP/1.1" 200 17 "-" "curl" "10.0.0.2, 10.0.0.3""#,
        r#"::1 id bob smith [20/Nov/2026:13:00:00 +0000] "\x16\x03" 400 0"#,
    ];
    for preset in PRESETS {
        let pattern = pattern_of(preset);
        let ours = Direct::new(&pattern).unwrap_or_else(|| panic!("{pattern} has several ways"));
        let theirs = regex::bytes::Regex::new(&pattern).unwrap();
        for line in lines {
            let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
            let compared = TestRunner::new(config).run(&damaged(line), |line| {
                compare(&pattern, &ours, &theirs, &line);
                Ok(())
            });
            compared.unwrap();
            assert!(compare(&pattern, &ours, &theirs, line), "{pattern} does not say of {line}");
        }
        assert!(Direct::new(&second_pattern_of(preset)).is_none());
    }
}

#[test]
fn a_pattern_with_two_ways_is_left_to_the_crate() {
    for pattern in [
        "^(?<a>.*) (?<b>.*)$",
        "^(?<a>.*?) b$",
        r"^(?<a>\S+) (?<b>[^ ]*?)",
        "^(?:ab)?a$",
        "^(?:a|ab)$",
        "^(?:ab)*$|c",
        "^(?:[é]x|[^\"])*$",
        r"^[^ ]*\s$",
        r"^(?-u:\xc3)[^ ]*$",
        r"^a\b",
        "(?m)^a$",
        "^(?:(a)|b)*$",
    ] {
        assert!(Direct::new(pattern).is_none(), "{pattern}");
    }
}

#[test]
fn a_text_may_be_left_to_the_crate_where_its_letters_are_not_known() {
    let direct = Direct::new(r"^(?<word>\w+) (?<rest>.+)$").unwrap();
    let find = |text: &str| direct.find(text, 0, text.len(), &mut [0; 6]);
    assert_eq!(find("abc d"), Found::Match);
    assert_eq!(find("abc é"), Found::Match);
    assert_eq!(find("abé d"), Found::Unclear);
    assert_eq!(find("-abc d"), Found::Nothing);
    let anywhere = Direct::new(r"(?<word>a+) ").unwrap();
    assert_eq!(anywhere.find("aa b", 0, 4, &mut [0; 4]), Found::Match);
    assert_eq!(anywhere.find("b aa ", 0, 5, &mut [0; 4]), Found::Unclear);
}
