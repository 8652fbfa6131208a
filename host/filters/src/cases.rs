//! The cases of a filter, run through the component that it is: see [`flitch_model::cases`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flitch_model::cases::{Executor, Outcome};
use serde_json::Value as Json;

use super::alone::Alone;
use super::filter::FilterContext;
use super::settings::FilterSettings;
use super::settle::Rejected;
use super::tables::{TableSettings, Tables};
use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::decode_line;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::{Records, TAG, TIMESTAMP};
use flitch_core::exact;

mod held;

pub use held::Held;

/// The tag of a case's records that bring none.
const TAG_OF_CASES: &str = "test";
/// The time of those that bring none, as JSON has it.
const TIME_OF_CASES: &str = "1970-01-01T00:00:00Z";

/// Runs a plugin as the component that it is.
#[derive(Debug)]
pub struct Component<'a> {
    plugin: &'a FilterSettings,
    cx: &'a FilterContext,
    code: Option<super::guest::Component>,
    filter: Option<Alone>,
}

impl<'a> Component<'a> {
    /// Runs `plugin`, with the settings of each case in place of its own.
    pub fn new(plugin: &'a FilterSettings, cx: &'a FilterContext) -> Component<'a> {
        Component { plugin, cx, code: None, filter: None }
    }

    /// The same with code that is loaded already, whatever `plugin` names.
    pub(super) fn of_code(
        plugin: &'a FilterSettings,
        code: super::guest::Component,
        cx: &'a FilterContext,
    ) -> Component<'a> {
        Component { code: Some(code), ..Component::new(plugin, cx) }
    }
}

/// The plugin with the settings and tables of a case.
///
/// # Errors
/// Why it cannot be used; [`Refused`](super::Refused) where it does not take the settings.
pub fn load(
    plugin: &FilterSettings,
    settings: &Json,
    tables: &[(String, PathBuf)],
    cx: &FilterContext,
) -> anyhow::Result<Alone> {
    load_code(plugin, None, settings, tables, cx)
}

fn load_code(
    plugin: &FilterSettings,
    code: Option<super::guest::Component>,
    settings: &Json,
    tables: &[(String, PathBuf)],
    cx: &FilterContext,
) -> anyhow::Result<Alone> {
    let filter = FilterSettings { settings: settings.clone(), ..plugin.clone() };
    let table = |(name, path): &(String, PathBuf)| {
        let path = std::path::absolute(path)?;
        Ok((name.clone(), TableSettings::of_file(path, "key")))
    };
    let tables = tables.iter().map(table).collect::<anyhow::Result<_>>()?;
    let tables = Arc::new(Tables::load(&tables, Path::new("/"))?);
    let name = Path::new(&plugin.plugin).file_stem().unwrap_or_default().to_string_lossy();
    let cx = FilterContext { tables, ..cx.clone() };
    match code {
        Some(code) => Alone::of_code(&name, &filter, code, &cx),
        None => Alone::load(&name, &filter, &cx),
    }
}

impl Executor for Component<'_> {
    fn configure(&mut self, settings: &Json, tables: &[(String, PathBuf)]) -> Result<(), String> {
        let filter =
            load_code(self.plugin, self.code.clone(), settings, tables, self.cx).map_err(|error| {
                let said = format!("{error:#}");
                match said.split_once(" refuses its settings: ") {
                    Some((_, reason)) => reason.to_owned(),
                    None => said,
                }
            })?;
        self.filter = Some(filter);
        Ok(())
    }

    fn run(&mut self, ndjson: &str) -> Result<Outcome, String> {
        let filter = self.filter.as_mut().expect("a filter that was configured");
        let lines: Vec<&str> = ndjson.lines().filter(|line| !line.trim().is_empty()).collect();
        let input = records_of(lines.iter().map(|line| line.as_bytes()))?;
        let came = rows(&input);
        let (out, rejected) = filter.run(input);
        let accounts = filter.ledger().read();
        if accounts.in_flight() != 0 {
            return Err(format!("something is in flight: {accounts:?}"));
        }
        let mut row = 0;
        let mut rejection = |rejected: &Rejected| {
            let record = row_of(&rejected.record);
            let place = came[row..].iter().position(|came| *came == record);
            row += place.ok_or_else(|| format!("{record} was rejected, and did not come in so"))? + 1;
            let (_, reason) = rejected.reason.split_once(": ").unwrap_or_default();
            Ok((row as u32 - 1, reason.to_owned()))
        };
        let rejected = rejected.iter().map(&mut rejection).collect::<Result<_, String>>()?;
        Ok(Outcome { records: rows(&out), rejected })
    }
}

/// Records of lines of JSON, with the time 0 and the tag `test` where they bring no others.
///
/// # Errors
/// Which line is no JSON object.
pub fn records_of<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<Arc<Records>, String> {
    let mut builder = Builder::new();
    for line in lines {
        decode_line(&mut builder, line)
            .map_err(|error| format!("{}: {error}", String::from_utf8_lossy(line)))?;
    }
    let constants = Constants::new().timestamp(TIMESTAMP, 0).text(TAG, TAG_OF_CASES);
    Ok(Arc::new(builder.finish(InvalidUtf8::Replace, &constants).records))
}

/// The rows as JSON, without the time and tag that each record of a case has.
pub fn rows(records: &Records) -> Vec<Json> {
    let text = records.ndjson();
    text.text.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(row_of).collect()
}

/// The same of one line. Nothing of it is lost: see [`exact`].
pub fn row_of(line: &[u8]) -> Json {
    without_own(exact::read(line))
}

/// The same of a value.
pub(super) fn without_own(mut row: Json) -> Json {
    if let Some(object) = row.as_object_mut() {
        object.retain(|name, value| match name.as_str() {
            TIMESTAMP => value != TIME_OF_CASES,
            TAG => value != TAG_OF_CASES,
            _ => true,
        });
    }
    row
}
