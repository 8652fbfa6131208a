use flitch_tests::flitch::Flitch;
use flitch_tests::process::Signal;
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
