//! How far a group is behind what is written.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flitch_core::batch::constants::Constants;
use flitch_core::batch::origin::Root;
use flitch_core::batch::{StreamId, TAG};
use flitch_core::receipt::Watermark;
use flitch_core::telemetry::{Metric, Shown};

use super::offsets::Beginning;
use super::partition::{Partition, State};
use super::queue::Queue;
use super::settings::KafkaSettings;

/// How often it is looked at.
const OFTEN: Duration = Duration::from_secs(1);
/// How often the brokers are asked where partitions end while nothing is fetched, which tells it otherwise.
const ASKED: Duration = Duration::from_secs(10);
/// Most partitions of a source that have a gauge of their own in the life of a process.
const MOST: usize = 1_000;

/// The gauges of one source.
pub(super) struct Lag {
    source: Arc<str>,
    /// Labels that were given out.
    known: HashMap<(Arc<str>, i32), Arc<Shown>>,
    next: Instant,
    /// When to ask the brokers, while nothing is read.
    ask_at: Option<Instant>,
}

impl Lag {
    pub fn new(source: &Arc<str>) -> Lag {
        Lag { source: source.clone(), known: HashMap::new(), next: Instant::now(), ask_at: None }
    }

    /// A partition that begins there.
    pub fn begin(
        &mut self,
        settings: &KafkaSettings,
        cluster: Option<String>,
        at: Beginning,
    ) -> anyhow::Result<Partition> {
        let Beginning { topic, partition: number, offset, is_committed } = at;
        let mut constants = Constants::new().text(TAG, &settings.tag_of(&topic, number)?);
        if let Some(column) = &settings.fields.topic {
            constants = constants.text(column, &topic);
        }
        if let Some(column) = &settings.fields.partition {
            constants = constants.int(column, number.into());
        }
        let cluster = cluster.unwrap_or_else(|| {
            let mut brokers = settings.brokers.clone();
            brokers.sort_unstable();
            brokers.join(",")
        });
        let parts = [self.source.as_bytes(), cluster.as_bytes(), topic.as_bytes(), &number.to_be_bytes()];
        let root = Root::of("kafka", &parts);
        let topic: Arc<str> = topic.into();
        let lag = self.gauge(&topic, number);
        Ok(Partition {
            state: offset.map_or(State::GoBack(Instant::now()), |_| State::Reading),
            mark: Watermark::new(offset),
            next: offset.unwrap_or(0),
            sent: offset.unwrap_or(0),
            heard: offset.unwrap_or(0),
            committed: offset.filter(|_| is_committed),
            end: 0,
            stream: StreamId::next(),
            root,
            topic,
            number,
            constants,
            lag,
        })
    }

    fn gauge(&mut self, topic: &Arc<str>, number: i32) -> Option<Arc<Shown>> {
        let key = (topic.clone(), number);
        if !self.known.contains_key(&key) && self.known.len() < MOST {
            let partition = number.to_string();
            let labels = [("source", &*self.source), ("topic", topic), ("partition", &*partition)];
            self.known.insert(key.clone(), Arc::new(Metric::KafkaLag.shown(&labels)));
        }
        self.known.get(&key).cloned()
    }

    /// Whether it is time to ask the brokers where partitions end.
    pub fn wants_ends(&mut self, now: Instant, is_blocked: bool) -> bool {
        if !is_blocked {
            self.ask_at = None;
            return false;
        }
        let is_due = *self.ask_at.get_or_insert(now + ASKED) <= now;
        if is_due {
            self.ask_at = Some(now + ASKED);
        }
        is_due
    }

    /// Whether it is time to bring the gauges up to date.
    pub fn is_due(&self, now: Instant) -> bool {
        now >= self.next
    }

    /// Brings the gauges up to date.
    pub fn show<'a>(
        &mut self,
        now: Instant,
        queue: &Queue,
        partitions: impl IntoIterator<Item = &'a Partition>,
    ) {
        self.next = now + OFTEN;
        for partition in partitions {
            let Some(gauge) = &partition.lag else { continue };
            let safe = partition.mark.safe();
            if let (Some(safe), Some((_, end))) = (safe, queue.bounds(&partition.topic, partition.number)) {
                gauge.set((end.max(partition.end) - safe).max(0) as f64);
            }
        }
    }

    /// A partition is read by others now.
    pub fn forget(&self, partition: &Partition) {
        if let Some(gauge) = &partition.lag {
            gauge.set(0.0);
        }
    }
}
