//! Settings: the JSON text that the host hands over, into the filter's own type.

mod maps;

use crate::{Result, err};
use maps::Maps;
use serde::de::DeserializeOwned;

/// Reads settings. No settings at all are an empty object, so that a filter whose keys all have
/// defaults needs none.
///
/// # Errors
/// The wrong key with its path, and what would be right.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T> {
    let text = match text.trim() {
        "" | "null" => "{}",
        text => text,
    };
    let mut json = serde_json::Deserializer::from_str(text);
    let settings = serde_path_to_error::deserialize(Maps(&mut json)).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        // The place in a text that the host wrote says nothing to an operator, the path does.
        let reason = inner.to_string();
        let reason = plain(reason.split(" at line ").next().unwrap_or_default());
        match path.as_str() {
            "." | "" | "?" => err!("settings: {reason}"),
            path => err!("settings.{path}: {reason}"),
        }
    })?;
    json.end().map_err(|error| err!("settings: {error}"))?;
    Ok(settings)
}

/// What serde says, without its names for types, which say nothing to whoever wrote the settings.
fn plain(reason: &str) -> String {
    if reason.starts_with("data did not match any variant of") {
        return "it has none of the forms that may stand here".to_owned();
    }
    let Some((before, wanted)) = reason.rsplit_once("expected ") else { return reason.to_owned() };
    let wanted = match wanted {
        // It stands for a name out of a list, of which serde says no more.
        "value" if before.is_empty() => "one of the names that may stand here",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        wanted if wanted.starts_with("a nonzero ") => "a whole number, 1 or more",
        wanted
            if wanted.starts_with("struct ")
                || wanted.contains("struct variant ")
                || wanted.contains("enum ") =>
        {
            "a map"
        }
        wanted => wanted,
    };
    let before = match before {
        "invalid type: sequence, " => "invalid type: a list, ",
        "invalid type: map, " => "invalid type: a map, ",
        before => before,
    };
    format!("{before}expected {wanted}")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Settings {
        field: String,
        rules: Vec<Rule>,
    }

    impl Default for Settings {
        fn default() -> Self {
            Self { field: "message".into(), rules: Vec::new() }
        }
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Rule {
        pattern: String,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Kinds {
        rules: Vec<Rule>,
        how: How,
        count: u32,
        by_name: std::collections::BTreeMap<String, Rule>,
        perhaps: Option<Box<Rule>>,
        either: Option<Either>,
        pair: (String, u32),
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Either {
        This(Rule),
        That { pattern: String },
        Both(String, u32),
        None,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum How {
        #[default]
        Well,
        Badly,
    }

    fn refused(text: &str) -> String {
        super::parse::<Settings>(text).expect_err("refused").to_string()
    }

    #[test]
    fn no_settings_are_the_defaults() {
        for text in ["", " null ", "{}"] {
            assert_eq!(super::parse::<Settings>(text).expect("settings"), Settings::default());
        }
    }

    #[test]
    fn a_wrong_key_is_named_with_its_path_and_what_would_be_right() {
        assert_eq!(
            refused(r#"{"feild":"x"}"#),
            "settings.feild: unknown field `feild`, expected `field` or `rules`"
        );
        assert_eq!(
            refused(r#"{"rules":[{"pattern":"a"},{"patern":"b"}]}"#),
            "settings.rules[1].patern: unknown field `patern`, expected `pattern`"
        );
        assert_eq!(refused(r#"{"rules":[{}]}"#), "settings.rules[0]: missing field `pattern`");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_with_its_path() {
        assert_eq!(
            refused(r#"{"rules":[{"pattern":7}]}"#),
            "settings.rules[0].pattern: invalid type: integer `7`, expected a string"
        );
    }

    #[test]
    fn what_is_a_list_or_a_map_of_its_own_is_read_as_that() {
        let text = r#"{"rules":[{"pattern":"a"}],"by_name":{"x":{"pattern":"b"}},"perhaps":{"pattern":"c"},"pair":["d",7],"either":{"both":["e",8]}}"#;
        let rule = |pattern: &str| Rule { pattern: pattern.to_owned() };
        let all = Kinds {
            rules: vec![rule("a")],
            by_name: [("x".to_owned(), rule("b"))].into(),
            perhaps: Some(Box::new(rule("c"))),
            either: Some(Either::Both("e".to_owned(), 8)),
            pair: ("d".to_owned(), 7),
            ..Kinds::default()
        };
        assert_eq!(super::parse::<Kinds>(text).expect("settings"), all);
        for (text, either) in [
            (r#""none""#, Either::None),
            (r#"{"this":{"pattern":"a"}}"#, Either::This(rule("a"))),
            (r#"{"that":{"pattern":"a"}}"#, Either::That { pattern: "a".to_owned() }),
        ] {
            let read = super::parse::<Kinds>(&format!(r#"{{"either":{text}}}"#)).expect("settings");
            assert_eq!(read.either, Some(either));
        }
    }

    #[test]
    fn no_reason_has_the_name_of_a_type() {
        for (text, reason) in [
            ("7", "settings: invalid type: integer `7`, expected a map"),
            ("[]", "settings: invalid type: a list, expected a map"),
            (r#"{"rules":[["a"]]}"#, "settings.rules[0]: invalid type: a list, expected a map"),
            (r#"{"by_name":{"x":[]}}"#, "settings.by_name.x: invalid type: a list, expected a map"),
            (r#"{"perhaps":["a"]}"#, "settings.perhaps: invalid type: a list, expected a map"),
            (r#"{"either":{"that":["a"]}}"#, "settings.either.that: invalid type: a list, expected a map"),
            (r#"{"either":{"this":["a"]}}"#, "settings.either.this: invalid type: a list, expected a map"),
            (r#"{"rules":7}"#, "settings.rules: invalid type: integer `7`, expected a list"),
            (r#"{"rules":{}}"#, "settings.rules: invalid type: a map, expected a list"),
            (r#"{"rules":["a"]}"#, "settings.rules[0]: invalid type: string \"a\", expected a map"),
            (
                r#"{"count":-1}"#,
                "settings.count: invalid value: integer `-1`, expected a whole number, 0 or more",
            ),
            (r#"{"how":7}"#, "settings.how: expected one of the names that may stand here"),
            (r#"{"how":"ill"}"#, "settings.how: unknown variant `ill`, expected `well` or `badly`"),
        ] {
            assert_eq!(super::parse::<Kinds>(text).expect_err("refused").to_string(), reason);
        }
    }
}
