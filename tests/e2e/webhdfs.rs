//! Files in a real HDFS, read back record by record.

use std::collections::BTreeSet;

use flitch_tests::flitch::Flitch;
use flitch_tests::servers::hdfs::{Hdfs, USER};

use crate::support::*;

/// The output `out`, which writes below `root`.
fn output(hdfs: &Hdfs, root: &str, more: &str) -> String {
    format!(
        "out: {{ type: webhdfs, endpoints: [\"{}\"], root: {root}, username: {USER}, encoding: {{ format: text, field: message }}, {more} }}",
        hdfs.endpoint()
    )
}

/// The numbers in the files below a folder, each once, and the names of the files.
#[track_caller]
fn numbers(hdfs: &Hdfs, root: &str) -> (BTreeSet<usize>, Vec<String>) {
    let files = hdfs.files(root).unwrap();
    let names = files.keys().cloned().collect();
    (numbers_once(files), names)
}

#[test]
fn each_record_is_in_a_file_once_and_a_replay_of_everything_leaves_the_same_files() {
    let hdfs = Hdfs::shared();
    let more = "key: \"d={@timestamp:%Y:x}/part-\", max_bytes: 300KB, compression: none";
    let mut found = Vec::new();
    let mut flitch =
        Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output(hdfs, "/once", more)));
    append(&flitch.at("app.log"), 0..20_000);
    for _ in 0..2 {
        flitch.run();
        flitch.sums_when("all is taken", DEADLINE, |sums| sums.received == 20_000);
        assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
        let (seen, names) = numbers(hdfs, "/once");
        assert_eq!(seen, (0..20_000).collect());
        assert!(names.len() > 3 && names.iter().all(|name| name.ends_with(".log")), "{names:?}");
        assert!(names[0].starts_with("/once/d=20") && names[0].contains("%3Ax/part-"), "{names:?}");
        found.push(names);
        // It knows nothing of what it has read.
        std::fs::remove_dir_all(flitch.at("data")).unwrap();
    }
    assert_eq!(found[0], found[1]);
}

#[test]
fn what_is_appended_is_one_file_that_goes_on_after_a_restart() {
    let hdfs = Hdfs::shared();
    let more = "key: \"all\", append: true, max_bytes: 300KB";
    let mut flitch =
        Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output(hdfs, "/appended", more)));
    for lines in [0..10_000, 10_000..20_000] {
        let count = lines.len() as u64;
        append(&flitch.at("app.log"), lines);
        flitch.run();
        flitch.sums_when("all is taken", DEADLINE, |sums| sums.received == count);
        assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    }
    let (seen, names) = numbers(hdfs, "/appended");
    assert_eq!(seen, (0..20_000).collect());
    assert_eq!(names, ["/appended/all.log.zst"]);
}

#[test]
fn a_name_node_that_goes_and_comes_back_costs_no_record_and_a_kill_leaves_no_half_file() {
    let mut hdfs = Hdfs::start().unwrap();
    let more = "key: \"a/\", max_bytes: 200KB, compression: none, retry: { initial: 50ms, max: 500ms }";
    let mut flitch =
        Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output(&hdfs, "/away", more)));
    hdfs.kill();
    append(&flitch.at("app.log"), 0..20_000);
    flitch.run();
    log_says(&flitch, "cannot be reached");
    flitch.kill();
    flitch.run();
    hdfs.restart().unwrap();
    flitch.sums_when("all is taken", DEADLINE, |sums| sums.received == 20_000);
    flitch.sums_when("files are written", DEADLINE, |sums| sums.delivered > 0);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    let (seen, names) = numbers(&hdfs, "/away");
    assert_eq!(seen, (0..20_000).collect());
    assert!(names.iter().all(|name| !name.contains("unfinished")), "{names:?}");
}

#[test]
fn what_hdfs_refuses_is_told_by_name() {
    let hdfs = Hdfs::shared();
    let probe = |config: &str| {
        let flitch = Flitch::new(FLITCH, config);
        let ended = flitch.cli(&["check", "--probe", "-c", &flitch.config_file().to_string_lossy()], "");
        format!("{}{}", ended.stdout, ended.stderr)
    };
    let config = pipeline(&file_source("app.log"), &[], &output(hdfs, "/probed", "key: \"a/\""));
    assert!(probe(&config).contains(" ready"), "{}", probe(&config));
    assert!(hdfs.files("/probed").unwrap().is_empty(), "a probe leaves nothing");
    let said = probe(&config.replace(&format!("username: {USER}"), "username: somebody"));
    assert!(said.contains("AccessControlException"), "{said}");
}
