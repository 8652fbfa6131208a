//! Kafka → flitch, on real brokers.

use std::collections::BTreeMap;
use std::time::Duration;

use flitch_tests::flitch::Flitch;
use flitch_tests::servers::consumer::{read_until, write_all};
use flitch_tests::servers::kafka::{CONNECTION_STRING, Kafka, SCRAM, client};
use flitch_tests::wait::{eventually, poll};

use crate::support::*;

/// A source over `topics` of a broker, with more keys behind.
fn source(bootstrap: &str, topics: &str, group: &str, more: &str) -> String {
    format!(
        "{{ type: kafka, brokers: \"{bootstrap}\", topics: {topics}, group: {group}, commit_interval: 100ms, \
         options: {{ log_level: \"0\" }}{more} }}"
    )
}

/// Writes lines `from` to `to` (not included), spread over the partitions.
fn write(bootstrap: &str, topic: &str, lines: std::ops::Range<usize>) {
    let lines: Vec<String> = lines.map(line).collect();
    write_all(bootstrap, topic, lines.iter().map(|line| (Some(&line[..9]), line.as_bytes()))).unwrap();
}

/// Counts of a sum of records that came more than once.
fn duplicates(seen: &BTreeMap<usize, usize>) -> usize {
    seen.values().map(|times| times - 1).sum()
}

#[test]
fn records_go_from_topic_to_topic_through_a_filter_and_each_once() {
    let kafka = Kafka::shared();
    let bootstrap = kafka.bootstrap();
    kafka.create_topic("web-raw", 3).unwrap();
    kafka.create_topic("web-rich", 1).unwrap();
    write(&bootstrap, "web-raw", 0..5_000);
    let filter = [("more", "{ plugin: set, settings: { set: { env: prod } } }".to_owned())];
    let config = pipeline(
        &source(&bootstrap, "web-raw", "enrich", ", fields: { partition: p, offset: o }"),
        &filter,
        &kafka_output(&bootstrap, "web-rich"),
    );
    let mut flitch = Flitch::start(FLITCH, &config);
    let seen = expect_numbers(&bootstrap, "web-rich", 5_000);
    assert_eq!(duplicates(&seen), 0);
    let records = settled_records(&flitch, 5_000, &bootstrap, "web-rich");
    let mut next = BTreeMap::new();
    for record in &records {
        assert_eq!((&record["env"], &record["@tag"]), (&"prod".into(), &"web-raw".into()), "{record}");
        // Of each partition in order, from the first on.
        let (partition, offset) = (record["p"].as_u64().unwrap(), record["o"].as_u64().unwrap());
        let next = next.entry(partition).or_insert(0);
        assert_eq!(offset, *next, "{record}");
        *next += 1;
    }
    eventually("no lag", DEADLINE, || flitch.metrics().sum("flitch_kafka_lag_messages", &[]) == 0.0);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    // The group goes on behind them.
    write(&bootstrap, "web-raw", 5_000..5_100);
    flitch.run();
    expect_numbers(&bootstrap, "web-rich", 5_100);
    let sums = flitch.settled_after(100, DEADLINE);
    assert_eq!((sums.received, sums.delivered), (100, 100), "{sums}");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn a_new_group_begins_where_it_is_told_to_and_the_first_goes_on_untouched() {
    let kafka = Kafka::shared();
    let bootstrap = kafka.bootstrap();
    for topic in ["replayed", "replay-first", "replay-again", "replay-later", "replay-latest"] {
        kafka.create_topic(topic, 1).unwrap();
    }
    write(&bootstrap, "replayed", 0..100);
    let config = |group: &str, start: &str, to: &str| {
        let more = format!(", start: {start}");
        pipeline(&source(&bootstrap, "replayed", group, &more), &[], &kafka_output(&bootstrap, to))
    };
    let first = Flitch::start(FLITCH, &config("replay-first", "earliest", "replay-first"));
    expect_numbers(&bootstrap, "replay-first", 100);
    let latest = Flitch::start(FLITCH, &config("replay-latest", "latest", "replay-latest"));
    eventually("the group has begun", DEADLINE, || latest.log().contains("partitions are assigned"));
    // Between the two halves there is a time that belongs to neither.
    let half = std::time::SystemTime::now();
    let _ = poll(Duration::from_millis(50), || false);
    write(&bootstrap, "replayed", 100..200);
    let seconds = half.duration_since(std::time::UNIX_EPOCH).unwrap();
    let since = format!("{{ time: \"{}\" }}", rfc3339(seconds + Duration::from_millis(20)));
    let again = Flitch::start(FLITCH, &config("replay-again", "earliest", "replay-again"));
    let later = Flitch::start(FLITCH, &config("replay-later", &since, "replay-later"));
    expect_numbers(&bootstrap, "replay-again", 200);
    expect_numbers(&bootstrap, "replay-first", 200);
    for (flitch, topic) in [(&later, "replay-later"), (&latest, "replay-latest")] {
        flitch.settled_after(100, DEADLINE);
        let seen = read_until(client(&bootstrap), topic, DEADLINE, |seen| seen.len() >= 100).unwrap();
        let numbers: Vec<usize> = seen.iter().filter_map(number).collect();
        assert_eq!(numbers, (100..200).collect::<Vec<_>>(), "{topic}");
    }
    for flitch in [first, again, later, latest] {
        let sums = flitch.settled(DEADLINE);
        assert!(sums.hold() && sums.received == sums.delivered && sums.received <= 200, "{sums}");
    }
}

/// A time since 1970 in RFC 3339, to the millisecond.
fn rfc3339(time: Duration) -> String {
    let (days, second) = ((time.as_secs() / 86_400) as i64, time.as_secs() % 86_400);
    // Howard Hinnant's civil_from_days.
    let z = days + 719_468;
    let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", time.subsec_millis())
}

#[test]
fn what_is_no_json_goes_to_the_dead_letters_with_its_place_and_the_others_go_on() {
    let kafka = Kafka::shared();
    let bootstrap = kafka.bootstrap();
    kafka.create_topic("mixed-json", 1).unwrap();
    kafka.create_topic("clean-json", 1).unwrap();
    let values = [&br#"{"n":1}"#[..], b"\xff not json", br#"{"n":2}"#, b"[1]"];
    write_all(&bootstrap, "mixed-json", values.map(|value| (None, value))).unwrap();
    let source = source(&bootstrap, "mixed-json", "mixed-json", ", codec: json");
    let mut flitch = Flitch::start(FLITCH, &pipeline(&source, &[], &kafka_output(&bootstrap, "clean-json")));
    let sums = flitch.settled_after(4, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (2, 2), "{sums}");
    let listed = flitch.cli(&["dead-letters", "show", "-c", &flitch.config_file().to_string_lossy()], "");
    for place in ["partition 0, offset 1", "partition 0, offset 3"] {
        assert!(listed.stdout.contains(place), "no {place:?} in {listed:?}");
    }
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    // They count as read.
    flitch.run();
    write_all(&bootstrap, "mixed-json", [(None, &br#"{"n":3}"#[..])]).unwrap();
    let sums = flitch.settled_after(1, DEADLINE);
    assert_eq!((sums.received, sums.dead_lettered), (1, 0), "{sums}");
}

#[test]
fn every_byte_of_raw_values_goes_on_as_it_came() {
    let kafka = Kafka::shared();
    let bootstrap = kafka.bootstrap();
    kafka.create_topic("bytes-in", 1).unwrap();
    kafka.create_topic("bytes-out", 1).unwrap();
    let values: Vec<Vec<u8>> = (0..=255u8).map(|byte| vec![byte, b'\n', byte ^ 0x80, b'\r', b'\n']).collect();
    write_all(&bootstrap, "bytes-in", values.iter().map(|value| (None, &value[..]))).unwrap();
    let output = kafka_output(&bootstrap, "bytes-out")
        .replace("type: kafka", "type: kafka, encoding: { format: raw, field: message }");
    let source = source(&bootstrap, "bytes-in", "bytes", ", codec: raw");
    let flitch = Flitch::start(FLITCH, &pipeline(&source, &[], &output));
    let sums = flitch.settled_after(256, DEADLINE);
    assert_eq!(sums.delivered, 256, "{sums}");
    let seen = read_until(client(&bootstrap), "bytes-out", DEADLINE, |seen| seen.len() >= 256).unwrap();
    assert_eq!(seen.into_iter().map(|message| message.value).collect::<Vec<_>>(), values);
}

#[test]
fn hosts_that_join_leave_and_are_killed_under_load_lose_nothing() {
    let kafka = Kafka::shared();
    let bootstrap = kafka.bootstrap();
    kafka.create_topic("crowd-in", 6).unwrap();
    kafka.create_topic("crowd-out", 1).unwrap();
    let options = ", options: { log_level: \"0\", session.timeout.ms: 6000, heartbeat.interval.ms: 500 }";
    let source =
        source(&bootstrap, "crowd-in", "crowd", "").replace(", options: { log_level: \"0\" }", options);
    let config = pipeline(&source, &[], &kafka_output(&bootstrap, "crowd-out"));
    let written = std::sync::atomic::AtomicUsize::new(0);
    let over = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::SeqCst;
    let seen = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(order) {
                let from = written.load(order);
                write(&bootstrap, "crowd-in", from..from + 500);
                written.store(from + 500, order);
            }
        });
        struct End<'a>(&'a std::sync::atomic::AtomicBool);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(true, std::sync::atomic::Ordering::SeqCst);
            }
        }
        let end = End(&over);
        let more = |flitch: &Flitch, count: u64| {
            let before = flitch.metrics().sums().delivered;
            flitch.sums_when("more records", DEADLINE, |sums| sums.delivered >= before + count);
        };
        let first = Flitch::start(FLITCH, &config);
        more(&first, 1_000);
        let mut second = Flitch::start(FLITCH, &config);
        more(&second, 1_000);
        more(&first, 1_000);
        assert!(second.terminate(DEADLINE).success(), "{}", second.log());
        more(&first, 1_000);
        let mut third = Flitch::start(FLITCH, &config);
        more(&third, 1_000);
        third.kill();
        // Its session ends, and the first has its partitions.
        let to = written.load(order) + 2_000;
        eventually("more is written", DEADLINE, || written.load(order) >= to);
        drop(end);
        eventually("the writer ends", DEADLINE, || written.load(order) >= to);
        (first, to)
    });
    let (first, _) = seen;
    let count = written.load(order);
    let seen = expect_numbers(&bootstrap, "crowd-out", count);
    let twice = duplicates(&seen);
    assert!(seen.keys().all(|n| *n < count));
    // What the killed one had delivered and not committed comes again, and no more than that.
    assert!(twice < count / 2, "{twice} of {count} came twice");
    let sums = first.settled(DEADLINE);
    assert!(sums.hold() && sums.returned == 0, "{sums}");
}

#[test]
fn an_output_that_is_down_for_longer_than_a_poll_may_take_costs_no_membership() {
    const COUNT: usize = 25_000;
    let kafka = Kafka::shared();
    let bootstrap = kafka.bootstrap();
    let mut down = Kafka::start(1).unwrap();
    kafka.create_topic("patient-in", 2).unwrap();
    down.create_topic("patient-out", 1).unwrap();
    let options = ", options: { log_level: \"0\", session.timeout.ms: 6000, max.poll.interval.ms: 6000 }";
    let source = source(&bootstrap, "patient-in", "patient", ", queue: 1MiB")
        .replace(", options: { log_level: \"0\" }", options);
    let output = kafka_output(&down.bootstrap(), "patient-out")
        .replace("type: kafka", "type: kafka, timeout: 3s, retry: { max: 1s }, buffer: { max_bytes: 64KiB }");
    let mut flitch = Flitch::start(FLITCH, &pipeline(&source, &[], &output));
    write(&bootstrap, "patient-in", 0..100);
    flitch.sums_when("the first records", DEADLINE, |sums| sums.delivered >= 100);
    down.stop(1).unwrap();
    write(&bootstrap, "patient-in", 100..20_000);
    eventually("the buffer is full", DEADLINE, || flitch.status()["outputs"]["out"]["full"] == true);
    let begun = std::time::Instant::now();
    eventually("twelve seconds", DEADLINE, || begun.elapsed() > Duration::from_secs(12));
    assert_eq!(flitch.metrics().count("flitch_kafka_rebalances_total", &[]), 1, "{}", flitch.log());
    let held = flitch.metrics().sums().received;
    assert!(held < 20_000, "all {held} are inside");
    // The lag is what is written and not delivered, also of what comes while nothing is fetched.
    write(&bootstrap, "patient-in", 20_000..COUNT);
    let lag = || flitch.metrics().sum("flitch_kafka_lag_messages", &[]);
    eventually("the lag", DEADLINE, || lag() == (COUNT - 100) as f64);
    assert_eq!(flitch.metrics().count("flitch_kafka_rebalances_total", &[]), 1, "{}", flitch.log());
    down.restart(1).unwrap();
    expect_numbers(&down.bootstrap(), "patient-out", COUNT);
    let sums = flitch.settled_after(COUNT as u64, DEADLINE);
    assert_eq!((sums.received, sums.delivered), (COUNT as u64, COUNT as u64), "{sums}");
    eventually("no lag", DEADLINE, || lag() == 0.0);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn credentials_over_tls_open_a_topic_and_wrong_ones_are_told_once() {
    let kafka = Kafka::shared_sasl();
    kafka.create_topic("sasl-in", 1).unwrap();
    kafka.create_topic("sasl-out", 1).unwrap();
    write(&kafka.bootstrap(), "sasl-in", 0..100);
    let tls = format!("tls: {{ ca: \"{}\" }}", kafka.authority_file().display());
    let config = |group: &str, sasl: &str| {
        let source = source(&kafka.sasl_bootstrap(), "sasl-in", group, &format!(", sasl: {sasl}, {tls}"));
        pipeline(&source, &[], &kafka_output(&kafka.bootstrap(), "sasl-out"))
    };
    let plain =
        format!("{{ mechanism: plain, username: '$ConnectionString', password: '{CONNECTION_STRING}' }}");
    let scram = format!("{{ mechanism: scram-sha-256, username: {}, password: {} }}", SCRAM.0, SCRAM.1);
    for (group, sasl) in [("plain", &plain), ("scram", &scram)] {
        let mut flitch = Flitch::start(FLITCH, &config(group, sasl));
        let sums = flitch.settled_after(100, DEADLINE);
        assert_eq!(sums.delivered, 100, "{sums}");
        assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    }
    let mut flitch = Flitch::start(FLITCH, &config("wrong", &plain.replace("c2VjcmV0", "d3Jvbmc=")));
    log_says(&flitch, "check `sasl`");
    let ailment = flitch.status()["ailments"]["source in"].to_string();
    assert!(ailment.contains("check `sasl`"), "{ailment}");
    let begun = std::time::Instant::now();
    eventually("some more tries", DEADLINE, || begun.elapsed() > Duration::from_secs(4));
    assert_eq!(flitch.log().matches("check `sasl`").count(), 1, "{}", flitch.log());
    assert!(!flitch.log().contains("d3Jvbmc="), "the secret is shown: {}", flitch.log());
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

/// `flitch check --probe`: its exit code and what it said.
fn probe(config: &str) -> (Option<i32>, String) {
    let flitch = Flitch::new(FLITCH, config);
    let ended = flitch.cli(&["check", "--probe", "-c", &flitch.config_file().to_string_lossy()], "");
    (ended.status.code(), format!("{}{}", ended.stdout, ended.stderr))
}

#[test]
fn a_topic_that_is_missing_is_told_by_the_probe_and_read_when_it_is_there() {
    let kafka = Kafka::shared();
    let bootstrap = kafka.bootstrap();
    kafka.create_topic("found-out", 1).unwrap();
    let config = |topic: &str, bootstrap: &str| {
        let source = source(bootstrap, topic, "found", "");
        let source =
            source.replace("log_level: \"0\"", "log_level: \"0\", topic.metadata.refresh.interval.ms: 500");
        pipeline(&source, &[], &kafka_output(&kafka.bootstrap(), "found-out"))
    };
    for (topic, words) in
        [("not-there", "topic `not-there`: it is missing"), ("\"^not-there.*\"", "none that matches")]
    {
        let (code, said) = probe(&config(topic, &bootstrap));
        assert!(code == Some(1) && said.contains(words), "{said}");
    }
    let nobody = format!("127.0.0.1:{}", flitch_tests::ports::free());
    let (code, said) = probe(&config("found-out", &nobody));
    assert!(code == Some(1) && said.contains("the brokers cannot be reached"), "{said}");
    let (code, said) = probe(&config("found-out", &bootstrap));
    assert_eq!(code, Some(0), "{said}");

    let mut flitch = Flitch::start(FLITCH, &config("found-late", &bootstrap));
    log_says(&flitch, "one is missing");
    kafka.create_topic("found-late", 1).unwrap();
    write(&bootstrap, "found-late", 0..100);
    expect_numbers(&bootstrap, "found-out", 100);
    let ailments = || flitch.status()["ailments"].as_object().unwrap().len();
    eventually("all is well", DEADLINE, || ailments() == 0);
    assert_eq!(flitch.log().matches("one is missing").count(), 1, "{}", flitch.log());
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn messages_that_were_deleted_before_they_were_read_are_counted_and_the_others_come() {
    let kafka = Kafka::shared();
    let bootstrap = kafka.bootstrap();
    kafka.create_topic("purged", 1).unwrap();
    kafka.create_topic("purged-out", 1).unwrap();
    write(&bootstrap, "purged", 0..100);
    let config =
        pipeline(&source(&bootstrap, "purged", "purged", ""), &[], &kafka_output(&bootstrap, "purged-out"));
    let mut flitch = Flitch::start(FLITCH, &config);
    expect_numbers(&bootstrap, "purged-out", 100);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    write(&bootstrap, "purged", 100..200);
    kafka.delete_before("purged", 0, 150).unwrap();
    flitch.run();
    let sums = flitch.settled_after(50, DEADLINE);
    assert_eq!((sums.received, sums.delivered), (50, 50), "{sums}");
    log_says(&flitch, "have deleted messages");
    assert_eq!(flitch.metrics().count("flitch_kafka_overrun_messages_total", &[]), 50);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

/// Behind the last message of a topic that is written by transactions stands a mark, or what was given up.
#[test]
fn what_transactions_leave_behind_the_last_message_is_no_lag_and_costs_no_message() {
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    let kafka = Kafka::shared();
    let bootstrap = kafka.bootstrap();
    kafka.create_topic("transacted", 1).unwrap();
    kafka.create_topic("transacted-out", 1).unwrap();
    let producer: BaseProducer = kafka.client().set("transactional.id", "t").create().unwrap();
    producer.init_transactions(DEADLINE).unwrap();
    let transact = |lines: std::ops::Range<usize>, is_kept: bool| {
        producer.begin_transaction().unwrap();
        for number in lines {
            let text = line(number);
            producer.send(BaseRecord::<(), str>::to("transacted").payload(&text)).unwrap();
        }
        producer.flush(DEADLINE).unwrap();
        match is_kept {
            true => producer.commit_transaction(DEADLINE).unwrap(),
            false => producer.abort_transaction(DEADLINE).unwrap(),
        }
    };
    transact(0..10, true);
    transact(500..600, false);
    let config = pipeline(
        &source(&bootstrap, "transacted", "transacted", ""),
        &[],
        &kafka_output(&bootstrap, "transacted-out"),
    );
    let mut flitch = Flitch::start(FLITCH, &config);
    expect_numbers(&bootstrap, "transacted-out", 10);
    eventually("no lag", DEADLINE, || flitch.metrics().sum("flitch_kafka_lag_messages", &[]) == 0.0);
    transact(10..20, true);
    transact(600..700, false);
    expect_numbers(&bootstrap, "transacted-out", 20);
    eventually("no lag", DEADLINE, || flitch.metrics().sum("flitch_kafka_lag_messages", &[]) == 0.0);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    transact(20..30, true);
    flitch.run();
    let seen = expect_numbers(&bootstrap, "transacted-out", 30);
    assert_eq!((seen.len(), duplicates(&seen)), (30, 0));
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

/// Nothing of what was deleted is left to show where the next message stands.
#[test]
fn messages_that_were_all_deleted_are_counted_before_another_comes() {
    let kafka = Kafka::shared();
    let bootstrap = kafka.bootstrap();
    kafka.create_topic("emptied", 1).unwrap();
    kafka.create_topic("emptied-out", 1).unwrap();
    write(&bootstrap, "emptied", 0..10);
    let config = pipeline(
        &source(&bootstrap, "emptied", "emptied", ""),
        &[],
        &kafka_output(&bootstrap, "emptied-out"),
    );
    let mut flitch = Flitch::start(FLITCH, &config);
    expect_numbers(&bootstrap, "emptied-out", 10);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    write(&bootstrap, "emptied", 10..30);
    kafka.delete_before("emptied", 0, 30).unwrap();
    flitch.run();
    let overrun = || flitch.metrics().count("flitch_kafka_overrun_messages_total", &[]);
    eventually("it is told", DEADLINE, || overrun() == 20);
    write(&bootstrap, "emptied", 30..40);
    let sums = flitch.settled_after(10, DEADLINE);
    assert_eq!((sums.received, sums.delivered, overrun()), (10, 10, 20), "{sums}");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

/// The protocol of groups of KIP-848.
#[test]
fn brokers_that_share_the_partitions_out_by_themselves_give_some_to_a_host_that_joins() {
    let kafka = Kafka::shared();
    let bootstrap = kafka.bootstrap();
    kafka.create_topic("shared-out", 4).unwrap();
    kafka.create_topic("shared-out-to", 1).unwrap();
    let source = source(&bootstrap, "shared-out", "shared-out", "")
        .replace("options: {", "options: { group.protocol: consumer,");
    let config = pipeline(&source, &[], &kafka_output(&bootstrap, "shared-out-to"));
    let mut first = Flitch::start(FLITCH, &config);
    write(&bootstrap, "shared-out", 0..100);
    expect_numbers(&bootstrap, "shared-out-to", 100);
    let mut second = Flitch::start(FLITCH, &config);
    let mut next = 100;
    eventually("records of its own", DEADLINE, || {
        write(&bootstrap, "shared-out", next..next + 100);
        next += 100;
        expect_numbers(&bootstrap, "shared-out-to", next);
        second.metrics().sums().delivered > 0
    });
    for flitch in [&mut first, &mut second] {
        assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    }
    let mut third = Flitch::start(FLITCH, &config);
    write(&bootstrap, "shared-out", next..next + 100);
    let seen = expect_numbers(&bootstrap, "shared-out-to", next + 100);
    assert_eq!(duplicates(&seen), 0);
    assert!(third.terminate(DEADLINE).success(), "{}", third.log());
}
