//! What becomes of a message set that brokers refuse for one of its records.

use super::*;
use flitch_core::units::Span;

/// An output that gathers all records of a write in one message set.
fn gathering(cluster: &Cluster) -> Kafka {
    cluster.create_topic("one", 1, 1).unwrap();
    let mut settings = settings(cluster, "one");
    settings.linger = Span(Duration::from_millis(300));
    open("out", &settings).unwrap()
}

#[tokio::test]
async fn a_record_that_brokers_find_invalid_costs_no_other_of_its_message_set() {
    let errors = [
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD, "without a key"),
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, "message.timestamp.after.max.ms"),
    ];
    for (error, hint) in errors {
        let cluster = cluster(1);
        let kafka = gathering(&cluster);
        // The set is refused, and then the first of the records that are sent by themselves.
        cluster.request_errors(RDKafkaApiKey::Produce, &[error, error]);
        let written = kafka.write_batch(&records("message", &["bad", "good", "fine"])).await.unwrap();
        assert!(written.again.is_none(), "{written:?}");
        let [refusal] = &written.refused[..] else { panic!("{written:?}") };
        assert_eq!(refusal.row, 0);
        assert!(refusal.reason.contains(hint), "{}", refusal.reason);
        let good = expected(&records("message", &["good", "fine"]));
        assert_eq!(written.bytes, good.iter().map(|value| value.len() as u64).sum::<u64>());
        assert_eq!(values(read(&cluster, "one", 2)), good);
    }
}

#[tokio::test]
async fn records_of_a_set_that_was_refused_for_another_write_arrive() {
    let cluster = cluster(1);
    let kafka = gathering(&cluster);
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD]);
    let records = records("message", &["one", "two"]);
    let written = kafka.write_batch(&records).await.unwrap();
    assert!(written.refused.is_empty() && written.again.is_none(), "{written:?}");
    assert_eq!(values(read(&cluster, "one", 2)), expected(&records));
}

#[tokio::test]
async fn a_message_set_that_the_broker_finds_too_large_is_to_be_halved() {
    let cluster = cluster(1);
    let kafka = gathering(&cluster);
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    let error = kafka.write_batch(&records("message", &["one", "two"])).await.unwrap_err();
    assert!(matches!(error, WriteError::Poison { .. }), "{error}");
}

#[tokio::test]
async fn a_record_is_too_large_only_if_it_is_so_by_itself() {
    let cluster = cluster(1);
    let kafka = gathering(&cluster);
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    // It may have travelled with records of other writes.
    cluster.request_errors(RDKafkaApiKey::Produce, &[error]);
    let written = kafka.write_batch(&records("message", &["one"])).await.unwrap();
    assert!(written.refused.is_empty() && written.again.is_none(), "{written:?}");
    cluster.request_errors(RDKafkaApiKey::Produce, &[error, error]);
    let written = kafka.write_batch(&records("message", &["two"])).await.unwrap();
    assert_eq!(written.refused.len(), 1, "{written:?}");
}

#[tokio::test]
async fn brokers_that_go_meanwhile_refuse_no_record() {
    let cluster = cluster(1);
    let kafka = gathering(&cluster);
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        ],
    );
    let error = kafka.write_batch(&records("message", &["one"])).await.unwrap_err();
    assert!(matches!(error, WriteError::Denied { .. }), "{error}");
    kafka.write_batch(&records("message", &["one"])).await.unwrap();
}
