use proptest::prelude::*;

use super::*;

fn named(name: &str) -> Charset {
    Charset::try_from(name.to_owned()).expect("a charset")
}

fn coding(name: &str) -> Coding {
    named(name).of_head(b"", true).expect("all that there is").0
}

fn decoded(name: &str, raw: &[u8]) -> Vec<u8> {
    let mut text = vec![b'x'; 3];
    let len = coding(name).decode(raw, true, &mut text);
    assert!(text.len() > len, "there is room for the end of the last line");
    text.truncate(len);
    text
}

#[test]
fn a_charset_has_the_names_of_the_encoding_standard_and_others_are_refused_with_what_is_known() {
    for (name, is) in [
        ("UTF8", "utf-8"),
        ("latin1", "windows-1252"),
        ("utf-16", "utf-16le"),
        ("sjis", "shift_jis"),
        ("auto", "auto"),
    ] {
        assert_eq!(String::from(named(name)), is);
    }
    for name in ["utf-32", "iso-2022-jp", "", "hz-gb-2312"] {
        let error = Charset::try_from(name.to_owned()).unwrap_err();
        assert!(error.starts_with(&format!("`{name}` is no charset")), "{error}");
        assert!(error.contains("auto, utf-8, utf-16le"), "{error}");
    }
}

#[test]
fn the_names_that_an_error_tells_are_known() {
    let error = Charset::try_from("?".to_owned()).unwrap_err();
    let names = error.split("known are ").nth(1).expect("the names");
    for name in names.split(", ").filter(|name| !name.contains(" to ")) {
        named(name);
    }
    let many = (2..=16).filter(|n| *n != 12).map(|n| format!("iso-8859-{n}"));
    for name in many.chain((1250..=1258).map(|n| format!("windows-{n}"))) {
        named(&name);
    }
}

#[test]
fn a_mark_tells_the_charset_as_soon_as_it_is_whole() {
    let auto = Charset::Auto;
    assert_eq!(auto.of_head(b"", false), None);
    assert_eq!(auto.of_head(b"\xef\xbb", false), None);
    assert_eq!(auto.of_head(b"\xef\xbb", true), Some((Coding::UTF_8, 0)));
    assert_eq!(auto.of_head(b"\xef\xbb\xbf", false), Some((Coding::UTF_8, 3)));
    assert_eq!(auto.of_head(b"a", false), Some((Coding::UTF_8, 0)));
    assert_eq!(auto.of_head(b"\xff\xfea", false), Some((coding("utf-16le"), 2)));
    assert_eq!(auto.of_head(b"\xfe\xff", false), Some((coding("utf-16be"), 2)));
}

#[test]
fn a_charset_that_is_named_knows_its_own_mark_only() {
    let little = named("utf-16le");
    assert_eq!(little.of_head(b"\xff\xfe", false), Some((coding("utf-16le"), 2)));
    assert_eq!(little.of_head(b"\xfe\xff", false), Some((coding("utf-16le"), 0)));
    assert_eq!(named("latin1").of_head(b"", false), Some((coding("latin1"), 0)));
    assert_eq!(named("utf-8").of_head(b"\xef\xbb\xbf", false), Some((Coding::UTF_8, 3)));
}

#[test]
fn lines_end_at_units_and_not_at_bytes() {
    // U+010A, U+0A00 and U+0A0A hold the byte of a newline, each in its own way.
    let text = "a\u{10a}\u{a00}\n\u{a0a}\n";
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(coding("utf-16le").line_ends(&little).collect::<Vec<_>>(), [8, 12]);
    assert_eq!(coding("utf-16be").line_ends(&big).collect::<Vec<_>>(), [8, 12]);
    assert_eq!(coding("utf-16be").line_ends(&big).next_back(), Some(12));
    assert_eq!(coding("latin1").line_ends(b"a\n\xe9\n").collect::<Vec<_>>(), [2, 4]);
}

#[test]
fn nuls_are_counted_in_whole_units() {
    let (little, big) = (coding("utf-16le"), coding("utf-16be"));
    assert_eq!(little.written(b"a\0\n\0\0\0\0\0"), 4);
    assert_eq!(big.written(b"\0a\0\n\0\0\0\0"), 4);
    assert_eq!(little.written(b"a\0\n"), 2, "half a unit is not written");
    assert_eq!(Coding::UTF_8.written(b"a\n\0\0"), 2);
    assert_eq!(Coding::UTF_8.written(b"\0\0"), 0);
    assert_eq!((little.nuls(b"\0\0a\0"), big.nuls(b"\0\0\0a")), (2, 2));
    assert_eq!(Coding::UTF_8.nuls(b"\0\0\0a"), 3);
}

#[test]
fn text_is_decoded_and_what_is_malformed_is_no_utf8() {
    assert_eq!(decoded("latin1", b"caf\xe9 \x80"), "café €".as_bytes());
    assert_eq!(decoded("shift_jis", b"\x93\xfa\x96\x7b\n"), "日本\n".as_bytes());
    assert_eq!(decoded("utf-16le", b"\x3d\xd8\x00\xde"), "\u{1f600}".as_bytes());
    assert_eq!(decoded("utf-16le", b"a\0\x00\xd8\n\0"), b"a\xff\n");
    assert_eq!(decoded("gb18030", b"\x81\x30\n"), b"\xff0\n", "half a character ends before the line does");
}

#[test]
fn half_a_character_is_left_for_later() {
    let mut text = Vec::new();
    assert_eq!(coding("shift_jis").decode(b"a\x93", false, &mut text), 1);
    assert_eq!(coding("shift_jis").decode(b"a\x93", true, &mut text), 2);
    assert_eq!(text[..2], *b"a\xff");
}

fn any_coding() -> impl Strategy<Value = Coding> {
    prop::sample::select(vec![
        "utf-16le",
        "utf-16be",
        "latin1",
        "shift_jis",
        "euc-jp",
        "big5",
        "gb18030",
        "euc-kr",
    ])
    .prop_map(coding)
}

proptest! {
    #[test]
    fn a_place_of_the_text_is_the_place_of_its_line_in_the_file(
        coding in any_coding(), raw in prop::collection::vec(prop_oneof![Just(b'\n'), Just(0), any::<u8>()], 0..60),
    ) {
        let raw = &raw[..raw.len() - raw.len() % coding.unit()];
        let mut text = Vec::new();
        let len = coding.decode(raw, true, &mut text);
        let text = &text[..len];
        let mut places = Places::new(coding, raw);
        let ends: Vec<usize> = coding.line_ends(raw).collect();
        let found: Vec<usize> = memchr::memchr_iter(b'\n', text).map(|at| places.of(text, at + 1)).collect();
        prop_assert_eq!(found, ends);
    }
}
