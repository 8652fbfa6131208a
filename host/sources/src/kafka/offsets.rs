//! Where to begin in a partition.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};

use super::context::Context;
use super::settings::Start;

/// How long brokers have to answer: what else the group asks waits for as long.
const PATIENCE: Duration = Duration::from_secs(2);

/// The same for the list of all topics, which may be long.
const PATIENCE_FOR_ALL: Duration = Duration::from_secs(5);

/// Where to begin in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Beginning {
    pub topic: String,
    pub partition: i32,
    /// The offset of the first message to read; none, where there is no saying.
    pub offset: Option<i64>,
    /// Whether it is the position of the group.
    pub is_committed: bool,
}

/// The partitions that there were when a member began. Where a group begins with the latest message it is to miss none of what
/// comes from then on, so that of partitions that come later it reads all.
pub(super) struct There {
    /// The topics that are named, where no pattern chooses among all: of others nobody asks.
    named: Option<HashSet<String>>,
    /// How many each topic had, once the brokers have told.
    partitions: Option<HashMap<String, usize>>,
    /// When to ask again.
    ask_at: Option<Instant>,
}

impl There {
    /// Nothing yet of what these topics, or patterns, choose.
    pub fn new(topics: &[String]) -> There {
        let has_pattern = topics.iter().any(|topic| topic.starts_with('^'));
        let named = (!has_pattern).then(|| topics.iter().cloned().collect());
        There { named, partitions: None, ask_at: None }
    }

    /// Whether it is time to ask.
    pub fn is_wanted(&self, start: Start, now: Instant) -> bool {
        self.is_missing(start) && self.ask_at.is_none_or(|at| now >= at)
    }

    /// Whether nobody can begin before it is known.
    pub fn is_missing(&self, start: Start) -> bool {
        start == Start::Latest && self.partitions.is_none()
    }

    /// Asks the brokers, or is to ask again at some time.
    pub fn ask(&mut self, consumer: &BaseConsumer<Context>, again_at: Instant) {
        self.ask_at = Some(again_at);
        if let Ok(found) = consumer.fetch_metadata(None, PATIENCE_FOR_ALL) {
            let is_ours =
                |topic: &&MetadataTopic| self.named.as_ref().is_none_or(|named| named.contains(topic.name()));
            let count = |topic: &MetadataTopic| (topic.name().to_owned(), topic.partitions().len());
            self.partitions = Some(found.topics().iter().filter(is_ours).map(count).collect());
        }
    }

    fn has(&self, topic: &str, partition: i32) -> bool {
        let Some(partitions) = &self.partitions else { return true };
        partitions.get(topic).is_some_and(|count| (partition.cast_unsigned() as usize) < *count)
    }
}

/// Where to begin in these partitions: at the position of the group, or, where it has none, where `start` says. One that nobody
/// leads has no beginning for the moment, and holds up no other.
///
/// # Errors
/// The brokers did not answer, or not for all of them.
pub(super) fn beginnings(
    consumer: &BaseConsumer<Context>,
    partitions: &TopicPartitionList,
    start: Start,
    there: &There,
) -> KafkaResult<Vec<Beginning>> {
    if partitions.count() == 0 {
        return Ok(Vec::new());
    }
    let committed = consumer.committed_offsets(partitions.clone(), PATIENCE)?;
    let mut all = Vec::with_capacity(committed.count());
    let (mut without, mut new) = (TopicPartitionList::new(), TopicPartitionList::new());
    for element in committed.elements() {
        element.error()?;
        let offset = raw(element.offset());
        if offset.is_none() {
            let is_new = start == Start::Latest && !there.has(element.topic(), element.partition());
            let list = if is_new { &mut new } else { &mut without };
            list.add_partition(element.topic(), element.partition());
        }
        let (topic, partition) = (element.topic().to_owned(), element.partition());
        all.push(Beginning { topic, partition, offset, is_committed: offset.is_some() });
    }
    let asked = match start {
        Start::Committed => return Ok(all),
        Start::Earliest => Offset::Beginning,
        Start::Latest => Offset::End,
        // A number below 0 is no time for the brokers, and no message is older than 1970.
        Start::Time(time) if time.ns < 0 => Offset::Beginning,
        Start::Time(time) => {
            Offset::Offset(time.ns.div_euclid(1_000_000) + i64::from(time.ns % 1_000_000 != 0))
        }
    };
    let mut found = ask(consumer, led(consumer, without)?, asked)?;
    // Behind all that there is, a time has no offset.
    let mut behind = TopicPartitionList::new();
    for element in found.elements().iter().filter(|element| raw(element.offset()).is_none()) {
        behind.add_partition(element.topic(), element.partition());
    }
    let ends = ask(consumer, behind, Offset::End)?;
    for element in ends.elements() {
        found.set_partition_offset(element.topic(), element.partition(), element.offset())?;
    }
    let new = ask(consumer, led(consumer, new)?, Offset::Beginning)?;
    for beginning in all.iter_mut().filter(|beginning| beginning.offset.is_none()) {
        let element = [&found, &new]
            .into_iter()
            .find_map(|found| found.find_partition(&beginning.topic, beginning.partition));
        beginning.offset = element.and_then(|element| raw(element.offset()));
    }
    Ok(all)
}

/// Those of some partitions that a broker leads.
fn led(consumer: &BaseConsumer<Context>, partitions: TopicPartitionList) -> KafkaResult<TopicPartitionList> {
    if partitions.count() == 0 {
        return Ok(partitions);
    }
    let elements = partitions.elements();
    let first = &elements[0];
    // Of several topics all that there are cost one question.
    let is_one = elements.iter().all(|element| element.topic() == first.topic());
    let found = consumer.fetch_metadata(is_one.then(|| first.topic()), PATIENCE)?;
    let topics: HashMap<&str, &[MetadataPartition]> =
        found.topics().iter().map(|topic| (topic.name(), topic.partitions())).collect();
    let is_led = |element: &&TopicPartitionListElem<'_>| {
        let partitions = topics.get(element.topic()).copied().unwrap_or_default();
        partitions.iter().any(|found| found.id() == element.partition() && found.leader() >= 0)
    };
    let mut led = TopicPartitionList::new();
    for element in elements.iter().filter(is_led) {
        led.add_partition(element.topic(), element.partition());
    }
    Ok(led)
}

/// The first offsets that the brokers have no message of yet.
///
/// # Errors
/// The brokers did not answer, or not for all of them.
pub(super) fn ends(
    consumer: &BaseConsumer<Context>,
    partitions: TopicPartitionList,
) -> KafkaResult<Vec<(String, i32, i64)>> {
    let found = ask(consumer, partitions, Offset::End)?;
    let end = |e: TopicPartitionListElem<'_>| Some((e.topic().to_owned(), e.partition(), raw(e.offset())?));
    Ok(found.elements().into_iter().filter_map(end).collect())
}

/// Asks for offsets by a time, of which two stand for the beginning and the end (`ListOffsets` of the protocol).
fn ask(
    consumer: &BaseConsumer<Context>,
    mut list: TopicPartitionList,
    asked: Offset,
) -> KafkaResult<TopicPartitionList> {
    if list.count() == 0 {
        return Ok(list);
    }
    list.set_all_offsets(asked)?;
    let found = consumer.offsets_for_times(list, PATIENCE)?;
    found.elements().iter().try_for_each(|element| element.error())?;
    Ok(found)
}

fn raw(offset: Offset) -> Option<i64> {
    match offset {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}
