//! The thread of a source: reads its partitions, and does what the group wants.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use flitch_core::buffers::Closed;
use flitch_core::file_stamp::FileStamp;
use flitch_core::telemetry::Metric;
use flitch_kafka::{News, Part};

use super::context::{Context, Told};
use super::gather::Gather;
use super::lag::Lag;
use super::offsets::{There, ends};
use super::partition::{Partition, State};
use super::queue::Queue;
use super::sender::Sender;
use super::settings::KafkaSettings;
use super::trouble::Trouble;
use crate::SourceContext;
use crate::bell::Bell;

mod group;
mod mend;
mod pass;

/// The longest pause between two looks at what the client tells, by which it knows that this member is alive.
pub(super) const LOOK: Duration = Duration::from_millis(500);
/// The pause before something is tried again that the brokers, or the disk, did not let through.
const AGAIN: Duration = Duration::from_secs(1);
/// Messages that are read before the client is heard again.
const ROUND: usize = 4096;

type Partitions = HashMap<Arc<str>, HashMap<i32, Partition>, ahash::RandomState>;

/// Reads as one member of the group, from when it joins until it leaves.
pub(super) struct Reader {
    pub settings: KafkaSettings,
    pub out: Sender,
    /// It may keep a message, which must be gone before the client.
    pub gather: Gather,
    pub queue: Queue,
    pub consumer: Arc<BaseConsumer<Context>>,
    pub news: Arc<News>,
    pub told: Arc<Told>,
    pub partitions: Partitions,
    pub there: There,
    /// The partition of what is gathered, or was gathered last, and how its messages name the topic.
    current: Option<(usize, Arc<str>, i32)>,
    /// Whether some partition has a state that must be looked at.
    pub is_uneasy: bool,
    /// What was revoked first and is not released, and until when it is held.
    revoked_until: Option<Instant>,
    /// When to ask again where partitions begin.
    pub assign_at: Option<Instant>,
    next_commit: Instant,
    pub trouble: Trouble,
    pub lag: Lag,
    pub rebalances: metrics::Counter,
    /// The files of `tls` when it began.
    files: Vec<Option<FileStamp>>,
}

/// How long there is nothing to do.
pub(super) enum Next {
    Now,
    At(Instant),
}

impl Reader {
    /// Joins the group.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub fn new(settings: &KafkaSettings, cx: SourceContext, bell: &Arc<Bell>) -> anyhow::Result<Reader> {
        let (news, told) = (Arc::<News>::default(), Arc::<Told>::default());
        let connection = settings.connection();
        let client = flitch_kafka::Context {
            part: Part::Source(cx.name.to_string()),
            news: news.clone(),
            tokens: connection.tokens(),
        };
        let context = Context { client, told: told.clone() };
        let files = connection.stamps();
        let consumer = super::consumer(settings.client(&cx.name)?, context)?;
        let consumer = Arc::new(consumer);
        let queue = Queue::new(&consumer, bell);
        super::subscribe(&consumer, &settings.topics)?;
        Ok(Reader {
            gather: Gather::new(settings),
            settings: settings.clone(),
            queue,
            consumer,
            news,
            told,
            partitions: Partitions::default(),
            there: There::new(&settings.topics),
            current: None,
            is_uneasy: false,
            revoked_until: None,
            assign_at: None,
            next_commit: Instant::now() + settings.commit_interval.0,
            trouble: Trouble::new(&cx),
            lag: Lag::new(&cx.name),
            rebalances: Metric::KafkaRebalances.counter(&[("source", &cx.name)]),
            files,
            out: Sender::new(cx, bell.clone()),
        })
    }

    /// One round: what the client tells, what the group wants, and some messages.
    ///
    /// # Errors
    /// The client is beyond repair, or the pipelines take nothing more in.
    pub fn turn(&mut self, now: Instant) -> anyhow::Result<Next> {
        self.hear()?;
        if self.there.is_wanted(self.settings.start, now) {
            self.there.ask(&self.consumer, now + AGAIN);
        }
        self.rebalance(now);
        if self.out.take_came_back() {
            self.is_uneasy = true;
            // What could not be put among the dead letters cannot be a moment later, either.
            let at = if self.out.take_unburied() { now + AGAIN } else { now };
            for partition in self.partitions.values_mut().flat_map(HashMap::values_mut) {
                if partition.mark.failed() && matches!(partition.state, State::Reading | State::ReadOn(_)) {
                    partition.state = State::GoBack(at);
                }
            }
        }
        let uneasy_at = if self.is_uneasy { self.mend(now) } else { None };
        self.out.push_on()?;
        let has_more = self.read()?;
        if self.lag.is_due(now) {
            if !has_more {
                self.pass_over()?;
            }
            let partitions = self.partitions.values().flat_map(HashMap::values);
            self.lag.show(now, &self.queue, partitions);
        }
        self.commit(now, false);
        if self.lag.wants_ends(now, self.out.is_blocked()) {
            self.ask_ends();
        }
        // What was read may have a state that is to be looked at.
        if has_more || self.is_uneasy && uneasy_at.is_none() {
            return Ok(Next::Now);
        }
        let at = [uneasy_at, self.revoked_until, self.assign_at];
        let at = at.into_iter().flatten().fold(now + LOOK, Instant::min);
        Ok(Next::At(at.min(self.next_commit.max(now + Duration::from_millis(1)))))
    }

    /// Takes what the client tells. That it asks at all is how the group knows that this member is alive.
    pub fn hear(&mut self) -> anyhow::Result<()> {
        let mut has_more = true;
        while has_more {
            match self.consumer.poll(Duration::ZERO) {
                None => {}
                // It came before its queue was forwarded, and those behind it may have overtaken it.
                Some(Ok(message)) => {
                    use rdkafka::Message as _;
                    let found = self.partitions.get_mut(message.topic());
                    if let Some(partition) = found.and_then(|t| t.get_mut(&message.partition())) {
                        partition.state = State::GoBack(Instant::now());
                        self.is_uneasy = true;
                    }
                }
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    anyhow::bail!("the client failed for good: {code}");
                }
                Some(Err(error)) => self.trouble.tell(&error, &self.news, &self.settings),
            }
            has_more = self.queue.has_events();
        }
        if self.news.is_fatal() {
            let (_, reason) =
                self.news.trouble(Duration::MAX).unwrap_or((RDKafkaErrorCode::Fatal, String::new()));
            anyhow::bail!("the client failed for good: {reason}");
        }
        self.trouble.look(&self.news, &self.settings);
        if let Some(error) = self.told.failed_commit.lock().take() {
            // The next commit has all of them again.
            for partition in self.partitions.values_mut().flat_map(HashMap::values_mut) {
                partition.committed = None;
            }
            self.trouble.commit_failed(&error);
        }
        Ok(())
    }

    /// Whether the files of `tls` have changed since they were refused: a new client reads them.
    pub fn wants_new_client(&self) -> bool {
        let refused = self.news.trouble(Duration::MAX).is_some_and(|(code, _)| code == RDKafkaErrorCode::SSL);
        refused && self.files != self.settings.connection().stamps()
    }

    /// Reads messages until the pipelines are full, there are none, or it is time to hear what the client tells. Answers
    /// whether there may be more.
    fn read(&mut self) -> Result<bool, Closed> {
        let mut left = ROUND;
        while left > 0 {
            if self.out.is_blocked() {
                return Ok(false);
            }
            if self.gather.is_open() {
                // What is gathered of it is as much as goes at once.
                self.flush()?;
                if self.out.is_blocked() {
                    return Ok(false);
                }
                left = left.saturating_sub(self.go_on());
                continue;
            }
            let Some((handle, number)) = self.queue.peek() else {
                // There is nothing more to wait for.
                self.flush()?;
                return Ok(false);
            };
            let is_current = self.current.as_ref().is_some_and(|(h, _, n)| *h == handle && *n == number);
            if !is_current || self.gather.is_full(&self.out.cx.cut) {
                self.flush()?;
                if self.out.is_blocked() {
                    return Ok(false);
                }
            }
            if !is_current {
                let topic = self.partitions.get_key_value(self.queue.peek_topic());
                self.current = topic.map(|(topic, _)| (handle, topic.clone(), number));
            }
            if let Some(offset) = self.lies_below() {
                self.flush()?;
                if self.out.is_blocked() || !self.begin_anew(offset)? {
                    return Ok(false);
                }
            }
            left = left.saturating_sub(self.take((handle, number)).max(1));
        }
        Ok(true)
    }

    /// Takes messages of one partition, of which there is one, until a batch is full, or others come, or the next one lies below
    /// the position. Answers how many.
    fn take(&mut self, of: (usize, i32)) -> usize {
        let Reader { queue, gather, partitions, trouble, out, current, is_uneasy, .. } = self;
        let topic = current.as_ref().map(|(_, topic, _)| topic.clone()).unwrap_or_default();
        let number = of.1;
        let mut partition = partitions.get_mut(&topic).and_then(|t| t.get_mut(&number));
        let mut count = 0;
        while count < ROUND && queue.peek() == Some(of) && !gather.is_full(&out.cx.cut) {
            if partition.as_deref().is_some_and(|partition| partition.is_above(queue.peek_offset())) {
                break;
            }
            let Some(message) = queue.next() else { break };
            count += 1;
            // What still comes of a partition that is not ours any more is for somebody else.
            let Some(partition) = partition.as_deref_mut() else { continue };
            let offset = message.offset();
            partition.heard = partition.heard.max(offset.saturating_add(1));
            if let Some((code, reason)) = message.error() {
                trouble.of_partition(&topic, number, code, &reason);
                // Behind what cannot be taken apart the client goes on by itself.
                let is_skipped =
                    matches!(code, RDKafkaErrorCode::BadMessage | RDKafkaErrorCode::NotImplemented);
                if partition.state == State::Reading && offset >= partition.next && !is_skipped {
                    // The client takes it for the message that stands there, and would begin behind it at a rebalance.
                    partition.state = State::ReadOn(Instant::now() + AGAIN);
                    *is_uneasy = true;
                }
                continue;
            }
            if partition.state != State::Reading {
                continue;
            }
            if offset > partition.next
                && let Some((low, _)) = queue.bounds(&topic, number)
                && low > partition.next
            {
                // Else they were compacted, or are what transactions leave.
                let lost = low.min(offset) - partition.next;
                trouble.overrun(&topic, number, partition.next, lost);
            }
            if !gather.take(message, &out.cx.cut) {
                break;
            }
            partition.next = offset + 1;
        }
        count
    }

    /// Takes more lines of a message of very many, past which the position goes with the last of them. Answers how many.
    fn go_on(&mut self) -> usize {
        let current = self.current.as_ref();
        let partition =
            current.and_then(|(_, topic, number)| self.partitions.get_mut(topic)?.get_mut(number));
        let Some(partition) = partition else {
            self.gather.clear();
            return 1;
        };
        let before = self.gather.rows();
        if let Some(offset) = self.gather.go_on(&self.out.cx.cut) {
            partition.next = offset + 1;
        }
        self.gather.rows().saturating_sub(before).max(1)
    }

    /// Sends what is gathered.
    pub fn flush(&mut self) -> Result<(), Closed> {
        let Some((_, topic, number)) = &self.current else { return Ok(()) };
        let Some(partition) = self.partitions.get_mut(topic).and_then(|t| t.get_mut(number)) else {
            return Ok(());
        };
        if self.gather.is_empty() && partition.sent == partition.next {
            return Ok(());
        }
        if partition.mark.failed() {
            // Nothing may overtake what came back.
            self.gather.clear();
            if partition.state == State::Reading {
                let pause = if self.out.take_unburied() { AGAIN } else { Duration::ZERO };
                partition.state = State::GoBack(Instant::now() + pause);
                self.is_uneasy = true;
            }
            return Ok(());
        }
        self.trouble.is_over(topic, *number);
        self.out.send(partition, &mut self.gather)
    }

    /// Lets go of what was taken of a partition and is not on its way.
    pub fn forget(&mut self, topic: &str, number: i32) {
        self.queue.forget(topic, number);
        if self.current.as_ref().is_some_and(|(_, t, n)| &**t == topic && *n == number) {
            self.gather.clear();
            self.current = None;
        }
    }

    /// Commits the positions that have moved, each `commit_interval`, or `at_once`.
    pub fn commit(&mut self, now: Instant, at_once: bool) {
        if now < self.next_commit && !at_once {
            return;
        }
        self.next_commit = now + self.settings.commit_interval.0;
        let mut moved = TopicPartitionList::new();
        for partition in self.partitions.values_mut().flat_map(HashMap::values_mut) {
            if let Some(offset) = partition.moved()
                && moved
                    .add_partition_offset(&partition.topic, partition.number, Offset::Offset(offset))
                    .is_ok()
            {
                partition.committed = Some(offset);
            }
        }
        if moved.count() > 0
            && let Err(error) = self.consumer.commit(&moved, CommitMode::Async)
        {
            *self.told.failed_commit.lock() = Some(error);
        }
    }

    /// Asks the brokers where the partitions end. Where they do not answer the lag stays what it was.
    fn ask_ends(&mut self) {
        let mut list = TopicPartitionList::new();
        for partition in self.partitions.values().flat_map(HashMap::values) {
            list.add_partition(&partition.topic, partition.number);
        }
        for (topic, number, end) in ends(&self.consumer, list).unwrap_or_default() {
            if let Some(partition) = self.partitions.get_mut(&*topic).and_then(|t| t.get_mut(&number)) {
                partition.end = end;
            }
        }
    }

    /// Whether something is on its way.
    pub fn is_waiting(&self) -> bool {
        self.out.is_blocked() || self.partitions.values().flat_map(HashMap::values).any(Partition::is_waiting)
    }

    /// Gives back records whose next lines may come, so that they are read again as a whole; those that cannot be are waited
    /// for.
    pub fn give_back(&self) {
        if !self.out.is_blocked() {
            let partitions = self.partitions.values().flat_map(HashMap::values);
            partitions.for_each(|partition| self.out.cx.give_back(partition.stream));
        }
    }

    /// Leaves the group, with all that is safe committed.
    pub fn leave(mut self) {
        self.commit(Instant::now(), true);
        self.told.is_leaving.store(true, Ordering::Release);
        for partition in self.partitions.values().flat_map(HashMap::values) {
            self.out.cx.forget(partition.stream);
            self.lag.forget(partition);
        }
    }
}
