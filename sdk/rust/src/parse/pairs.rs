//! Names and values that a text brings along.

use crate::json::{Limits, MAX_NAMES, flatten, quote, text_of};
use crate::{ColumnSet, Result, Value};
use flitch_model::path;
use std::borrow::Cow;

/// Writes names and values that one text brought along into row `row` of `columns`, below `prefix`, as [`flatten`] does
/// it for an object with these members: a dot in a name is part of it, of two values of one name the last one stays,
/// what is past the limits stands in `@rest`, and what has no right to one of the host's names gets another. The row must
/// have nothing yet.
///
/// # Errors
/// As [`flatten`]: when a value that says it is JSON is none.
pub fn set_pairs(
    pairs: &[(Cow<'_, str>, Value<'_>)],
    prefix: &str,
    row: usize,
    columns: &mut ColumnSet,
) -> Result<()> {
    let is_plain = |name: &str| !prefix.is_empty() || !name.starts_with('@');
    let is_object = |value: &Value<'_>| matches!(value, Value::Json(text) if text.starts_with('{'));
    if pairs.len() > MAX_NAMES || pairs.iter().any(|(name, value)| !is_plain(name) || is_object(value)) {
        return set_all(pairs, prefix, row, columns);
    }
    columns.begin_row();
    let mut path = prefix.to_owned();
    for (name, value) in pairs {
        path.truncate(prefix.len());
        path::push_text(&mut path, name, prefix.is_empty());
        columns.set(row, &path, *value);
    }
    Ok(())
}

/// The same by way of the object.
#[cold]
fn set_all(
    pairs: &[(Cow<'_, str>, Value<'_>)],
    prefix: &str,
    row: usize,
    columns: &mut ColumnSet,
) -> Result<()> {
    let mut text = "{".to_owned();
    for (name, value) in pairs {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&quote(name));
        text.push(':');
        text.push_str(&text_of(*value));
    }
    text.push('}');
    flatten(&text, prefix, row, columns, Limits::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn written(pairs: &[(&str, Value<'_>)], prefix: &str, all: bool) -> BTreeMap<String, String> {
        let pairs: Vec<(Cow<'_, str>, Value<'_>)> =
            pairs.iter().map(|(name, value)| (Cow::Borrowed(*name), *value)).collect();
        let mut columns = ColumnSet::default();
        let set = if all { set_all } else { set_pairs };
        set(&pairs, prefix, 0, &mut columns).unwrap();
        columns.row(0).map(|(name, value)| (name.to_owned(), format!("{value:?}"))).collect()
    }

    #[test]
    fn pairs_come_out_as_the_members_of_an_object_do() {
        let ordinary = [
            ("a", Value::Text("x\n\"")),
            ("b.c", Value::Int64(-5)),
            ("b", Value::Float64(0.5)),
            ("a", Value::Boolean(true)),
            ("é\\", Value::Text("")),
            ("n", Value::Json("null")),
            ("l", Value::Json("[1]")),
        ];
        for prefix in ["", "p", "p.q"] {
            assert_eq!(written(&ordinary, prefix, false), written(&ordinary, prefix, true), "{prefix:?}");
        }
        let names = written(&ordinary, "p", false);
        assert_eq!(names.keys().collect::<Vec<_>>(), ["p.a", r"p.b", r"p.b\.c", "p.l", "p.n", r"p.é\\"]);
        assert!(names["p.a"].contains("true"), "the last one stays");
    }

    #[test]
    fn the_names_of_the_host_and_too_many_names_fare_as_in_an_object() {
        let reserved =
            [("@timestamp", Value::Text("soon")), ("@tag", Value::Text("t")), ("@v", Value::Int64(1))];
        let names = written(&reserved, "", false);
        assert_eq!(names.keys().collect::<Vec<_>>(), ["@tag", "@v", "_@timestamp"]);
        assert_eq!(written(&reserved, "p", false)["p.@timestamp"], "Text(\"soon\")");
        let names: Vec<String> = (0..300).map(|number| format!("n{number}")).collect();
        let many: Vec<(&str, Value<'_>)> =
            names.iter().map(|name| (name.as_str(), Value::Int64(1))).collect();
        let written = written(&many, "", false);
        assert_eq!(written.len(), 257);
        assert!(written.contains_key("@rest"));
    }

    #[test]
    fn the_members_of_an_object_are_fields_of_their_own() {
        let names = written(&[("o", Value::Json(r#"{"x":{"y":1}}"#))], "p", false);
        assert_eq!(names, BTreeMap::from([("p.o.x.y".to_owned(), "Int64(1)".to_owned())]));
    }
}
