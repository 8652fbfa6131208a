//! Tables that a server has, with nginx as the server.

use std::io::Write;
use std::path::Path;

use flitch_tests::flitch::Flitch;
use flitch_tests::servers::nginx::Nginx;
use flitch_tests::wait::eventually;
use flitch_tests::{guests, ports};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::support::*;

/// Serves the folder `www` below `folder` at a port, to the user `flitch` alone.
fn serve(folder: &Path, port: u16) -> Nginx {
    let here = folder.display();
    std::fs::write(folder.join("users"), "flitch:{PLAIN}sesame\n").unwrap();
    let server = format!(
        "server {{ listen 127.0.0.1:{port}; location / {{ root {here}/www; auth_basic tables; auth_basic_user_file {here}/users; \
         }} }}"
    );
    Nginx::start_with(folder, "combined", &server).unwrap()
}

fn write(folder: &Path, text: &str) {
    std::fs::create_dir_all(folder.join("www")).unwrap();
    // Whole or not at all, and with another time in any case.
    std::fs::write(folder.join("www/new"), text).unwrap();
    std::fs::rename(folder.join("www/new"), folder.join("www/teams.csv")).unwrap();
}

fn config(port: u16, more: &str) -> String {
    format!(
        "sources:\n  in: {{ type: file, include: [\"{{dir}}/app.log\"], codec: json, poll_interval: 20ms }}\ntables:\n  teams: {{ url: \
         \"http://127.0.0.1:{port}/teams.csv\", every: 1s{more} }}\nfilters:\n  team: {{ plugin: enrich, settings: {{ table: teams, \
         field: app, want: [team] }} }}\noutputs:\n  out: {{ type: file, path: \"{{dir}}/out.ndjson\" }}\npipelines:\n  main: {{ \
         from: [in], filters: [team], to: [out] }}\n"
    )
}

const AUTH: &str = ", auth: { username: flitch, password: \"${PASSWORD}\" }";

/// Writes records until one comes out with this team.
fn comes_out_as(flitch: &Flitch, team: &str) {
    let wanted = format!("\"team\":\"{team}\"");
    eventually(&format!("a record of {team}"), DEADLINE, || {
        open(&flitch.at("app.log")).write_all(b"{\"app\":\"cart\"}\n").unwrap();
        let text = std::fs::read_to_string(flitch.at("out.ndjson")).unwrap_or_default();
        text.lines().last().is_some_and(|line| line.contains(&wanted))
    });
}

#[test]
fn a_table_of_a_server_is_fetched_again_and_outlives_the_server_and_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let port = ports::free();
    write(folder.path(), "key,team\ncart,shop\n");
    let nginx = serve(folder.path(), port);
    let mut flitch = Flitch::new(FLITCH, &config(port, AUTH)).env("PASSWORD", "sesame");
    flitch.run();
    comes_out_as(&flitch, "shop");
    write(folder.path(), "key,team\ncart,store\n");
    comes_out_as(&flitch, "store");
    write(folder.path(), "<html>we are down</html>\n");
    let ailment = |flitch: &Flitch| flitch.status()["ailments"]["table teams"].to_string();
    eventually("a bad answer is told", DEADLINE, || ailment(&flitch).contains("has no `key`"));
    comes_out_as(&flitch, "store");
    drop(nginx);
    eventually("a server that is away is told", DEADLINE, || ailment(&flitch).contains("refused"));
    let metrics = flitch.metrics();
    assert!(metrics.count("flitch_table_fetches_total", &[("table", "teams"), ("result", "changed")]) >= 1);
    assert!(metrics.count("flitch_table_fetches_total", &[("table", "teams"), ("result", "failed")]) >= 2);
    let said = "the table cannot be fetched; the rows that came last stay";
    log_says(&flitch, said);
    assert_eq!(flitch.log().matches(said).count(), 1);
    assert!(!flitch.log().contains("sesame"));
    flitch.kill();
    flitch.run();
    comes_out_as(&flitch, "store");
    assert!(flitch.cli(&["check"], "").status.success(), "the copy is enough to check it");
    write(folder.path(), "key,team\ncart,outlet\n");
    let _nginx = serve(folder.path(), port);
    comes_out_as(&flitch, "outlet");
    eventually("all is well", DEADLINE, || {
        flitch.status()["ailments"].as_object().is_some_and(|all| all.is_empty())
    });
    assert!(flitch.terminate(DEADLINE).success());
}

#[test]
fn a_table_that_never_came_keeps_flitch_from_starting_and_wrong_settings_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let port = ports::free();
    write(folder.path(), "key,team\ncart,shop\n");
    let _nginx = serve(folder.path(), port);
    let mut flitch = Flitch::new(FLITCH, &config(port, AUTH)).env("PASSWORD", "wrong");
    let error = format!("{:#}", flitch.try_run().unwrap_err());
    assert!(error.contains("table `teams`") && error.contains("401 Unauthorized"), "{error}");
    for (more, words) in [
        (", path: teams.csv", "a table has `path`, for a file, or `url`"),
        (", auth: { username: flitch }", "takes `bearer`, or `username` and `password`"),
        (", tls: {}", "is for `https://`"),
        (", max_bytes: 2GiB", "is more than 1GiB"),
        (", timeout: 0s", "timeout"),
        (", evry: 1s", "did you mean `every`"),
    ] {
        let ended = Flitch::new(FLITCH, &config(port, more)).cli(&["check"], "");
        assert_eq!(ended.status.code(), Some(64), "{more}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(words) && ended.stderr.contains("flitch.yaml:6:"),
            "{more}: {}",
            ended.stderr
        );
    }
}

#[test]
fn a_table_and_a_plugin_that_no_descriptor_was_left_to_read_by_are_read_when_there_are_some() {
    let config = config(0, "")
        .replace("url: \"http://127.0.0.1:0/teams.csv\", every: 1s", "path: \"{dir}/teams.csv\"")
        .replace("filters:\n", "filters:\n  mark: { plugin: \"{dir}/mark.wasm\", wasi: none }\n")
        .replace("[team],", "[team, mark],");
    let mut flitch = Flitch::new(FLITCH, &config);
    let (table, plugin) = (flitch.at("teams.csv"), flitch.at("mark.wasm"));
    std::fs::write(&table, "key,team\ncart,shop\n").unwrap();
    std::fs::write(&plugin, guests::generation('g', 1)).unwrap();
    flitch.run();
    comes_out_as(&flitch, "shop");
    let pid = Pid::from_raw(flitch.pid() as i32);
    let most = getrlimit(Resource::Nofile).maximum;
    let allow = |current| prlimit(pid, Resource::Nofile, Rlimit { current, maximum: most }).unwrap();
    allow(Some(3));
    std::fs::write(&table, "key,team\ncart,store\n").unwrap();
    std::fs::write(&plugin, guests::generation('g', 2)).unwrap();
    let told = ["cannot be read for now", "cannot be used for now"];
    eventually("both are told", DEADLINE, || told.iter().all(|text| flitch.log().contains(text)));
    allow(most);
    comes_out_as(&flitch, "store");
    eventually("it is tried again", DEADLINE, || {
        flitch.log().contains("a new generation of the filter is in force")
    });
    assert_eq!(flitch.log().matches(told[0]).count(), 1);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}
