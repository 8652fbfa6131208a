//! The generator: seeded records as nginx, Docker and web servers write them, for demos and benches.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{Running, SourceContext, SourceKind, Starting};
use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::lines::Lines;
use flitch_core::batch::origin::{Origins, Root};
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::{StreamId, TAG, TIMESTAMP};
use flitch_core::receipt::Watermark;

pub mod samples;

/// Makes records out of a seed, the same ones in every run, for demos and measurements.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GeneratorSettings {
    /// What the records look like.
    pub format: GeneratorFormat,
    /// The tag of the records; the source's name where this is not set.
    #[serde(default)]
    pub tag: Option<String>,
    /// Records of the same seed are the same, be it 0 or another.
    #[serde(default)]
    pub seed: u64,
    /// How many records to make before the source has nothing more, 0 for none; without end where this is not set.
    #[serde(default)]
    pub count: Option<u64>,
    /// Records per second; as many as the pipelines take where this is not set.
    #[schemars(range(min = 1))]
    #[serde(default)]
    pub rate: Option<u32>,
}

/// What generated records look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GeneratorFormat {
    /// Lines of nginx's combined log, 240 bytes each, in the field `message`.
    Nginx,
    /// What Docker's fluentd log driver sends.
    Docker,
    /// Page views with two dozen fields.
    WebEvents,
}

/// How often a generator with a rate hands records on.
const TICK: Duration = Duration::from_millis(100);

enum Maker {
    Lines(Lines),
    Fields(Builder),
}

struct Generator {
    settings: GeneratorSettings,
    cx: SourceContext,
    tag: String,
    maker: Maker,
    buffer: Vec<u8>,
}

impl SourceKind for GeneratorSettings {
    fn start(&self, cx: SourceContext) -> Starting {
        let maker = match self.format {
            GeneratorFormat::Nginx => Maker::Lines(Lines::new("message")),
            GeneratorFormat::Docker | GeneratorFormat::WebEvents => Maker::Fields(Builder::new()),
        };
        let tag = self.tag.clone().unwrap_or_else(|| cx.name.to_string());
        let generator = Generator { settings: self.clone(), cx, tag, maker, buffer: Vec::new() };
        let running: Running = Box::pin(generator.run());
        Box::pin(std::future::ready(Ok(running)))
    }

    fn check(&self) -> anyhow::Result<()> {
        Ok(())
    }

    fn tag(&self) -> Option<String> {
        self.tag.clone()
    }

    fn descriptors(&self) -> u64 {
        0
    }
}

impl Generator {
    async fn run(mut self) -> anyhow::Result<()> {
        let stop = self.cx.stop.clone();
        let stream = StreamId::next();
        // What another run makes is other records.
        let root = Root::random();
        let mark = Watermark::new(Some(0));
        let settled = Arc::new(Notify::new());
        let end = self.settings.count.unwrap_or(u64::MAX);
        let per_tick = self.settings.rate.map(|rate| (f64::from(rate) * TICK.as_secs_f64()).max(1.0) as u64);
        let mut ticks = interval_at(Instant::now(), TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next = 0;
        loop {
            if mark.failed() {
                next = mark.restart().unwrap_or(0);
            }
            if stop.is_cancelled() {
                break;
            }
            if next >= end {
                // Nothing more to make, but what is under way may have to be made again.
                tokio::select! { () = settled.notified() => continue, () = stop.cancelled() => break }
            }
            let mut budget = per_tick.unwrap_or(self.cx.cut.rows as u64).min(end - next);
            if per_tick.is_some() {
                tokio::select! { _ = ticks.tick() => {}, () = stop.cancelled() => break }
            }
            while budget > 0 {
                let rows = budget.min(self.cx.cut.rows as u64);
                let (records, bytes) = self.make(next, rows);
                let records = records.with_origins(Some(Origins::counted(root, next, rows as usize)));
                next += rows;
                budget -= rows;
                let (ticket, settled) = (mark.ticket(next), settled.clone());
                let told = move |verdict| {
                    ticket.settle(verdict);
                    settled.notify_one();
                };
                if self.cx.intake.send(Arc::new(records), bytes, stream, told).await.is_err() {
                    return Ok(());
                }
            }
        }
        while mark.open() > 0 && !mark.failed() {
            settled.notified().await;
        }
        Ok(())
    }

    /// Records `from .. from + rows`, and their size in bytes.
    fn make(&mut self, from: u64, rows: u64) -> (flitch_core::batch::Records, usize) {
        let seed = self.settings.seed;
        let numbers = from..from + rows;
        let now = self.cx.clock.now();
        let constants = Constants::new().text(TAG, &self.tag).timestamp(TIMESTAMP, now);
        match &mut self.maker {
            Maker::Lines(lines) => {
                for number in numbers {
                    self.buffer.clear();
                    samples::nginx(seed, number, &mut self.buffer);
                    lines.push(&self.buffer);
                }
                let bytes = lines.bytes();
                (lines.finish(InvalidUtf8::Replace, &constants).records, bytes)
            }
            Maker::Fields(fields) => {
                for number in numbers {
                    fields.begin_record();
                    match self.settings.format {
                        GeneratorFormat::WebEvents => web_event(fields, seed, number),
                        _ => docker(fields, seed, number),
                    }
                    fields.end_record();
                }
                let bytes = fields.bytes();
                (fields.finish(InvalidUtf8::Replace, &constants).records, bytes)
            }
        }
    }
}

fn docker(fields: &mut Builder, seed: u64, number: u64) {
    let record = samples::docker(seed, number);
    fields.key(b"container_id").text(record.container_id.as_bytes());
    fields.key(b"container_name").text(record.container_name.as_bytes());
    fields.key(b"source").text(record.source.as_bytes());
    fields.key(b"log").text(record.log.as_bytes());
}

fn web_event(fields: &mut Builder, seed: u64, number: u64) {
    let (texts, mobile) = samples::web_event(seed, number);
    for (name, value) in &texts {
        fields.key(name.as_bytes()).text(value.as_bytes());
    }
    fields.key(b"device_is_mobile").boolean(mobile);
}

#[cfg(test)]
mod tests;
