//! A configuration that a server sent: what may stand in it beside what belongs to this machine.

use std::path::Path;

use super::allow;
use super::check;
use super::interpolate::Outside;
use super::load::Loaded;
use super::model::Config;
use super::report::{ConfigError, Problem};
use super::schema;
use super::source::SourceFile;
use super::tree::{self, Value};
use crate::fleet::ManageSettings;
use flitch_sources::SourceSettings;

/// How reports call it.
const NAME: &str = "the server's configuration";
/// What a server may set.
const SECTIONS: [&str; 9] = [
    "sources",
    "filters",
    "tables",
    "outputs",
    "pipelines",
    "batch",
    "dead_letter",
    "tests",
    "drain_timeout",
];
/// Most values, and most sources, filters, tables, outputs and pipelines together: what is more is no configuration, and
/// costs what it wants.
const MOST_VALUES: usize = 50_000;
const MOST_PARTS: usize = 1_000;

/// Reads and checks a configuration that a server sent for a machine whose own is `own`; relative paths are from `folder`.
/// It is whole, but for what belongs to the machine, and stays within `manage.allow` of that.
///
/// # Errors
/// All that is wrong with it.
pub fn sent(text: &str, own: &Config, folder: &Path) -> Result<Loaded, ConfigError> {
    if tree::is_larger(text, MOST_VALUES) {
        return Err(alone(format!("it has more than {MOST_VALUES} keys and values, and is not read")));
    }
    let allowed = &own.manage.allow;
    let variable = |name: &str| std::env::var_os(name);
    let permits = |inside: &str| allow::placeholder(inside, allowed, folder);
    let mut file = SourceFile::parse_with(NAME, text, &Outside { variable: &variable, folder }, &permits)?;
    let mut problems = of_the_machine(&file);
    let parts = parts(&file);
    if parts > MOST_PARTS {
        let message = format!("it has {parts} parts, and a server may send {MOST_PARTS}");
        problems.push(file.at_location(None, message));
    }
    if !problems.is_empty() {
        return Err(ConfigError { problems });
    }
    let sent: Config = file.read()?;
    // What is not named here is the machine's, also what will be added one day.
    let mut config = Config {
        sources: sent.sources,
        filters: sent.filters,
        tables: sent.tables,
        outputs: sent.outputs,
        pipelines: sent.pipelines,
        batch: sent.batch,
        dead_letter: sent.dead_letter,
        tests: sent.tests,
        drain_timeout: sent.drain_timeout,
        // Who is managed may wait for pipelines; what a server sends has some.
        manage: ManageSettings::default(),
        ..own.clone()
    };
    let mut problems = check::check(&config, &file);
    problems.extend(file.out_of_range());
    problems.extend(allow::check(&config, &file, allowed, folder));
    problems.sort_by_key(|problem| problem.location);
    let (warnings, problems): (Vec<_>, Vec<_>) = problems.into_iter().partition(|p| p.is_warning);
    if !problems.is_empty() {
        return Err(ConfigError { problems });
    }
    config.manage.clone_from(&own.manage);
    // What a glob matches may be a link, and a folder on its way too.
    for source in config.sources.values_mut() {
        if let SourceSettings::File(files) = source {
            files.within = Some(allowed.read.clone());
        }
    }
    Ok(Loaded { config, warnings, file })
}

/// A problem without a place.
fn alone(message: String) -> ConfigError {
    let nothing = Outside { variable: &|_| None, folder: Path::new("") };
    match SourceFile::parse(NAME, "", &nothing) {
        Ok(file) => file.at_location(None, message).into(),
        Err(error) => error,
    }
}

/// Keys that belong to this machine.
fn of_the_machine(file: &SourceFile) -> Vec<Problem> {
    let schema = schema::plain();
    let is_known = |key: &str| schema["properties"].get(key).is_some();
    let Value::Map(entries) = &file.tree().value else { return Vec::new() };
    let foreign = entries.iter().filter(|entry| is_known(&entry.key) && !SECTIONS.contains(&&*entry.key));
    let problem = |entry: &tree::Entry| {
        let message = format!("`{}` belongs to the machine, and no server sets it", entry.key);
        let help = format!(
            "take it away; it stands in the machine's own file. A server sets {}",
            SECTIONS.join(", ")
        );
        file.at_location(Some(entry.key_location), message).help(help)
    };
    foreign.map(problem).collect()
}

fn parts(file: &SourceFile) -> usize {
    let sections = ["sources", "filters", "tables", "outputs", "pipelines"];
    let count = |section: &str| match file.tree().get(section).map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.len(),
        _ => 0,
    };
    sections.iter().map(|section| count(section)).sum()
}

#[cfg(test)]
mod tests;
