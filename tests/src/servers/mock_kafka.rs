//! librdkafka's mock cluster, for faults that no real broker can be asked for. It lives in this process
//! and its records in memory; other processes can talk to it. No TLS, no SASL.

use std::time::Duration;

use anyhow::Result;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

/// A mock cluster with brokers 1 to n.
pub struct MockKafka {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl MockKafka {
    /// Starts `brokers` brokers.
    pub fn start(brokers: i32) -> Result<MockKafka> {
        Ok(MockKafka { cluster: MockCluster::new(brokers)? })
    }

    /// `host:port` of every broker.
    pub fn bootstrap(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Creates a topic.
    pub fn create_topic(&self, name: &str, partitions: i32, replicas: i32) -> Result<()> {
        Ok(self.cluster.create_topic(name, partitions, replicas)?)
    }

    /// The next produce requests are answered with these errors, one each.
    pub fn produce_errors(&self, errors: &[RDKafkaRespErr]) {
        self.cluster.request_errors(RDKafkaApiKey::Produce, errors);
    }

    /// Takes back what [`MockKafka::produce_errors`] has set and was not used.
    pub fn clear_produce_errors(&self) {
        self.cluster.clear_request_errors(RDKafkaApiKey::Produce);
    }

    /// Metadata requests for the topic are answered with this error.
    pub fn topic_error(&self, topic: &str, error: RDKafkaRespErr) -> Result<()> {
        Ok(self.cluster.topic_error(topic, error)?)
    }

    /// Makes `broker` the leader of a partition.
    pub fn move_leader(&self, topic: &str, partition: i32, broker: i32) -> Result<()> {
        Ok(self.cluster.partition_leader(topic, partition, Some(broker))?)
    }

    /// Cuts a broker off. Its partitions keep it as their leader: see [`MockKafka::move_leader`].
    pub fn down(&self, broker: i32) -> Result<()> {
        Ok(self.cluster.broker_down(broker)?)
    }

    /// Brings a broker back.
    pub fn up(&self, broker: i32) -> Result<()> {
        Ok(self.cluster.broker_up(broker)?)
    }

    /// Every answer of a broker comes this much later.
    pub fn delay(&self, broker: i32, time: Duration) -> Result<()> {
        Ok(self.cluster.broker_round_trip_time(broker, time)?)
    }
}
