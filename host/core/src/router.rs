//! Stage 4: the router. Total: each record goes to at least one output, or is counted as dropped on purpose.

use std::sync::Arc;

use crate::batch::origin::Root;
use crate::batch::{Batch, Records};
use crate::buffers::{Buffer, Closed};
use crate::telemetry::Tally;

mod condition;

pub use condition::{Condition, ConditionSettings, Mask, OneOrMore, Scalar};

/// One way out of a pipeline.
#[derive(Debug)]
pub struct Route {
    buffer: Buffer,
    when: Option<Condition>,
}

impl Route {
    /// A way to the output behind `buffer`, for every record.
    pub fn to(buffer: Buffer) -> Route {
        Route { buffer, when: None }
    }

    /// For the records alone for which the condition holds.
    pub fn when(self, when: Option<Condition>) -> Route {
        Route { when, ..self }
    }
}

/// Sends the records of a pipeline to its outputs: each to every route whose condition holds.
#[derive(Debug)]
pub struct Router {
    routes: Vec<Route>,
    unrouted: Tally,
    /// What a pipeline makes of a record is not what another one makes of it.
    way: Option<Root>,
}

impl Router {
    /// A router over these routes; `unrouted` counts the records that none of them takes.
    pub fn new(routes: Vec<Route>, unrouted: Tally) -> Router {
        Router { routes, unrouted, way: None }
    }

    /// The router of the pipeline of this name, whose records have origins that tell them from those of others.
    pub fn of_pipeline(self, name: &str) -> Router {
        Router { way: Some(Root::of("pipeline", &[name.as_bytes()])), ..self }
    }

    /// The parts of a batch with the buffers that they go to; the rest is settled as dropped.
    fn split(&self, batch: Batch) -> Vec<(&Buffer, Batch)> {
        let Batch { mut records, mut receipt, stream } = batch;
        let rows = records.rows();
        if rows == 0 {
            return Vec::new();
        }
        if let Some(way) = self.way {
            records = Records::along(records, way);
        }
        let masks: Vec<Mask> = self
            .routes
            .iter()
            .map(|route| route.when.as_ref().map_or(Mask::All, |when| when.test(&records)))
            .collect();
        let routed = masks.iter().cloned().fold(Mask::None, Mask::or).count(rows);
        let counts: Vec<usize> = masks.iter().map(|mask| mask.count(rows)).collect();
        receipt.grow(counts.iter().sum::<usize>() - routed);
        if routed < rows {
            let dropped = rows - routed;
            self.unrouted.add(dropped, records.memory() * dropped / rows);
            receipt.split(dropped).dropped();
        }
        let mut parts = Vec::with_capacity(self.routes.len());
        for ((route, mask), count) in self.routes.iter().zip(masks).zip(counts) {
            let records = match mask {
                Mask::None => continue,
                Mask::All => records.clone(),
                Mask::Rows(bits) => {
                    let part = records.filter(&condition::as_array(&bits));
                    Arc::new(part.expect("the mask has a bit for each row"))
                }
            };
            parts.push((&route.buffer, Batch { records, receipt: receipt.split(count), stream }));
        }
        parts
    }

    /// Sends a batch on, waiting while a buffer is full.
    pub async fn push(&self, batch: Batch) -> Result<(), Closed> {
        for (buffer, part) in self.split(batch) {
            buffer.push(part).await?;
        }
        Ok(())
    }

    /// Whether a batch that goes to every output would wait.
    pub fn is_full(&self) -> bool {
        self.routes.iter().any(|r| r.buffer.holds_up())
    }
}

#[cfg(test)]
mod tests;
