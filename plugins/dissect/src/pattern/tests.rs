use super::*;

fn split(pattern: &str, text: &str) -> Result<Vec<String>, String> {
    let pattern = Pattern::new(pattern).expect("a pattern");
    // Within a longer text, as in a column.
    let data = format!("\"] {text}\"] ");
    let mut spans = vec![(0, 0); pattern.parts.len()];
    let found = pattern.split(data.as_bytes(), 3, 3 + text.len(), &mut spans);
    found.map_err(|mismatch| pattern.describe(mismatch))?;
    Ok(spans.iter().map(|(from, to)| data[*from..*to].to_owned()).collect())
}

fn refused(pattern: &str) -> String {
    Pattern::new(pattern).expect_err(pattern).to_string()
}

#[test]
fn a_text_is_taken_apart_at_the_first_delimiter_that_fits() {
    assert_eq!(split("%{a} - %{b} [%{c}]", "x - y - z [w]").unwrap(), ["x", "y - z", "w"]);
    assert_eq!(split("<%{a}>%{b}", "<13>").unwrap(), ["13", ""]);
    assert_eq!(split("%{a}é%{b}", "âéê").unwrap(), ["â", "ê"]);
}

#[test]
fn a_delimiter_of_any_length_is_found_as_a_whole_wherever_the_text_ends() {
    for length in 1..=10 {
        let delimiter = &"abcdefghij"[..length];
        let pattern = format!("%{{a}}{delimiter}%{{b}}");
        for behind in 0..12 {
            let rest = "y".repeat(behind);
            assert_eq!(split(&pattern, &format!("x{delimiter}{rest}")).unwrap(), ["x", &rest]);
            let cut = format!("x{}{rest}", &delimiter[..length - 1]);
            assert!(split(&pattern, &cut).is_err(), "{cut} by {pattern}");
        }
    }
}

#[test]
fn a_padded_field_swallows_repeated_delimiters() {
    assert_eq!(split("%{a->} %{b}", "x    y z").unwrap(), ["x", "y z"]);
    assert_eq!(split("%{a} %{b}", "x  y").unwrap(), ["x", " y"]);
}

#[test]
fn a_field_goes_on_behind_a_delimiter() {
    let found = |pattern, text, field: usize| split(pattern, text).map(|mut found| found.swap_remove(field));
    let pattern = "%{at->} %{+at} %{+at} %{host} %{text}";
    assert_eq!(found(pattern, "Nov  7 10:00:00 h a b", 0).unwrap(), "Nov  7 10:00:00");
    assert_eq!(split(pattern, "Nov  7 10:00:00 h a b").unwrap()[3..], ["h", "a b"]);
    assert_eq!(found("%{a} %{b},%{+b}", "x y,z w", 1).unwrap(), "y,z w");
    assert_eq!(found("%{a},%{+a} %{b}/%{+b}!", "1,2 3/4!", 2).unwrap(), "3/4");
    assert!(split(pattern, "Nov  7 10:00:00 h").is_err());
}

#[test]
fn an_escaped_quote_does_not_end_a_quoted_field() {
    assert_eq!(split(r#""%{a}" %{b}"#, r#""x\" \\" y"#).unwrap(), [r#"x\" \\"#, "y"]);
    assert_eq!(split(r#"%{a}" %{b}"#, r#"x\" y"#).unwrap(), [r"x\", "y"]);
}

#[test]
fn a_mismatch_says_what_is_missing_where() {
    assert_eq!(split("[%{a}]", "x]").unwrap_err(), r#"the text does not begin with "[""#);
    assert_eq!(split("[%{a}] %{b}", "[x]y").unwrap_err(), r#"no "] " behind `a`"#);
    assert_eq!(split("%{} %{b}", "x").unwrap_err(), r#"no " " behind field 1 of the pattern"#);
    assert_eq!(split("[%{a}]", "[x] y").unwrap_err(), "the text goes on behind the end of the pattern");
    assert_eq!(split("[%{a}]", "").unwrap_err(), r#"the text does not begin with "[""#);
}

#[test]
fn a_wrong_pattern_is_refused_with_the_reason() {
    assert_eq!(refused("a b"), "there is no %{field} in the pattern");
    assert_eq!(refused("%{a %b"), "%{a %b has no closing brace");
    assert_eq!(refused("%{a}%{b}"), "there is no delimiter behind %{a}");
    assert_eq!(refused("%{a} %{a}"), "the field `a` stands twice in the pattern");
    assert_eq!(refused("%{*a} %{b}"), "%{*a}: the modifier `*` is not supported");
    assert_eq!(refused("%{a|integer} %{b}"), "%{a|integer}: a type stands behind a colon, as in %{a:int}");
    let alone = |inside: &str, name: &str| {
        format!("%{{{inside}}}: it does not stand right behind %{{{name}}}, which it goes on with")
    };
    assert_eq!(refused("%{+a} %{b}"), alone("+a", "a"));
    assert_eq!(refused("%{a} %{b} %{+a}"), alone("+a", "a"));
    assert_eq!(refused("%{a} %{+a} %{b} %{+a}"), alone("+a", "a"));
    assert_eq!(refused("%{a} %{+a/2}"), alone("+a/2", "a/2"));
    assert_eq!(refused("%{} %{+}"), alone("+", ""));
    assert_eq!(refused("%{:int} %{b}"), "%{:int}: a field with a type needs a name");
    assert_eq!(
        refused("%{a:date} %{b}"),
        "%{a:date}: there is no type `date`; there are text, int, float, bool and request"
    );
}
