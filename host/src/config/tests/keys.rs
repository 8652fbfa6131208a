//! The keys that the reader takes, and those that the schema has.

use std::collections::BTreeSet;
use std::path::Path;

use super::{parse_text, walk};
use crate::config::schema;

/// The keys of which the reader says that it knows them where it is given one that it does not.
fn known(text: &str) -> Result<BTreeSet<String>, String> {
    let Err(error) = parse_text(text, Path::new(".")) else { return Err("it is right".to_owned()) };
    if error.problems.iter().any(|problem| problem.help.as_deref() == Some("no key is known here")) {
        return Ok(BTreeSet::new());
    }
    // Where a secret may stand the key itself is not shown.
    let mut lists =
        error.problems.iter().filter_map(|problem| problem.help.as_deref()?.split_once("known keys: "));
    let (_, keys) = lists.next().ok_or_else(|| error.report(false))?;
    Ok(keys.split(", ").map(str::to_owned).collect())
}

#[test]
fn the_schema_has_the_keys_that_the_reader_takes_and_no_others_by_whatever_names() {
    let objects = walk::objects(&schema::plain());
    assert!(objects.len() > 60, "only {} objects were found", objects.len());
    let (mut aliases, mut untold) = (0, Vec::new());
    for (config, mut keys) in objects {
        let text = config.to_string();
        // Of a value that has several forms the reader does not say what each of them knows.
        let Ok(mut known) = known(&text) else {
            untold.push(text);
            continue;
        };
        // It says which object it is, and is read before.
        keys.remove("type");
        known.remove("type");
        assert_eq!(keys, known, "the schema, and the reader, of {text}");
        aliases += usize::from(keys.contains("topic") && keys.contains("tag") && keys.contains("db"));
    }
    assert!(untold.len() <= 3, "of these the reader does not say what it knows: {untold:#?}");
    assert!(aliases > 0, "the tables of an `adx` output were not found");
}
