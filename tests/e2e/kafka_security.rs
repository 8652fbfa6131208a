use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flitch_tests::flitch::Flitch;
use flitch_tests::process::Signal;
use flitch_tests::servers::kafka::{CONNECTION_STRING, Kafka, SCRAM};
use flitch_tests::tls::Authority;
use flitch_tests::wait::eventually;

use crate::support::*;

/// Follows `app.log` into a topic behind TLS, with these credentials and authorities.
fn config(kafka: &Kafka, topic: &str, sasl: &str, tls: &str) -> String {
    let brokers = if sasl == NONE { kafka.ssl_bootstrap() } else { kafka.sasl_bootstrap() };
    let output = format!(
        "out: {{ type: kafka, brokers: \"{brokers}\", topic: {topic}, sasl: {sasl}, tls: {tls}, retry: {{ max: 1s }} }}"
    );
    // What the wrong output holds at a reload goes back to the file at once.
    format!("drain_timeout: 1s\n{}", pipeline(&file_source("app.log"), &[], &output))
}

/// No credentials: certificates must do.
const NONE: &str = "null";

fn trusting(authority: &Path) -> String {
    format!("{{ ca: \"{}\" }}", authority.display())
}

fn plain(password: &str) -> String {
    format!("{{ mechanism: plain, username: '$ConnectionString', password: '{password}' }}")
}

fn scram(password: &str) -> String {
    format!("{{ mechanism: scram-sha-256, username: {}, password: {password} }}", SCRAM.0)
}

const TOKEN: &str = "{ mechanism: oauthbearer, token_file: \"{dir}/token\" }";

/// A token that is not signed, for the user `edge`; `lifetime` in seconds from now.
pub fn token(lifetime: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let claims = format!(r#"{{"sub":"edge","iat":{},"exp":{}}}"#, now - 60, now + lifetime);
    format!("{}.{}.", base64url(br#"{"alg":"none"}"#), base64url(claims.as_bytes()))
}

/// base64 for URLs, without padding (RFC 4648, section 5).
pub fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().enumerate().fold(0, |bits, (n, byte)| bits | u32::from(*byte) << (16 - 8 * n));
        for n in 0..=group.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * n) & 63) as usize]));
        }
    }
    text
}

/// `flitch check --probe`: its exit code and what it said.
fn probe(flitch: &Flitch) -> (Option<i32>, String) {
    let ended = flitch.cli(&["check", "--probe", "-c", &flitch.config_file().to_string_lossy()], "");
    (ended.status.code(), format!("{}{}", ended.stdout, ended.stderr))
}

/// Records reach a topic of their own with these credentials, and the probe is content.
#[track_caller]
fn arrives(kafka: &Kafka, topic: &str, sasl: &str, tls: &str) -> Flitch {
    kafka.create_topic(topic, 1).unwrap();
    let flitch = Flitch::new(FLITCH, &config(kafka, topic, sasl, tls));
    std::fs::write(flitch.at("token"), token(3600)).unwrap();
    append(&flitch.at("app.log"), 0..200);
    let (code, said) = probe(&flitch);
    assert_eq!(code, Some(0), "{said}");
    let mut flitch = flitch;
    flitch.run();
    expect_numbers(&kafka.bootstrap(), topic, 200);
    let sums = flitch.settled(DEADLINE);
    assert_eq!((sums.received, sums.delivered), (200, 200), "{sums}");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    flitch
}

/// An output that is refused keeps its records, tells what to do, and delivers them when it is mended.
#[track_caller]
fn refused(kafka: &Kafka, topic: &str, sasl: &str, tls: &str, words: &str) {
    kafka.create_topic(topic, 1).unwrap();
    let mut flitch = Flitch::new(FLITCH, &config(kafka, topic, sasl, tls));
    std::fs::write(flitch.at("token"), token(3600)).unwrap();
    append(&flitch.at("app.log"), 0..200);
    let (code, said) = probe(&flitch);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("NOT READY") && said.contains(words), "no {words:?} in:\n{said}");

    flitch.run();
    eventually("an error of the class denied", DEADLINE, || {
        flitch.metrics().count("flitch_write_errors_total", &[("kind", "denied")]) > 0
    });
    log_says(&flitch, "an operator must act");
    log_says(&flitch, words);
    let sums = flitch.metrics().sums();
    assert!(sums.hold() && sums.in_flight == 200, "{sums}");

    flitch.configure(&config(kafka, topic, &plain(CONNECTION_STRING), &trusting(&kafka.authority_file())));
    flitch.signal(Signal::Hup);
    expect_numbers(&kafka.bootstrap(), topic, 200);
    let sums = flitch.settled(DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered, sums.dropped), (200, 0, 0), "{sums}");
    assert!(flitch.terminate(Duration::from_secs(60)).success(), "{}", flitch.log());
}

#[test]
fn a_user_with_a_plain_password_over_tls_delivers_every_record() {
    let kafka = Kafka::shared_sasl();
    let tls = trusting(&kafka.authority_file());
    let flitch = arrives(kafka, "sasl-plain", &plain(CONNECTION_STRING), &tls);
    assert!(!flitch.log().contains("c2VjcmV0"), "the secret is shown: {}", flitch.log());
}

#[test]
fn a_user_with_scram_over_tls_delivers_every_record() {
    let kafka = Kafka::shared_sasl();
    let flitch = arrives(kafka, "sasl-scram", &scram(SCRAM.1), &trusting(&kafka.authority_file()));
    assert!(!flitch.log().contains(SCRAM.1), "the secret is shown: {}", flitch.log());
}

#[test]
fn an_oauth_token_from_a_file_over_tls_delivers_every_record() {
    let kafka = Kafka::shared_sasl();
    arrives(kafka, "sasl-oauth", TOKEN, &trusting(&kafka.authority_file()));
}

#[test]
fn a_certificate_of_its_own_opens_a_broker_that_wants_one() {
    let kafka = Kafka::shared_sasl();
    let folder = tempfile::tempdir().unwrap();
    let own = kafka.authority().unwrap().client("edge").unwrap().write(folder.path(), "edge").unwrap();
    let [ca, cert, key] =
        [kafka.authority_file(), own.certificate, own.key].map(|file| file.display().to_string());
    let tls = format!("{{ ca: \"{ca}\", cert: \"{cert}\", key: \"{key}\" }}");
    arrives(kafka, "tls-client-cert", NONE, &tls);
}

#[test]
fn a_broker_that_wants_a_certificate_refuses_an_output_without_one_and_it_is_named() {
    let kafka = Kafka::shared_sasl();
    refused(kafka, "tls-no-client-cert", NONE, &trusting(&kafka.authority_file()), "check `tls`");
}

#[test]
fn a_broker_that_speaks_tls_to_an_output_that_does_not_is_unreachable_and_tls_is_named() {
    let kafka = Kafka::shared_sasl();
    let flitch = Flitch::new(FLITCH, &config(kafka, "no-tls", &plain(CONNECTION_STRING), "null"));
    let (code, said) = probe(&flitch);
    assert!(code == Some(1) && said.contains("check that `tls`"), "{said}");
}

#[test]
fn a_wrong_plain_password_keeps_the_records_and_names_the_credentials() {
    let kafka = Kafka::shared_sasl();
    let tls = trusting(&kafka.authority_file());
    refused(kafka, "sasl-plain-wrong", &plain("Endpoint=sb://wrong"), &tls, "check `sasl`");
}

#[test]
fn a_wrong_scram_password_keeps_the_records_and_names_the_credentials() {
    let kafka = Kafka::shared_sasl();
    let tls = trusting(&kafka.authority_file());
    refused(kafka, "sasl-scram-wrong", &scram("wrong-horse"), &tls, "check `sasl`");
}

#[test]
fn an_authority_that_did_not_sign_the_broker_keeps_the_records_and_is_named() {
    let kafka = Kafka::shared_sasl();
    let folder = tempfile::tempdir().unwrap();
    let other = Authority::new("somebody else").unwrap().write(&folder.path().join("other.crt")).unwrap();
    refused(kafka, "tls-other-ca", &plain(CONNECTION_STRING), &trusting(&other), "check `tls`");
}

#[test]
fn an_authority_that_is_renewed_is_trusted_without_a_reload() {
    let kafka = Kafka::shared_sasl();
    kafka.create_topic("tls-renewed-ca", 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = Authority::new("the old one").unwrap().write(&folder.path().join("ca.crt")).unwrap();
    let config = config(kafka, "tls-renewed-ca", &plain(CONNECTION_STRING), &trusting(&ca));
    let mut flitch = Flitch::start(FLITCH, &config);
    append(&flitch.at("app.log"), 0..200);
    log_says(&flitch, "an operator must act");
    std::fs::copy(kafka.authority_file(), &ca).unwrap();
    expect_numbers(&kafka.bootstrap(), "tls-renewed-ca", 200);
    let sums = flitch.settled(DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (200, 0), "{sums}");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn without_an_authority_of_its_own_a_broker_of_ours_is_not_trusted() {
    let kafka = Kafka::shared_sasl();
    refused(kafka, "tls-system-ca", &plain(CONNECTION_STRING), "{}", "check `tls`");
}

#[test]
fn a_token_that_is_over_is_read_again_when_the_file_holds_a_new_one() {
    let kafka = Kafka::shared_sasl();
    kafka.create_topic("sasl-oauth-late", 1).unwrap();
    let tls = trusting(&kafka.authority_file());
    let mut flitch = Flitch::new(FLITCH, &config(kafka, "sasl-oauth-late", TOKEN, &tls));
    std::fs::write(flitch.at("token"), token(-10)).unwrap();
    append(&flitch.at("app.log"), 0..200);
    let (code, said) = probe(&flitch);
    assert!(code == Some(1) && said.contains("check `sasl`: the token"), "{said}");
    flitch.run();
    log_says(&flitch, "the token expired");
    assert!(flitch.metrics().sums().hold());
    std::fs::write(flitch.at("token"), token(3600)).unwrap();
    expect_numbers(&kafka.bootstrap(), "sasl-oauth-late", 200);
    let sums = flitch.settled(DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (200, 0), "{sums}");
}
