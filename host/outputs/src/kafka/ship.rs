//! Rows of a batch on their way: into a client's queues, in turn where there is no room, and until the last of them has its
//! delivery report.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::MutexGuard;

use super::client::Producer;
use super::context::Queue;
use super::fate::Fates;
use super::produce::Shipment;
use super::{Kafka, KafkaSettings, Stamp};
use flitch_core::batch::encode::Encoder;
use flitch_core::batch::template::{Rendered, Template};
use flitch_core::batch::{Column, Encoded, Records, TIMESTAMP};

/// How long a full queue is left alone when no delivery report announces room.
const CROWDED: Duration = Duration::from_millis(50);

/// A batch as its messages want it.
pub(super) struct Cargo<'a> {
    text: Arc<Encoded>,
    keys: Option<Rendered>,
    extras: Extras<'a>,
}

impl<'a> Cargo<'a> {
    pub fn new(records: &'a Records, encoder: &Encoder, settings: &KafkaSettings) -> Cargo<'a> {
        let render = |(name, template): (&String, &Template)| (name.clone(), records.render(template));
        let extras = Extras {
            headers: settings.headers.iter().map(render).collect(),
            times: (settings.timestamp == Stamp::Event).then(|| records.column(TIMESTAMP)).flatten(),
        };
        let keys = settings.key.as_ref().map(|key| records.render(key));
        Cargo { text: encoder.encode(records), keys, extras }
    }

    /// The rows that can have no message, and why.
    pub fn without_text(&self) -> &[(u32, Arc<str>)] {
        &self.text.refused
    }

    #[inline]
    pub fn has(&self, row: u32) -> bool {
        self.text.has(row)
    }

    /// What the message of a row says.
    pub fn value(&self, row: u32) -> &[u8] {
        self.text.value(row as usize)
    }
}

/// Rows that librdkafka has not taken yet; those left when a write is given up are withdrawn.
struct Unsent<'a> {
    shipment: &'a Arc<Shipment>,
    count: usize,
}

impl Unsent<'_> {
    /// So many are taken.
    fn taken(&mut self, count: usize) {
        self.count -= count;
    }

    /// So many will not be.
    fn withdraw(&mut self, count: usize) {
        self.shipment.withdraw(count);
        self.count -= count;
    }
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        self.shipment.withdraw(self.count);
    }
}

impl Kafka {
    /// Takes rows to the brokers; the turn to hand over ends when all are handed over. Answers those that did not arrive, with
    /// the code; those that no client ever takes are refused.
    pub(super) async fn ship(
        &self,
        producer: &Arc<Producer>,
        cargo: &Cargo<'_>,
        groups: Vec<(&[u8], Vec<u32>)>,
        gate: MutexGuard<'_, ()>,
        fates: &mut Fates,
    ) -> Vec<(u32, RDKafkaErrorCode)> {
        let count = groups.iter().map(|(_, rows)| rows.len()).sum();
        if count == 0 {
            return Vec::new();
        }
        if producer.stale.swap(false, Ordering::AcqRel) {
            self.refresh(producer).await;
        }
        let shipment = Shipment::new(cargo.text.clone(), count);
        let mut unsent = Unsent { shipment: &shipment, count };
        let mut failed = Vec::new();
        for (topic, rows) in groups {
            failed.extend(self.hand_over(producer, cargo, topic, rows, &mut unsent, fates).await);
        }
        drop(gate);
        settle(producer, &shipment).await;
        failed.extend(shipment.take_failed());
        if failed.iter().any(|(_, code)| *code == RDKafkaErrorCode::Fatal) {
            producer.news.set_fatal();
        }
        if failed.iter().any(|(_, code)| Fates::doubts_topic(*code)) {
            producer.stale.store(true, Ordering::Release);
        }
        failed
    }

    /// Hands the rows of one topic to the client, in their order, and waits for room as often as it takes. Answers those that
    /// it does not take, with the code.
    async fn hand_over(
        &self,
        producer: &Producer,
        cargo: &Cargo<'_>,
        name: &[u8],
        mut rows: Vec<u32>,
        unsent: &mut Unsent<'_>,
        fates: &mut Fates,
    ) -> Vec<(u32, RDKafkaErrorCode)> {
        let shipment = unsent.shipment;
        let (keys, extras) = (cargo.keys.as_ref(), &cargo.extras);
        let topic = match producer.topic(name) {
            Ok(topic) => topic,
            Err(code) => {
                unsent.withdraw(rows.len());
                return rows.into_iter().map(|row| (row, code)).collect();
            }
        };
        let waits = |&(row, code): &(u32, RDKafkaErrorCode)| {
            code == RDKafkaErrorCode::QueueFull && shipment.value(row).len() <= self.longest
        };
        let mut failed = Vec::new();
        while !rows.is_empty() {
            let left = if extras.is_empty() {
                topic.produce(shipment, &rows, keys)
            } else {
                produce_each(producer, name, shipment, &rows, keys, extras)
            };
            unsent.taken(rows.len() - left.len());
            // One that never fits is out of the way at once.
            let must_wait = left.first().is_some_and(waits);
            let (full, lost): (Vec<_>, Vec<_>) = left.into_iter().partition(waits);
            unsent.withdraw(lost.len());
            for (row, code) in lost {
                match code {
                    RDKafkaErrorCode::MessageSizeTooLarge => {
                        fates.refuse(row, too_large(shipment, row, "`message.max.bytes` allows"));
                    }
                    RDKafkaErrorCode::QueueFull => {
                        let room = format!("`queue` holds ({} bytes)", self.longest);
                        fates.refuse(row, too_large(shipment, row, &room));
                    }
                    _ => failed.push((row, code)),
                }
            }
            rows = full.into_iter().map(|(row, _)| row).collect();
            if must_wait {
                room(&producer.queue).await;
            }
        }
        failed
    }
}

/// Waits for the delivery reports. Where the credentials are refused there is nothing to wait for: what is not on the wire
/// comes back at once.
async fn settle(producer: &Producer, shipment: &Shipment) {
    let settled = shipment.settled();
    tokio::pin!(settled);
    loop {
        tokio::select! {
            () = &mut settled => return,
            () = producer.news.refusal.notified() => {
                producer.threaded.purge(PurgeConfig::default().queue());
            }
        }
    }
}

/// Those of `rows` that have a text, by their topics.
pub(super) fn by_topic(
    topics: &Rendered,
    rows: impl IntoIterator<Item = u32>,
    has_text: impl Fn(u32) -> bool,
) -> Vec<(&[u8], Vec<u32>)> {
    if let Rendered::Same(name) = topics {
        // All of them at once, where there is no need to look at each.
        return vec![(name, rows.into_iter().filter(|row| has_text(*row)).collect())];
    }
    let mut groups: Vec<(&[u8], Vec<u32>)> = Vec::new();
    let mut places: HashMap<&[u8], usize, ahash::RandomState> = HashMap::default();
    for row in rows {
        let Some(name) = topics.row(row as usize).filter(|_| has_text(row)) else { continue };
        let place = *places.entry(name).or_insert_with(|| {
            groups.push((name, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(row);
    }
    groups
}

fn too_large(shipment: &Shipment, row: u32, than: &str) -> String {
    format!("a record of {} bytes is larger than {than}", shipment.value(row).len())
}

/// What a message can have that `rd_kafka_produce_batch` does not carry.
pub(super) struct Extras<'a> {
    pub headers: Vec<(String, Rendered)>,
    /// The events' times.
    pub times: Option<Column<'a>>,
}

impl Extras<'_> {
    fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.times.is_none()
    }

    fn headers(&self, row: u32) -> Option<OwnedHeaders> {
        if self.headers.is_empty() {
            return None;
        }
        let mut all = OwnedHeaders::new_with_capacity(self.headers.len());
        for (name, values) in &self.headers {
            if let Some(value) = values.row(row as usize) {
                all = all.insert(Header { key: name, value: Some(value) });
            }
        }
        Some(all)
    }

    /// Milliseconds since 1970. To librdkafka 0 means now, and to brokers -1 that there is none, so that these two moments are
    /// written as the ones beside them.
    pub fn time(&self, row: u32) -> Option<i64> {
        let column = self.times?;
        let times = column.array().as_primitive_opt::<TimestampNanosecondType>()?;
        let place = column.place(row as usize);
        let ms = times.is_valid(place).then(|| times.value(place).div_euclid(1_000_000))?;
        Some(match ms {
            0 => 1,
            -1 => -2,
            ms => ms,
        })
    }
}

/// Hands rows over one by one, for what a batch cannot carry.
fn produce_each(
    producer: &Producer,
    topic: &[u8],
    shipment: &Arc<Shipment>,
    rows: &[u32],
    keys: Option<&Rendered>,
    extras: &Extras<'_>,
) -> Vec<(u32, RDKafkaErrorCode)> {
    let topic = std::str::from_utf8(topic).unwrap_or_default();
    let mut failed = Vec::new();
    for (place, &row) in rows.iter().enumerate() {
        let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(topic, shipment.row(row))
            .payload(shipment.value(row));
        record.headers = extras.headers(row);
        record.timestamp = extras.time(row);
        if let Some(key) = keys.and_then(|k| k.row(row as usize)) {
            record = record.key(key);
        }
        if let Err((error, _)) = producer.threaded.send(record) {
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
            failed.push((row, code));
            if code == RDKafkaErrorCode::QueueFull {
                failed.extend(rows[place + 1..].iter().map(|&row| (row, code)));
                break;
            }
        }
    }
    failed
}

/// Waits until a message has left the queue.
async fn room(queue: &Queue) {
    let room = queue.room.notified();
    tokio::pin!(room);
    room.as_mut().enable();
    queue.crowded.store(true, Ordering::Release);
    // The last message may have left before the line above.
    let _ = tokio::time::timeout(CROWDED, room).await;
}
