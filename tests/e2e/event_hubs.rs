//! Event Hubs, as a real broker with TLS and SASL stands for them.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flitch_tests::flitch::Flitch;
use flitch_tests::ports;
use flitch_tests::process::Signal;
use flitch_tests::proxy::Proxy;
use flitch_tests::servers::consumer::{read_until, write_all};
use flitch_tests::servers::kafka::{CONNECTION_STRING, Kafka, client};
use flitch_tests::wait::eventually;

use crate::support::*;

/// The keys that make a broker of ours a namespace.
fn namespace(kafka: &Kafka) -> String {
    let ca = kafka.authority_file();
    format!("endpoint: \"{}\", tls: {{ ca: \"{}\" }}", kafka.sasl_bootstrap(), ca.display())
}

#[test]
fn a_connection_string_is_all_it_takes_to_write_and_to_read() {
    let kafka = Kafka::shared_sasl();
    kafka.create_topic("clicks", 2).unwrap();
    kafka.create_topic("seen", 1).unwrap();
    let lines: Vec<String> = (0..1_000).map(line).collect();
    write_all(&kafka.bootstrap(), "clicks", lines.iter().map(|line| (None, line.as_bytes()))).unwrap();
    let hub = format!("connection_string: '${{HUB}}', {}", namespace(kafka));
    let config = pipeline(
        &format!("{{ type: event_hubs, {hub}, hub: clicks, group: readers }}"),
        &[],
        &format!("out: {{ type: event_hubs, {hub}, hub: seen }}"),
    );
    let mut flitch = Flitch::new(FLITCH, &config).env("HUB", CONNECTION_STRING);
    let ended = flitch.cli(&["check", "--probe", "-c", &flitch.config_file().to_string_lossy()], "");
    assert!(ended.status.success(), "{ended:?}");
    flitch.run();
    expect_numbers(&kafka.bootstrap(), "seen", 1_000);
    let sums = flitch.settled(DEADLINE);
    assert_eq!((sums.received, sums.delivered), (1_000, 1_000), "{sums}");
    let shown = format!("{}{}", flitch.status(), flitch.log());
    assert!(!shown.contains("c2VjcmV0"), "the secret is shown: {shown}");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn a_key_that_is_no_longer_good_is_told_and_another_is_taken_by_a_reload() {
    let kafka = Kafka::shared_sasl();
    kafka.create_topic("rotated", 1).unwrap();
    let config = |key: &str| {
        let text = CONNECTION_STRING.replace("c2VjcmV0", key);
        let output = format!(
            "out: {{ type: event_hubs, connection_string: \"{text}\", hub: rotated, {}, retry: {{ max: 1s }} }}",
            namespace(kafka)
        );
        format!("drain_timeout: 1s\n{}", pipeline(&file_source("app.log"), &[], &output))
    };
    let mut flitch = Flitch::start(FLITCH, &config("b2xk"));
    append(&flitch.at("app.log"), 0..200);
    log_says(&flitch, "check `connection_string`");
    flitch.configure(&config("c2VjcmV0"));
    flitch.signal(Signal::Hup);
    expect_numbers(&kafka.bootstrap(), "rotated", 200);
    let sums = flitch.settled(DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (200, 0), "{sums}");
    assert!(!flitch.log().contains("b2xk"), "{}", flitch.log());
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn an_event_that_is_larger_than_event_hubs_take_goes_to_the_dead_letters() {
    let kafka = Kafka::shared_sasl();
    kafka.create_topic("large", 1).unwrap();
    let output = format!(
        "out: {{ type: event_hubs, connection_string: \"{CONNECTION_STRING}\", hub: large, {} }}",
        namespace(kafka)
    );
    let mut flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output));
    let lines = [line(0), "x".repeat(1_000_100), line(1), "y".repeat(999_000), line(2)];
    std::fs::write(flitch.at("app.log"), lines.join("\n") + "\n").unwrap();
    flitch.run();
    let sums = flitch.settled_after(5, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (4, 1), "{sums}");
    expect_numbers(&kafka.bootstrap(), "large", 3);
    let letters = flitch.cli(&["dead-letters", "show", "-c", &flitch.config_file().to_string_lossy()], "");
    let reason = "is larger than `message.max.bytes` allows";
    assert!(letters.stdout.lines().count() == 1 && letters.stdout.contains(reason), "{}", letters.stderr);
}

/// Lines of the log that are warnings or errors.
fn complaints(flitch: &Flitch) -> Vec<String> {
    let is_one = |line: &&str| line.contains(" WARN ") || line.contains("ERROR ");
    flitch.log().lines().filter(is_one).map(str::to_owned).collect()
}

#[test]
fn records_arrive_over_connections_that_the_service_cuts_while_they_rest() {
    let front = ports::free();
    let kafka = Kafka::behind(front).unwrap();
    let proxy = Proxy::start(front, kafka.sasl_port(), Duration::from_millis(700)).unwrap();
    kafka.create_topic("resting", 2).unwrap();
    let output = format!(
        "out: {{ type: event_hubs, connection_string: \"{CONNECTION_STRING}\", hub: resting, \
         endpoint: \"localhost:{front}\", tls: {{ ca: \"{}\" }} }}",
        kafka.authority_file().display()
    );
    let mut flitch = Flitch::start(FLITCH, &pipeline(&file_source("app.log"), &[], &output));
    for round in 0..4 {
        append(&flitch.at("app.log"), round * 100..(round + 1) * 100);
        expect_numbers(&kafka.bootstrap(), "resting", (round + 1) * 100);
        let before = proxy.cuts();
        eventually("a connection that rests is cut", DEADLINE, || proxy.cuts() > before);
    }
    let sums = flitch.settled_after(400, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered, sums.returned), (400, 0, 0), "{sums}");
    let complaints = complaints(&flitch);
    assert!(complaints.len() <= 1, "{} lines: {complaints:#?}", complaints.len());
    assert!(flitch.ready(), "{}", flitch.log());
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn brokers_that_hold_requests_back_are_waited_for_and_the_metric_says_for_how_long() {
    let kafka = Kafka::shared_sasl();
    kafka.create_topic("throttled", 1).unwrap();
    kafka.throttle("slow-edge", 40_000).unwrap();
    let output = format!(
        "out: {{ type: event_hubs, connection_string: \"{CONNECTION_STRING}\", hub: throttled, {}, \
         options: {{ client.id: slow-edge, statistics.interval.ms: 200, batch.size: 20000 }} }}",
        namespace(kafka)
    );
    let mut flitch = Flitch::start(FLITCH, &pipeline(&file_source("app.log"), &[], &output));
    append(&flitch.at("app.log"), 0..2_000);
    eventually("the brokers hold requests back", DEADLINE, || {
        flitch.metrics().sum("flitch_kafka_throttle_seconds", &[("output", "out")]) > 0.0
    });
    log_says(&flitch, "the brokers hold requests back (throttling)");
    expect_numbers(&kafka.bootstrap(), "throttled", 2_000);
    let sums = flitch.settled_after(2_000, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (2_000, 0), "{sums}");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn whoever_is_logged_in_by_az_writes_to_a_hub() {
    let kafka = Kafka::shared_sasl();
    kafka.create_topic("by-az", 1).unwrap();
    let output = format!(
        "out: {{ type: event_hubs, namespace: clicks, auth: {{ type: azure_cli }}, hub: by-az, {}, retry: {{ max: 1s }} }}",
        namespace(kafka)
    );
    let flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output));
    let folder = flitch.at("bin");
    std::fs::create_dir(&folder).unwrap();
    let az = |text: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(folder.join("az.new"), format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(folder.join("az.new"), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::rename(folder.join("az.new"), folder.join("az")).unwrap();
    };
    az("echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut flitch = flitch.env("PATH", &path);
    append(&flitch.at("app.log"), 0..100);
    flitch.run();
    log_says(
        &flitch,
        "no OAuth token: `az account get-access-token`: exit status: 1: ERROR: Please run 'az login'",
    );
    let token = crate::kafka_security::token(3_600);
    az(&format!(
        "[ \"$5 $6 $7\" = \"--resource https://clicks.servicebus.windows.net \" ] || exit 2\n\
         echo '{{\"accessToken\":\"{token}\",\"tokenType\":\"Bearer\"}}'"
    ));
    expect_numbers(&kafka.bootstrap(), "by-az", 100);
    let sums = flitch.settled_after(100, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (100, 0), "{sums}");
    assert!(!flitch.log().contains(&token), "{}", flitch.log());
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

/// Gives out tokens that our broker takes, each of which lives for `seconds`; answers its URL.
fn giver(seconds: u64, tokens: &'static std::sync::atomic::AtomicUsize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(flitch_tests::beside(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut length) = (Vec::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
                head.push(line);
            }
            let mut body = vec![0; length];
            std::io::Read::read_exact(&mut reader, &mut body).unwrap();
            let body = String::from_utf8(body).unwrap();
            let wanted = [
                "grant_type=client_credentials",
                "client_id=app",
                "scope=https%3A%2F%2Fclicks.servicebus.windows.net%2F.default",
                "client_secret=hush",
            ];
            let is_right =
                head[0].starts_with("POST /contoso/oauth2/v2.0/token ") && body.split('&').eq(wanted);
            let (status, answer) = if is_right {
                tokens.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
                let claims = format!(r#"{{"sub":"edge","iat":{},"exp":{}}}"#, now - 60, now + seconds);
                let part = crate::kafka_security::base64url;
                let token = format!("{}.{}.", part(br#"{"alg":"none"}"#), part(claims.as_bytes()));
                ("200 OK", format!(r#"{{"expires_in":{seconds},"access_token":"{token}"}}"#))
            } else {
                ("400 Bad Request", r#"{"error":"invalid_request"}"#.to_owned())
            };
            let length = answer.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}"
            )
            .unwrap();
        }
    }));
    url
}

#[test]
fn an_application_has_tokens_that_are_renewed_before_they_end() {
    static TOKENS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let kafka = Kafka::shared_sasl();
    kafka.create_topic("by-token", 1).unwrap();
    kafka.create_topic("by-token-too", 1).unwrap();
    let url = giver(8, &TOKENS);
    let hub = format!(
        "namespace: clicks, auth: {{ type: client_secret, tenant_id: contoso, client_id: app, client_secret: hush, \
         authority: \"{url}\" }}, {}",
        namespace(kafka)
    );
    let config = pipeline(
        &format!("{{ type: event_hubs, {hub}, hub: by-token, group: readers }}"),
        &[],
        &format!("out: {{ type: event_hubs, {hub}, hub: by-token-too }}"),
    );
    let mut flitch = Flitch::start(FLITCH, &config);
    write_all(&kafka.bootstrap(), "by-token", [(None, line(0).as_bytes())]).unwrap();
    expect_numbers(&kafka.bootstrap(), "by-token-too", 1);
    // Two clients, and each has a new one before the first has ended.
    let order = std::sync::atomic::Ordering::SeqCst;
    eventually("the tokens are renewed", DEADLINE, || TOKENS.load(order) >= 6);
    write_all(&kafka.bootstrap(), "by-token", [(None, line(1).as_bytes())]).unwrap();
    let seen =
        read_until(client(&kafka.bootstrap()), "by-token-too", DEADLINE, |seen| seen.len() >= 2).unwrap();
    assert_eq!(seen.iter().filter_map(number).collect::<Vec<_>>(), [0, 1]);
    assert!(!flitch.log().contains("hush"), "{}", flitch.log());
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}
