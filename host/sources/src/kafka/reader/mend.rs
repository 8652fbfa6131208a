//! Goes back to where a partition is safe, after records of it came back.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::super::partition::{Partition, State};
use super::{AGAIN, Reader};

/// How long a seek may take, which waits for nobody but a thread of the client.
const SEEK: Duration = Duration::from_secs(1);

impl Reader {
    /// Brings partitions that are not as they should be to where they are read again. Answers when to look again.
    pub(super) fn mend(&mut self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        let wanted = |partition: &Partition| match partition.state {
            State::GoBack(at) => Some((partition.topic.clone(), partition.number, at)),
            State::Reading | State::Leaving => None,
        };
        let all: Vec<_> = self.partitions.values().flat_map(HashMap::values).filter_map(wanted).collect();
        for (topic, number, at) in all {
            let at = if at <= now { self.mend_one(&topic, number, now) } else { Some(at) };
            next = next.into_iter().chain(at).min();
        }
        self.is_uneasy = next.is_some();
        next
    }

    fn mend_one(&mut self, topic: &str, number: i32, now: Instant) -> Option<Instant> {
        self.forget(topic, number);
        let partition = self.partitions.get(topic)?.get(&number)?;
        // The record whose next lines are to come is read again too.
        self.out.cx.forget(partition.stream);
        let later = now + AGAIN;
        let offset = match partition.mark.safe() {
            Some(safe) => Ok(Some(safe)),
            None => self.placed(topic, number),
        };
        let partition = self.partitions.get_mut(topic)?.get_mut(&number)?;
        if partition.mark.safe().is_none() && matches!(offset, Ok(Some(_))) {
            let mut list = TopicPartitionList::new();
            list.add_partition(topic, number);
            self.consumer.resume(&list).ok();
        }
        let sought = match offset {
            Ok(Some(offset)) => {
                self.consumer.seek(topic, number, Offset::Offset(offset), SEEK).map(|()| offset)
            }
            Ok(None) => {
                self.trouble.nowhere(topic, number);
                partition.state = State::GoBack(later);
                return Some(later);
            }
            Err(error) => Err(error),
        };
        let offset = match sought {
            Ok(offset) => offset,
            Err(error) => {
                self.trouble.tell(&error, &self.news, &self.settings);
                partition.state = State::GoBack(later);
                return Some(later);
            }
        };
        let source = &self.out.cx.name;
        if partition.mark.failed() {
            tracing::warn!(%source, topic, partition = number, from = offset, "records came back; they are read again");
        }
        if partition.mark.safe().is_none() {
            partition.mark = flitch_core::receipt::Watermark::new(Some(offset));
        } else {
            partition.mark.restart();
        }
        (partition.next, partition.sent, partition.state) = (offset, offset, State::Reading);
        None
    }

    /// The position of the group in a partition of which it had none.
    fn placed(&self, topic: &str, number: i32) -> Result<Option<i64>, KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, number);
        let found = super::super::offsets::beginnings(&self.consumer, &list, self.settings.start)?;
        Ok(found.first().and_then(|beginning| beginning.offset))
    }
}
