use flitch_tests::flitch::Flitch;
use flitch_tests::process::Signal;
use flitch_tests::servers::mock_kafka::MockKafka;
use flitch_tests::wait::eventually;
use flitch_tests::{http, ports};

use crate::support::*;

/// `flitch check` of a configuration; gives its exit code and what it said.
fn check(config: &str) -> (Option<i32>, String) {
    let flitch = Flitch::new(FLITCH, config);
    let file = flitch.config_file();
    let ended = flitch.cli(&["check", "-c", &file.to_string_lossy()], "");
    (ended.status.code(), format!("{}{}", ended.stdout, ended.stderr))
}

const BLACKHOLE: &str = "out: { type: blackhole }";

fn good() -> String {
    pipeline(&file_source("app.log"), &[], BLACKHOLE)
}

#[test]
fn a_good_configuration_passes_the_check() {
    let (code, said) = check(&good());
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_wrong_key_is_named_with_its_place_and_the_nearest_key() {
    let (code, said) = check(&good().replace("read_from:", "read_form:"));
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("read_form") && said.contains("read_from"), "{said}");
    assert!(said.contains("flitch.yaml:4:"), "no file, line and column in {said}");
}

#[test]
fn an_empty_variable_of_the_command_line_counts_as_unset() {
    let flitch = Flitch::new(FLITCH, &good());
    let names = ["FLITCH_CONFIG", "FLITCH_LOG", "FLITCH_LOG_FORMAT", "FLITCH_ADMIN"];
    let flitch = names.iter().fold(flitch, |flitch, name| flitch.env(name, ""));
    let ended = flitch.cli(&["check"], "");
    assert!(ended.status.success() && ended.stdout.contains("all right"), "{}", ended.stderr);
}

#[test]
fn a_log_in_json_ends_in_json_where_flitch_cannot_start() {
    for (config, code, word) in [
        (good().replace("read_from:", "read_form:"), 64, "unknown key"),
        (good() + "data_dir: /dev/null/x\n", 1, "/dev/null/x"),
    ] {
        let flitch = Flitch::new(FLITCH, &config);
        let file = flitch.config_file();
        let ended = flitch.cli(&["--log-format", "json", "run", "-c", &file.to_string_lossy()], "");
        assert_eq!(ended.status.code(), Some(code), "{}", ended.stderr);
        let line = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
        let lines: Vec<_> = ended.stderr.lines().map(line).collect();
        let last = lines.last().unwrap();
        assert!(last["level"] == "ERROR" && last["message"].as_str().unwrap().contains(word), "{last}");
    }
}

#[test]
fn a_pipeline_that_names_what_is_not_there_is_refused() {
    let (code, said) = check(&good().replace("output: out", "output: uot"));
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("uot") && said.contains("out"), "{said}");
}

#[test]
fn a_filter_whose_file_is_not_there_is_refused() {
    let config = pipeline(
        &file_source("app.log"),
        &[("gone", "{ plugin: /nowhere/gone.wasm }".into())],
        "out: { type: blackhole }",
    );
    let (code, said) = check(&config);
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("/nowhere/gone.wasm"), "{said}");
}

#[test]
fn the_check_finds_a_certificate_that_is_not_there_and_a_key_that_is_empty() {
    for source in ["forward", "http"] {
        let tls = "tls: { cert: /nowhere/server.crt, key: /nowhere/server.key }";
        let (code, said) = check(&pipeline(
            &format!("{{ type: {source}, listen: \"127.0.0.1:0\", {tls} }}"),
            &[],
            BLACKHOLE,
        ));
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains("`tls.key`") && said.contains("/nowhere/server.key"), "{said}");
    }
    let flitch = Flitch::new(
        FLITCH,
        &pipeline("{ type: forward, security: { shared_key: \"${KEY}\" } }", &[], BLACKHOLE),
    );
    let flitch = flitch.env("KEY", "");
    let ended = flitch.cli(&["check", "-c", &flitch.config_file().to_string_lossy()], "");
    assert_eq!(ended.status.code(), Some(64), "{}", ended.stderr);
    assert!(ended.stderr.contains("`security.shared_key` is empty"), "{}", ended.stderr);
}

#[test]
fn a_secret_in_a_wrong_configuration_is_not_shown() {
    let config = good().replace("read_from:", "read_form: \"${file:{dir}/secret}\", read_from:");
    let flitch = Flitch::new(FLITCH, &config);
    std::fs::write(flitch.at("secret"), "hunter2").unwrap();
    let ended = flitch.cli(&["check", "-c", &flitch.config_file().to_string_lossy()], "");
    assert_eq!(ended.status.code(), Some(64));
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

#[test]
fn a_reload_with_a_wrong_configuration_keeps_the_old_one_and_a_right_one_takes_over() {
    let (kafka, topic) = topic("config-reload");
    let old = pipeline(&file_source("app.log"), &[], &kafka_output(&kafka.bootstrap(), &topic));
    let mut flitch = Flitch::start(FLITCH, &old);
    append(&flitch.at("app.log"), 0..10);
    expect_numbers(&kafka.bootstrap(), &topic, 10);

    flitch.configure(&old.replace("read_from:", "read_form:"));
    flitch.signal(Signal::Hup);
    log_says(&flitch, "did you mean `read_from`?");
    assert!(flitch.log().contains("flitch.yaml:4:"), "no file, line and column in {}", flitch.log());
    // What is found out only when a part is put to work has a place, too.
    flitch.configure(&old.replace("type: kafka,", "type: kafka, acks: leader,"));
    flitch.signal(Signal::Hup);
    log_says(&flitch, "idempotent: false");
    assert!(flitch.log().contains("flitch.yaml:6:"), "no file, line and column in {}", flitch.log());
    append(&flitch.at("app.log"), 10..20);
    expect_numbers(&kafka.bootstrap(), &topic, 20);

    flitch.configure(&old.replace("app.log", "{app,other}.log"));
    flitch.signal(Signal::Hup);
    append(&flitch.at("other.log"), 20..30);
    let seen = expect_numbers(&kafka.bootstrap(), &topic, 30);
    assert!(seen.values().all(|&times| times == 1), "the reload read a file anew");
    let sums = flitch.settled(DEADLINE);
    assert_eq!((sums.received, sums.delivered), (30, 30), "{sums}");
    assert!(flitch.terminate(DEADLINE).success());
}

#[test]
fn a_source_runs_while_a_pipeline_reads_from_it_and_only_then() {
    let web = std::net::SocketAddr::from(([127, 0, 0, 1], ports::free()));
    let reading = |from: &str| {
        good()
            .replace("sources:\n", &format!("sources:\n  web: {{ type: http, listen: \"{web}\" }}\n"))
            .replace("from: [in]", &format!("from: [{from}]"))
    };
    let post =
        || http::post(web, "/", &[("Content-Type", "text/plain")], b"one line\n").map(|a| a.status).ok();
    let refused = || std::net::TcpStream::connect(web).is_err();
    let mut flitch = Flitch::start(FLITCH, &reading("in"));
    log_says(&flitch, "no pipeline uses the source `web`");
    assert!(refused(), "a source that no pipeline reads from listens");
    for round in 1..=2 {
        flitch.configure(&reading("in, web"));
        flitch.signal(Signal::Hup);
        eventually("the source is started", DEADLINE, || post() == Some(200));
        let sums = flitch.settled(DEADLINE);
        assert_eq!((sums.received, sums.delivered), (round, round), "{sums}");

        flitch.configure(&reading("in"));
        flitch.signal(Signal::Hup);
        eventually("the source is stopped", DEADLINE, refused);
    }
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn what_is_read_at_the_start_only_stays_and_the_log_says_so() {
    let flitch = Flitch::start(FLITCH, &good());
    append(&flitch.at("app.log"), 0..10);
    assert_eq!(flitch.settled_after(10, DEADLINE).delivered, 10);
    flitch
        .configure(&format!("data_dir: {{dir}}/elsewhere\n{}", good().replace("app.log", "{app,other}.log")));
    flitch.signal(Signal::Hup);
    log_says(&flitch, "`data_dir` is read at the start only");
    append(&flitch.at("other.log"), 10..20);
    assert_eq!(flitch.settled_after(20, DEADLINE).received, 20, "the positions were forgotten");
    assert!(!flitch.at("elsewhere").exists());
}

#[test]
fn a_probe_tells_which_output_cannot_be_reached() {
    let nobody = format!("127.0.0.1:{}", ports::free());
    let outputs = format!(
        "out: {}\n  disk: {{ type: file, path: \"{{dir}}/out\" }}",
        kafka_output(&nobody, "t").trim_start_matches("out: ")
    );
    let config = pipeline(&file_source("app.log"), &[], &outputs).replace("{ output: out }", "out, disk");
    let flitch = Flitch::new(FLITCH, &config);
    let file = flitch.config_file();
    let ended = flitch.cli(&["check", "--probe", "-c", &file.to_string_lossy()], "");
    let (said, why) = (&ended.stdout, &ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}{why}");
    let line = |name: &str| said.lines().find(|l| l.starts_with("probe") && l.contains(name)).unwrap_or("");
    assert!(line("out").contains("NOT READY") && line("out").contains(&nobody), "{said}");
    assert!(line("disk").contains(" ready"), "{said}");
    assert!(why.contains("not ready: out"), "{why}");
}

#[test]
fn the_completions_of_bash_know_commands_and_options() {
    let flitch = Flitch::new(FLITCH, &good());
    for shell in ["bash", "zsh", "fish"] {
        let ended = flitch.cli(&["completions", shell], "");
        assert!(ended.status.success() && ended.stdout.contains("dead-letters"), "{shell}");
    }
    let script = flitch.at("completions.bash");
    std::fs::write(&script, flitch.cli(&["completions", "bash"], "").stdout).unwrap();
    let complete = |words: &str, at: usize| {
        let ask = format!(
            "source '{}'; COMP_WORDS=({words}); COMP_CWORD={at}; _flitch flitch \"${{COMP_WORDS[{at}]}}\" x; \
             echo \"${{COMPREPLY[@]}}\"",
            script.display()
        );
        let answer = std::process::Command::new("bash").args(["-c", &ask]).output().unwrap();
        assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
        String::from_utf8(answer.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("flitch dea", 1), "dead-letters");
    assert_eq!(complete("flitch dead-letters re", 2), "replay");
    assert_eq!(complete("flitch dead-letters list --comp", 3), "--component");
}

#[test]
fn a_reload_gets_past_an_output_that_is_stuck() {
    let stuck = MockKafka::start(1).unwrap();
    stuck.create_topic("t", 1, 1).unwrap();
    stuck.down(1).unwrap();
    let with = |glob: &str, output: &str| {
        format!("{}drain_timeout: 1s\n", pipeline(&file_source(glob), &[], output))
    };
    let mut flitch = Flitch::start(FLITCH, &with("app.log", &kafka_output(&stuck.bootstrap(), "t")));
    append(&flitch.at("app.log"), 0..10);
    flitch.sums_when("records that wait", DEADLINE, |sums| sums.in_flight == 10);
    // The source changes, too, so that it is stopped while its records cannot arrive.
    flitch.configure(&with("{app,other}.log", "out: { type: file, path: \"{dir}/out.ndjson\" }"));
    flitch.signal(Signal::Hup);
    log_says(&flitch, "the new configuration is in force");
    append(&flitch.at("other.log"), 10..20);
    let lines = || std::fs::read_to_string(flitch.at("out.ndjson")).unwrap_or_default().lines().count();
    eventually("all lines at the new output", DEADLINE, || lines() == 20);
    let sums = flitch.settled(DEADLINE);
    assert_eq!((sums.delivered, sums.returned), (20, 10), "{sums}");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn an_output_is_open_while_a_pipeline_writes_to_it_and_only_then() {
    let outputs = "out: { type: blackhole }\n  idle: { type: file, path: \"{dir}/idle.ndjson\" }";
    let old = pipeline(&file_source("app.log"), &[], outputs);
    let flitch = Flitch::start(FLITCH, &old);
    let opened = |flitch: &Flitch| flitch.status()["outputs"]["idle"].is_object();
    assert!(!opened(&flitch), "{}", flitch.status());
    flitch.configure(&old.replace("output: out", "output: idle"));
    flitch.signal(Signal::Hup);
    log_says(&flitch, "the new configuration is in force");
    assert!(opened(&flitch), "{}", flitch.status());
    append(&flitch.at("app.log"), 0..10);
    flitch.settled_after(10, DEADLINE);
    assert_eq!(std::fs::read_to_string(flitch.at("idle.ndjson")).unwrap().lines().count(), 10);
}

#[test]
fn the_status_says_where_a_new_configuration_is_wrong_and_shows_none_of_its_lines() {
    let config = pipeline(&file_source("*.log"), &[], "out: { type: blackhole }");
    let flitch = Flitch::start(FLITCH, &config);
    flitch.configure(&format!("{config}nonsense: between-us\n"));
    flitch.signal(Signal::Hup);
    let error = eventually("the configuration is refused", DEADLINE, || {
        flitch.status()["last_reload_error"].as_str().map(str::to_owned)
    });
    assert!(error.contains("flitch.yaml:") && error.contains("`nonsense`"), "{error}");
    assert!(!error.contains("between-us"), "{error}");
}
