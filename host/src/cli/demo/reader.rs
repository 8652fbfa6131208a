//! Reads the topics back and counts what it finds.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::LINES;
use flitch_core::tasks;

/// How long to wait for a record that should be there.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was read from one topic.
#[derive(Clone, Default)]
pub struct Seen {
    /// Records, each counted once.
    pub distinct: u64,
    /// Records that came a second time.
    pub again: u64,
    /// The latest one.
    pub sample: String,
}

/// A consumer on a thread of its own.
pub struct Reader {
    seen: Arc<Mutex<[Seen; 3]>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Reader {
    /// Begins to read all topics from their beginning.
    pub fn start(brokers: &str, partitions: i32) -> anyhow::Result<Reader> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", "flitch-demo")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "50")
            .create()?;
        let mut all = TopicPartitionList::new();
        for line in &LINES {
            for partition in 0..partitions {
                all.add_partition_offset(line.topic, partition, Offset::Beginning)?;
            }
        }
        consumer.assign(&all)?;
        let seen: Arc<Mutex<[Seen; 3]>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (seen.clone(), stop.clone());
        let thread = tasks::joined_thread("reader", move || read(&consumer, &shared, &stopped))?;
        Ok(Reader { seen, stop, thread })
    }

    /// What was read so far.
    pub fn seen(&self) -> [Seen; 3] {
        self.seen.lock().clone()
    }

    /// Waits until so many distinct records of each topic were read, or no more come, and stops.
    pub fn finish(self, wanted: &[u64; 3]) -> [Seen; 3] {
        let ticks = crossbeam_channel::tick(Duration::from_millis(20));
        let counts = |seen: &[Seen; 3]| [0, 1, 2].map(|i| seen[i].distinct);
        let (mut last, mut since) = (counts(&self.seen()), Instant::now());
        while last.iter().zip(wanted).any(|(found, wanted)| found < wanted) && since.elapsed() < PATIENCE {
            // The channel's clock never ends.
            let _ = ticks.recv();
            let now = counts(&self.seen());
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.join().is_err() {
            tracing::error!("the reader panicked");
        }
        let seen = self.seen.lock();
        seen.clone()
    }
}

fn read(consumer: &BaseConsumer, shared: &Mutex<[Seen; 3]>, stop: &AtomicBool) {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let mut known: [HashSet<u64>; 3] = Default::default();
    while !stop.load(Ordering::Relaxed) {
        let message = match consumer.poll(Duration::from_millis(100)) {
            None => continue,
            Some(Ok(message)) => message,
            Some(Err(error)) => {
                tracing::warn!("the consumer of the demo: {error}");
                continue;
            }
        };
        let Some(place) = LINES.iter().position(|line| line.topic == message.topic()) else { continue };
        let text = message.payload().map(String::from_utf8_lossy).unwrap_or_default();
        let record: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let identity: Vec<String> =
            LINES[place].identity.iter().map(|key| record[*key].to_string()).collect();
        let identity = hasher.hash_one(identity);
        let is_new = known[place].insert(identity);
        let mut seen = shared.lock();
        match is_new {
            true => seen[place].distinct += 1,
            false => seen[place].again += 1,
        }
        if seen[place].sample.is_empty() || known[place].len().is_multiple_of(977) {
            seen[place].sample = text.into_owned();
        }
    }
}
