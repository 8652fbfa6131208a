//! Goes past what stands before the end of a partition and is no message.

use std::collections::HashMap;

use rdkafka::Offset;
use rdkafka::consumer::Consumer;

use flitch_core::buffers::Closed;

use super::super::partition::{Partition, State};
use super::Reader;

impl Reader {
    /// Moves the positions of partitions of which all was taken past marks of transactions, which the client hands out to
    /// nobody, and past messages that were deleted before they were read. Else a group would be behind until the next message,
    /// which may never come.
    pub(super) fn pass_over(&mut self) -> Result<(), Closed> {
        let Reader { partitions, queue, gather, out, trouble, consumer, .. } = self;
        let is_behind = |partition: &&mut Partition| {
            partition.state == State::Reading && partition.sent == partition.next && !partition.mark.failed()
        };
        let mut behind = Vec::new();
        for partition in partitions.values_mut().flat_map(HashMap::values_mut).filter(is_behind) {
            if let Some((low, end)) = queue.bounds(&partition.topic, partition.number)
                && partition.next < end
            {
                behind.push((partition, low));
            }
        }
        // What was fetched before the bounds were told is in the queue.
        if behind.is_empty() || out.is_blocked() || queue.peek().is_some() {
            return Ok(());
        }
        let Ok(places) = consumer.position() else { return Ok(()) };
        for (partition, low) in behind {
            let place = places.find_partition(&partition.topic, partition.number);
            if let Some(Offset::Offset(place)) = place.map(|place| place.offset())
                && place > partition.heard
            {
                // It lies behind all that was handed out, so that what stands between is no message.
                partition.next = partition.next.max(place);
            }
            if low > partition.next {
                trouble.overrun(&partition.topic, partition.number, partition.next, low - partition.next);
                partition.next = low;
            }
            if partition.sent < partition.next {
                out.send(partition, gather)?;
            }
        }
        Ok(())
    }
}
