//! Stage 4: the router. Total: each record goes to at least one output, or is counted as dropped on purpose.

use std::sync::Arc;

use crate::batch::Batch;
use crate::buffers::{Closed, MemoryBuffer};
use crate::telemetry::Tally;

/// One way out of a pipeline.
#[derive(Debug)]
pub struct Route {
    /// The buffer in front of the output.
    pub buffer: Arc<MemoryBuffer>,
}

/// Sends the records of a pipeline to its outputs.
#[derive(Debug)]
pub struct Router {
    routes: Vec<Route>,
    unrouted: Tally,
}

impl Router {
    /// A router over these routes; `unrouted` counts the records that none of them takes.
    pub fn new(routes: Vec<Route>, unrouted: Tally) -> Router {
        Router { routes, unrouted }
    }

    /// The parts of a batch with the buffers that they go to; the rest is settled as dropped.
    fn split(&self, batch: Batch) -> Vec<(&MemoryBuffer, Batch)> {
        let Batch { records, receipt, stream } = batch;
        if records.rows() == 0 {
            return Vec::new();
        }
        let Some((last, first)) = self.routes.split_last() else {
            self.unrouted.add(records.rows(), records.memory());
            receipt.dropped();
            return Vec::new();
        };
        let mut parts = Vec::with_capacity(self.routes.len());
        for route in first {
            let receipt = receipt.branch(records.rows());
            parts.push((&*route.buffer, Batch { records: records.clone(), receipt, stream }));
        }
        parts.push((&*last.buffer, Batch { records, receipt, stream }));
        parts
    }

    /// Sends a batch on, waiting while a buffer is full.
    pub async fn push(&self, batch: Batch) -> Result<(), Closed> {
        for (buffer, part) in self.split(batch) {
            buffer.push(part).await?;
        }
        Ok(())
    }

    /// Sends a batch on, blocking the thread while a buffer is full.
    pub fn push_blocking(&self, batch: Batch) -> Result<(), Closed> {
        for (buffer, part) in self.split(batch) {
            buffer.push_blocking(part)?;
        }
        Ok(())
    }

    /// Whether a batch that goes to every output would wait.
    pub fn is_full(&self) -> bool {
        self.routes.iter().any(|r| r.buffer.is_full())
    }
}
