use rdkafka::mocking::MockCluster;

use super::*;
use crate::contract::{Found, Specimen, Subject};

const NAMESPACE: &str =
    "Endpoint=sb://clicks.servicebus.windows.net/;SharedAccessKeyName=k;SharedAccessKey=c2VjcmV0";

fn settings(more: &str) -> EventHubsSettings {
    serde_json::from_str(&format!("{{ {more} }}")).unwrap()
}

fn by_string(more: &str) -> EventHubsSettings {
    settings(&format!(r#""connection_string": "{NAMESPACE}", {more}"#))
}

impl Specimen for EventHubsSettings {
    const FRAMING: Framing = Framing::Messages;

    /// Over a cluster that speaks neither TLS nor SASL.
    async fn subject(_: usize, cx: &OutputContext) -> Subject {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("logs", 3, 1).unwrap();
        let endpoint = cluster.bootstrap_servers();
        let plain = move |hub: &str| {
            by_string(&format!(
                r#""hub": "{hub}", "endpoint": "{endpoint}", "options": {{ "security.protocol": "plaintext" }}"#
            ))
        };
        let mut by_field = plain("{k}");
        by_field.key = Some(Template::parse("{k}").unwrap());
        let output = plain("logs").open(cx).unwrap();
        let by_field = Some(by_field.open(cx).unwrap());
        let read = move || Found::Messages(crate::kafka::tests::everything(&cluster));
        Subject { output, read: Some(Box::new(read)), by_field, cut: None }
    }
}

#[test]
fn all_that_event_hubs_need_follows_from_the_connection_string() {
    let kafka = by_string(r#""hub": "hits", "options": { "linger.ms": 7 }"#).kafka().unwrap();
    let client = kafka.client("out").unwrap();
    for (option, value) in [
        ("bootstrap.servers", "clicks.servicebus.windows.net:9093"),
        ("security.protocol", "sasl_ssl"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", "$ConnectionString"),
        ("sasl.password", NAMESPACE),
        ("compression.type", "none"),
        ("message.max.bytes", "1000000"),
        ("connections.max.idle.ms", "180000"),
        ("metadata.max.age.ms", "180000"),
        ("request.timeout.ms", "60000"),
        ("linger.ms", "7"),
    ] {
        assert_eq!(client.get(option), Some(value), "{option}");
    }
    assert_eq!(kafka.topic.to_string(), "hits");
}

#[test]
fn the_hub_of_the_connection_string_is_the_one_where_no_other_is_named() {
    let text = format!("{NAMESPACE};EntityPath=own");
    let kafka = settings(&format!(r#""connection_string": "{text}""#)).kafka().unwrap();
    assert_eq!(kafka.topic.to_string(), "own");
    let error = by_string(r#""key": "k""#).kafka().unwrap_err();
    assert!(format!("{error:#}").contains("`hub` is missing"), "{error:#}");
}

#[test]
fn gzip_is_for_tiers_that_take_it() {
    let error = by_string(r#""hub": "h", "compression": "gzip""#).kafka().unwrap_err();
    assert!(format!("{error:#}").contains("premium and dedicated"), "{error:#}");
    by_string(r#""hub": "h", "compression": "gzip", "tier": "premium""#).kafka().unwrap();
}

#[test]
fn a_namespace_and_an_identity_make_tokens_the_way_in() {
    let auth = r#""namespace": "clicks", "hub": "h", "auth": { "managed_identity": {} }"#;
    let kafka = settings(auth).kafka().unwrap();
    let client = kafka.client("out").unwrap();
    assert_eq!(client.get("sasl.mechanism"), Some("OAUTHBEARER"));
    assert_eq!(client.get("security.protocol"), Some("sasl_ssl"));
    assert!(kafka.connection().tokens().is_some());
}
