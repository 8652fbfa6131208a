//! Keys as they are, and topics that records name.

use super::*;
use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::setting::Wrong;

#[tokio::test]
async fn an_empty_key_is_a_key_and_bytes_of_a_key_stay_what_they_are() {
    let cluster = cluster(1);
    for with_headers in [false, true] {
        let topic = format!("keys.{with_headers}");
        cluster.create_topic(&topic, 1, 1).unwrap();
        let mut settings = settings(&cluster, &topic);
        settings.key = Some(Template::parse("{k}").unwrap());
        if with_headers {
            settings.headers.insert("k".into(), Template::parse("{k}").unwrap());
        }
        let mut builder = Builder::new();
        let column = builder.raw_column("k");
        for key in [Some(&b""[..]), Some(b"\xff\x00"), Some(b"text"), None] {
            builder.begin_record();
            key.iter().for_each(|key| builder.at(column).text(key));
            builder.end_record();
        }
        let records = Arc::new(builder.finish(InvalidUtf8::Bytes, &Constants::new()).records);
        open("out", &settings).unwrap().write_batch(&records).await.unwrap();
        let mut keys: Vec<_> = read(&cluster, &topic, 4).into_iter().map(|m| m.key).collect();
        keys.sort();
        assert_eq!(keys, [None, Some(vec![]), Some(b"text".to_vec()), Some(b"\xff\x00".to_vec())]);
    }
}

#[test]
fn a_topic_that_a_record_names_has_a_moment_to_be_made_and_one_that_the_user_names_has_longer() {
    let patience = |topic: &str| {
        let settings = KafkaSettings::new("a:1", Template::parse(topic).unwrap());
        let client = settings.client("out").unwrap();
        client.get("topic.metadata.propagation.max.ms").unwrap().parse::<u64>().unwrap()
    };
    assert_eq!((patience("logs.{app}"), patience("logs")), (2_000, 30_000));
}

#[test]
fn a_key_as_another_collector_writes_it_is_refused() {
    let key = |text: &str| {
        let topic = Template::parse("logs").unwrap();
        let key = Some(Template::parse(text).unwrap());
        KafkaSettings { key, ..KafkaSettings::new("a:1", topic) }.client("out").map(|_| ())
    };
    for text in ["{{ app }}", "%{app}"] {
        let error = key(text).unwrap_err();
        assert_eq!(error.downcast_ref::<Wrong>().map(Wrong::key), Some("key"), "{error:#}");
    }
    key("{app}").unwrap();
}
