use std::io::Write;

use flitch_tests::flitch::Flitch;
use flitch_tests::process::Signal;
use flitch_tests::wait::eventually;
use flitch_tests::{guests, ports};

use crate::support::*;

#[test]
fn dead_letters_are_listed_shown_and_sent_again() {
    let (kafka, topic) = topic("dead-letters");
    let web = format!("127.0.0.1:{}", ports::free());
    let with = |filters: &[(&str, String)]| {
        pipeline(&file_source("app.log"), filters, &kafka_output(&kafka.bootstrap(), &topic))
            .replace("sources:\n", &format!("sources:\n  web: {{ type: http, listen: \"{web}\" }}\n"))
            .replace("from: [in]", "from: [in, web]")
    };
    let filter = format!("{{ plugin: \"{}\" }}", guests::c_filter().display());
    let mut flitch = Flitch::new(FLITCH, &with(&[("strict", filter)]));
    let lines: String = (0..10).map(|n| format!("REJECT {}\n", line(n))).collect();
    std::fs::write(flitch.at("app.log"), lines).unwrap();
    append(&flitch.at("app.log"), 10..20);
    flitch.run();
    let sums = flitch.settled_after(20, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (10, 10), "{sums}");

    let file = flitch.config_file();
    let config = file.to_string_lossy();
    let run = |args: &[&str]| {
        let mut all = vec!["dead-letters"];
        all.extend(args);
        all.extend(["-c", &config]);
        let ended = flitch.cli(&all, "");
        assert!(ended.status.success(), "{args:?}: {}{}", ended.stdout, ended.stderr);
        ended.stdout
    };
    let list = run(&["list"]);
    assert!(list.contains("strict") && list.contains("10"), "{list}");
    let shown = run(&["show"]);
    assert_eq!(shown.lines().count(), 10, "{shown}");
    for n in 0..10 {
        assert!(shown.contains(&format!("REJECT {}", line(n))), "no letter for {n} in {shown}");
    }

    let filtered = |args: &[&str]| run(&[&["show"], args].concat()).lines().count();
    assert_eq!(filtered(&["--stage", "filter", "--component", "strict"]), 10);
    assert_eq!(filtered(&["--stage", "output"]), 0);
    assert_eq!(filtered(&["--component", "other"]), 0);
    assert_eq!(filtered(&["--reason", "strict", "-n", "3"]), 3);
    assert_eq!((filtered(&["--since", "1h"]), filtered(&["--until", "1h"])), (10, 0));

    // Nobody is there to take them: they stay.
    let nobody = format!("http://127.0.0.1:{}/", ports::free());
    let failed = flitch.cli(&["dead-letters", "replay", "--to", &nobody, "-c", &config], "");
    assert_eq!(failed.status.code(), Some(1), "{}", failed.stderr);
    assert!(failed.stderr.contains("not sent, and stay"), "{}", failed.stderr);
    assert_eq!(filtered(&[]), 10);

    // The filter was at fault and is gone; the records come in again by HTTP.
    flitch.configure(&with(&[]));
    flitch.signal(Signal::Hup);
    log_says(&flitch, "the new configuration is in force");
    run(&["replay", "--to", &format!("http://{web}/")]);
    let seen = expect_numbers(&kafka.bootstrap(), &topic, 20);
    assert!(seen.values().all(|&times| times == 1));
    // What was sent again is filed away: a second replay sends nothing.
    run(&["replay", "--to", &format!("http://{web}/")]);
    let sums = flitch.settled(DEADLINE);
    assert_eq!((sums.received, sums.delivered), (30, 20), "{sums}");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn while_the_dead_letters_have_no_room_nothing_is_acknowledged_and_then_all_goes_on() {
    let filter = format!("{{ plugin: \"{}\" }}", guests::c_filter().display());
    let with = |room: &str| {
        let out = "out: { type: file, path: \"{dir}/out.ndjson\" }";
        let config = pipeline(&file_source("app.log"), &[("strict", filter.clone())], out);
        format!("{config}dead_letter: {{ max_bytes: {room}, when_full: stop }}\n")
    };
    let mut flitch = Flitch::new(FLITCH, &with("1B"));
    // The first letter is taken however small the room is.
    std::fs::write(flitch.at("app.log"), "REJECT the first\n").unwrap();
    flitch.run();
    assert_eq!(flitch.settled_after(1, DEADLINE).dead_lettered, 1);
    eventually("the position of the first line", DEADLINE, || saved_position(&flitch) > 0);
    let before = saved_position(&flitch);
    // In one write, so that they are one batch.
    let word = |n| if n == 10 { "REJECT " } else { "" };
    let lines: String = (0..20).map(|n| format!("{}{}\n", word(n), line(n))).collect();
    open(&flitch.at("app.log")).write_all(lines.as_bytes()).unwrap();
    log_says(&flitch, "`max_bytes`");
    flitch.sums_when("the lines on their way", DEADLINE, |sums| sums.received > 10);
    assert_eq!(saved_position(&flitch), before);
    assert_eq!(flitch.metrics().sums().dead_lettered, 1);

    eventually("the end of readiness", DEADLINE, || !flitch.ready());

    // Neither does an orderly end lose it, though it cannot wait for ever.
    flitch.signal(Signal::Term);
    log_says(&flitch, "draining");
    flitch.signal(Signal::Term);
    flitch.wait(DEADLINE);
    assert_eq!(saved_position(&flitch), before);
    flitch.launch().unwrap();
    let came = || flitch.try_metrics().is_ok_and(|metrics| metrics.sums().received > 0);
    eventually("the lines on their way again", DEADLINE, came);
    eventually("the end of readiness again", DEADLINE, || !flitch.ready());
    flitch.configure(&with("1MiB"));
    flitch.signal(Signal::Hup);
    eventually("readiness", DEADLINE, || flitch.ready());
    flitch.sums_when("the dead letter", DEADLINE, |sums| sums.dead_lettered == 1);
    let sums = flitch.settled_after(20, DEADLINE);
    assert_eq!((sums.received, sums.delivered, sums.dead_lettered), (20, 19, 1), "{sums}");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    assert_eq!(std::fs::read_to_string(flitch.at("out.ndjson")).unwrap().lines().count(), 19);
}
