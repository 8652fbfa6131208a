use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::interpolate::Outside;
use super::*;
use flitch_core::setting::wrong;
use flitch_filters::Refused;

mod examples;
mod keys;
mod kinds;
mod pages;
mod secrets;
mod validator;
mod walk;

fn parse_text(text: &str, folder: &Path) -> Result<Loaded, ConfigError> {
    let variable = |name: &str| (name == "PASSWORD").then(|| "hunter2".into());
    parse("flitch.yaml", text, &Outside { variable: &variable, folder })
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Compares with a file that `FLITCH_BLESS=1` writes anew.
fn expect(path: &Path, found: &str, mend: &str) {
    if std::env::var_os("FLITCH_BLESS").is_some() {
        fs::write(path, found).unwrap();
    }
    let wanted = fs::read_to_string(path).unwrap_or_default();
    assert!(wanted == found, "{} is stale; mend it with: {mend}\n{found}", path.display());
}

#[test]
fn every_kind_of_error_tells_file_line_column_and_what_to_do() {
    let folder = repository().join("host/tests/config-errors");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() > 10);
    for case in cases {
        let text = fs::read_to_string(case.join("flitch.yaml")).unwrap();
        let report = parse_text(&text, &case).expect_err(&case.display().to_string()).report(false);
        assert!(!report.contains("hunter2") && !report.contains("letmein"), "{report}");
        expect(
            &case.join("expected.txt"),
            &report,
            "FLITCH_BLESS=1 cargo test -p flitch --lib config::tests",
        );
    }
}

#[test]
fn the_reference_is_that_of_the_settings() {
    let path = repository().join("docs/config.md");
    expect(&path, &docs::markdown(), "cargo run -p flitch -- config docs > docs/config.md");
}

#[test]
fn a_part_that_is_not_in_use_holds_nothing_open() {
    let text = r#"
sources:
  web: { type: http, listen: "127.0.0.1:1", max_connections: 900 }
  logs: { type: file, include: [/var/log/*.log], max_open_files: 200 }
  unused: { type: http, listen: "127.0.0.1:2", max_connections: 60000 }
outputs:
  nowhere: { type: blackhole }
pipelines:
  all: { from: [web, logs], to: [nowhere] }
"#;
    let parts = parse_text(text, Path::new("/")).unwrap().config.descriptors();
    let names: Vec<&str> = parts.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["admin", "sources.logs", "sources.web", "outputs.nowhere"]);
    assert!((900..1000).contains(&parts[2].1), "{parts:?}");
}

/// Whether a value is a count, a size or a time.
fn is_amount(schema: &Value) -> bool {
    let name = |schema: &Value| {
        schema["$ref"]
            .as_str()
            .map(|path| path.rsplit('/').next() == Some("Bytes") || path.ends_with("/Span"))
    };
    let types = &schema["type"];
    let is_integer =
        types == "integer" || types.as_array().is_some_and(|types| types.contains(&"integer".into()));
    let forms = || schema["anyOf"].as_array().is_some_and(|forms| forms.iter().any(is_amount));
    name(schema).unwrap_or(is_integer || forms())
}

#[test]
fn a_zero_is_refused_where_its_documentation_does_not_say_what_it_means() {
    let places = walk::places(&schema::plain(), &is_amount);
    assert!(places.len() > 40, "only {} amounts were found", places.len());
    for place in places {
        let text = place.config.to_string();
        let quoted = format!("\"{}\"", walk::HERE);
        let begin = text.find(&quoted).unwrap();
        // Some read a time by its unit alone, and some a number alone.
        let refused = |zero: &str| {
            let text = text.replace(&quoted, zero);
            let Err(error) = parse_text(&text, Path::new(".")) else { return false };
            error.problems.iter().any(|p| p.location.is_some_and(|l| l.start == begin))
        };
        let says = place.schema["description"].as_str().is_some_and(|text| text.contains('0'));
        let is_refused = refused("0") && refused("\"0s\"");
        assert!(is_refused || says, "{} takes 0 and does not say what it means: {text}", place.key);
    }
}

#[test]
fn what_is_wrong_with_a_server_or_a_name_is_told_in_words_of_the_file() {
    let told = |keys: &str| {
        let text = format!("outputs: {{ out: {{ type: forward, {keys} }} }}");
        parse_text(&text, Path::new(".")).unwrap_err().report(false)
    };
    for (keys, words) in [
        ("servers: [aggregator]", "`aggregator` is no address"),
        ("servers: [{ address: \"a:1\", wieght: 5 }]", "unknown key `wieght`"),
        ("servers: [\"a:1\"], encoding: { tag: 5 }", "expected `true`, `false`, or the path"),
    ] {
        let told = told(keys);
        assert!(told.contains(words) && !told.contains("variant"), "{told}");
    }
}

const SMALL: &str = "\
sources:
  gen: { type: generator, format: nginx }
  idle: { type: generator, format: docker }
filters:
  parse: { plugin: dissect, settings: { field: message } }
  unused: { plugin: dissect }
outputs:
  events: { type: blackhole, retry: { attempts: 3 } }
  lake: { type: blackhole }
pipelines:
  clicks: { from: [gen], filters: [parse], to: [events] }
";

#[test]
fn what_no_pipeline_uses_is_a_warning() {
    let loaded = parse_text(SMALL, Path::new(".")).unwrap();
    let told: Vec<String> = loaded.warnings.iter().map(|w| format!("{w:?}")).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("flitch.yaml:3:3: no pipeline uses the source `idle`"), "{}", told[0]);
    assert!(told[2].starts_with("flitch.yaml:9:3: no pipeline uses the output `lake`"), "{}", told[2]);
}

#[test]
fn a_glob_that_can_match_nothing_is_a_warning_where_it_stands() {
    let file = "idle: { type: file, include: [/var/log/*.log, \"~/x.log\"] }";
    let text = SMALL.replace("idle: { type: generator, format: docker }", file);
    let loaded = parse_text(&text, Path::new(".")).unwrap();
    let told: Vec<String> = loaded.warnings.iter().map(|w| format!("{w:?}")).collect();
    let found =
        told.iter().filter(|w| w.starts_with("flitch.yaml:3:49: `~/x.log` names a folder called `~`"));
    assert_eq!(found.count(), 1, "{told:?}");
}

#[test]
fn a_source_that_reads_what_is_written_of_it_is_a_warning_where_it_stands() {
    let told = |include: &str, exclude: &str, path: &str, pipelines: &str| {
        let text = format!(
            "data_dir: /srv/logs/data\n\
             sources:\n  in: {{ type: file, include: ['{include}'], exclude: ['{exclude}'] }}\n  \
             other: {{ type: file, include: [/srv/out/*.ndjson] }}\n\
             outputs:\n  out: {{ type: file, path: '{path}' }}\n  back: {{ type: file, path: /srv/logs/back.log }}\n\
             pipelines:\n{pipelines}"
        );
        let loaded = parse_text(&text, Path::new("/")).unwrap();
        let told: Vec<String> = loaded.warnings.iter().map(|w| format!("{w:?}")).collect();
        told.into_iter().filter(|w| w.contains(" reads what ")).collect::<Vec<_>>()
    };
    let one = "  p: { from: [in], to: [out] }\n";
    for (include, path) in [
        ("/srv/logs/*.ndjson", "/srv/logs/out.ndjson"),
        ("/srv/logs/*/*.log", "/srv/logs/{@tag}/{host}.log"),
        ("/srv/logs/**/*.log", "/srv/logs/{@timestamp:%Y-%m-%d}.log"),
        ("/srv/logs/out.log", "/srv/logs/out.log"),
    ] {
        let found = told(include, "none", path, one);
        assert!(
            found.len() == 1
                && found[0].contains("flitch.yaml:3:21: `in` reads what the output `out` writes of it"),
            "{found:?}"
        );
    }
    let found = told("/srv/logs/**", "out/**", "/srv/logs/out/x.ndjson", one);
    assert!(found.len() == 1 && found[0].contains("in its own `data_dir`"), "{found:?}");
    // By another source, whose records the first one has.
    let round = "  p: { from: [in], to: [out] }\n  q: { from: [other], to: [back] }\n";
    let found = told("/srv/logs/*.log", "none", "/srv/out/x.ndjson", round);
    assert_eq!(found.len(), 2, "{found:?}");
    // What another pipeline writes may be read, and what is left out is not.
    for (exclude, pipelines) in
        [("*.ndjson", one), ("none", "  p: { from: [in], to: [back] }\n  q: { from: [other], to: [out] }\n")]
    {
        assert!(
            told("/srv/logs/*.ndjson", exclude, "/srv/logs/out.ndjson", pipelines).is_empty(),
            "{exclude}"
        );
    }
}

#[test]
fn settings_that_change_nothing_are_warnings() {
    let text = "\
sources:
  in: { type: forward, listen: 24224, unix_mode: 600 }
outputs:
  out: { type: file, path: /x, sync: never, sync_interval: 1s, keep: 3, retry: { initial: 10s, max: 1s } }
dead_letter: { max_bytes: 1MiB, max_file_bytes: 2MiB }
pipelines:
  main: { from: [in], to: [out] }
";
    let loaded = parse_text(text, Path::new(".")).unwrap();
    let told: Vec<String> = loaded.warnings.iter().map(|w| format!("{w:?}")).collect();
    assert_eq!(told.len(), 5, "{told:#?}");
    assert!(told[0].starts_with("flitch.yaml:2:39: `unix_mode` changes nothing"), "{told:#?}");
    let used = text
        .replace("24224", "\"unix:///x\"")
        .replace("never", "interval")
        .replace("keep", "max_bytes: 1MB, keep");
    let used = used.replace("initial: 10s", "initial: 1s").replace("2MiB", "1MiB");
    assert!(parse_text(&used, Path::new(".")).unwrap().warnings.is_empty());
}

#[test]
fn errors_of_later_have_a_place_and_no_secret() {
    let text = SMALL.replace("field: message", "field: \"${PASSWORD}\"");
    let loaded = parse_text(&text, Path::new(".")).unwrap();
    let error = loaded.error("filters.parse.plugin", &anyhow::anyhow!("dissect refuses hunter2"));
    assert_eq!(format!("{error:?}"), "flitch.yaml:5:20: filters.parse.plugin: dissect refuses ***");
    let error = loaded.error("outputs.events", &wrong!("attempts", " is too small").into());
    assert!(format!("{error:?}").starts_with("flitch.yaml:8:3:"), "{error:?}");
    let refused = Refused::new("dissect", "settings.field: too long".to_owned());
    let error = loaded.filter_error("parse", &refused.into());
    assert!(format!("{error:?}").starts_with("flitch.yaml:5:48: filters.parse.settings: "), "{error:?}");
    let rules = SMALL.replace("field: message", "rules: [first, { when: never }]");
    let listed = parse_text(&rules, Path::new(".")).unwrap();
    for (key, place) in [
        ("rules[0]", "5:49"),
        ("rules[1]", "5:56"),
        ("rules[1].when", "5:64"),
        ("rules[2]", "5:41"),
        ("others[0]", "5:29"),
    ] {
        let refused = Refused::new("dissect", format!("settings.{key}: is odd"));
        let error = listed.filter_error("parse", &refused.into());
        assert!(format!("{error:?}").starts_with(&format!("flitch.yaml:{place}: ")), "{key}: {error:?}");
    }
    let error = loaded.error("filters.parse", &anyhow::anyhow!("no such file"));
    assert_eq!(format!("{error:?}"), "flitch.yaml:5:20: filters.parse.plugin: no such file");
    let error = loaded.error("pipelines.clicks", &wrong!("from", " is odd").into());
    assert!(format!("{error:?}").starts_with("flitch.yaml:11:13:"), "{error:?}");
}

#[test]
fn a_file_that_is_not_there_is_told_with_what_to_do() {
    let error = load(Path::new("/no/such/flitch.yaml")).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("/no/such/flitch.yaml: cannot read the configuration") && text.contains("-c FILE"));
}

#[test]
fn keys_of_the_writer_and_anchors_are_no_part_of_the_configuration() {
    let text = format!("x-retry: &retry {{ attempts: 7 }}\n{}", SMALL.replace("{ attempts: 3 }", "*retry"));
    let loaded = parse_text(&text, Path::new(".")).unwrap();
    assert_eq!(loaded.config.outputs["events"].retry.attempts, Some(7));
}

#[test]
fn what_does_not_go_with_objects_is_refused_by_its_key() {
    let s3 = "type: s3, bucket: b, region: r, access_key_id: k, secret_access_key: s";
    for (output, said) in [
        (format!("{s3}, retry: {{ attempts: 3 }}"), "`retry.attempts` is not for this type"),
        (format!("{s3}, compression: snappy"), "`compression`: `snappy` is for"),
        (
            format!("{s3}, encoding: {{ format: parquet, timestamp_format: unix }}"),
            "`encoding.timestamp_format`: Parquet has no timestamps of seconds",
        ),
        (
            "type: file, path: /x, encoding: { format: parquet }".to_owned(),
            "`encoding.format`: this type writes no `parquet`",
        ),
    ] {
        let text = format!(
            "sources: {{ in: {{ type: file, include: [/x] }} }}\noutputs: {{ out: {{ {output} }} }}\n\
             pipelines: {{ main: {{ from: [in], to: [out] }} }}\n"
        );
        let loaded = parse_text(&text, Path::new(".")).unwrap_or_else(|error| panic!("{error:?}"));
        let error = loaded.config.outputs["out"].check("out", Path::new("/nowhere")).unwrap_err();
        assert!(format!("{error:#}").contains(said), "{output}: {error:#}");
    }
}

#[test]
fn a_file_that_is_not_utf8_is_told_at_the_first_byte_that_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flitch.yaml");
    std::fs::write(&path, b"# of gr\xc3\xbcn\nsources:\n  gr\xfcn: { password: topsecret }\n").unwrap();
    let report = load(&path).unwrap_err().report(false);
    assert!(report.contains("flitch.yaml:3:5]") && report.contains("the byte 0xFC stands here"), "{report}");
    assert!(report.contains("iconv -f latin1") && !report.contains("topsecret"), "{report}");
    std::fs::write(&path, b"\xff\xfe#\0\n\0").unwrap();
    let report = load(&path).unwrap_err().report(false);
    assert!(report.contains("iconv -f utf-16 -t utf-8"), "{report}");
}

#[test]
fn a_pipe_is_not_waited_for_where_it_was_read_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
    let report = load_again(&path).unwrap_err().report(false);
    assert!(report.contains("it is a pipe"), "{report}");
}

#[test]
fn a_file_that_has_no_end_is_no_configuration() {
    let report = load(Path::new("/dev/zero")).unwrap_err().report(false);
    assert!(report.contains("cannot read the configuration: it has more than 16MiB"), "{report}");
}

#[test]
fn what_a_plugin_says_of_an_item_of_its_settings_is_told_where_the_item_stands() {
    let settings =
        "{ plugin: dissect, settings: {\n    rules: [\n      { a.b: [x, 7] },\n      {},\n    ] } }";
    let text = SMALL.replace("{ plugin: dissect, settings: { field: message } }", settings);
    let loaded = parse_text(&text, Path::new(".")).unwrap();
    let line = |said: &str| {
        let error = loaded.filter_error("parse", &Refused::new("dissect", said.to_owned()).into());
        format!("{error:?}").split(' ').next().unwrap().to_owned()
    };
    assert_eq!(line("settings.rules[0].a.b[1]: invalid type"), "flitch.yaml:7:18:");
    assert_eq!(line("settings.rules[1]: missing field `field`"), "flitch.yaml:8:7:");
    assert_eq!(line("settings.rules[1].c.d: there is none"), "flitch.yaml:8:7:");
    assert_eq!(line("settings.rules[2]: there is none"), "flitch.yaml:6:5:");
    assert_eq!(line("settings.other: there is none"), "flitch.yaml:5:29:");
}

#[test]
fn a_path_from_the_environment_is_shown_and_other_values_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().display().to_string();
    for (value, shown) in [(&*folder, true), ("/3Jq0hunter2+x/Zz==", false), ("hunter2", false)] {
        let variable = |name: &str| (name == "X").then(|| value.into());
        let outside = Outside { variable: &variable, folder: Path::new("/") };
        let file = source::SourceFile::parse("f", "a: ${X}/b\n", &outside).unwrap();
        assert_eq!(file.hide(&format!("no {value}/b")).contains(value), shown, "{value}");
        let file = source::SourceFile::parse("f", "password: ${X}/b\n", &outside).unwrap();
        assert!(!file.hide(&format!("no {value}/b")).contains(value), "{value}");
    }
}

#[test]
fn the_environment_says_where_the_admin_listener_is_whatever_the_file_says() {
    let text = "admin: { enabled: false }\nsources: { in: { type: forward, listen: \"127.0.0.1:9600\" } }\noutputs: { out: { type: blackhole } }\n\
                pipelines: { main: { from: [in], to: [out] } }\n";
    let with = |listen: &str| {
        let variable = |name: &str| (name == "FLITCH_ADMIN_LISTEN").then(|| listen.into());
        parse("flitch.yaml", text, &Outside { variable: &variable, folder: Path::new(".") })
    };
    let admin = with("0.0.0.0:9598").unwrap().config.admin;
    assert!(admin.enabled && admin.listen == "0.0.0.0:9598".parse().unwrap());
    assert!(!with("").unwrap().config.admin.enabled, "as if it were not set");
    let wrong = with("nowhere").unwrap_err().to_string();
    assert!(wrong.contains("FLITCH_ADMIN_LISTEN") && wrong.contains("no address"), "{wrong}");
    let taken = with("0.0.0.0:9600").unwrap_err().to_string();
    assert!(taken.contains("the admin listener"), "{taken}");
}
