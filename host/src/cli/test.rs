//! `flitch test`: the pipelines of a configuration, held to the tests that stand in it.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, json};

use super::verdict::{self, Format, Verdict};
use super::{ConfigFile, Failure};
use crate::config::cases::TestSettings;
use crate::config::{self, ConfigError, Loaded};
use flitch_filters::{FilterContext, TablePlaces, Tables};
use through::Rig;

mod compare;
mod given;
mod through;

/// Of `flitch test`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// Only the tests whose name has this in it.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Where the batches are cut: a number that an earlier run has told. By chance without it.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// How the results are written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Runs the tests, and fails where one does not hold.
pub fn run(args: &Args) -> Result<(), Failure> {
    let path = &args.config.path;
    let loaded = config::load(path)?;
    let only = args.only.as_deref().unwrap_or("");
    let tests: Vec<_> = loaded.config.tests.iter().filter(|(name, _)| name.contains(only)).collect();
    if tests.is_empty() {
        let what = if only.is_empty() { "has no `tests`" } else { "has no test of such a name" };
        return Err(Failure::Usage(format!("{} {what}", path.display())));
    }
    let cx = context(&loaded, path)?;
    // Short enough to be typed again.
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let mut verdicts = Vec::with_capacity(tests.len());
    for (name, test) in tests {
        let done = hold(&loaded, test, &cx, seed)?;
        verdicts.push(Verdict::of(name, done.map(|()| "ok")));
    }
    verdict::tell(args.format, "tests", &verdicts, Map::from_iter([("seed".to_owned(), json!(seed))]))
}

/// What filters are loaded with. What they reject comes back.
fn context(loaded: &Loaded, path: &Path) -> Result<FilterContext, Failure> {
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let config = &loaded.config;
    let places = TablePlaces { folder: &folder, data_dir: Some(&config.data_dir), asks: false };
    let tables = Tables::default().next(&config.tables, &places);
    let tables = tables.map_err(|error| ConfigError::from(loaded.error("tables", &error)))?;
    let registries = super::registries(loaded, &folder, false);
    let registries = registries.map_err(|error| ConfigError::from(loaded.error("plugins", &error)))?;
    Ok(FilterContext {
        engine: super::engine()?,
        stock: crate::STOCK,
        registries,
        tables: Arc::new(tables),
        dead_letters: None,
        folder,
        silent: false,
    })
}

/// Runs one test. The inner error is what is otherwise than it should be.
fn hold(
    loaded: &Loaded,
    test: &TestSettings,
    cx: &FilterContext,
    seed: u64,
) -> Result<Result<(), String>, Failure> {
    let config = &loaded.config;
    let (name, pipeline) = test.pipeline_of(&config.pipelines).expect("it was checked");
    let source = test.source_of(pipeline).expect("it was checked");
    let given = match given::read(test, source, &config.sources[source]) {
        Ok(given) => given,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let filters: Vec<_> =
        pipeline.filters.iter().map(|name| (name.as_str(), &config.filters[name])).collect();
    let rig = Rig::new(name, pipeline, &filters, cx).map_err(|error| {
        let filter = error.filter.clone();
        ConfigError::from(loaded.filter_error(&filter, &error.into()))
    })?;
    let together = match rig.run(&given.batches) {
        Ok(outcomes) => through::joined(outcomes),
        Err(wrong) => return Ok(Err(wrong)),
    };
    let mut wrong = Vec::new();
    let mut with_source = together.clone();
    with_source.dead.extend(given.bad.iter().cloned());
    wrong.extend(compare::expected(test, &given, &with_source));
    for manner in through::Manner::all(seed) {
        let cut = rig.run(&manner.cut(&given.batches)).map(through::joined);
        match cut {
            Ok(cut) => wrong.extend(compare::same(&together, &cut, &manner)),
            Err(why) => wrong.push(format!("{manner}: {why}")),
        }
    }
    Ok(if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) })
}
