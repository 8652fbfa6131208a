//! No report shows a secret, whatever is wrong with the file. The secrets are those that the schema of the settings
//! names, so that the next one is met without being told.

use std::fmt::Write;

use serde_json::Value;

use super::walk::{HERE, Place};
use super::*;

/// Whether a value is a secret, a list of them, or a map.
fn secret(schema: &Value) -> Option<bool> {
    if schema["writeOnly"] == true {
        return Some(schema.get("additionalProperties").is_some());
    }
    let map = schema.get("additionalProperties").and_then(secret).map(|_| true);
    let forms = || schema["anyOf"].as_array()?.iter().find_map(secret);
    map.or_else(|| schema.get("items").and_then(secret)).or_else(forms)
}

/// A map or list as lines, each key on one of its own.
fn block(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            for (key, value) in object {
                let _ = write!(out, "\n{:indent$}{key}:", "");
                block(value, indent + 2, out);
            }
        }
        other => {
            let _ = write!(out, " {other}");
        }
    }
}

/// The same in one line, with keys as people write them.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let entries: Vec<String> =
                object.iter().map(|(key, value)| format!("{key}: {}", flow(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

/// The key with one letter wrong, in each way.
fn misspelt(key: &str) -> Vec<String> {
    let letters: Vec<char> = key.chars().collect();
    let mut all = vec![key.to_owned(), key.to_uppercase(), key.replace('_', "-"), format!("{key}s")];
    for place in 0..letters.len() {
        let with = |change: &dyn Fn(&mut Vec<char>)| {
            let mut letters = letters.clone();
            change(&mut letters);
            letters.into_iter().collect::<String>()
        };
        all.push(with(&|l| {
            l.remove(place);
        }));
        all.push(with(&|l| l.insert(place, 'q')));
        all.push(with(&|l| l[place] = 'q'));
        if place > 0 {
            all.push(with(&|l| l.swap(place - 1, place)));
        }
    }
    all
}

/// What people may write in the place of the value.
fn values(secret: &str, is_map: bool) -> Vec<String> {
    let mut forms = vec![
        "S",
        "'S'",
        "\"S\"",
        "[S]",
        "[[S]]",
        "{ name: S }",
        "{ name: [S] }",
        "[{ name: S }]",
        "{ name: { S: x } }",
        "\"${X}\"",
        "${X}",
        "\"${X:-S}\"",
        "\"${UNSET:-S}\"",
        "\"a${X}b\"",
        "\"${S!}\"",
        "\"${S\"",
        "${S",
        "$S",
        "!S",
        "!S x",
        "*S",
        "&S",
        "@S",
        "%S",
        "`S`",
        "'S",
        "\"S",
        "{ S",
        "[S",
        "[S }",
        "{ name: S ]",
        "S: S",
        "- S",
        "? S",
        "S #S",
        "S\n  S",
        "|S",
        "\tS",
        "S\n\tS",
        "\n  - S\n  - S",
        "\n- S",
        "\"\\S\"",
        "-S",
        "S, S",
        "S ]",
        "true # S",
    ];
    if !is_map {
        forms.extend(["{ S }", "{ S: x }", "{ S: S }", "{ S: x, S: y }", "{ S: { S: x } }"]);
    }
    forms.iter().map(|form| form.replace('S', secret)).collect()
}

/// Every way to write a configuration wrong that the test knows.
fn wrong(place: &Place, secret: &str) -> Vec<String> {
    let Place { config, key, around, schema } = place;
    let is_map = self::secret(schema) == Some(true);
    let mut lines = String::new();
    block(config, 0, &mut lines);
    let quoted = format!("\"{HERE}\"");
    let mut all = Vec::new();
    for text in [lines.trim_start().to_owned() + "\n", flow(config)] {
        let is_block = text.contains('\n');
        let sibling = if is_block { "nonsense: 1" } else { "nonsense: 1, " };
        for value in values(secret, is_map) {
            let text = text.replace(&quoted, &value);
            all.push(text.replacen("type:", &format!("{} type:", sibling.trim_end()), 1));
            all.push(format!("nonsense: 1\n{text}"));
            all.push(format!("{text}\nnonsense: [\n"));
            all.push(text);
        }
        for key_as_written in misspelt(key) {
            let text = text.replace(&format!("{key}: "), &format!("{key_as_written}: "));
            all.push(text.replace(&quoted, secret));
            all.push(text.replace(&quoted, &format!("[{secret}]")));
            all.push(text.replace(&quoted, &format!("{{ name: {secret} }}")) + "\n- x");
        }
        // A secret in the place of the map around it, and the map misspelt.
        if let Some(around) = around
            && !is_block
        {
            let begin = text.find(&format!("{around}: {{")).unwrap() + around.len() + 2;
            let end = begin + text[begin..].find('}').unwrap() + 1;
            for value in [
                "S",
                "[S]",
                "{ S }",
                "[[S], { S }]",
                "\"${UNSET:-S}\"",
                "\"${S}\"",
                "{ other: S }",
                "{ other: [S] }",
            ] {
                all.push(format!("{}{}{}", &text[..begin], value.replace('S', secret), &text[end..]));
            }
            for name in misspelt(around) {
                all.push(text.replace(&format!("{around}: "), &format!("{name}: ")).replace(&quoted, secret));
            }
        }
        let fine = text.replace(&quoted, "\"${X}\"");
        all.push(format!("# {key}: {secret}\nnonsense: 1\n{fine}"));
        all.push(format!("nonsense: 1 # {key}={secret}\n{fine}"));
        all.push(format!("nonsense: 1\n#   {key}:\n#     - {secret}\n#   - {secret}\n{fine}"));
    }
    all.push(format!("{key}: {secret}\n"));
    all.push(format!("x-common: {{ {key}: {secret} }}\nnonsense: 1\n"));
    all.push(format!("x-common: &c {{ {key}: {secret} }}\nx-own: {{ <<: *c, {key}: 1 }}\nnonsense: 1\n"));
    all
}

#[test]
fn no_report_shows_a_secret_whatever_is_wrong() {
    let places = walk::places(&schema::plain(), &|schema| self::secret(schema).is_some());
    assert!(places.len() >= 7, "only {} secrets were found", places.len());
    let mut shown = Vec::new();
    // A long one, and one that is too short to be searched for in every text.
    for secret in ["Zq7-hunter2-kX", "Q~7"] {
        let variable = |name: &str| (name == "X").then(|| secret.into());
        for place in &places {
            for text in wrong(place, secret) {
                let outside = Outside { variable: &variable, folder: Path::new("/nowhere") };
                let mut told = match parse("flitch.yaml", &text, &outside) {
                    Err(error) => format!("{}{error}", error.report(false)),
                    Ok(loaded) => format!("{}{:?}", report::render(&loaded.warnings, false), loaded.warnings),
                };
                // A part of a name is no secret.
                told = told.replace(&format!("{secret}."), "");
                if told.contains(secret) {
                    shown.push(format!("`{}` is shown of\n{text}\n{told}", place.key));
                }
            }
        }
    }
    assert!(shown.is_empty(), "{} times, such as\n{}", shown.len(), shown[..shown.len().min(10)].join("\n"));
}
