//! Each `plugins/*/cases/*` through the real component.

use super::*;

fn json_lines(path: &Path) -> Vec<Json> {
    let Ok(text) = std::fs::read_to_string(path) else { return Vec::new() };
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(super) fn folders(path: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let mut all: Vec<_> = entries.map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    all.sort();
    all
}

/// The tables of a case, by the names of their files.
pub(super) fn tables(folder: &Path) -> Tables {
    let files = std::fs::read_dir(folder).into_iter().flatten().map(|file| file.unwrap().path());
    let settings = files.map(|path| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, TableSettings { path, key: "key".to_owned(), format: None })
    });
    Tables::load(&settings.collect(), folder).unwrap()
}

fn run(plugin: &str, case: &Path) {
    let name = format!("{plugin}/{}", case.file_name().unwrap().to_string_lossy());
    let mut settings = FilterSettings::of(plugin);
    settings.wasi = Wasi::None;
    settings.settings =
        serde_json::from_str(&std::fs::read_to_string(case.join("settings.json")).unwrap()).unwrap();
    let cx = FilterContext { tables: Arc::new(tables(&case.join("tables"))), ..context() };
    let refused = std::fs::read_to_string(case.join("refused.txt")).ok();
    let mut filter = match (Alone::load(plugin, &settings, &cx), refused) {
        (Ok(filter), None) => filter,
        (Err(error), Some(said)) => {
            let error = format!("{error:#}");
            return assert!(error.contains(said.trim_end()), "{name}: {error}");
        }
        (Ok(_), Some(said)) => panic!("{name}: the settings are not refused: {said}"),
        (Err(error), None) => panic!("{name}: {error:#}"),
    };
    let input = json_lines(&case.join("in.ndjson"));
    let (out, rejected) = filter.run(records(&input));
    assert_eq!(rows(&out), json_lines(&case.join("out.ndjson")), "{name}");
    let expected = json_lines(&case.join("rejected.ndjson"));
    assert_eq!(rejected.len(), expected.len(), "{name}: {rejected:?}");
    for (rejected, expected) in rejected.iter().zip(&expected) {
        let reason = expected["reason"].as_str().unwrap();
        assert!(rejected.reason.ends_with(reason), "{name}: {} is not {reason}", rejected.reason);
        let mut record: Json = serde_json::from_slice(&rejected.record).unwrap();
        for name in ["@timestamp", "@tag"] {
            record.as_object_mut().unwrap().remove(name);
        }
        let row = expected["row"].as_u64().unwrap() as usize;
        assert_eq!(record, input[row], "{name}: the record is as it came");
    }
    let accounts = filter.ledger().read();
    assert_eq!(accounts.in_flight(), 0, "{name}: {accounts:?}");
}

#[test]
fn every_case_of_every_stock_plugin_holds_for_the_component() {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    let mut count = 0;
    for plugin in stock_names() {
        for case in folders(&plugins.join(plugin).join("cases")) {
            run(plugin, &case);
            count += 1;
        }
    }
    assert!(count > 0, "there are cases under {}", plugins.display());
}
