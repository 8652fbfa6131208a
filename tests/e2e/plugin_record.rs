//! `flitch plugin record`: live batches of a running daemon become a case.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use flitch_tests::flitch::{Ended, Flitch};

use crate::support::*;

/// A filter with a secret in its settings, between a file and nothing.
const CONFIG: &str = r#"
sources:
  in: { type: file, include: ["{dir}/app.log"], poll_interval: 20ms }
filters:
  parse: { plugin: dissect, settings: { pattern: "%{level} %{text}", prefix: "${PREFIX}" } }
outputs:
  out: { type: blackhole }
pipelines:
  main: { from: [in], filters: [parse], to: [out] }
"#;

fn record(flitch: &Flitch, args: &[&str]) -> Ended {
    let admin = format!("http://{}", flitch.admin());
    flitch.cli(&[&["plugin", "record", "--admin", &admin], args].concat(), "")
}

/// Runs `work` while lines are appended, each third of which the filter rejects.
fn under_load<T>(flitch: &Flitch, work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = open(&flitch.at("app.log"));
            for number in 0.. {
                if over.load(Ordering::Acquire) {
                    return;
                }
                let line =
                    if number % 3 == 0 { format!("n{number}\n") } else { format!("info n {number}\n") };
                file.write_all(line.as_bytes()).unwrap();
            }
        });
        let done = work();
        over.store(true, Ordering::Release);
        done
    })
}

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn what_goes_through_a_filter_becomes_a_case_that_its_plugin_keeps() {
    let mut flitch = Flitch::new(FLITCH, CONFIG).env("PREFIX", "parsed");
    flitch.run();
    let args = ["--from", "parse", "--for", "500ms", "--records", "60", "--out", "cases/live"];
    let ended = under_load(&flitch, || record(&flitch, &args));
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    let told = ended.stdout;
    assert!(told.contains("cases/live: ") && told.contains("plugin test dissect --cases cases"), "{told}");
    let case = flitch.at("cases/live");
    assert_eq!(case.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    for file in files(&case) {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    assert_eq!(files(&flitch.at("data/recordings")).len(), 0, "it was taken from there");
    let lines = |name: &str| std::fs::read_to_string(case.join(name)).unwrap().lines().count();
    assert!((1..=60).contains(&lines("in.ndjson")), "{told}");
    assert_eq!(lines("in.ndjson"), lines("out.ndjson") + lines("rejected.ndjson"));
    // What came from the environment is nobody's affair, and so the case is not yet whole.
    assert!(told.contains("*** in place of secrets"), "{told}");
    let settings = std::fs::read_to_string(case.join("settings.json")).unwrap();
    assert!(settings.contains("***") && !settings.contains("parsed"), "{settings}");
    std::fs::write(case.join("settings.json"), settings.replace("***", "parsed")).unwrap();
    let test = || flitch.cli(&["plugin", "test", "dissect", "--cases", "cases"], "");
    let ended = test();
    assert_eq!(ended.stdout, "ok      live\n1 cases, 0 failed\n", "{}", ended.stderr);
    std::fs::write(case.join("settings.json"), settings.replace("***", "other")).unwrap();
    let ended = test();
    assert!(ended.stdout.contains("`parsed.level` is missing"), "{}", ended.stdout);
    assert!(flitch.terminate(DEADLINE).success());
}

#[test]
fn what_cannot_be_recorded_is_told_and_leaves_nothing() {
    let mut flitch = Flitch::new(FLITCH, CONFIG).env("PREFIX", "parsed");
    flitch.run();
    for (args, code, words) in [
        (&["--from", "prase"][..], 64, "there is no filter `prase`; there are parse"),
        (&["--from", "parse", "--for", "1d"], 64, "a recording takes at most"),
        (&["--from", "parse", "--out", "data"], 64, "data exists already"),
        (&["--from", "parse", "--for", "10ms"], 1, "no record came to the filter `parse` in 10ms"),
    ] {
        let ended = record(&flitch, args);
        assert_eq!(ended.status.code(), Some(code), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(words), "{args:?}: {}", ended.stderr);
    }
    assert!(!flitch.at("cases").exists());
    assert!(flitch.terminate(DEADLINE).success());
}
