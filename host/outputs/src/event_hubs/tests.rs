use arrow_array::{ArrayRef, StringArray};
use flitch_core::batch::{Kind, Records};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::WriteError;
use crate::contract::{self, Found, Specimen, Subject, WriteBatch};

const NAMESPACE: &str =
    "Endpoint=sb://clicks.servicebus.windows.net/;SharedAccessKeyName=k;SharedAccessKey=c2VjcmV0";

fn settings(more: &str) -> EventHubsSettings {
    serde_json::from_str(&format!("{{ {more} }}")).unwrap()
}

fn by_string(more: &str) -> EventHubsSettings {
    settings(&format!(r#""connection_string": "{NAMESPACE}", {more}"#))
}

fn cluster() -> MockCluster<'static, rdkafka::producer::DefaultProducerContext> {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("logs", 3, 1).unwrap();
    cluster
}

/// Settings of a hub for a cluster that speaks neither TLS nor SASL.
fn plain(
    cluster: &MockCluster<'static, rdkafka::producer::DefaultProducerContext>,
    hub: &str,
) -> EventHubsSettings {
    let endpoint = cluster.bootstrap_servers();
    by_string(&format!(
        r#""hub": "{hub}", "endpoint": "{endpoint}", "options": {{ "security.protocol": "plaintext" }}"#
    ))
}

impl Specimen for EventHubsSettings {
    const FRAMING: Framing = Framing::Messages;

    async fn subject(_: usize, cx: &OutputContext) -> Subject {
        let cluster = cluster();
        let mut by_field = plain(&cluster, "{k}");
        by_field.key = Some(Template::parse("{k}").unwrap());
        let output = plain(&cluster, "logs").open(cx).unwrap();
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
    for (hub, name) in [("my hits", "my hits"), ("my {@tag}", "my a")] {
        let error = by_string(&format!(r#""hub": "{hub}""#)).kafka().unwrap_err();
        assert!(format!("{error:#}").contains(&format!("`hub`: there can be no hub `{name}`")), "{error:#}");
    }
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

#[tokio::test]
async fn a_namespace_that_has_no_more_throughput_is_busy_and_takes_the_same_records_later() {
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR_POLICY_VIOLATION as POLICY, RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED as QUOTA,
    };
    let cluster = cluster();
    let output = plain(&cluster, "logs").open(&contract::context()).unwrap();
    let values: ArrayRef = Arc::new(StringArray::from(vec!["one"]));
    let records = Records::of(1, vec![(Arc::new(Kind::Text.field("m")), values)], vec![]).unwrap();
    let records = Arc::new(records);
    for error in [POLICY, QUOTA] {
        cluster.request_errors(RDKafkaApiKey::Produce, &[error]);
        let busy = output.write_batch(&records).await.unwrap_err();
        let WriteError::Busy { reason, .. } = busy else { panic!("{busy:?}") };
        assert!(reason.contains("more comes than"), "{reason}");
    }
    let written = output.write_batch(&records).await.unwrap();
    assert!(written.refused.is_empty() && written.again.is_none(), "{written:?}");
    assert_eq!(crate::kafka::tests::everything(&cluster), [br#"{"m":"one"}"#]);
}
