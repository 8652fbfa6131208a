//! Every configuration in the documentation is read, checked, and held against the schema.

use serde_json::{Map, Value, json};

use super::validator::errors;
use super::*;
use crate::config::source::SourceFile;
use flitch_core::clock::Clock;
use flitch_filters::{Alone, Engine, FilterContext, TablePlaces, Tables};
use flitch_outputs::Ledgers;

/// The files that hold configurations.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![repository().join("README.md"), repository().join("sdk/rust/README.md")];
    let entries = |folder| {
        let entries = fs::read_dir(repository().join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path())
    };
    pages.extend(entries("docs").filter(|page| page.extension().is_some_and(|end| end == "md")));
    pages.extend(entries("plugins").map(|plugin| plugin.join("README.md")).filter(|page| page.is_file()));
    pages.sort();
    pages
}

/// The blocks of a language in a page, each with its line.
fn blocks(page: &str, language: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim().strip_prefix("```") == Some(language) {
            let text = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```");
            blocks.push((number + 2, text.fold(String::new(), |all, line| all + line + "\n")));
        }
    }
    blocks
}

/// The configuration as it stands, with the values that `variable` gives.
fn value(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Value {
    let variable = |name: &str| variable(name).map(Into::into);
    let outside = Outside { variable: &variable, folder: Path::new(".") };
    SourceFile::parse("flitch.yaml", text, &outside).unwrap().read().unwrap()
}

/// The same with the placeholders left in their places.
fn as_written(text: &str) -> Value {
    value(text, &|name| Some(format!("${{{name}}}")))
}

fn names(config: &Map<String, Value>, section: &str) -> Vec<String> {
    config
        .get(section)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect()
}

/// What a reader has in a variable that the documentation names without a default.
fn of_the_reader(name: &str) -> String {
    let value = match name {
        "HUB_LISTEN" | "HUB_SEND" | "EVENT_HUBS" => {
            "Endpoint=sb://hub.servicebus.windows.net/;SharedAccessKeyName=all;SharedAccessKey=a2V5"
        }
        "AZURE_STORAGE" => {
            "DefaultEndpointsProtocol=https;AccountName=logs;AccountKey=a2V5;EndpointSuffix=core.windows.net"
        }
        _ => "value",
    };
    value.to_owned()
}

/// Gives a fragment what it lacks: parts for the names that its pipelines use, and pipelines for its parts.
fn complete(fragment: &Value) -> Value {
    let mut config = fragment.as_object().unwrap().clone();
    let has = |config: &Map<String, Value>, section: &str| config.contains_key(section);
    let used = |key: &str| -> Vec<String> {
        let pipelines = fragment["pipelines"].as_object().into_iter().flatten();
        let lists = pipelines.flat_map(|(_, pipeline)| pipeline[key].as_array().into_iter().flatten());
        lists.map(|item| item.as_str().or(item["output"].as_str()).unwrap().to_owned()).collect()
    };
    if !has(&config, "sources") {
        let mut from = used("from");
        from.extend(from.is_empty().then(|| "in".to_owned()));
        let sources = from.into_iter().map(|name| (name, json!({ "type": "generator", "format": "nginx" })));
        config.insert("sources".into(), sources.collect());
    }
    if !has(&config, "outputs") {
        let mut to = used("to");
        to.extend(to.is_empty().then(|| "out".to_owned()));
        config
            .insert("outputs".into(), to.into_iter().map(|n| (n, json!({ "type": "blackhole" }))).collect());
    }
    if !has(&config, "pipelines") {
        // They are about pipelines that stand elsewhere on the page.
        config.remove("tests");
        let main = json!({ "from": names(&config, "sources"), "filters": names(&config, "filters"),
                           "to": names(&config, "outputs") });
        config.insert("pipelines".into(), json!({ "main": main }));
    }
    config.into()
}

/// Puts a table in the place of those that the examples name.
fn with_tables(config: &mut Value, folder: &Path) {
    for (name, table) in config.get_mut("tables").and_then(Value::as_object_mut).into_iter().flatten() {
        if table.get("url").is_some() {
            continue;
        }
        let path = folder.join(format!("{name}.csv"));
        fs::write(&path, format!("{},city,rack\n1,Ulm,7\n", table["key"].as_str().unwrap())).unwrap();
        table["path"] = path.to_string_lossy().into();
    }
}

#[test]
fn every_configuration_in_the_documentation_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let schema = schema::json();
    let files = regex::Regex::new(r"\$\{(file|base64):[^}]*\}").unwrap();
    let mut seen = 0;
    for page in pages() {
        for (line, block) in blocks(&fs::read_to_string(&page).unwrap(), "yaml") {
            let place = format!("{}:{line}", page.display());
            // Files of the reader's machine are not there.
            let block = files.replace_all(&block, "dmFsdWU=").into_owned();
            let wrong = errors(&schema, &as_written(&block));
            // A fragment may lack whole sections, and nothing else.
            let lacks = |error: &&String| error.starts_with(':') && error.contains("does not fit required");
            assert!(wrong.iter().all(|error| lacks(&error)), "{place}: {wrong:#?}");
            let reader = |name: &str| (!block.contains(&format!("${{{name}:-"))).then(|| of_the_reader(name));
            let mut config = complete(&value(&block, &reader));
            let wrong = errors(&schema, &config);
            assert!(wrong.is_empty(), "{place}: {wrong:#?}");
            with_tables(&mut config, folder.path());
            let loaded = parse_text(&config.to_string(), folder.path()).unwrap_or_else(|error| {
                panic!("{place}: {}", error.report(false));
            });
            assert!(loaded.warnings.is_empty(), "{place}: {:?}", loaded.warnings);
            let places = TablePlaces { folder: folder.path(), data_dir: Some(folder.path()), asks: false };
            let tables = Tables::default().next(&loaded.config.tables, &places).unwrap();
            let cx = FilterContext {
                engine: Engine::new(None, &std::sync::Arc::default()).unwrap(),
                stock: crate::STOCK,
                registries: std::sync::Arc::default(),
                tables: tables.into(),
                dead_letters: None,
                folder: folder.path().to_owned(),
                silent: false,
            };
            for (name, filter) in &loaded.config.filters {
                // What is written by the reader, lies in a registry or comes from a server is not there.
                let is_stock = |plugin: &str| !plugin.contains(['/', ':']) && !plugin.ends_with(".wasm");
                if !is_stock(&filter.plugin) || filter.shadow.is_some() {
                    continue;
                }
                if let Err(error) = Alone::load(name, filter, &cx) {
                    panic!("{place}: {name}: {error:#}");
                }
            }
            for (name, source) in &loaded.config.sources {
                source.check().unwrap_or_else(|error| panic!("{place}: {name}: {error:#}"));
            }
            for (name, output) in &loaded.config.outputs {
                let data_dir = &loaded.config.data_dir;
                let opened = output.open(
                    name,
                    data_dir,
                    &Clock::system(),
                    &std::sync::Arc::default(),
                    &Ledgers::apart(),
                );
                opened.map(drop).unwrap_or_else(|error| panic!("{place}: {name}: {error:#}"));
            }
            seen += 1;
        }
    }
    assert!(seen > 8, "only {seen} configurations were found");
}

#[test]
fn the_error_that_the_readme_shows_is_the_one_that_comes() {
    let page = fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, config) = &blocks(&page, "yaml")[0];
    let wrong = config.replacen("include:", "inclde:", 1);
    let report = parse_text(&wrong, Path::new(".")).unwrap_err().report(false);
    let (_, shown) = &blocks(&page, "text")[0];
    for line in shown.lines() {
        let line = line.trim_end_matches("...").trim_end();
        assert!(report.contains(line), "the report has no line {line:?}:\n{report}");
    }
}

#[test]
fn what_the_reader_takes_fits_the_schema_and_what_has_the_wrong_shape_fits_neither() {
    let schema = schema::json();
    assert_eq!(errors(&schema, &as_written(SMALL)), Vec::<String>::new());
    let placeholder = SMALL.replace("attempts: 3", "attempts: \"${PASSWORD}\"");
    assert_eq!(errors(&schema, &as_written(&placeholder)), Vec::<String>::new());
    for (right, wrong) in [
        ("sources:", "source:"),
        ("format: nginx", "formt: nginx"),
        ("format: nginx", "format: niginx"),
        ("type: generator", "type: generators"),
        ("type: generator, ", ""),
        ("attempts: 3", "attempts: three"),
        ("attempts: 3", "attempts: -1"),
        ("plugin: dissect, ", ""),
        ("from: [gen]", "from: gen"),
        ("to: [events]", "to: [{ when: { field: a, equals: 1 } }]"),
        ("to: [events]", "to: [{ output: events, when: { field: a, eqals: 1 } }]"),
        ("retry: { attempts: 3 }", "retry: [1]"),
        ("retry: { attempts: 3 }", "buffer: { max_bytes: lots }"),
        ("retry: { attempts: 3 }", "retry: { initial: soon }"),
    ] {
        let text = SMALL.replacen(right, wrong, 1);
        assert_ne!(text, SMALL, "{right} is not there");
        assert!(parse_text(&text, Path::new(".")).is_err(), "the reader takes {wrong}");
        assert_ne!(errors(&schema, &as_written(&text)), Vec::<String>::new(), "the schema takes {wrong}");
    }
}
