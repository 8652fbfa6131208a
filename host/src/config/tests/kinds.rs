use std::path::Path;

use crate::config::schema;
use flitch_outputs::OutputSettings;
use flitch_sources::SourceSettings;

pub(super) const SECTIONS: [(&str, &str, &[&str]); 2] =
    [("sources", "Sources", SourceSettings::TYPES), ("outputs", "Outputs", OutputSettings::TYPES)];

pub(super) fn read(path: &str) -> String {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(repository.join(path)).unwrap()
}

#[test]
fn every_type_is_called_by_the_name_of_its_module() {
    let schema = schema::plain();
    let definitions = [("SourceSettings", SourceSettings::TYPES), ("OutputConfig", OutputSettings::TYPES)];
    for (definition, types) in definitions {
        let forms = schema["$defs"][definition]["oneOf"].as_array().unwrap();
        let named: Vec<&str> =
            forms.iter().map(|form| form["properties"]["type"]["const"].as_str().unwrap()).collect();
        assert_eq!(named, types);
    }
}

#[test]
fn the_reference_has_a_section_on_every_type() {
    let reference = read("docs/config.md");
    for (section, _, types) in SECTIONS {
        for name in types {
            let heading = format!("\n### {section}: `type: {name}`\n\n");
            let (_, text) = reference.split_once(&heading).expect(&heading);
            assert!(!text.starts_with('-'), "{heading} does not say what it is");
        }
    }
}

#[test]
fn the_guarantees_of_every_type_are_written_down() {
    let guarantees = read("docs/guarantees.md");
    for (_, title, types) in SECTIONS {
        let (_, text) = guarantees.split_once(&format!("\n## {title}\n")).expect(title);
        let section = text.split("\n## ").next().unwrap_or_default();
        for name in types {
            let has_row = |line: &str| line.starts_with(&format!("| `{name}`"));
            assert!(section.lines().any(has_row), "docs/guarantees.md, {title}: no row about `{name}`");
        }
    }
}

#[test]
fn no_heading_of_the_reference_is_told_from_another_by_a_number() {
    let reference = read("docs/config.md");
    let is_numbered =
        |line: &&str| line.starts_with("### ") && line.ends_with(|sign: char| sign.is_ascii_digit());
    let numbered: Vec<&str> = reference.lines().filter(is_numbered).collect();
    assert!(numbered.is_empty(), "give the settings of {numbered:?} another name (`schemars(rename = …)`)");
}
