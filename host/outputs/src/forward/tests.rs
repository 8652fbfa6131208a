use std::time::Duration;

use serde_json::json;

use self::server::{Manner, Server as Collector};
use super::*;
use crate::contract::{Found, Specimen, Subject, WriteBatch, context, context_with, numbered};
use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::decode_line;
use flitch_core::batch::encode::{Encoding, Framing};
use flitch_core::batch::template::Template;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::net::forward::handshake::SecuritySettings;
use flitch_core::secret::Secret;
use flitch_core::setting::Wrong;
use flitch_core::units::Span;

mod server;

/// Settings of an output to these addresses.
fn to(addresses: &[String]) -> ForwardSettings {
    ForwardSettings::new(addresses.iter().map(|address| Server::Plain(address.parse().unwrap())).collect())
}

fn open(settings: &ForwardSettings) -> Arc<dyn Output> {
    settings.open(&context()).unwrap()
}

/// Records of lines of JSON, with the tag `test` where they have none.
fn records(lines: &[&str]) -> Arc<Records> {
    let mut builder = Builder::new();
    lines.iter().for_each(|line| decode_line(&mut builder, line.as_bytes()).unwrap());
    let constants = Constants::new().text("@tag", "test");
    Arc::new(builder.finish(InvalidUtf8::Bytes, &constants).records)
}

fn key(user: Option<(&str, &str)>) -> SecuritySettings {
    SecuritySettings {
        shared_key: Secret::new("key"),
        users: user.map(|(name, password)| (name.to_owned(), Secret::new(password))).into_iter().collect(),
        self_hostname: Some("collector".to_owned()),
    }
}

fn knows(shared_key: &str, user: Option<(&str, &str)>) -> Option<ClientSecurity> {
    Some(ClientSecurity {
        shared_key: Secret::new(shared_key),
        username: user.map(|(name, _)| name.to_owned()),
        password: user.map(|(_, password)| Secret::new(password)),
        self_hostname: Some("edge".to_owned()),
    })
}

impl Specimen for ForwardSettings {
    const VARIANTS: usize = 3;
    const TEXT: bool = false;

    fn takes(format: Format) -> bool {
        format == Format::default()
    }

    async fn subject(variant: usize, cx: &OutputContext) -> Subject {
        let user = Some(("ada", "lovelace"));
        let security = (variant == 2).then(|| key(user));
        let collector = Collector::start(Manner { security, ..Manner::default() });
        let mut settings = to(&[collector.address()]);
        settings.tag = Template::parse("{@tag|none}").unwrap();
        match variant {
            1 => settings.compression = Compression::Gzip,
            2 => {
                settings.compression = Compression::Zstd;
                settings.security = knows("key", user);
                settings.keepalive_timeout = Span(Duration::ZERO);
            }
            _ => {}
        }
        let output = settings.open(cx).unwrap();
        settings.tag = Template::parse("{k}").unwrap();
        let by_field = Some(settings.open(cx).unwrap());
        let read = move || Found::Messages(Collector::lines(&collector.taken));
        Subject { output, read: Some(Box::new(read)), by_field, cut: None }
    }
}

#[tokio::test]
async fn time_tag_and_metadata_stand_where_the_protocol_has_them() {
    let collector = Collector::start(Manner::default());
    let mut settings = to(&[collector.address()]);
    settings.tag = Template::parse("edge.{@tag}").unwrap();
    settings.metadata_field = Some("metadata".to_owned());
    let written = open(&settings)
        .write_batch(&records(&[
            r#"{"@timestamp":"2023-11-14T22:13:20.25Z","@tag":"a","n":1,"metadata":{"id":5}}"#,
            r#"{"@timestamp":"1969-12-31T23:59:59Z","@tag":"b","n":2,"metadata":"no object"}"#,
            r#"{"@tag":"a","n":3}"#,
        ]))
        .await
        .unwrap();
    assert!(written.refused.is_empty() && written.again.is_none() && written.bytes > 0, "{written:?}");
    let events = collector.events();
    let [one, three, two] = &events[..] else { panic!("{events:?}") };
    assert_eq!((one.tag.as_str(), one.time), ("edge.a", (1_700_000_000, 250_000_000)));
    assert_eq!((&one.metadata, &one.record), (&json!({"id": 5}), &json!({"n": 1})));
    assert_eq!((two.tag.as_str(), two.time), ("edge.b", (0, 0)));
    assert_eq!(two.record, json!({"@timestamp": "1969-12-31T23:59:59Z", "n": 2, "metadata": "no object"}));
    // The clock of the context.
    assert_eq!((three.tag.as_str(), three.time), ("edge.a", (1_700_000_000, 0)));
    assert_eq!((&three.metadata, &three.record), (&json!({}), &json!({"n": 3})));
}

#[tokio::test]
async fn encoding_names_the_fields_and_the_time_may_be_one_too() {
    let collector = Collector::start(Manner::default());
    let encoding: Encoding =
        serde_json::from_value(json!({"timestamp": "time", "timestamp_format": "unix", "except": ["m"]}))
            .unwrap();
    let output = to(&[collector.address()]).open(&context_with(encoding, Framing::Lines)).unwrap();
    let line = r#"{"@timestamp":"2023-11-14T22:13:20Z","n":1,"m":2}"#;
    output.write_batch(&records(&[line])).await.unwrap();
    assert_eq!(collector.events()[0].record, json!({"time": 1_700_000_000, "n": 1}));
}

#[tokio::test]
async fn a_chunk_whose_connection_breaks_before_its_answer_comes_again_under_its_id() {
    let collector = Collector::start(Manner { lost: 2, ..Manner::default() });
    let output = open(&to(&[collector.address()]));
    let batch = numbered(0, 20);
    for _ in 0..2 {
        let written = output.write_batch(&batch).await.unwrap();
        let (rows, error) = written.again.unwrap();
        assert_eq!((rows.len(), error.kind()), (20, "unreachable"));
    }
    assert!(output.write_batch(&batch).await.unwrap().again.is_none());
    output.write_batch(&numbered(20, 20)).await.unwrap();
    let ids = collector.ids();
    assert_eq!((&ids[0], &ids[1]), (&ids[1], &ids[2]));
    assert_ne!(ids[2], ids[3]);
    assert_eq!((collector.events().len(), collector.taken.lock().connections), (40, 3));
}

#[tokio::test]
async fn a_chunk_that_is_not_answered_in_time_comes_again() {
    let collector = Collector::start(Manner { mute: true, ..Manner::default() });
    let mut settings = to(&[collector.address()]);
    settings.ack_timeout = Span(Duration::from_millis(50));
    let written = open(&settings).write_batch(&numbered(0, 3)).await.unwrap();
    let (rows, error) = written.again.unwrap();
    assert_eq!(rows, [0, 1, 2]);
    assert!(error.to_string().contains("no answer to a chunk"), "{error}");
}

#[tokio::test]
async fn a_connection_that_the_server_ended_while_it_rested_costs_nothing() {
    let collector = Collector::start(Manner { closes: true, ..Manner::default() });
    let output = open(&to(&[collector.address()]));
    for n in 0..20 {
        let written = output.write_batch(&numbered(n, 1)).await.unwrap();
        // The server may end the connection behind the kernel's back; then it is as with any other that breaks.
        if written.again.is_some() {
            assert!(output.write_batch(&numbered(n, 1)).await.unwrap().again.is_none());
        }
    }
    assert_eq!(collector.events().len(), 20);
}

#[tokio::test]
async fn without_acks_a_chunk_has_no_id_and_is_delivered_when_it_is_sent() {
    let collector = Collector::start(Manner { mute: true, ..Manner::default() });
    let output = open(&ForwardSettings { require_ack: false, ..to(&[collector.address()]) });
    assert!(output.write_batch(&numbered(0, 100)).await.unwrap().again.is_none());
    while collector.events().len() < 100 {
        tokio::task::yield_now().await;
    }
    assert!(collector.ids().is_empty());
}

#[tokio::test]
async fn a_server_that_is_down_is_passed_over_and_standby_takes_its_place() {
    let (standby, gone) = (Collector::start(Manner::default()), flitch_tests::ports::free());
    let mut settings = to(&[format!("127.0.0.1:{gone}")]);
    let address = standby.address().parse().unwrap();
    settings.servers.push(Server::Weighted(WeightedServer { address, weight: 1, standby: true }));
    let output = open(&settings);
    for n in 0..10 {
        assert!(output.write_batch(&numbered(n, 1)).await.unwrap().again.is_none());
    }
    assert_eq!(standby.events().len(), 10);
    let error = output.probe().await.unwrap_err().to_string();
    assert!(error.contains(&format!("127.0.0.1:{gone}")), "{error}");
}

#[tokio::test]
async fn a_key_or_user_that_is_wrong_or_missing_is_an_affair_of_the_operator() {
    let user = Some(("ada", "lovelace"));
    let collector = Collector::start(Manner { security: Some(key(user)), ..Manner::default() });
    for (security, told) in [
        (knows("other", user), "shared_key mismatch"),
        (knows("key", Some(("ada", "byron"))), "username/password mismatch"),
        (knows("key", None), "username/password mismatch"),
        (None, "shared key"),
    ] {
        let output = open(&ForwardSettings { security, ..to(&[collector.address()]) });
        let (_, error) = output.write_batch(&numbered(0, 3)).await.unwrap().again.unwrap();
        assert!(error.kind() == "denied" && error.to_string().contains(told), "{told}: {error}");
        let error = output.probe().await.unwrap_err();
        assert!(error.kind() == "denied" && error.to_string().contains(told), "{told}: {error}");
    }
    assert!(collector.events().is_empty());
}

#[test]
fn settings_that_make_no_sense_are_refused_by_their_key() {
    let good = || to(&["localhost:24224".to_owned()]);
    let weighted = |weight, standby| {
        let address = "localhost:24224".parse().unwrap();
        vec![Server::Weighted(WeightedServer { address, weight, standby })]
    };
    let template = |text| Template::parse(text).unwrap();
    let halfway = ClientSecurity { password: None, ..knows("key", Some(("ada", "lovelace"))).unwrap() };
    for (wrong, key) in [
        (ForwardSettings { servers: vec![], ..good() }, "servers"),
        (to(&["a:1".to_owned(), "a:1".to_owned()]), "servers"),
        (to(&["a:0".to_owned()]), "servers"),
        (ForwardSettings { servers: weighted(0, false), ..good() }, "servers"),
        (ForwardSettings { servers: weighted(1, true), ..good() }, "servers"),
        (ForwardSettings { tag: template(""), ..good() }, "tag"),
        (ForwardSettings { tag: template("{{ app }}"), ..good() }, "tag"),
        (ForwardSettings { metadata_field: Some("a.b".to_owned()), ..good() }, "metadata_field"),
        (ForwardSettings { security: Some(halfway), ..good() }, "security"),
        (ForwardSettings { security: knows("", None), ..good() }, "security.shared_key"),
    ] {
        let error = wrong.open(&context()).err().unwrap_or_else(|| panic!("{wrong:?}"));
        assert_eq!(error.downcast_ref::<Wrong>().map(Wrong::key), Some(key), "{error:#}");
    }
}
