//! The Fluent forward protocol, v1: what Fluentd, Fluent Bit, Docker and the fluent-logger libraries speak.
//!
//! All four modes (Message, Forward, PackedForward, CompressedPackedForward with gzip or zstd) over TCP, TLS and unix
//! sockets, with acks, heartbeats, the shared-key handshake, and Docker's partial messages joined. Source: Fluent
//! Forward Protocol Specification v1 and v1.5; where it is silent, what fluentd's `in_forward` does.
//!
//! A chunk is answered when every record of it is delivered, dropped on purpose or among the dead letters. What comes
//! without a chunk id has no answer, so flitch itself sends it again where it comes back unsettled; it is lost with
//! the process. The same holds for the pieces of a long Docker line, whose sender waits for the answer to each piece
//! before it sends the next: a piece is answered when it is in memory, and only the last one when the line is safe.

mod acks;
mod connection;
pub(crate) mod entries;
pub mod gather;
mod group;
mod hub;
mod link;
mod listen;
mod message;
mod numbers;
mod partial;
mod pool;
mod settings;
mod strangers;
pub mod tags;
mod udp;

pub use settings::ForwardSettings;

use std::convert::Infallible;

use anyhow::Context;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::multiline::JoinSettings;
use super::{BESIDE, Running, SourceContext, SourceKind, Starting};
use crate::fields::{self, Named};
use flitch_core::net::address::Endpoint;
use flitch_core::net::forward::handshake::SecuritySettings;
use flitch_core::net::tls::TlsSettings;
use flitch_core::setting::wrong;
use hub::Hub;
use listen::Door;

impl SourceKind for ForwardSettings {
    fn start(&self, cx: SourceContext) -> Starting {
        Box::pin(start(self.clone(), cx))
    }

    fn check(&self) -> anyhow::Result<()> {
        if let Some(field) = &self.metadata_field {
            anyhow::ensure!(
                !field.is_empty(),
                wrong!("metadata_field", " is empty; `null` leaves metadata away")
            );
            fields::check(&[Named { key: "metadata_field", name: field }], &[])?;
        }
        self.multiline.as_ref().map_or(Ok(()), JoinSettings::check)?;
        self.tls.as_ref().map(TlsSettings::acceptor).transpose()?;
        self.mode()?;
        self.security.as_ref().map_or(Ok(()), SecuritySettings::check)
    }

    fn idle(&self) -> Vec<(&'static str, &'static str)> {
        let has_socket = self.listen.iter().any(|endpoint| matches!(endpoint, Endpoint::Unix(_)));
        let idle = ("unix_mode", "`unix_mode` changes nothing: `listen` names no unix socket");
        if has_socket { Vec::new() } else { vec![idle] }
    }

    fn multiline(&self) -> Option<&JoinSettings> {
        self.multiline.as_ref()
    }

    fn listens(&self) -> Vec<Endpoint> {
        self.listen.iter().cloned().collect()
    }

    fn tag(&self) -> Option<String> {
        let tag = self.tag.as_deref()?;
        Some(format!("{}{tag}", self.tag_prefix.as_deref().unwrap_or_default()))
    }

    fn descriptors(&self) -> u64 {
        self.max_connections as u64 + BESIDE
    }
}

/// Opens the listeners.
async fn start(settings: ForwardSettings, cx: SourceContext) -> anyhow::Result<Running> {
    settings.check()?;
    let doors = listen::bind(&cx.name, &settings).await?;
    Ok(Box::pin(run(settings, cx, doors)))
}

async fn run(settings: ForwardSettings, cx: SourceContext, doors: Vec<Door>) -> anyhow::Result<()> {
    let (hub, resends) = Hub::new(settings, cx);
    let (alive, gone) = mpsc::channel(1);
    let mut tasks = JoinSet::new();
    let resending = hub.clone().run_resends(resends);
    tasks.spawn(async move {
        resending.await;
        Ok(())
    });
    for mut door in doors {
        tracing::info!(source = &*hub.cx.name, address = door.address(), "listening");
        if let Some(heartbeats) = door.heartbeats(hub.cx.stop.clone()) {
            tasks.spawn(heartbeats);
        }
        let listening = door.run(hub.clone(), alive.clone());
        tasks.spawn(async move {
            listening.await;
            Ok(())
        });
    }
    drop(alive);
    watch(tasks, gone, &hub.cx.stop).await
}

/// Waits until the listeners, the connections and all batches are `gone`.
///
/// # Errors
/// One of the source's tasks failed, or ended before it was asked to `stop`: it is the end of them all.
async fn watch(
    mut tasks: JoinSet<anyhow::Result<()>>,
    mut gone: mpsc::Receiver<Infallible>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            biased;
            Some(ended) = tasks.join_next() => {
                ended.context("a task of the source panicked")??;
                anyhow::ensure!(stop.is_cancelled(), "a task of the source ended though nobody asked it to");
            }
            // Nothing ever comes here.
            None = gone.recv() => break,
        }
    }
    tasks.shutdown().await;
    Ok(())
}

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
#[cfg(any(test, feature = "fuzzing"))]
mod harness;
#[cfg(test)]
mod tests;
