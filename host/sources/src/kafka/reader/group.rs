//! What the group wants of a member: partitions that come, and partitions that go.

use std::time::Instant;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::super::context::{Rebalance, assign, release};
use super::super::offsets::{Beginning, beginnings};
use super::super::partition::State;
use super::{AGAIN, Reader};

impl Reader {
    /// Does what the group wants, in the order in which it wants it.
    pub(super) fn rebalance(&mut self, now: Instant) {
        loop {
            let Some(wanted) = self.told.rebalances.lock().pop_front() else { return };
            let is_done = match &wanted {
                Rebalance::Assign(partitions) => self.assign(partitions, now),
                Rebalance::Revoke(partitions) => self.revoke(partitions, now),
            };
            if !is_done {
                self.told.rebalances.lock().push_front(wanted);
                return;
            }
            self.rebalances.increment(1);
        }
    }

    /// Leaves partitions to other members, once what is on its way of them is safe, or has taken too long.
    fn revoke(&mut self, list: &TopicPartitionList, now: Instant) -> bool {
        let elements = list.elements();
        let of: Vec<(&str, i32)> = elements.iter().map(|e| (e.topic(), e.partition())).collect();
        let is_lost = self.consumer.assignment_lost();
        let mut is_waiting = false;
        for (topic, number) in &of {
            self.forget(topic, *number);
            let Some(partition) = self.partitions.get_mut(*topic).and_then(|t| t.get_mut(number)) else {
                continue;
            };
            partition.state = State::Leaving;
            if !self.out.is_blocked() {
                self.out.cx.give_back(partition.stream);
            }
            is_waiting |= partition.is_waiting();
        }
        let until = *self.revoked_until.get_or_insert(now + self.settings.rebalance_wait.0);
        if is_waiting && !is_lost && now < until {
            return false;
        }
        self.revoked_until = None;
        let mut safe = TopicPartitionList::new();
        for (topic, number) in &of {
            let Some(partition) = self.partitions.get_mut(*topic).and_then(|t| t.remove(number)) else {
                continue;
            };
            // The other member reads it.
            self.out.cx.forget(partition.stream);
            if let Some(offset) = partition.moved() {
                safe.add_partition_offset(topic, *number, Offset::Offset(offset)).ok();
            }
            self.lag.forget(&partition);
            self.trouble.forget(topic, *number);
        }
        // Of those who have lost their partitions the brokers take no position.
        if safe.count() > 0
            && !is_lost
            && let Err(error) = self.consumer.commit(&safe, CommitMode::Async)
        {
            self.trouble.commit_failed(&error);
        }
        if let Err(error) = release(&self.consumer, list) {
            self.trouble.tell(&error, &self.news, &self.settings);
        }
        let source = &self.out.cx.name;
        tracing::info!(%source, partitions = of.len(), is_lost, "partitions go to other members of the group");
        true
    }

    /// Begins to read partitions. Answers false where the brokers do not say where.
    fn assign(&mut self, list: &TopicPartitionList, now: Instant) -> bool {
        if self.assign_at.is_some_and(|at| now < at) {
            return false;
        }
        self.assign_at = None;
        if self.there.is_missing(self.settings.start) {
            self.trouble.no_beginning(&"nor which topics there are");
            self.assign_at = Some(now + AGAIN);
            return false;
        }
        let begun = beginnings(&self.consumer, list, self.settings.start, &self.there)
            .map_err(anyhow::Error::new)
            .and_then(|found| self.begin(found));
        if let Err(error) = begun {
            self.trouble.no_beginning(&error);
            self.assign_at = Some(now + AGAIN);
            return false;
        }
        true
    }

    fn begin(&mut self, found: Vec<Beginning>) -> anyhow::Result<()> {
        let mut list = TopicPartitionList::new();
        for at in &found {
            self.queue.forward(&at.topic, at.partition)?;
            let offset = at.offset.map_or(Offset::Beginning, Offset::Offset);
            list.add_partition_offset(&at.topic, at.partition, offset)?;
        }
        assign(&self.consumer, &list)?;
        let mut without = TopicPartitionList::new();
        for at in found.iter().filter(|at| at.offset.is_none()) {
            without.add_partition(&at.topic, at.partition);
        }
        if without.count() > 0 {
            self.consumer.pause(&without)?;
        }
        let source = self.out.cx.name.clone();
        tracing::info!(%source, partitions = found.len(), "partitions are assigned by the group");
        for at in found {
            self.is_uneasy |= at.offset.is_none();
            let partition = self.lag.begin(&self.settings, self.queue.cluster(), at)?;
            self.partitions.entry(partition.topic.clone()).or_default().insert(partition.number, partition);
        }
        Ok(())
    }
}
