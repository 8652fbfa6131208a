use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::config::schema;

/// The keys of the settings, and the words that some of them take.
fn ours(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                names.extend(properties.keys().cloned());
            }
            let words = members.get("enum").and_then(Value::as_array).into_iter().flatten();
            names.extend(words.chain(members.get("const")).filter_map(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| ours(value, names));
        }
        Value::Array(items) => items.iter().for_each(|item| ours(item, names)),
        _ => {}
    }
}

#[test]
fn what_is_told_of_another_collectors_name_is_there_and_found() {
    let mut names = BTreeSet::new();
    ours(&schema::plain(), &mut names);
    let told = NAMES.iter().flat_map(|(_, ours)| *ours);
    let places = OTHERWISE.iter().map(|(_, place, _)| place).filter(|place| !place.is_empty());
    let gone: Vec<_> = told.chain(places).filter(|name| !names.contains(**name)).collect();
    assert!(gone.is_empty(), "the settings have no such names: {gone:?}");
    let theirs = NAMES.iter().map(|(theirs, _)| theirs).chain(OTHERWISE.iter().map(|(theirs, ..)| theirs));
    for theirs in theirs.flat_map(|theirs| *theirs) {
        assert_eq!(*theirs, plain(theirs), "a name that is never found");
    }
}

#[test]
fn a_name_means_what_is_known_where_it_stands() {
    assert_eq!(name("Path", &["include", "tag"]), Some("include"));
    assert_eq!(name("encoding", &["charset", "codec"]), Some("charset"));
    assert_eq!(name("encoding", &["codec", "listen"]), Some("codec"));
    assert_eq!(name("multiline.parser", &["multiline"]), Some("multiline"));
    assert_eq!(name("inputs", &["from", "to"]), Some("from"));
    assert_eq!(name("inputs", &["nodes", "index"]), None);
    assert!(otherwise("inputs", &["nodes", "index"]).unwrap().contains("from: [SOURCE]"));
    assert!(otherwise("match", &["start", "continue"]).unwrap().starts_with("`start`"));
    assert_eq!(otherwise("db", &["nodes", "index"]), None);
}
