//! Which plugin, with what.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use serde_json::{Map, Value};

use super::super::Failure;
use super::{workshop, wrong};
use flitch_core::exact;
use flitch_filters::{Allow, Alone, Engine, FilterContext, FilterSettings, TableSettings, Tables};

#[derive(Debug, clap::Args)]
pub struct PluginArgs {
    /// The name of a stock plugin (`dissect`), the path of a component (`./mine.wasm`), or a filter's folder.
    plugin: String,
    /// A file with the plugin's settings, a JSON object.
    #[arg(short, long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// One setting: `field=message`. The value is JSON, or else text; dots go down into objects.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// A table that the plugin may look things up in, as under `tables`: `hosts=hosts.csv`, a CSV or NDJSON file
    /// whose keys are in `key`, or `hosts=hosts.csv,key=ip`.
    #[arg(long = "table", value_name = "NAME=FILE[,key=COLUMN]")]
    tables: Vec<String>,
    /// A folder that the plugin may read.
    #[arg(long, value_name = "FOLDER")]
    allow_read: Vec<PathBuf>,
    /// An environment variable that the plugin may see.
    #[arg(long, value_name = "NAME")]
    allow_env: Vec<String>,
}

impl PluginArgs {
    /// How a configuration names the plugin.
    pub fn plugin(&self) -> Result<String, Failure> {
        Ok(workshop::find(&self.plugin)?.0)
    }

    fn settings(&self) -> Result<FilterSettings, Failure> {
        let usage = |text: String| Failure::Usage(text);
        let mut value = Map::new();
        if let Some(path) = &self.settings {
            let text =
                std::fs::read_to_string(path).map_err(|e| usage(format!("{}: {e}", path.display())))?;
            value = serde_json::from_str(&text)
                .map_err(|e| usage(format!("{} holds no JSON object: {e}", path.display())))?;
            check_numbers(&text).map_err(|e| usage(format!("{}: {e}", path.display())))?;
        }
        for text in &self.set {
            set(&mut value, text).map_err(|e| usage(format!("--set {text}: {e}")))?;
        }
        let mut settings = FilterSettings::of(&self.plugin()?);
        settings.settings = Value::Object(value);
        settings.allow = Allow { read: self.allow_read.clone(), env: self.allow_env.clone() };
        Ok(settings)
    }

    fn tables(&self) -> anyhow::Result<Tables> {
        let table = |text: &String| table(text).with_context(|| format!("--table {text}"));
        Tables::load(&self.tables.iter().map(table).collect::<anyhow::Result<_>>()?, Path::new("."))
    }

    /// What the plugin is loaded with.
    pub fn context(&self, engine: Engine) -> Result<FilterContext, Failure> {
        super::context(engine, self.tables().map_err(wrong)?)
    }

    /// The plugin with its settings and tables; or why it cannot be used with them.
    pub fn load(&self, cx: &FilterContext) -> Result<anyhow::Result<Alone>, Failure> {
        let settings = self.settings()?;
        let name =
            Path::new(&settings.plugin).file_stem().map_or_else(|| "filter".into(), |n| n.to_string_lossy());
        Ok(Alone::load(&name, &settings, cx))
    }
}

/// The table that `hosts=hosts.csv,key=ip` names.
fn table(text: &str) -> anyhow::Result<(String, TableSettings)> {
    let (name, file) = text.split_once('=').context("write NAME=FILE")?;
    let (path, key) = file.rsplit_once(",key=").unwrap_or((file, "key"));
    Ok((name.to_owned(), TableSettings::of_file(path, key)))
}

/// Whether each number of a JSON text stays the one that it is, as far as it is whole: of a fraction nobody expects it.
fn check_numbers(text: &str) -> anyhow::Result<()> {
    let Ok(value) = exact::parse(text.as_bytes()) else { return Ok(()) };
    match changed_number(&value) {
        None => Ok(()),
        Some(number) => bail!(
            "`{number}` would become another number: neither 64 bits nor float64 hold it; put it in quotes: a text keeps its digits"
        ),
    }
}

fn changed_number(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => exact::number_of(text).filter(|number| {
            let is_whole = number.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
            is_whole || number.parse::<f64>().is_ok_and(f64::is_infinite)
        }),
        Value::Array(all) => all.iter().find_map(changed_number),
        Value::Object(all) => all.values().find_map(changed_number),
        _ => None,
    }
}

/// Puts `a.b=1` into an object.
fn set(object: &mut Map<String, Value>, text: &str) -> anyhow::Result<()> {
    let (path, value) = text.split_once('=').context("write KEY=VALUE")?;
    check_numbers(value)?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    let (folders, key) = match path.rsplit_once('.') {
        Some((folders, key)) => (folders.split('.').collect(), key),
        None => (Vec::new(), path),
    };
    let mut inner = object;
    for folder in folders {
        let entry = inner.entry(folder).or_insert_with(|| Value::Object(Map::new()));
        inner = entry.as_object_mut().ok_or_else(|| anyhow!("`{folder}` is no object"))?;
    }
    inner.insert(key.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_would_become_another_one_is_no_setting_and_in_quotes_it_is() {
        for refused in ["18446744073709551617", "[{\"a\":-9223372036854775809}]", "1e400"] {
            let error = set(&mut Map::new(), &format!("a.b={refused}")).unwrap_err().to_string();
            assert!(error.contains("would become another number"), "{refused}: {error}");
        }
        for (text, value) in [
            ("18446744073709551615", Value::from(u64::MAX)),
            ("\"18446744073709551617\"", "18446744073709551617".into()),
            ("0.12345678901234567890", 0.123_456_789_012_345_68.into()),
            ("1e3", 1000.0.into()),
            ("007", "007".into()),
        ] {
            let mut settings = Map::new();
            set(&mut settings, &format!("a={text}")).unwrap();
            assert_eq!(settings["a"], value, "{text}");
        }
    }
}
