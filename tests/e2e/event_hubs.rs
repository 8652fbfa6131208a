//! Event Hubs, as a real broker with TLS and SASL stands for them.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::{SystemTime, UNIX_EPOCH};

use flitch_tests::flitch::Flitch;
use flitch_tests::process::Signal;
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
    std::fs::write(flitch.at("app.log"), format!("{}\n{}\n", line(0), "x".repeat(1_000_100))).unwrap();
    flitch.run();
    let sums = flitch.settled_after(2, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (1, 1), "{sums}");
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
