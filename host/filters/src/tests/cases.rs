//! Each `plugins/*/cases/*`, and the example of each SDK, through the real component: the SDK's runner, with the host as what
//! runs a filter.

use std::path::PathBuf;

use flitch_sdk::testing::Outcome;
use flitch_sdk::testing::cases::{Case, Executor, run_with};

use super::*;

/// The cases of each stock plugin.
pub(super) fn all() -> impl Iterator<Item = (&'static str, Vec<Case>)> {
    STOCK.names().map(|plugin| (plugin, Case::all(&folder(plugin))))
}

fn folder(plugin: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins").join(plugin).join("cases")
}

/// The plugin with the settings and tables of a case.
pub(super) fn load(
    plugin: &str,
    settings: &Json,
    tables: &[(String, PathBuf)],
    wasi: Wasi,
) -> anyhow::Result<Alone> {
    let mut filter = FilterSettings::of(plugin);
    filter.wasi = wasi;
    filter.settings = settings.clone();
    let table = |(name, path): &(String, PathBuf)| {
        (name.clone(), TableSettings { path: path.clone(), key: "key".to_owned(), format: None })
    };
    let tables = Tables::load(&tables.iter().map(table).collect(), Path::new("/"))?;
    Alone::load(plugin, &filter, &FilterContext { tables: Arc::new(tables), ..context() })
}

/// Runs a filter as the component that it is.
struct Component {
    plugin: String,
    wasi: Wasi,
    filter: Option<Alone>,
}

impl Component {
    fn new(plugin: &str, wasi: Wasi) -> Self {
        Self { plugin: plugin.to_owned(), wasi, filter: None }
    }
}

impl Executor for Component {
    fn configure(&mut self, settings: &Json, tables: &[(String, PathBuf)]) -> Result<(), String> {
        let filter = load(&self.plugin, settings, tables, self.wasi).map_err(|error| {
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
        let input = records_of(lines.iter().map(|line| line.as_bytes()));
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

#[test]
fn every_case_of_every_stock_plugin_holds_for_the_component() {
    for plugin in STOCK.names() {
        run_with(folder(plugin), &mut Component::new(plugin, Wasi::None));
    }
}

#[test]
fn every_case_of_the_example_holds_in_every_language() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/example/cases");
    for language in ["python", "js"] {
        let plugin = flitch_tests::guests::of_sdk(language, "example");
        let count = run_with(&cases, &mut Component::new(plugin.to_str().unwrap(), Wasi::default()));
        assert!(count > 4, "{count} cases");
    }
}
