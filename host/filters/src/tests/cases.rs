//! Each `plugins/*/cases/*`, and the example of each SDK, through the real component.

use std::path::PathBuf;

use flitch_model::cases::Case;

use super::*;
use crate::cases::{Component, Held};

/// The cases of each stock plugin.
pub(super) fn all() -> impl Iterator<Item = (&'static str, Vec<Case>)> {
    STOCK.names().map(|plugin| (plugin, Case::all(&folder(plugin)).unwrap()))
}

fn folder(plugin: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins").join(plugin).join("cases")
}

/// Runs the cases in a folder through a plugin, and answers how many there are.
fn run(plugin: &str, wasi: Wasi, folder: PathBuf) -> usize {
    let mut filter = FilterSettings::of(plugin);
    filter.wasi = wasi;
    let cx = context();
    let mut component = Component::new(&filter, &cx);
    let cases = Case::all(&folder).unwrap();
    for case in &cases {
        let held = Held::new(&folder, case);
        let done = held.run(&mut component).and_then(|()| held.run_one_by_one(&mut component));
        done.unwrap_or_else(|wrong| panic!("{plugin}: {}: {wrong}", case.name));
    }
    cases.len()
}

#[test]
fn every_case_of_every_stock_plugin_holds_for_the_component() {
    for plugin in STOCK.names() {
        // A program of the remap language may ask for the time.
        let wasi = if plugin == "vrl" { Wasi::default() } else { Wasi::None };
        run(plugin, wasi, folder(plugin));
    }
}

#[test]
fn every_case_of_the_example_holds_in_every_language() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/example/cases");
    let ways = [
        ("rust", Wasi::default()),
        ("c", Wasi::None),
        ("go", Wasi::None),
        ("python", Wasi::default()),
        ("js", Wasi::default()),
    ];
    for (language, wasi) in ways {
        let plugin = flitch_tests::guests::of_sdk(language, "example");
        let count = run(plugin.to_str().unwrap(), wasi, cases.clone());
        assert!(count > 4, "{count} cases");
    }
}
