use std::path::Path;

use super::*;
use crate::contract::Specimen;

fn settings(more: &str) -> EventHubsSettings {
    let text = "Endpoint=sb://clicks.servicebus.windows.net/;SharedAccessKeyName=k;SharedAccessKey=c2VjcmV0";
    serde_json::from_str(&format!(r#"{{ "connection_string": "{text}", "group": "g", {more} }}"#)).unwrap()
}

impl Specimen for EventHubsSettings {
    const SENDS_AGAIN: bool = true;

    /// Over a cluster that speaks neither TLS nor SASL.
    fn specimen(folder: &Path) -> EventHubsSettings {
        let KafkaSettings { brokers, topics, group, mut options, .. } = KafkaSettings::specimen(folder);
        let more = format!(r#""hub": {topics:?}, "endpoint": "{}""#, brokers[0]);
        options.insert("security.protocol".into(), serde_json::from_str("\"plaintext\"").unwrap());
        EventHubsSettings { group, options, ..settings(&more) }
    }

    async fn feed(&self, folder: &Path) -> Vec<String> {
        self.kafka().unwrap().feed(folder).await
    }
}

#[test]
fn all_that_event_hubs_need_follows_from_the_connection_string() {
    let kafka = settings(r#""hub": "hits""#).kafka().unwrap();
    kafka.check().unwrap();
    let client = kafka.client("in").unwrap();
    for (option, value) in [
        ("bootstrap.servers", "clicks.servicebus.windows.net:9093"),
        ("security.protocol", "sasl_ssl"),
        ("sasl.username", "$ConnectionString"),
        ("session.timeout.ms", "30000"),
        ("heartbeat.interval.ms", "3000"),
        ("group.id", "g"),
    ] {
        assert_eq!(client.get(option), Some(value), "{option}");
    }
    for (wrong, told) in [
        (r#""tag": "x""#, "`hub` is missing"),
        (r#""hub": "my hits""#, "`hub`: there can be no hub `my hits`"),
        (r#""hub": ["hits", "^h.*", "a/b"]"#, "`hub[2]`"),
    ] {
        let error = settings(wrong).check().unwrap_err();
        assert!(format!("{error:#}").contains(told), "{error:#}");
    }
}
