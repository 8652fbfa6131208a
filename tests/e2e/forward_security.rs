use flitch_tests::flitch::Flitch;
use flitch_tests::fluent::FluentClient;
use flitch_tests::ports;
use flitch_tests::servers::kafka::Kafka;
use flitch_tests::tls::{Authority, IdentityFiles};
use flitch_tests::wait::eventually;
use serde_json::Value;

use crate::support::*;

/// A flitch whose forward source has these settings, and a certificate for them in `server.crt` and `server.key`.
struct Secured {
    flitch: Flitch,
    port: u16,
    authority: Authority,
    kafka: &'static Kafka,
    topic: String,
}

impl Secured {
    fn start(name: &str, settings: &str) -> Secured {
        let (kafka, topic) = topic(name);
        let port = ports::free();
        let source = format!("{{ type: forward, listen: \"127.0.0.1:{port}\", {settings} }}");
        let config = pipeline(&source, &[], &kafka_output(&kafka.bootstrap(), &topic));
        // Of several refusals in a row only the first is a warning.
        let mut flitch = Flitch::new(FLITCH, &config).env("FLITCH_LOG", "info,flitch_sources=debug");
        let authority = Authority::new("flitch tests").unwrap();
        authority.write(&flitch.at("ca.crt")).unwrap();
        authority.server().unwrap().write(flitch.dir(), "server").unwrap();
        flitch.run();
        Secured { flitch, port, authority, kafka, topic }
    }

    fn plain(&self) -> FluentClient {
        FluentClient::new(self.port)
    }

    fn encrypted(&self) -> FluentClient {
        self.plain().trusting(&self.flitch.at("ca.crt"))
    }

    /// A client's certificate from `authority`.
    fn identity(&self, authority: &Authority, name: &str) -> IdentityFiles {
        authority.client(name).unwrap().write(self.flitch.dir(), name).unwrap()
    }

    /// The client is sent away, both sides say why, and nothing of it is taken.
    #[track_caller]
    fn refuses(&self, client: &FluentClient, log: &str) -> String {
        let before = self.flitch.metrics();
        let refused = "flitch_forward_refused_connections_total";
        let error = client.send(0..5).expect_err("the client is served").to_string();
        // The client may have its answer before the server has counted it.
        let count = before.count(refused, &[]) + 1;
        eventually("the client is counted", DEADLINE, || self.flitch.metrics().count(refused, &[]) == count);
        log_says(&self.flitch, log);
        assert_eq!(self.flitch.metrics().sums(), before.sums());
        error
    }

    /// The client's records arrive, each once and as it was sent.
    #[track_caller]
    fn serves(&self, client: &FluentClient, numbers: std::ops::Range<usize>) {
        client.send(numbers.clone()).unwrap();
        // It has every ack, so every record is in Kafka.
        let sums = self.flitch.settled(DEADLINE);
        assert_eq!((sums.received, sums.delivered), (numbers.end as u64, numbers.end as u64), "{sums}");
        let seen = expect_numbers(&self.kafka.bootstrap(), &self.topic, numbers.end);
        assert!(seen.values().all(|&times| times == 1), "{seen:?}");
    }

    fn records(&self) -> Vec<Value> {
        settled_records(&self.flitch, 0, &self.kafka.bootstrap(), &self.topic)
    }
}

const TLS: &str = "cert: \"{dir}/server.crt\", key: \"{dir}/server.key\"";

#[test]
fn a_client_that_trusts_the_certificate_is_served_and_others_take_nothing_in() {
    let mut secured = Secured::start("forward-tls", &format!("tls: {{ {TLS} }}"));
    let stranger = Authority::new("somebody else").unwrap().write(&secured.flitch.at("else.crt")).unwrap();
    // The client is the one that refuses, when the handshake is over for the server.
    let error = secured.plain().trusting(&stranger).send(0..5).unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    secured.refuses(&secured.plain(), "InvalidContentType");
    secured.serves(&secured.encrypted(), 0..500);
    assert_eq!(secured.records()[0]["@tag"], "js.secure");
    assert!(secured.flitch.terminate(DEADLINE).success(), "{}", secured.flitch.log());
}

#[test]
fn a_certificate_that_is_renewed_is_in_use_without_a_restart() {
    let secured = Secured::start("forward-tls-renewed", &format!("tls: {{ {TLS} }}"));
    secured.serves(&secured.encrypted(), 0..100);
    let new = Authority::new("renewed").unwrap();
    let trusting_new = secured.plain().trusting(&new.write(&secured.flitch.at("new.crt")).unwrap());
    assert!(trusting_new.send(0..1).is_err(), "the authority of the new certificate vouches for the old one");
    new.server().unwrap().write(secured.flitch.dir(), "server").unwrap();
    eventually("the new certificate is shown", DEADLINE, || trusting_new.send(100..101).is_ok());
    secured.serves(&trusting_new, 101..200);
    assert!(secured.encrypted().send(0..1).is_err(), "the old certificate is still shown");
}

#[test]
fn where_client_certificates_are_required_only_a_client_with_a_right_one_is_served() {
    let settings = format!("tls: {{ {TLS}, client_ca: \"{{dir}}/ca.crt\" }}");
    let mut secured = Secured::start("forward-mtls", &settings);
    let error = secured.refuses(&secured.encrypted(), "peer sent no certificates");
    assert!(error.contains("certificate required"), "{error}");
    let forged = secured.identity(&Authority::new("somebody else").unwrap(), "forged");
    let error =
        secured.refuses(&secured.encrypted().showing(&forged.certificate, &forged.key), "UnknownIssuer");
    assert!(error.contains("unknown ca"), "{error}");
    let own = secured.identity(&secured.authority, "edge-7");
    secured.serves(&secured.encrypted().showing(&own.certificate, &own.key), 0..500);
    assert!(secured.flitch.terminate(DEADLINE).success(), "{}", secured.flitch.log());
}

#[test]
fn where_client_certificates_are_asked_for_and_not_required_a_client_without_one_is_served() {
    let settings = format!("tls: {{ {TLS}, client_ca: \"{{dir}}/ca.crt\", require_client_cert: false }}");
    let secured = Secured::start("forward-mtls-maybe", &settings);
    let forged = secured.identity(&Authority::new("somebody else").unwrap(), "forged");
    secured.refuses(&secured.encrypted().showing(&forged.certificate, &forged.key), "UnknownIssuer");
    secured.serves(&secured.encrypted(), 0..50);
}

const SECURITY: &str = "security: { shared_key: sesame, self_hostname: server.test, users: { alice: wonderland, bob: builder } }";

#[test]
fn only_a_user_who_knows_the_shared_key_and_the_password_is_served() {
    let mut secured = Secured::start("forward-key", SECURITY);
    let knowing = |key, user, password| secured.plain().knowing(key, user, password);
    let error = secured.refuses(&knowing("sesam", "alice", "wonderland"), "shared_key mismatch");
    assert!(error.contains("shared_key mismatch"), "{error}");
    for (user, password) in [("alice", "builder"), ("mallory", "wonderland"), ("", ""), ("mallory", "")] {
        let error = secured.refuses(&knowing("sesame", user, password), "username/password mismatch");
        assert!(error.contains("username/password mismatch"), "{error}");
    }
    secured.serves(&knowing("sesame", "alice", "wonderland"), 0..300);
    secured.serves(&knowing("sesame", "bob", "builder"), 300..600);
    assert!(secured.flitch.terminate(DEADLINE).success());
    let log = secured.flitch.log();
    assert!(!["sesame", "wonderland", "builder"].iter().any(|secret| log.contains(secret)), "{log}");
}

#[test]
fn where_no_user_is_asked_for_the_shared_key_is_enough() {
    let secured = Secured::start("forward-key-only", "security: { shared_key: sesame }");
    secured.refuses(&secured.plain().knowing("sesam", "", ""), "shared_key mismatch");
    secured.refuses(&secured.plain(), "it ended before its PING");
    secured.serves(&secured.plain().knowing("sesame", "", ""), 0..100);
    secured.serves(&secured.plain().knowing("sesame", "alice", "whatever"), 100..200);
}

#[test]
fn the_handshake_goes_through_tls_as_well() {
    let secured = Secured::start("forward-tls-key", &format!("tls: {{ {TLS} }}, {SECURITY}"));
    secured.refuses(&secured.encrypted().knowing("wrong", "alice", "wonderland"), "shared_key mismatch");
    secured.refuses(&secured.plain().knowing("sesame", "alice", "wonderland"), "the TLS handshake");
    secured.serves(&secured.encrypted().knowing("sesame", "alice", "wonderland"), 0..100);
}

#[test]
fn dead_letters_are_sent_again_over_tls_with_the_key_and_the_user_of_the_source() {
    let security = |key: &str| format!("security: {{ shared_key: {key}, users: {{ alice: wonderland }} }}");
    let settings = format!("tls: {{ {TLS}, client_ca: \"{{dir}}/ca.crt\" }}, {}", security("sesame"));
    let mut secured = Secured::start("forward-replay", &settings);
    secured.identity(&secured.authority, "edge");
    let flitch = &secured.flitch;
    let letters: String = (0..20)
        .map(|n| {
            let record = format!("{{\"@tag\":\"shop\",\"@timestamp\":\"2026-11-20T13:55:36.123456789Z\",\"text\":\"n={n:07}\"}}");
            format!("{{\"time\":\"2026-11-20T13:55:37Z\",\"stage\":\"output\",\"component\":\"out\",\"reason\":\"r\",\"record\":{record}}}\n")
        })
        .collect();
    std::fs::write(flitch.at("data/dead-letters/letters-00000001.ndjson"), letters).unwrap();
    let path = |name: &str| flitch.at(name).to_string_lossy().into_owned();
    let (config, cert, key) = (path("flitch.yaml"), path("edge.crt"), path("edge.key"));
    let replay = |config: &str, args: &[&str]| {
        let ended = flitch.cli(&[&["dead-letters", "replay", "--to", "in", "-c", config], args].concat(), "");
        (ended.status.code(), ended.stderr)
    };
    let own = ["--cert", &cert, "--key", &key];
    // Another key than that of the source that runs.
    let other = path("other.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&other, text.replace("sesame", "hunter2")).unwrap();
    let (code, stderr) = replay(&other, &own);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("it refuses the handshake: shared_key mismatch"), "{stderr}");
    assert!(stderr.contains("not sent, and stay") && !stderr.contains("hunter2"), "{stderr}");
    let (code, stderr) = replay(&config, &[]);
    assert_eq!(code, Some(1), "no certificate was shown: {stderr}");

    let (code, stderr) = replay(&config, &own);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("20 sent, 0 not meant and kept"), "{stderr}");
    let records = secured.records();
    assert_eq!(records.len(), 20);
    assert_eq!(
        (&records[0]["@tag"], &records[0]["@timestamp"]),
        (&"shop".into(), &"2026-11-20T13:55:36.123456789Z".into())
    );
    assert!(secured.flitch.terminate(DEADLINE).success(), "{}", secured.flitch.log());
}
