//! What is read, and where it begins.

use super::*;

/// Puts the position of a group somewhere.
fn place(group: &str, topic: &str, offset: i64) {
    let consumer: BaseConsumer<rdkafka::consumer::DefaultConsumerContext> = ClientConfig::new()
        .set("bootstrap.servers", cluster().bootstrap_servers())
        .set("group.id", group)
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, rdkafka::Offset::Offset(offset)).unwrap();
    consumer.commit(&list, rdkafka::consumer::CommitMode::Sync).unwrap();
}

/// As after a topic was made anew, or a leader had not got all of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_ends_before_the_position_is_read_from_its_beginning_and_the_position_goes_back() {
    topic("anew", 1);
    write("anew", 0, &[b"one", b"two"]);
    place("anew", "anew", 100);
    let source = Running::with(&settings(&["anew"], "anew"), Cut { rows: 1, ..Cut::default() }).await;
    assert_eq!(source.texts(2).await, ["one", "two"]);
    // From there on all is as ever: what comes back is read again.
    write("anew", 0, &[b"three"]);
    drop(source.batch().await);
    assert_eq!(source.texts(1).await, ["three"]);
    write("anew", 0, &[b"four"]);
    assert_eq!(source.texts(1).await, ["four"]);
    source.end().await;
    assert_eq!(committed("anew", "anew", 0), Some(4));
}
