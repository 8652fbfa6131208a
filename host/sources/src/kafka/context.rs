//! What librdkafka tells a consumer outside of messages: the news of its client, partitions that come and go, and what
//! became of commits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;

/// What the group wants of a member.
pub(super) enum Rebalance {
    /// To read these partitions.
    Assign(TopicPartitionList),
    /// To leave these partitions to others.
    Revoke(TopicPartitionList),
}

/// What one consumer was told and has not done yet.
#[derive(Default)]
pub(super) struct Told {
    /// In the order in which it came.
    pub rebalances: Mutex<VecDeque<Rebalance>>,
    /// The last commit that failed.
    pub failed_commit: Mutex<Option<KafkaError>>,
    /// The consumer leaves the group: there is nobody to do anything.
    pub is_leaving: AtomicBool,
}

/// Takes the news of one consumer to its source.
pub(super) struct Context {
    pub client: flitch_kafka::Context,
    pub told: Arc<Told>,
}

flitch_kafka::client_context!(Context);

impl ConsumerContext for Context {
    /// Notes what is wanted: partitions that go to others are held until their records are safe, and meanwhile the others
    /// are read on.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let is_assigned = error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.told.is_leaving.load(Ordering::Acquire) {
            if !is_assigned {
                release(consumer, partitions).ok();
            }
            return;
        }
        let partitions = partitions.clone();
        let wanted = if is_assigned { Rebalance::Assign(partitions) } else { Rebalance::Revoke(partitions) };
        self.told.rebalances.lock().push_back(wanted);
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            *self.told.failed_commit.lock() = Some(error);
        }
    }
}

/// Begins to read these partitions, each at the offset that it has in the list.
pub(super) fn assign(consumer: &BaseConsumer<Context>, partitions: &TopicPartitionList) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_assign(partitions),
        _ => consumer.assign(partitions),
    }
}

/// Leaves these partitions to others.
pub(super) fn release(consumer: &BaseConsumer<Context>, partitions: &TopicPartitionList) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(partitions),
        _ => consumer.unassign(),
    }
}
