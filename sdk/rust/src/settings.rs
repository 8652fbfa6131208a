//! Settings: the JSON text that the host hands over, into the filter's own type.

use crate::{Result, err};
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
    let settings = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        // The place in a text that the host wrote says nothing to an operator, the path does.
        let reason = inner.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        match path.as_str() {
            "." | "" | "?" => err!("settings: {reason}"),
            path => err!("settings.{path}: {reason}"),
        }
    })?;
    json.end().map_err(|error| err!("settings: {error}"))?;
    Ok(settings)
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
}
