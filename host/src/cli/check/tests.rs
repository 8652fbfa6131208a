use super::*;
use crate::admin::StatusBoard;
use crate::app::App;
use crate::config::interpolate::Outside;
use flitch_core::telemetry::escape::is_unsafe;

const REST: &str = "
admin: { enabled: false }
pipelines: { main: { from: [in], filters: FILTERS, to: [out] } }
";
const GENERATOR: &str = "sources: { in: { type: generator, format: nginx, count: 0 } }";
const BLACKHOLE: &str = "outputs: { out: { type: blackhole } }";

fn source(settings: &str) -> String {
    format!("sources: {{ in: {{ {settings} }} }}\n{BLACKHOLE}{REST}").replace("FILTERS", "[]")
}

fn output(settings: &str) -> String {
    format!("{GENERATOR}\noutputs: {{ out: {{ {settings} }} }}{REST}").replace("FILTERS", "[]")
}

fn filter(settings: &str) -> String {
    format!("filters: {{ f: {{ {settings} }} }}\n{GENERATOR}\n{BLACKHOLE}{REST}").replace("FILTERS", "[f]")
}

fn top(settings: &str) -> String {
    format!("{settings}\n{GENERATOR}\n{BLACKHOLE}{REST}").replace("FILTERS", "[]")
}

/// Configurations that work, among them every zero that means something.
fn right() -> Vec<String> {
    let mut all = vec![
        top(""),
        top("drain_timeout: 0s\nbatch: { rows: 65536, bytes: 1, age: 1us }"),
        source("type: file, include: [/nowhere/*.log], rotate_wait: 0s"),
        source("type: generator, format: docker, seed: 0, count: 0, rate: 1"),
        source(
            "type: forward, listen: \"127.0.0.1:0\", multiline: { field: log, preset: java, by: [source] }",
        ),
        source("type: http, listen: \"127.0.0.1:0\", multiline: { start: ^x, max_lines: 1 }"),
        source(
            "type: forward, listen: [\"127.0.0.1:0\", \"unix://DIR/f.sock\"], chunk_memory: 0, unix_mode: 600",
        ),
        output(
            "type: kafka, brokers: \"localhost:1,[::1]:2,h\", topic: t, linger: 0ms, options: { linger.ms: 0 }",
        ),
        output("type: file, path: DIR/out.ndjson, max_bytes: 1kB, keep: 0, gzip: true"),
        output("type: file, path: \"DIR/{app}.log\", max_bytes: 1kB"),
        output("type: stdout, retry: { attempts: 1, breaker_after: 1 }"),
        output("type: stdout, encoding: { format: text, field: message, timestamp_format: unix }"),
        output(
            "type: file, path: DIR/out.csv, encoding: { format: csv, columns: [a, \"@tag\"], header: false }",
        ),
        filter(
            "plugin: dissect, settings: { preset: nginx_combined }, limits: { answer: 0, time: 1 second }",
        ),
        filter("plugin: dedupe, state: { keep: false, interval: 100ms, max_bytes: 1MiB }"),
        filter(
            "plugin: dissect, settings: { preset: nginx_combined }, shadow: { plugin: dissect, rate: 1, examples: 100 }",
        ),
        filter(
            "plugin: dedupe, shadow: { plugin: set, settings: { set: { a: 1 } }, limits: { time: 10ms } }",
        ),
    ];
    all.push(top(
        "plugins: { require_signature: false, mirrors: { ghcr.io: [m.example.com/ghcr] }, plain_http: [\"127.0.0.1:1\"], \
         credentials: { ghcr.io: { username: u, password: p } }, tls: { r.example.com: {} }, timeout: 1s }",
    ));
    for listen in ["0", "\":0\"", "localhost:0", "\"127.0.0.1:0\"", "\"*:0\""] {
        all.push(source(&format!("type: http, listen: {listen}")));
        all.push(source(&format!("type: forward, listen: {listen}")));
    }
    all
}

/// Configurations that miss one that works by a little.
fn wrong() -> Vec<String> {
    let mut all = vec![
        top("drain_timeout: 10"),
        top("data_dir: DIR/flitch.yaml"),
        top("data_dir: \"\""),
        top("batch: { rows: 65537 }"),
        top("dead_letter: { max_bytes: 0 }"),
        top("dead_letter: { max_file_bytes: 0B }"),
        top("tables: { t: { path: nowhere.csv, key: k } }"),
        source("type: file, include: []"),
        source("type: file, include: [../x.log]"),
        source("type: file, include: [\"/x/[\"]"),
        source("type: file, include: [/x], multiline: { start: \"(\" }"),
        source("type: file, include: [/x], multiline: {}"),
        source("type: forward, listen: \"127.0.0.1:0\", unix_mode: rw"),
        source("type: forward, listen: \"127.0.0.1:0\", unix_mode: 1777"),
        source("type: forward, listen: []"),
        source("type: forward, listen: \"127.0.0.1:0\", multiline: {}"),
        source("type: http, listen: \"127.0.0.1:0\", multiline: { preset: java, start: ^x }"),
        source("type: kafka, brokers: [h], topics: t, group: g, multiline: { preset: go, field: \"\" }"),
        source("type: forward, listen: unix://f.sock"),
        source("type: forward, listen: \"127.0.0.1:0\", security: { shared_key: \"\" }"),
        source("type: http, listen: \"127.0.0.1:0\", auth: {}"),
        source("type: http, listen: \"127.0.0.1:0\", tls: { cert: /nowhere, key: /nowhere }"),
        source("type: generator, format: nginx, rate: 0"),
        output("type: kafka, brokers: [], topic: t"),
        output("type: file, path: \"DIR/{app}\", max_bytes: 1kB"),
        output("type: kafka, brokers: [\"h:port\"], topic: t"),
        output("type: kafka, brokers: [\"h:65536\"], topic: t"),
        output("type: kafka, brokers: [h], topic: \"a topic\""),
        output("type: kafka, brokers: [h], topic: t, acks: leader"),
        output("type: kafka, brokers: [h], topic: t, encoding: { format: raw }"),
        output("type: stdout, encoding: { format: csv, columns: [a, a] }"),
        output("type: blackhole, encoding: { field: message }"),
        output("type: kafka, brokers: [h], topic: t, options: { lingr.ms: 1 }"),
        output("type: kafka, brokers: [h], topic: t, options: { linger.ms: soon }"),
        output("type: kafka, brokers: [h], topic: t, options: { enable.idempotence: true, acks: 1 }"),
        output("type: kafka, brokers: [h], topic: t, tls: { ca: /nowhere }"),
        output("type: kafka, brokers: [h], topic: t, tls: { ca: DIR/flitch.yaml }"),
        output("type: kafka, brokers: [h], topic: t, sasl: { mechanism: plain }"),
        output("type: file, path: out.ndjson"),
        output("type: file, path: /out.ndjson, gzip: true"),
        filter("plugin: \"oci://registry.example.com/parse\""),
        filter("plugin: \"oci://registry.example.com/parse@sha256:12\""),
        filter("plugin: \"oci-layout:DIR/nowhere:1\""),
        filter("plugin: dedupe, update: 1m"),
        filter("plugin: ./mine.wasm, update: 1m"),
        filter("plugin: \"oci://r.example.com/parse:1\", update: 10ms"),
        filter(&format!("plugin: \"oci://r.example.com/parse:1@sha256:{}\", update: 1m", "0".repeat(64))),
        filter("plugin: dedupe, shadow: { plugin: \"oci://r.example.com/parse\" }"),
        top("plugins: { require_signature: true }"),
        top("plugins: { trust: [{ key: nowhere.pub }] }"),
        top("plugins: { trust: [{ key: flitch.yaml }] }"),
        top("plugins: { max_bytes: 1GiB, cache: { max_bytes: 1MiB } }"),
        top("plugins: { mirrors: { \"https://r.example.com\": [m] } }"),
        top("plugins: { credentials: { r.example.com: { username: u } } }"),
        top("plugins: { plain_http: [r], tls: { r: {} } }"),
        filter("plugin: disect"),
        filter("plugin: ./nowhere.wasm"),
        filter("plugin: dedupe, state: { interval: 99ms }"),
        filter("plugin: dedupe, shadow: {}"),
        filter("plugin: dedupe, shadow: { plugin: ./nowhere.wasm }"),
        filter("plugin: dedupe, shadow: { plugin: dissect }"),
        filter("plugin: dedupe, shadow: { plugin: dedupe, settings: { keys: a } }"),
        filter("plugin: dedupe, shadow: { plugin: dedupe, rate: 0 }"),
        filter("plugin: dedupe, shadow: { plugin: dedupe, rate: 1.01 }"),
        filter("plugin: dedupe, shadow: { plugin: dedupe, examples: 101 }"),
        filter("plugin: dissect, settings: { preset: nginx }"),
        filter("plugin: dissect, settings: { preset: nginx_combined }, limits: { memory: 64KiB }"),
        format!("{}\n", source("type: http, listen: 9598")).replace("enabled: false", "enabled: true"),
        source("type: http, listen: \":18080\" }, too: { type: forward, listen: \"127.0.0.1:18080\"")
            .replace("from: [in]", "from: [in, too]"),
    ];
    for listen in ["localhost", "\":24224x\"", "\":65536\"", "65536", "\"::1:80\"", "\"[::1]\"", "true", "{}"]
    {
        all.push(source(&format!("type: http, listen: {listen}")));
        all.push(source(&format!("type: forward, listen: {listen}")));
    }
    for key in ["bytes", "age", "rows"] {
        all.push(top(&format!("batch: {{ {key}: 0 }}")));
    }
    for key in [
        "poll_interval",
        "scan_interval",
        "checkpoint_interval",
        "partial_timeout",
        "max_open_files",
        "max_line",
    ] {
        all.push(source(&format!("type: file, include: [/x], {key}: 0")));
    }
    for key in [
        "max_message",
        "max_expanded",
        "max_in_flight",
        "max_buffered",
        "handshake_timeout",
        "max_connections",
    ] {
        all.push(source(&format!("type: forward, listen: \"127.0.0.1:0\", {key}: 0")));
    }
    for key in ["max_body", "max_expanded", "max_pending", "read_timeout", "max_connections"] {
        all.push(source(&format!("type: http, listen: \"127.0.0.1:0\", {key}: 0")));
    }
    for key in ["timeout", "queue"] {
        all.push(output(&format!("type: kafka, brokers: [h], topic: t, {key}: 0")));
    }
    for key in
        ["buffer: { max_bytes: 0 }", "retry: { initial: 0s }", "retry: { max: 0s }", "retry: { attempts: 0 }"]
    {
        all.push(output(&format!("type: blackhole, {key}")));
    }
    for key in ["memory", "time"] {
        all.push(filter(&format!(
            "plugin: dissect, settings: {{ preset: nginx_combined }}, limits: {{ {key}: 0 }}"
        )));
    }
    all.push(filter("plugin: dissect, settings: { preset: nginx_combined }, instances: 0"));
    all
}

/// What `check` and `run` say to a configuration; nothing where they take it.
async fn verdicts(text: &str) -> [Option<String>; 2] {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flitch.yaml");
    let mut text = text.replace("DIR", &folder.path().display().to_string());
    if !text.contains("data_dir") {
        text = format!("data_dir: {}/data\n{text}", folder.path().display());
    }
    std::fs::write(&path, &text).unwrap();
    let outside = Outside { variable: &|_| None, folder: folder.path() };
    let loaded = match config::parse("flitch.yaml", &text, &outside) {
        Ok(loaded) => loaded,
        // Both read it by the same function.
        Err(error) => return [Some(error.to_string()), Some(error.to_string())],
    };
    let checked = examine(&loaded, &path).err().map(|error| format!("{error:?}"));
    if let Err(error) = loaded.check_parts() {
        return [checked, Some(error.to_string())];
    }
    let board = Arc::new(StatusBoard::default());
    let ran = match App::start(loaded.config.clone(), folder.path(), board).await {
        Ok(app) => {
            app.drain(Duration::ZERO).await;
            None
        }
        Err(error) => Some(error.to_string()),
    };
    [checked, ran]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_check_takes_runs_and_what_it_refuses_does_not() {
    for (configs, is_right) in [(right(), true), (wrong(), false)] {
        for text in configs {
            let [checked, ran] = verdicts(&text).await;
            assert_eq!(checked.is_none(), is_right, "check: {checked:?} of\n{text}");
            assert_eq!(ran.is_none(), is_right, "run: {ran:?} of\n{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_connects_to_nothing() {
    let brokers = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    brokers.set_nonblocking(true).unwrap();
    let at = brokers.local_addr().unwrap();
    let text = output(&format!(
        "type: kafka, brokers: [\"{at}\"], topic: t, options: {{ bootstrap.servers: \"{at}\", metadata.broker.list: \"{at}\" }}"
    ));
    let outside = Outside { variable: &|_| None, folder: Path::new(".") };
    let loaded = config::parse("flitch.yaml", &text, &outside).unwrap();
    examine(&loaded, Path::new("flitch.yaml")).unwrap();
    // The client is gone by now, and with it its threads.
    let error = brokers.accept().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_data_folder_that_cannot_be_written_is_told_where_it_is_named() {
    let outside = Outside { variable: &|_| None, folder: Path::new(".") };
    let loaded = config::parse("flitch.yaml", &top("data_dir: /dev/null/data"), &outside).unwrap();
    loaded.check_parts().unwrap();
    let warning = loaded.unwritable().expect("nobody makes a folder there");
    assert!(warning.is_warning && warning.line_and_column() == Some((1, 11)), "{warning:?}");
    assert!(warning.message.contains("may not write to /dev/null"), "{warning:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_says_of_its_settings_is_shown_and_does_nothing_else_to_a_terminal() {
    let plugin = flitch_tests::guests::c_filter();
    let text = filter(&format!(
        "plugin: \"{}\", settings: {{ refuse: \"\\x9b2J\\x7f\\u202eno\" }}",
        plugin.display()
    ));
    let outside = Outside { variable: &|_| None, folder: Path::new(".") };
    let loaded = config::parse("flitch.yaml", &text, &outside).unwrap();
    let Err(Failure::Config(error)) = examine(&loaded, Path::new("flitch.yaml")) else {
        panic!("the plugin takes its settings")
    };
    for shown in [error.report(false), error.to_string()] {
        assert!(!shown.contains(|c| c != '\n' && is_unsafe(c)), "{shown:?}");
    }
    assert!(error.to_string().contains("2J \\u{202e}no"), "{error}");
}

/// It asks no registry, so that it is the same wherever it runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_was_never_pulled_is_told_and_no_error_and_what_is_wrong_has_its_place() {
    let parse = |text: &str| {
        let outside = Outside { variable: &|_| None, folder: Path::new("/") };
        config::parse("flitch.yaml", &format!("data_dir: /nowhere\n{text}"), &outside).unwrap()
    };
    let loaded = parse(&filter("plugin: \"oci://127.0.0.1:1/team/parse:1\", update: 1m"));
    let lines = examine(&loaded, Path::new("flitch.yaml")).unwrap().concat();
    assert!(lines.contains("oci://127.0.0.1:1/team/parse:1 (not pulled to this machine"), "{lines}");
    for (text, place) in [
        (filter("plugin: \"oci://r.example.com/parse\""), "flitch.yaml:2:25"),
        (filter("plugin: dedupe, update: 1m"), "flitch.yaml:2:41"),
        (top("plugins: { trust: [{ key: nowhere.pub }] }"), "flitch.yaml:2:27"),
        (top("plugins: { require_signature: true }"), "flitch.yaml:2:31"),
        (
            format!(
                "plugins: {{ trust: [{{ key: nowhere.pub }}] }}\n{}",
                filter("plugin: \"oci://127.0.0.1:1/team/parse:1\"")
            ),
            "flitch.yaml:2:27",
        ),
    ] {
        let Err(Failure::Config(error)) = examine(&parse(&text), Path::new("flitch.yaml")) else {
            panic!("it is taken: {text}")
        };
        assert_eq!(error.problems.len(), 1, "{error}");
        assert!(error.to_string().starts_with(place), "{place}: {error}");
    }
}

#[test]
fn a_key_of_another_format_is_told_where_it_stands() {
    for (encoding, column) in [
        ("{ format: csv, columns: [a, a] }", 49),
        ("{ format: text, field: m, only: [a] }", 60),
        ("{ format: text }", 24),
    ] {
        let text = format!("outputs:\n  out: {{ type: stdout, encoding: {encoding} }}{REST}");
        let text = format!("{GENERATOR}\n{text}").replace("FILTERS", "[]");
        let variable = |_: &str| None;
        let outside = Outside { variable: &variable, folder: Path::new("/") };
        let refused = config::parse("flitch.yaml", &text, &outside).unwrap().check_parts().unwrap_err();
        let report = refused.report(false);
        assert!(report.contains("flitch.yaml:3:"), "{report}");
        assert!(report.contains(&format!("flitch.yaml:3:{column}]")), "{encoding}, {column}: {report}");
    }
}
