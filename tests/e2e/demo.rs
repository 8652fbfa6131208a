use flitch_tests::flitch::Flitch;

use crate::support::*;

#[test]
fn the_demo_needs_nothing_but_the_binary_and_its_sums_hold() {
    let flitch = Flitch::new(FLITCH, "");
    let ended = flitch.cli(&["demo", "--seconds", "1", "--rate", "2000"], "");
    let (said, why) = (&ended.stdout, &ended.stderr);
    assert!(ended.status.success(), "{said}{why}");
    let (report, config) = said.split_once("This is the configuration that ran.").expect("the configuration");
    let verdict = report.trim_end().lines().last().expect("the verdict");
    assert!(verdict.starts_with("OK: ") && verdict.ends_with(", 0 lost"), "{said}");
    assert!(verdict.contains("dropped on purpose"), "{said}");
    assert!(!said.contains('\x1b'), "escapes where there is no terminal: {said:?}");

    // What is printed is the file that `--config` prints, and can be used as it stands.
    let file = flitch.cli(&["demo", "--config"], "").stdout;
    assert!(config.ends_with(&file), "{config}");
    std::fs::write(flitch.config_file(), file).unwrap();
    let checked = flitch.cli(&["check", "-c", &flitch.config_file().to_string_lossy()], "");
    assert!(checked.status.success(), "{}{}", checked.stdout, checked.stderr);
}
