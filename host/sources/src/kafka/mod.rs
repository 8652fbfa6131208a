//! Topics of Kafka, as a member of a consumer group, through librdkafka.
//!
//! One thread per source reads all partitions that the group gives it. Messages go from librdkafka's buffers into columns,
//! many at a time ([`queue`]), and a batch holds records of one partition, in its order. A partition's position is
//! committed when the receipts of all before it have settled, never past that. While the pipelines are full nothing is taken
//! out of librdkafka's queue, which stops fetching at its bound, and the thread goes on hearing what the group wants, so
//! that it takes this member for alive however long an output is down.
//!
//! A partition that goes to another member is held until its records are safe, for a bounded time; the others are read
//! meanwhile. What becomes of its records later moves no position.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;

use super::multiline::JoinSettings;
use super::{Probing, Running, Sample, SourceContext, SourceKind, Starting};
use crate::bell::Bell;
use crate::thread;
use flitch_core::batch::constants::Constants;
use flitch_core::buffers::Closed;
use flitch_core::setting::wrong;
use flitch_kafka::Part;

mod context;
mod gather;
mod internal;
mod lag;
mod offsets;
mod partition;
mod probe;
mod queue;
mod reader;
mod sample;
mod sender;
pub(super) mod settings;
mod trouble;

use context::Context;
use reader::{LOOK, Next, Reader};
pub use settings::{Codec, Fields, KafkaSettings, Start, Tombstones};

/// Connections to brokers, about: how many there are is not known before.
pub(super) const DESCRIPTORS: u64 = 64;

impl SourceKind for KafkaSettings {
    fn start(&self, cx: SourceContext) -> Starting {
        let settings = self.clone();
        Box::pin(async move { start(settings, cx) })
    }

    /// Whether librdkafka takes the settings: a client that knows no broker connects to none.
    fn check(&self) -> anyhow::Result<()> {
        self.multiline.as_ref().map_or(Ok(()), JoinSettings::check)?;
        let mut client = self.client("check")?;
        for option in ["bootstrap.servers", "metadata.broker.list"] {
            client.remove(option);
        }
        // It would say that it knows no broker.
        client.set_log_level(RDKafkaLogLevel::Emerg);
        let part = Part::Source("check".to_owned());
        let client_context = flitch_kafka::Context { part, news: Arc::default(), tokens: None };
        let consumer = consumer(client, Context { client: client_context, told: Arc::default() })?;
        for (place, topic) in self.topics.iter().enumerate() {
            let taken = subscribe(&consumer, std::slice::from_ref(topic));
            taken.with_context(|| wrong!("topics[{place}]", ": `{topic}` is no regular expression"))?;
        }
        Ok(())
    }

    fn probe(&self, name: &str) -> Option<Probing> {
        Some(Box::pin(probe::probe(self.clone(), name.to_owned())))
    }

    fn tag(&self) -> Option<String> {
        self.tag_of(self.topics.first().map_or("", String::as_str), 0).ok()
    }

    fn reads_text(&self) -> bool {
        true
    }

    fn sample(&self, texts: &[&[u8]], beside: &Constants) -> anyhow::Result<Sample> {
        sample::sample(self, texts, beside)
    }

    fn multiline(&self) -> Option<&JoinSettings> {
        self.multiline.as_ref()
    }

    fn descriptors(&self) -> u64 {
        DESCRIPTORS
    }
}

fn consumer(client: ClientConfig, context: Context) -> anyhow::Result<BaseConsumer<Context>> {
    client.create_with_context(context).map_err(|error| match error {
        KafkaError::ClientConfig(_, wrong, option, _) => {
            anyhow::anyhow!("librdkafka option `{option}`: {wrong}")
        }
        other => anyhow::Error::new(other).context("librdkafka refuses the settings"),
    })
}

fn subscribe(consumer: &BaseConsumer<Context>, topics: &[String]) -> anyhow::Result<()> {
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    Ok(consumer.subscribe(&topics)?)
}

/// Joins the group. Brokers need not be there yet.
fn start(settings: KafkaSettings, cx: SourceContext) -> anyhow::Result<Running> {
    let bell = Arc::new(Bell::default());
    let (name, stop) = (format!("kafka-{}", cx.name), cx.stop.clone());
    let reader = Reader::new(&settings, cx.clone(), &bell)?;
    let heard = bell.clone();
    Ok(Box::pin(thread::run(name, stop, bell, move |is_left| run(reader, &settings, &cx, &heard, is_left))))
}

/// The thread: works while there is work, and waits for the bell otherwise. It ends early when it `is_left` to itself.
fn run(
    mut reader: Reader,
    settings: &KafkaSettings,
    cx: &SourceContext,
    bell: &Arc<Bell>,
    is_left: &dyn Fn() -> bool,
) -> anyhow::Result<()> {
    while !cx.stop.is_cancelled() && !is_left() {
        let next = match reader.turn(Instant::now()) {
            Ok(next) => next,
            Err(error) if error.is::<Closed>() => break,
            Err(error) => return Err(error),
        };
        if reader.wants_new_client() {
            tracing::warn!(source = %cx.name, "the files of `tls` have changed; a new client takes over");
            reader.leave();
            reader = Reader::new(settings, cx.clone(), bell)?;
        }
        if let Next::At(at) = next {
            bell.wait_until(at);
        }
    }
    finish(reader, bell, is_left)
}

/// Sends what was read, waits until it has settled, commits it, and leaves the group.
fn finish(mut reader: Reader, bell: &Bell, is_left: &dyn Fn() -> bool) -> anyhow::Result<()> {
    if !reader.out.is_blocked() {
        // Pipelines that are closed give it back, and then it is read again at the next start.
        reader.flush().ok();
    }
    while reader.is_waiting() && !is_left() {
        // Pipelines that are closed give back what waits for them.
        reader.out.push_on().ok();
        reader.give_back();
        if reader.is_waiting() {
            bell.wait_until(Instant::now() + LOOK);
        }
        reader.hear()?;
        reader.commit(Instant::now(), false);
    }
    reader.leave();
    Ok(())
}

#[cfg(test)]
mod tests;
