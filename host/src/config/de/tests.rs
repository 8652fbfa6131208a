use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::config::interpolate::{Outside, interpolate};
use crate::config::tree;
use flitch_core::secret::Secret;
use flitch_core::units::Bytes;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tail {
    include: Vec<String>,
    #[serde(default)]
    tag: Option<String>,
    #[serde(default)]
    limit: Option<Bytes>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listen {
    port: u16,
    #[serde(default)]
    password: Option<Secret>,
    #[serde(default)]
    strict: bool,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Tail(Tail),
    Listen(Listen),
    Stdout,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Common {
    #[serde(default)]
    buffer: Option<Bytes>,
}

#[derive(Debug, PartialEq)]
struct Both {
    common: Common,
    kind: Kind,
}

impl<'de> Deserialize<'de> for Both {
    fn deserialize<D: de::Deserializer<'de>>(d: D) -> Result<Both, D::Error> {
        let (common, kind) = split(d, &["buffer"])?;
        Ok(Both { common, kind })
    }
}

fn parse(source: &str) -> Node {
    let mut node = tree::parse(source).unwrap();
    let variable = |name: &str| match name {
        "PORT" => Some("8080".into()),
        "PASSWORD" => Some("hunter2".into()),
        "HOUSE" => Some("007".into()),
        _ => None,
    };
    let outside = Outside { variable: &variable, folder: Path::new(".") };
    assert_eq!(interpolate(&mut node, source, &outside, &|_| Ok(())), []);
    node
}

fn good<T: for<'t> Deserialize<'t>>(source: &str) -> T {
    read(&parse(source)).value.unwrap()
}

/// The errors as `what is at the place: message (help)`.
fn bad<T: for<'t> Deserialize<'t> + std::fmt::Debug>(source: &str) -> Vec<String> {
    let errors = read::<T>(&parse(source)).value.unwrap_err();
    let shown = |e: &ReadError| {
        let help = e.help.as_ref().map(|h| format!(" ({h})")).unwrap_or_default();
        format!("{}: {}{help}", &source[e.location.start..e.location.end], e.message)
    };
    errors.iter().map(shown).collect()
}

type Map<T> = BTreeMap<String, T>;

#[test]
fn a_map_with_a_type_is_a_variant_and_its_common_keys_are_split_off() {
    let read: Map<Both> = good("a: {type: tail, include: [x], buffer: 1MiB}\nb: {type: stdout}\n");
    let tail = Kind::Tail(Tail { include: vec!["x".into()], tag: None, limit: None });
    assert_eq!(read["a"], Both { common: Common { buffer: Some(Bytes(1 << 20)) }, kind: tail });
    assert_eq!(read["b"].kind, Kind::Stdout);
}

#[test]
fn numbers_are_text_where_text_is_wanted_and_placeholders_numbers_despite_quotes() {
    let read: Kind = good("{type: tail, include: [0x10, 007], tag: 1.50}");
    let include = vec!["0x10".into(), "007".into()];
    assert_eq!(read, Kind::Tail(Tail { include, tag: Some("1.50".into()), limit: None }));
    let read: Kind = good("{type: listen, port: \"${PORT}\", password: 12345}");
    assert_eq!(
        read,
        Kind::Listen(Listen { port: 8080, password: Some(Secret::new("12345")), strict: false })
    );
    assert_eq!(bad::<Kind>("{type: listen, port: \"80\"}").len(), 1);
}

#[test]
fn json_keeps_the_types_of_the_file() {
    let read: serde_json::Value =
        good("{a: 1, b: '1', c: null, d: [-2, 0.5, true, 2020-01-01], e: 0x1f, f: ~}");
    let wanted = r#"{"a":1,"b":"1","c":null,"d":[-2,0.5,true,"2020-01-01"],"e":31,"f":null}"#;
    assert_eq!(read.to_string(), wanted);
}

#[test]
fn a_value_from_outside_is_a_number_only_where_it_would_be_written_so_or_where_one_is_wanted() {
    for text in ["17", "-5", "0", "0.5", "2.0", "18446744073709551615"] {
        let read: serde_json::Value = good(&format!("${{UNSET:-{text}}}"));
        assert!(read.is_number(), "{text}: {read}");
        assert_eq!(read.to_string(), text);
    }
    for text in
        ["007", "0123", "1.10", "1e3", "1E3", "0x10", "0o17", "+5", ".5", "5.", "00", "-0", "1e400", ".inf"]
    {
        let read: serde_json::Value = good(&format!("${{UNSET:-{text}}}"));
        assert_eq!(read, serde_json::json!(text));
    }
    let read: Vec<serde_json::Value> = good("- ${HOUSE}\n- 007\n");
    assert_eq!(read, [serde_json::json!("007"), serde_json::json!(7)]);
    let read: Map<u16> = good("{a: \"${HOUSE}\", b: \"${UNSET:-0x10}\"}");
    assert_eq!(read, Map::from([("a".to_owned(), 7), ("b".to_owned(), 16)]));
}

#[test]
fn a_number_that_would_become_another_one_is_told_where_it_stands() {
    let held =
        "[18446744073709551615, -9223372036854775808, 10000000000000000000000, 1.00000000000000000001]";
    let _: Vec<serde_json::Value> = good(held);
    for text in [
        "18446744073709551617",
        "-9223372036854775809",
        "+123456789012345678901234",
        "00123456789012345678901234",
        "1e400",
        ".inf",
        "-.inf",
        ".nan",
    ] {
        let told = bad::<Map<serde_json::Value>>(&format!("{{a: 1, b: {text}}}"));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(&format!("{text}: `{text}` would become another number")), "{told:?}");
    }
    assert_eq!(good::<f64>("18446744073709551617"), 18_446_744_073_709_551_616.0);
}

#[test]
fn all_errors_are_told_at_once_each_at_its_place() {
    let source = "a: {type: tial, include: [x]}\n\
                  b: {type: tail, inclde: [x], limit: 3 parsecs}\n\
                  c: {type: listen, port: 70000, strict: yes, verbose: 1}\n\
                  d: {include: [x], tag: y}\n\
                  e: {type: stdout, color: red}\n\
                  f: {type: tail, include: x.log}\n";
    let told = bad::<Map<Both>>(source);
    let wanted = [
        "tial: `tial` is not known here (did you mean `tail`? known: listen, stdout, tail)",
        "inclde: unknown key `inclde` (did you mean `include`? known keys: buffer, include, limit, tag)",
        "3 parsecs: `3 parsecs` is no size: write a number with a unit, such as 16MiB (the units are B, kB, MB, GB, KiB, \
         MiB and GiB)",
        "70000: expected a whole number from 0 to 65535, found the number `70000`",
        "yes: expected `true` or `false`, found the text `yes` (YAML 1.2 knows `true` and `false` alone, without \
         quotes)",
        "verbose: unknown key `verbose` (known keys: buffer, password, port, strict)",
        "d: the key `type` is missing (one of tail, listen, stdout)",
        "color: unknown key `color` (known keys: buffer)",
        "x.log: expected a list, found the text `x.log` (write it as a list: `[...]`, or one `- ` line for each)",
    ];
    assert_eq!(told, wanted);
}

#[test]
fn a_value_from_outside_is_never_quoted() {
    let source = "{type: listen, port: \"${PASSWORD}\"}";
    assert_eq!(
        bad::<Kind>(source),
        ["\"${PASSWORD}\": expected a whole number from 0 to 65535, found other text"]
    );
    let told = bad::<Kind>("{type: tail, include: [], limit: \"${PASSWORD}\"}");
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("\"${PASSWORD}\": `***` is no size: write a number"), "{told:?}");
    let told = bad::<Kind>("{type: \"${PASSWORD}\"}");
    assert!(!told[0].contains("hunter2"), "{told:?}");
}

#[test]
fn the_places_of_secrets_are_kept() {
    let source = "{type: listen, port: 1, password: abc}";
    let secrets = read::<Kind>(&parse(source)).secrets;
    assert_eq!(secrets.iter().map(|s| &source[s.start..s.end]).collect::<Vec<_>>(), ["abc"]);
}

#[test]
fn nothing_is_a_map_by_default_and_no_text() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Top {
        common: Common,
        name: Option<String>,
    }
    assert_eq!(good::<Top>("common:\nname:\n"), Top { common: Common { buffer: None }, name: None });
    assert_eq!(bad::<Map<String>>("a:\n"), ["a: expected text, found nothing"]);
}
