//! From `%{NAME:field:type}` to one regular expression.

use crate::library::DEFINITIONS;
use crate::ruby;
use flitch_sdk::parse::Kind;
use flitch_sdk::{Result, bail, path};
use std::collections::BTreeMap;

/// Most bytes of a pattern once all names are replaced.
const MAX_BYTES: usize = 128 * 1024;
/// Most definitions within one another.
const MAX_DEPTH: usize = 32;
/// What the names of groups begin with that stand for fields.
const GROUP: &str = "__field";

/// A pattern without names.
#[derive(Debug, Default)]
pub struct Expanded {
    /// The regular expression.
    pub regex: String,
    /// The field and type of each group that is named `__field` and its number.
    pub fields: Vec<(String, Option<Kind>)>,
}

impl Expanded {
    /// The field of a group by its name.
    pub fn field(&self, group: &str) -> (String, Option<Kind>) {
        let own = group.strip_prefix(GROUP).and_then(|number| number.parse::<usize>().ok());
        own.and_then(|number| self.fields.get(number)).cloned().unwrap_or_else(|| (group.to_owned(), None))
    }
}

/// The definitions: the operator's own, and those that everybody has.
#[derive(Debug)]
pub struct Definitions(BTreeMap<String, String>);

impl Definitions {
    /// All of them.
    pub fn new(own: BTreeMap<String, String>) -> Self {
        Self(own)
    }

    fn find(&self, name: &str) -> Option<&str> {
        let known =
            || DEFINITIONS.iter().find(|(known, _)| *known == name).map(|(_, expression)| *expression);
        self.0.get(name).map(String::as_str).or_else(known)
    }

    /// Replaces the names of a pattern.
    ///
    /// # Errors
    /// A name that is unknown or stands for itself, a type that is unknown, or a pattern that grows too long.
    pub fn expand(&self, pattern: &str) -> Result<Expanded> {
        let mut expanded = Expanded::default();
        self.append(pattern, &mut Vec::new(), &mut expanded)?;
        Ok(expanded)
    }

    fn append<'a>(&'a self, pattern: &'a str, above: &mut Vec<&'a str>, out: &mut Expanded) -> Result<()> {
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once("%{") {
            literal(before, out)?;
            let Some((inside, behind)) = after.split_once('}') else {
                bail!("%{{{after} has no closing brace")
            };
            rest = behind;
            self.name(inside, above, out)?;
        }
        literal(rest, out)
    }

    fn name<'a>(&'a self, inside: &'a str, above: &mut Vec<&'a str>, out: &mut Expanded) -> Result<()> {
        let mut parts = inside.splitn(3, ':');
        let (name, field, kind) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let Some(expression) = self.find(name) else { bail!("%{{{inside}}}: there is no pattern `{name}`") };
        if above.contains(&name) {
            bail!("%{{{inside}}}: the pattern `{name}` stands for itself");
        }
        if above.len() == MAX_DEPTH {
            bail!("%{{{inside}}}: more than {MAX_DEPTH} patterns stand within one another");
        }
        match field.filter(|field| !field.is_empty()) {
            None => out.regex.push_str("(?:"),
            Some(field) => {
                let kind = kind.map(|kind| type_of(inside, kind)).transpose()?;
                let group = group(path::of_brackets(field), kind, &mut out.fields);
                out.regex.push_str(&format!("(?<{group}>"));
            }
        }
        above.push(name);
        self.append(expression, above, out)?;
        above.pop();
        out.regex.push(')');
        Ok(())
    }
}

/// What stands between names.
fn literal(text: &str, out: &mut Expanded) -> Result<()> {
    if out.regex.len() + text.len() > MAX_BYTES {
        bail!("it is longer than {MAX_BYTES} bytes once its names are replaced");
    }
    let Expanded { regex, fields } = out;
    // One name may stand in several places, which it may not in a regular expression.
    ruby::append(text, regex, |name| Some(group(field_of(name)?, None, fields)));
    Ok(())
}

/// The name of the group that a field gets.
fn group(field: String, kind: Option<Kind>, fields: &mut Vec<(String, Option<Kind>)>) -> String {
    fields.push((field, kind));
    format!("{GROUP}{}", fields.len() - 1)
}

/// The field of a group that the operator has named: a path as in `%{…}`, or as in the filter `regex`. None where it is no name.
fn field_of(name: &str) -> Option<String> {
    if name.starts_with('[') && name.ends_with(']') {
        return Some(path::of_brackets(name));
    }
    let is_name = name.starts_with(|first: char| first == '_' || first.is_alphabetic())
        && name.chars().all(|sign| sign.is_alphanumeric() || matches!(sign, '_' | '.'));
    is_name.then(|| name.replace("__", "."))
}

/// The type of this name.
pub fn type_of(place: &str, name: &str) -> Result<Kind> {
    match name {
        "int" | "integer" | "long" => Ok(Kind::Int),
        "float" | "double" => Ok(Kind::Float),
        "bool" | "boolean" => Ok(Kind::Bool),
        "text" | "string" => Ok(Kind::Text),
        _ => bail!("%{{{place}}}: there is no type `{name}`; there are text, int, float and bool"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(pattern: &str) -> Result<Expanded> {
        let own =
            [("A", "a%{B:b}"), ("B", "[0-9](?>x)"), ("LOOP", "%{INNER}"), ("INNER", "%{LOOP}"), ("INT", "7")];
        Definitions::new(own.map(|(name, text)| (name.to_owned(), text.to_owned())).into()).expand(pattern)
    }

    #[test]
    fn names_are_replaced_within_one_another() {
        let expanded = expand("^%{A} %{B:[x][y.z]:int} %{INT}$").unwrap();
        assert_eq!(expanded.regex, "^(?:a(?<__field0>[0-9](?:x))) (?<__field1>[0-9](?:x)) (?:7)$");
        assert_eq!(expanded.field("__field0"), ("b".to_owned(), None));
        assert_eq!(expanded.field("__field1"), (r"x.y\.z".to_owned(), Some(Kind::Int)));
    }

    #[test]
    fn a_group_with_a_name_is_a_field_in_each_place_where_it_stands() {
        let expanded = expand("(?<a__b>x)|(?P<a__b>y)|(?<[c][d.e]>z)|(?<=w)(?<f:int>v)").unwrap();
        assert_eq!(expanded.regex, "(?<__field0>x)|(?<__field1>y)|(?<__field2>z)|(?<=w)(?<f:int>v)");
        let fields: Vec<&str> = expanded.fields.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["a.b", "a.b", r"c.d\.e"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refused = |pattern| expand(pattern).unwrap_err().to_string();
        assert_eq!(refused("%{NOPE:x}"), "%{NOPE:x}: there is no pattern `NOPE`");
        assert_eq!(refused("%{}"), "%{}: there is no pattern ``");
        assert_eq!(refused("%{LOOP}"), "%{LOOP}: the pattern `LOOP` stands for itself");
        assert_eq!(
            refused("%{A:b:date}"),
            "%{A:b:date}: there is no type `date`; there are text, int, float and bool"
        );
        assert_eq!(refused("x %{A"), "%{A has no closing brace");
    }

    #[test]
    fn a_pattern_that_grows_is_refused() {
        let mut own = BTreeMap::from([("D0".to_owned(), "x".repeat(1000))]);
        for number in 1..20 {
            own.insert(format!("D{number}"), format!("%{{D{0}}}%{{D{0}}}", number - 1));
        }
        let error = Definitions::new(own).expand("%{D19}").unwrap_err().to_string();
        assert_eq!(error, "it is longer than 131072 bytes once its names are replaced");
    }
}
