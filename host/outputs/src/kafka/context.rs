//! What librdkafka tells a producer outside of answers: the news of its client, and delivery reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::Notify;

use super::produce::Row;

/// The queue of one producer.
#[derive(Default)]
pub(super) struct Queue {
    /// Somebody waits for room in it.
    pub crowded: AtomicBool,
    /// Told when a message leaves it while it is crowded.
    pub room: Notify,
}

/// Takes the news of one producer to its output.
pub(super) struct Context {
    pub client: flitch_kafka::Context,
    pub queue: Arc<Queue>,
}

flitch_kafka::client_context!(Context);

impl ProducerContext for Context {
    type DeliveryOpaque = Row;

    fn delivery(&self, result: &DeliveryResult<'_>, row: Row) {
        match result {
            Ok(_) => row.settle(None),
            Err((error, _)) => {
                row.settle(Some(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)));
            }
        }
        if self.queue.crowded.swap(false, Ordering::AcqRel) {
            self.queue.room.notify_waiters();
        }
    }
}
