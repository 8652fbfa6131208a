//! Goes back to where a partition is safe, after records of it came back, and to what there is, after the brokers have lost
//! what was read.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use flitch_core::buffers::Closed;
use flitch_core::receipt::Watermark;

use super::super::offsets::beginnings;
use super::super::partition::{Partition, State};
use super::{AGAIN, Reader};

/// How long a seek may take, which waits for nobody but a thread of the client.
const SEEK: Duration = Duration::from_secs(1);

impl Reader {
    /// Brings partitions that are not as they should be to where they are read again. Answers when to look again.
    pub(super) fn mend(&mut self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        let wanted = |partition: &Partition| match partition.state {
            State::GoBack(at) | State::ReadOn(at) => Some((partition.topic.clone(), partition.number, at)),
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
        let goes_back = matches!(partition.state, State::GoBack(_));
        if goes_back {
            // The record whose next lines are to come is read again too.
            self.out.cx.forget(partition.stream);
        }
        let later = now + AGAIN;
        let offset = match partition.mark.safe() {
            // What was sent is on its way.
            Some(_) if !goes_back => Ok(Some(partition.sent)),
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
                self.trouble.nowhere(topic, number, self.settings.start);
                partition.state = State::GoBack(later);
                return Some(later);
            }
            Err(error) => Err(error),
        };
        let offset = match sought {
            Ok(offset) => offset,
            Err(error) => {
                self.trouble.tell(&error, &self.news, &self.settings);
                partition.state = if goes_back { State::GoBack(later) } else { State::ReadOn(later) };
                return Some(later);
            }
        };
        if goes_back && partition.mark.failed() {
            self.trouble.came_back(topic, number, offset);
        }
        if partition.mark.safe().is_none() {
            partition.mark = Watermark::new(Some(offset));
        } else if goes_back {
            partition.mark.restart();
        }
        (partition.next, partition.sent, partition.heard) = (offset, offset, offset);
        partition.state = State::Reading;
        None
    }

    /// Where the next message of the partition that is read stands, if that is below its position.
    ///
    /// librdkafka hands out nothing below the offset at which it was told to fetch, and nothing that it had fetched before it was
    /// told so. So such a message means that the brokers had none at that offset, and that it began with what they have: the
    /// topic was deleted and made anew, or the leader of the partition had not got all of it.
    pub(super) fn lies_below(&self) -> Option<i64> {
        let (_, topic, number) = self.current.as_ref()?;
        let partition = self.partitions.get(topic)?.get(number)?;
        let offset = self.queue.peek_offset();
        offset.filter(|_| partition.is_above(offset))
    }

    /// Sets the position of the partition that is read to a message below it. What was sent of it goes on, and moves no position.
    /// Answers false where the pipelines have no room for a record that was open in it; then the position stands.
    pub(super) fn begin_anew(&mut self, offset: i64) -> Result<bool, Closed> {
        let Some((_, topic, number)) = &self.current else { return Ok(true) };
        let Some(partition) = self.partitions.get_mut(topic).and_then(|t| t.get_mut(number)) else {
            return Ok(true);
        };
        // Its next lines are gone with what was read.
        self.out.end(partition.stream)?;
        if self.out.is_blocked() {
            return Ok(false);
        }
        self.trouble.began_anew(topic, *number, partition.next, offset);
        partition.mark = Watermark::new(Some(offset));
        (partition.next, partition.sent, partition.committed) = (offset, offset, None);
        partition.state = State::Reading;
        Ok(true)
    }

    /// The position of the group in a partition of which it had none.
    fn placed(&self, topic: &str, number: i32) -> Result<Option<i64>, KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, number);
        let found = beginnings(&self.consumer, &list, self.settings.start, &self.there)?;
        Ok(found.first().and_then(|beginning| beginning.offset))
    }
}
