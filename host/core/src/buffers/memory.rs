//! Batches in memory: lost with the process, and sent again by sources that can.

use super::store::{Stats, Store};
use super::{Closed, Queue};
use crate::batch::Batch;

#[derive(Debug)]
pub(super) struct Memory(Queue<Batch>);

impl Memory {
    /// Room for so many bytes.
    pub fn new(bytes: usize) -> Memory {
        Memory(Queue::new(bytes))
    }
}

impl Store for Memory {
    async fn push(&self, batch: Batch, bytes: usize) -> Result<(), Closed> {
        self.0.push(batch, bytes).await
    }

    fn try_push(&self, batch: Batch, bytes: usize) -> Result<Result<(), Batch>, Closed> {
        self.0.try_push(batch, bytes)
    }

    async fn lease(&self) -> Option<Batch> {
        self.0.pop().await
    }

    fn try_lease(&self) -> Option<Batch> {
        self.0.try_pop()
    }

    fn close(&self) {
        self.0.close();
    }

    fn leave(&self) {
        while self.0.try_pop().is_some() {}
    }

    fn stats(&self) -> Stats {
        let (records, bytes, closed) = self.0.look(|batch| batch.records.rows() as u64);
        Stats { records, bytes: bytes as u64, full: self.is_full(), closed }
    }

    fn is_full(&self) -> bool {
        self.0.is_full()
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract::{self, Subject};
    use crate::buffers::{Buffer, BufferSettings};
    use crate::telemetry::Tally;

    struct InMemory;

    impl Subject for InMemory {
        const KEEPS: bool = false;

        fn open(settings: &BufferSettings, best_effort: bool, dropped: Tally) -> Buffer {
            Buffer::in_memory("out", settings, best_effort, dropped)
        }
    }

    #[tokio::test]
    async fn it_keeps_the_contract_of_buffers() {
        contract::keep::<InMemory>().await;
    }
}
