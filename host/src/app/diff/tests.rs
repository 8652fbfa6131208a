use std::path::Path;

use super::*;
use crate::config::interpolate::Outside;

const BASE: &str = "
sources:
  one: { type: http, listen: '127.0.0.1:1' }
  two: { type: http, listen: '127.0.0.1:2' }
  unread: { type: http, listen: '127.0.0.1:3' }
filters:
  cut: { plugin: set, settings: { remove: [a] } }
  mark: { plugin: set, settings: { remove: [b] } }
tables:
  hosts: { path: hosts.csv, key: name }
outputs:
  left: { type: blackhole }
  right: { type: blackhole }
  unused: { type: blackhole }
pipelines:
  a: { from: [one], filters: [cut], to: [left], workers: 2 }
  b: { from: [one, two], filters: [mark], to: [left, right], workers: 2 }
  plain: { from: [two], to: [right] }
";

fn config(text: &str) -> Config {
    let outside = Outside { variable: &|_| None, folder: Path::new("/") };
    crate::config::parse("flitch.yaml", text, &outside).unwrap().config
}

/// What changes of [`BASE`], line by line, but for what is kept.
fn diff(new: &str, stale: &[&str]) -> String {
    let (old, new) = (config(BASE), config(new));
    let running = Running { config: Some(&old), stale: stale.iter().copied().collect() };
    show(&Diff::between(&running, &new))
}

fn show(diff: &Diff) -> String {
    let mut lines = Vec::new();
    if diff.tables {
        lines.push("tables: read".to_owned());
    }
    if diff.registries {
        lines.push("registries: other terms".to_owned());
    }
    let mut part = |kind: &str, name: &str, change: Change, filters: Filters| {
        let filters = match filters {
            Filters::Keep => "",
            Filters::Reload => ", reload filters",
            Filters::Build => ", build filters",
        };
        if (change, filters) != (Change::Keep, "") {
            lines.push(format!("{kind} {name}: {change:?}{filters}"));
        }
    };
    diff.sources.iter().for_each(|(name, change)| part("source", name, *change, Filters::Keep));
    diff.pipelines.iter().for_each(|(name, change)| part("pipeline", name, change.change, change.filters));
    diff.outputs.iter().for_each(|(name, change)| part("output", name, *change, Filters::Keep));
    lines.join("\n")
}

/// [`BASE`] with one text in place of another.
fn with(old: &str, new: &str) -> String {
    assert!(BASE.contains(old), "{old}");
    BASE.replace(old, new)
}

#[test]
fn a_start_makes_all_that_is_in_use() {
    let made = "tables: read\nregistries: other terms\nsource one: Make\nsource two: Make\npipeline a: Make, build filters\n\
                pipeline b: Make, build filters\npipeline plain: Make, build filters\n\
                output left: Make\noutput right: Make";
    assert_eq!(show(&Diff::between(&Running::default(), &config(BASE))), made);
}

#[test]
fn the_same_configuration_changes_nothing() {
    assert_eq!(diff(BASE, &[]), "");
    assert_eq!(diff(&with("unused: { type: blackhole }", "other: { type: blackhole }"), &[]), "");
    assert_eq!(diff(&with("unread: { type: http, listen: '127.0.0.1:3' }", ""), &[]), "");
}

#[test]
fn each_setting_touches_the_parts_that_it_is_of() {
    for (old, new, changes) in [
        ("listen: '127.0.0.1:2'", "listen: '127.0.0.1:4'", "source two: Replace"),
        (
            "left: { type: blackhole }",
            "left: { type: stdout }",
            // Routes lead to buffers, and a buffer goes with its output.
            "pipeline a: Replace\npipeline b: Replace\noutput left: Replace",
        ),
        ("settings: { remove: [b] }", "settings: { remove: [c] }", "pipeline b: Keep, build filters"),
        (
            "settings: { remove: [b] }",
            "settings: { remove: [b] }, on_error: drop",
            "pipeline b: Keep, build filters",
        ),
        ("filters: [mark]", "filters: [mark, cut]", "pipeline b: Replace, build filters"),
        (
            "filters: [cut], to: [left], workers: 2",
            "filters: [cut], to: [left], workers: 3",
            "pipeline a: Replace",
        ),
        ("a: { from: [one], filters: [cut], to: [left], workers: 2 }", "", "pipeline a: End"),
        (
            "b: { from: [one, two], filters: [mark], to: [left, right], workers: 2 }",
            "b: { from: [one], filters: [mark], to: [left], workers: 2 }",
            "pipeline b: Replace",
        ),
        (
            "plain: { from: [two], to: [right] }",
            "plain: { from: [unread], to: [unused] }",
            "source unread: Make\npipeline plain: Replace\noutput unused: Make",
        ),
    ] {
        assert_eq!(diff(&with(old, new), &[]), changes, "{new}");
    }
}

#[test]
fn what_no_pipeline_reads_or_writes_any_more_ends() {
    let only_a = BASE.split("  b: {").next().unwrap();
    let ends = "source two: End\npipeline b: End\npipeline plain: End\noutput right: End";
    assert_eq!(diff(only_a, &[]), ends);
}

#[test]
fn other_cuts_replace_every_source_and_nothing_else() {
    let cut = format!("{BASE}batch: {{ rows: 10 }}\n");
    assert_eq!(diff(&cut, &[]), "source one: Replace\nsource two: Replace");
}

#[test]
fn other_tables_build_all_filters_between_two_batches() {
    let built = "tables: read\npipeline a: Keep, build filters\npipeline b: Keep, build filters\n\
                 pipeline plain: Keep, build filters";
    assert_eq!(diff(&with("key: name", "key: address"), &[]), built);
}

#[test]
fn a_plugin_whose_file_changed_is_loaded_again_where_its_settings_stand() {
    assert_eq!(diff(BASE, &["b"]), "pipeline b: Keep, reload filters");
    assert_eq!(diff(&with("remove: [b]", "remove: [c]"), &["b"]), "pipeline b: Keep, build filters");
    assert_eq!(
        diff(&with("[left, right], workers: 2", "[left, right], workers: 1"), &["b"]),
        "pipeline b: Replace, reload filters"
    );
}

#[test]
fn a_pipeline_with_more_threads_than_a_filter_may_have_instances_is_replaced() {
    let one = with("settings: { remove: [b] }", "settings: { remove: [b] }, instances: 1");
    assert_eq!(diff(&one, &[]), "pipeline b: Replace, build filters");
    let two = with("settings: { remove: [b] }", "settings: { remove: [b] }, instances: 2");
    assert_eq!(diff(&two, &[]), "pipeline b: Keep, build filters");
}

#[test]
fn a_pipeline_that_gets_its_first_filter_or_loses_its_last_is_replaced() {
    let first = with("plain: { from: [two], to", "plain: { from: [two], filters: [cut], to");
    assert_eq!(diff(&first, &[]), "pipeline plain: Replace, build filters");
    let last = with("filters: [cut], to: [left]", "to: [left]");
    assert_eq!(diff(&last, &[]), "pipeline a: Replace, build filters");
}
