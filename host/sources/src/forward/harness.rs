//! What the tests and the fuzz targets share: a connection in memory.

use std::sync::Arc;

use bytes::BytesMut;
use serde_json::Value;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::ForwardSettings;
use super::connection::serve;
use super::hub::{Alive, Hub};
use super::link::Peer;
use super::strangers::Place;
use crate::{SourceContext, testing};
use flitch_core::batch::Records;
use flitch_core::buffers::Buffer;
use flitch_core::net::connections::Connections;

#[cfg(test)]
mod talk;
#[cfg(test)]
pub use flitch_core::testing::pack;
#[cfg(test)]
pub use talk::{packed, recordings, testdata};

/// A client of a source under test, and what comes out at the source's other end.
pub struct Client {
    pub stream: DuplexStream,
    pub buffer: Buffer,
    pub hub: Arc<Hub>,
    #[cfg_attr(not(test), expect(dead_code, reason = "tests wait for it"))]
    pub serving: JoinHandle<()>,
    alive: Option<Alive>,
    gone: mpsc::Receiver<std::convert::Infallible>,
    #[cfg_attr(not(test), expect(dead_code, reason = "held for its drop"))]
    folder: tempfile::TempDir,
}

impl Client {
    pub fn new() -> Client {
        Client::with(ForwardSettings::default())
    }

    pub fn with(settings: ForwardSettings) -> Client {
        Client::of(settings, |_| {})
    }

    /// A client of a source whose context was changed.
    pub fn of(settings: ForwardSettings, change: impl FnOnce(&mut SourceContext)) -> Client {
        let (mut cx, buffer, folder) = testing::context("docker");
        change(&mut cx);
        let (hub, resends) = Hub::new(settings, cx);
        flitch_core::tasks::client(hub.clone().run_resends(resends));
        let (alive, gone) = mpsc::channel(1);
        let (stream, serving) = open(&hub, &alive);
        Client { stream, buffer, hub, serving, alive: Some(alive), gone, folder }
    }

    /// All records that still come, settled as delivered, until connection and receipts are gone.
    pub async fn rest(&mut self) -> Vec<Value> {
        // The other side may have closed it already.
        let _ = self.stream.shutdown().await;
        self.alive = None;
        let mut records = Vec::new();
        loop {
            tokio::select! {
                biased;
                batch = self.buffer.lease() => {
                    let batch = batch.expect("the buffer is open");
                    records.extend(json(&batch.records));
                    batch.receipt.delivered();
                }
                none = self.gone.recv() => {
                    assert!(none.is_none());
                    break;
                }
            }
        }
        let accounts = self.hub.cx.intake.ledger().read();
        assert_eq!(accounts.in_flight(), 0, "{accounts:?}");
        records
    }
}

fn open(hub: &Arc<Hub>, alive: &Alive) -> (DuplexStream, JoinHandle<()>) {
    connect(hub, alive, "test")
}

fn connect(hub: &Arc<Hub>, alive: &Alive, host: &str) -> (DuplexStream, JoinHandle<()>) {
    let (stream, served) = tokio::io::duplex(1 << 20);
    let (hub, alive, peer) = (hub.clone(), alive.clone(), Peer::new(host.to_owned(), host));
    let serving = flitch_core::tasks::joined(async move {
        let place = Place::new(Connections::new("test", 1).slot().await);
        serve(hub, served, BytesMut::new(), &peer, place, alive).await;
    });
    (stream, serving)
}

/// Records as JSON objects.
pub fn json(records: &Records) -> Vec<Value> {
    let encoded = records.ndjson();
    (0..records.rows()).map(|row| serde_json::from_slice(encoded.row(row)).unwrap()).collect()
}
