//! `flitch test`: tests that stand in a configuration.

use flitch_tests::flitch::{Ended, Flitch};
use flitch_tests::guests;
use serde_json::Value;

use crate::support::*;

/// A pipeline as a user has it, with a table, a condition and outputs that are not there.
const SHOP: &str = r#"
sources:
  web: { type: file, include: [/var/log/nginx/access.log], tag: nginx.access }
  app: { type: forward, listen: "127.0.0.1:1" }
tables:
  teams: { path: teams.csv }
filters:
  parse: { plugin: logfmt, settings: { on_missing: reject } }
  when: { plugin: timestamp, settings: { field: time, format: rfc3339 } }
  noise: { plugin: match, settings: { drop: { field: level, equals: debug } } }
  team: { plugin: enrich, settings: { table: teams, field: app, want: [team] } }
outputs:
  events: { type: kafka, brokers: ["nowhere.invalid:9092"], topic: events }
  alerts: { type: http, url: "https://nowhere.invalid/" }
pipelines:
  clicks:
    from: [web, app]
    filters: [parse, when, noise, team]
    to: [events, { output: alerts, when: { field: level, equals: error } }]
"#;

const TESTS: &str = r#"
tests:
  a line is taken apart and an error is an alert as well:
    in:
      - time=2026-01-31T23:59:59Z level=error app=cart msg="no stock"
      - time=2026-01-31T23:59:59Z level=debug app=cart msg=x
      - time=2026-02-01T00:00:00Z level=info app=search msg=y
    fields: { file: /var/log/nginx/access.log }
    out:
      events:
        - { "@timestamp": "2026-01-31T23:59:59Z", level: error, app: cart, msg: no stock, team: shop, file: /var/log/nginx/access.log }
        - { "@timestamp": "2026-02-01T00:00:00Z", level: info, app: search, msg: y, file: /var/log/nginx/access.log }
      alerts:
        - { "@timestamp": "2026-01-31T23:59:59Z", "@tag": nginx.access, level: error, app: cart, msg: no stock, team: shop, file: /var/log/nginx/access.log }
    dropped: 1
  records come with names too:
    source: app
    tag: docker.cart
    match: fields
    in:
      - { message: "level=error app=cart", container: { name: cart-1 } }
      - { container: { name: cart-1 } }
    out:
      alerts: [{ "@tag": docker.cart, team: shop, container: { name: cart-1 } }]
    dead_letters: [{ reason: message, by: parse, record: { container: { name: cart-1 } } }]
"#;

fn shop(tests: &str) -> Flitch {
    let flitch = Flitch::new(FLITCH, &format!("{SHOP}{tests}"));
    std::fs::write(flitch.at("teams.csv"), "key,team\ncart,shop\n").unwrap();
    flitch
}

fn test(flitch: &Flitch, args: &[&str]) -> Ended {
    flitch.cli(&[&["test"], args].concat(), "")
}

#[track_caller]
fn says(ended: &Ended, code: i32, words: &[&str]) {
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.status.code(), Some(code), "{said}");
    words.iter().for_each(|words| assert!(said.contains(words), "no {words:?} in {said}"));
}

#[test]
fn tests_of_a_pipeline_hold_without_its_sources_and_outputs() {
    let flitch = shop(TESTS);
    let ended = test(&flitch, &[]);
    says(&ended, 0, &["ok      a line is taken apart", "ok      records come", "2 tests, 0 failed"]);
    says(&test(&flitch, &["--only", "records"]), 0, &["1 tests, 0 failed"]);
    let ended = test(&flitch, &["--format", "json", "--seed", "7"]);
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&told["failed"], &told["seed"], &told["tests"][0]["result"]),
        (&0.into(), &7.into(), &"ok".into())
    );
    assert!(flitch.cli(&["check"], "").status.success());
}

#[test]
fn what_is_otherwise_than_a_test_says_is_told_field_by_field() {
    let wrong = TESTS
        .replace(
            "team: shop, file: /var/log/nginx/access.log }\n        - { \"@timestamp\": \"2026-02-01",
            "team: ship, file: /var/log/nginx/access.log }\n        - { \"@timestamp\": \"2026-03-01",
        )
        .replace("dropped: 1", "dropped: 2")
        .replace("by: parse", "by: when");
    let flitch = shop(&wrong);
    let ended = test(&flitch, &[]);
    says(
        &ended,
        1,
        &[
            "failed  a line is taken apart",
            "output `events`: record 0",
            "`team` is \"shop\", and should be \"ship\"",
            "`@timestamp` is \"2026-02-01T00:00:00Z\", and should be \"2026-03-01T00:00:00Z\"",
            "1 records are dropped, and 2 should be",
            "dead letters that should not be",
            "dead letters that are missing",
            "2 tests, 2 failed",
        ],
    );
}

#[test]
fn a_filter_whose_result_depends_on_the_neighbours_of_a_record_fails_the_test() {
    let config = format!(
        "sources:\n  in: {{ type: http, listen: 1 }}\nfilters:\n  unruly: {{ plugin: \"{}\" }}\noutputs:\n  out: {{ type: stdout \
         }}\npipelines:\n  main: {{ from: [in], filters: [unruly], to: [out] }}\ntests:\n  one:\n    in: [good line, FAIL \
         now]\n    out: {{ out: [] }}\n    dead_letters: [{{ reason: \"\" }}, {{ reason: \"\", by: unruly }}]\n",
        guests::c_filter().display()
    );
    let flitch = Flitch::new(FLITCH, &config);
    says(&test(&flitch, &[]), 1, &["record by record it is another result than all together: output `out`"]);
}

#[test]
fn what_comes_out_is_blessed_where_the_tests_stand_and_all_else_stays() {
    let right = TESTS.replace("    fields: {", "    # every line has it\n    fields: {");
    let flitch = shop(&right);
    let text = || std::fs::read_to_string(flitch.config_file()).unwrap();
    // Somebody else's YAML reads a bare `y` as a boolean.
    let wanted = text().replace("msg: y, file", "msg: \"y\", file");
    let wrong = right
        .replace(
            "team: shop, file: /var/log/nginx/access.log }\n        - {",
            "team: ship, file: /x }\n        - {",
        )
        .replace("dropped: 1", "dropped: 2")
        .replace("by: parse", "by: when")
        .replace(
            "msg: y, file: /var/log/nginx/access.log }\n",
            "msg: z, file: /var/log/nginx/access.log }\n        - { more: 1 }\n",
        );
    assert_eq!(wrong.matches("ship").count() + wrong.matches("more").count(), 2);
    let flitch = shop(&wrong);
    says(&test(&flitch, &["--bless"]), 0, &["blessed a line is taken apart", "blessed records come"]);
    says(&test(&flitch, &["--bless"]), 0, &["ok      a line is taken apart", "2 tests, 0 failed"]);
    let text = std::fs::read_to_string(flitch.config_file()).unwrap();
    let letter = "dead_letters: [{ reason: ";
    let (same, same_too) = (text.split(letter).next(), wanted.split(letter).next());
    let path = |text: Option<&str>| text.unwrap().lines().skip(2).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(path(same), path(same_too), "folder and listener are others");
    assert!(text.contains("by: parse"), "{text}");
}

#[test]
fn a_test_that_expects_nothing_yet_is_filled_in() {
    let flitch = shop(
        "tests:\n  one:\n    in:\n      - level=error app=cart\n      - time=x\n    out:\n      events: []\n      alerts: []\n",
    );
    says(&test(&flitch, &[]), 1, &["dead letters that should not be"]);
    says(&test(&flitch, &["--bless", "--only", "one"]), 0, &["blessed one"]);
    let text = std::fs::read_to_string(flitch.config_file()).unwrap();
    assert!(text.contains("      alerts:\n        - { app: cart, level: error, team: shop }\n"), "{text}");
    assert!(text.contains("    dead_letters:\n      - { by: when, reason: "), "{text}");
    says(&test(&flitch, &[]), 0, &["1 tests, 0 failed"]);
}

#[test]
fn what_cannot_be_blessed_is_told_and_left_as_it_is() {
    let anchored = "x-record: &record { level: info }\ntests:\n  one:\n    in: [level=error]\n    out: { events: [*record] }\n  \
                    two:\n    in: [level=error]\n    out: { events: [{ level: \"${LEVEL:-info}\" }] }\n";
    let flitch = shop(anchored);
    let before = std::fs::read_to_string(flitch.config_file()).unwrap();
    let words =
        ["failed  one", "it stands at an anchor", "failed  two", "a placeholder (`${...}`) stands for it"];
    says(&test(&flitch, &["--bless"]), 1, &words);
    assert_eq!(std::fs::read_to_string(flitch.config_file()).unwrap(), before);
}

#[test]
fn what_a_failing_plugin_leaves_is_not_blessed() {
    let config = format!(
        "sources:\n  in: {{ type: http, listen: 1 }}\nfilters:\n  unruly: {{ plugin: \"{}\" }}\noutputs:\n  out: {{ type: stdout \
         }}\npipelines:\n  main: {{ from: [in], filters: [unruly], to: [out] }}\ntests:\n  one: {{ in: [good, TRAP], out: {{ out: \
         [] }} }}\n  two: {{ in: [good, REJECT it], out: {{ out: [] }} }}\n",
        guests::c_filter().display()
    );
    let flitch = Flitch::new(FLITCH, &config);
    let words = ["failed  one", "`unruly` failed over a record, and did not reject it", "blessed two"];
    says(&test(&flitch, &["--bless"]), 1, &words);
    let text = std::fs::read_to_string(flitch.config_file()).unwrap();
    assert!(text.contains("  one: { in: [good, TRAP], out: { out: [] } }\n"), "{text}");
    assert!(
        text.contains("dead_letters: [{ by: unruly, reason: REJECT it, record: { message: REJECT it"),
        "{text}"
    );
    says(&test(&flitch, &["--only", "two"]), 0, &["1 tests, 0 failed"]);
}

#[test]
fn a_watched_configuration_is_tested_again_when_it_or_a_table_of_it_changes() {
    let flitch = shop(TESTS);
    let mut watched = Watched::start(&flitch, &["test", "--watch"]);
    watched.says("2 tests, 0 failed");
    std::fs::write(flitch.at("teams.csv"), "key,team\ncart,ship\n").unwrap();
    watched.says("`team` is \"ship\", and should be \"shop\"");
    let text = std::fs::read_to_string(flitch.config_file()).unwrap();
    std::fs::write(flitch.config_file(), text.replace("team: shop", "team: ship")).unwrap();
    watched.says("2 tests, 0 failed");
    std::fs::write(flitch.config_file(), text.replace("match: fields", "match: feelds")).unwrap();
    watched.says("feelds");
    assert_eq!(watched.end(), Some(64), "as the last time");
}

#[test]
fn tests_that_cannot_run_or_could_not_fail_are_refused_with_their_place() {
    for (test, line, words) in [
        ("{ in: [x] }", 23, "the test expects nothing"),
        ("{ in: [], out: { events: [] } }", 23, "the test has no records"),
        ("{ in: [x], out: { event: [] } }", 23, "`clicks` does not lead to `event`"),
        ("{ in: [x], pipeline: click, dropped: 1 }", 23, "no pipeline is named `click`"),
        ("{ in: [x], source: wb, dropped: 1 }", 23, "does not read from `wb`"),
        ("{ in: [x], source: app, dropped: 1 }", 23, "no text is a record of a source of type `forward`"),
        ("{ in: [x, { a: 1 }], dropped: 1 }", 23, "texts and maps of fields stand in one test"),
        ("{ in: [5], dropped: 1 }", 23, "a text (in quotes"),
        ("{ in: [x], dropped: 1, time: yesterday }", 23, "`yesterday` is no time"),
        ("{ in: [x], outs: {} }", 23, "unknown key `outs`"),
        ("{ in: [x], dead_letters: [{ reason: x, by: dissect }] }", 23, "no source or filter of `clicks`"),
    ] {
        let flitch = shop(&format!("tests:\n  one: {test}\n"));
        for command in ["check", "test"] {
            let ended = flitch.cli(&[command], "");
            let place = format!("flitch.yaml:{line}:");
            says(&ended, 64, &[words, &place]);
        }
    }
    says(&test(&shop(""), &[]), 64, &["has no `tests`"]);
    says(&test(&shop(TESTS), &["--only", "nothing"]), 64, &["has no test of such a name"]);
}

/// What 64 bits and UTF-8 do not hold.
const LARGE: &str = r#"
sources: { web: { type: http, listen: "127.0.0.1:1" } }
outputs: { out: { type: blackhole } }
pipelines: { p: { from: [web], to: [out] } }
tests:
  large:
    in: ['{"n":36893488147419103232,"f":[1e400]}']
    out: { out: [{ n: 36893488147419103232, f: [1e400] }] }
  fields:
    in: [{ n: 36893488147419103232 }]
    out: { out: [{ n: 36893488147419103232 }] }
  half:
    match: fields
    in: ['{"a":"\ud83d","b":1}']
    out: { out: [{ b: 1 }] }
"#;

#[test]
fn numbers_beyond_64_bits_and_half_a_surrogate_pair_are_compared_as_they_are() {
    says(&test(&Flitch::new(FLITCH, LARGE), &[]), 0, &["3 tests, 0 failed"]);
    let flitch =
        Flitch::new(FLITCH, &LARGE.replace("[{ n: 36893488147419103232", "[{ n: 36893488147419103999"));
    let ended = test(&flitch, &[]);
    says(
        &ended,
        1,
        &["`n` is 36893488147419103232, and should be 36893488147419103999", "3 tests, 1 failed"],
    );
    says(&test(&flitch, &["--bless"]), 0, &["blessed large"]);
    says(&test(&flitch, &[]), 0, &["3 tests, 0 failed"]);
    let flitch = Flitch::new(FLITCH, &LARGE.replace("{ b: 1 }", "{ a: x }"));
    says(
        &test(&flitch, &["--bless"]),
        1,
        &[r#"`a` is "\ud83d", and should be "x""#, "half a surrogate pair"],
    );
}
