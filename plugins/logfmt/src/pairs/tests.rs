use super::*;

fn pairs(text: &str) -> Result<Vec<(String, Option<String>)>, String> {
    Pairs::new(text).map(|pair| pair.map(|Pair { key, value }| (key.into(), value.map(Into::into)))).collect()
}

fn one(text: &str) -> String {
    let pairs = pairs(text).unwrap();
    assert_eq!(pairs.len(), 1, "{text}");
    pairs[0].1.clone().unwrap()
}

#[test]
fn pairs_are_parted_by_any_white_space() {
    let found = pairs("  a=1\tb=x=y  c d=\n").unwrap();
    let wanted = [("a", Some("1")), ("b", Some("x=y")), ("c", None), ("d", Some(""))];
    let wanted: Vec<_> = wanted.map(|(key, value)| (key.to_owned(), value.map(str::to_owned))).into();
    assert_eq!(found, wanted);
    assert_eq!(pairs("").unwrap(), []);
}

#[test]
fn escapes_of_a_quoted_value_are_read_as_json_reads_them() {
    assert_eq!(one(r#"a="x \"y\" \\ \n\t\/""#), "x \"y\" \\ \n\t/");
    assert_eq!(one(r#"a="\u00e9\ud83d\ude00\ud83d!""#), "é😀\u{fffd}!");
    assert_eq!(one(r#"a="C:\dir\é""#), r"C:\dir\é");
    assert_eq!(one(r#"a="""#), "");
}

#[test]
fn quotes_within_a_value_that_does_not_begin_with_one_stand_for_themselves() {
    assert_eq!(one(r#"a=/x?y="z""#), r#"/x?y="z""#);
}

#[test]
fn what_is_wrong_is_named_with_its_key() {
    assert_eq!(pairs("a=1 =2").unwrap_err(), r#"there is no key before "=2""#);
    assert_eq!(pairs(r#"a"b=2"#).unwrap_err(), r#"there is a quote in the key "a\"b""#);
    assert_eq!(pairs(r#"a="x"#).unwrap_err(), r#"the value of "a" has no closing quote"#);
    assert_eq!(pairs(r#"a="x\"#).unwrap_err(), r#"the value of "a" has no closing quote"#);
    assert_eq!(pairs(r#"a="\u12g4""#).unwrap_err(), r#"the value of "a" has a wrong \u escape"#);
    assert_eq!(pairs(r#"a="\u12"#).unwrap_err(), r#"the value of "a" has a wrong \u escape"#);
    assert_eq!(pairs(r#"a="x"b=1"#).unwrap_err(), r#"the value of "a" goes on behind its closing quote"#);
}

#[test]
fn any_text_is_read_without_a_panic_and_to_its_end() {
    for text in ["\\", "=", "\"", "a=\"\\u", "a=\"\\ud800\\u", "é=ü", "\u{0}", "a=\"é\\é", "a=\"\\ué12\""]
    {
        for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
            let _ = pairs(&text[..end]);
        }
    }
    let many = "k=v ".repeat(10_000);
    assert_eq!(pairs(&many).unwrap().len(), 10_000);
}
