//! Other collectors, by the Fluent forward protocol.
//!
//! Chunks are made of columns in the order in which the writes begin ([`chunk`]), and go out on one connection to a server
//! in that order ([`link`]); several are under way at a time. A chunk that was not acknowledged is sent again by the delivery
//! loop, under the same id. Which of several servers takes a chunk is for [`nodes`](crate::nodes) to say.
//!
//! Source: Fluent Forward Protocol Specification v1 and v1.5,
//! <https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1>.

use std::sync::Arc;

use tokio_util::sync::{CancellationToken, DropGuard};

use self::chunk::{Chunk, Packing};
use self::link::Patience;
use self::upstream::{Reach, Upstream};
use crate::nodes::{Nodes, Turn};
use crate::{Answer, Output, OutputContext, OutputKind, Parcel, WriteError, Written};
use flitch_core::batch::Records;
use flitch_core::batch::encode::Format;
use flitch_core::net::tls::Renewed;

mod chunk;
mod link;
mod settings;
mod upstream;

pub use settings::{ClientSecurity, Compression, ForwardSettings, Server, WeightedServer};

/// Chunks of different batches that are under way at once.
const CONCURRENCY: usize = 8;

/// See [`ForwardSettings`].
struct Forward {
    packing: Arc<Packing>,
    nodes: Nodes,
    /// By the places of the nodes.
    upstreams: Vec<Upstream>,
    require_ack: bool,
    /// Held from the making of chunks until they are handed over: so they go out in order.
    gate: tokio::sync::Mutex<()>,
    _stop: DropGuard,
}

impl OutputKind for ForwardSettings {
    fn open(&self, cx: &OutputContext) -> anyhow::Result<Arc<dyn Output>> {
        self.check()?;
        let stop = CancellationToken::new();
        let tls = Renewed::new(self.tls.clone(), |config| Ok(config.map(Arc::new)))?;
        let reach = Arc::new(Reach {
            tls,
            security: self.handshake()?,
            connect_timeout: self.connect_timeout.0,
            patience: Patience { ack: self.ack_timeout.0, idle: self.keepalive_timeout.0 },
            stop: stop.clone(),
        });
        let upstream = |server: &Server| Upstream::new(server.address().clone(), reach.clone());
        Ok(Arc::new(Forward {
            packing: Arc::new(Packing::new(self, cx)?),
            nodes: Nodes::new(&cx.name, self.servers.iter().map(Server::node).collect()),
            upstreams: self.servers.iter().map(upstream).collect(),
            require_ack: self.require_ack,
            gate: tokio::sync::Mutex::default(),
            _stop: stop.drop_guard(),
        }))
    }

    fn formats(&self) -> &'static [Format] {
        &[]
    }

    fn descriptors(&self) -> u64 {
        // One that is being closed beside one that is made.
        2 * self.servers.len() as u64
    }
}

/// A chunk that was handed over, and to whom.
struct Handed<'a> {
    turn: Turn<'a>,
    answer: upstream::Answer,
}

impl Forward {
    /// Hands a chunk to a server, to another where one cannot be reached.
    async fn hand(&self, chunk: &Chunk) -> Result<Handed<'_>, WriteError> {
        let id = self.require_ack.then_some(chunk.id.as_str());
        let (mut tried, mut failed) = (Vec::new(), None);
        while let Some(turn) = self.nodes.pick(&tried) {
            match self.upstreams[turn.place()].hand(&chunk.message, id).await {
                Ok(answer) => return Ok(Handed { turn, answer }),
                Err(error) => {
                    tried.push(turn.place());
                    turn.failed(&error.to_string(), None);
                    failed = Some(error);
                }
            }
        }
        Err(failed.unwrap_or_else(|| WriteError::Unreachable { reason: "there is no server".to_owned() }))
    }

    /// Waits for what becomes of a chunk. One of which no byte was sent, since its connection ended while it rested, is
    /// handed over once more.
    async fn settled(&self, chunk: &Chunk, handed: Result<Handed<'_>, WriteError>) -> Result<(), WriteError> {
        let (mut handed, mut unsent) = (handed, 0);
        loop {
            let Handed { turn, answer } = handed?;
            let upstream = &self.upstreams[turn.place()];
            let lost = match answer.await {
                Ok(Ok(())) => {
                    turn.succeeded();
                    return Ok(());
                }
                Ok(Err(lost)) => lost,
                Err(_) => link::Lost::Broken("what served the connection has ended".into()),
            };
            if lost == link::Lost::Unsent && unsent == 0 {
                unsent += 1;
                drop(turn);
                handed = self.hand(chunk).await;
                continue;
            }
            let error = upstream.lost(&lost);
            turn.failed(&error.to_string(), None);
            return Err(error);
        }
    }

    async fn send(&self, records: &Arc<Records>) -> Result<Written, WriteError> {
        let gate = self.gate.lock().await;
        let made = chunk::chunks(&self.packing, records).await;
        let (chunks, refused) =
            made.map_err(|error| WriteError::Unreachable { reason: error.to_string() })?;
        let mut handed = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let to = self.hand(&chunk).await;
            handed.push((chunk, to));
        }
        drop(gate);
        let mut written = Written { refused, ..Written::default() };
        for (chunk, to) in handed {
            match self.settled(&chunk, to).await {
                Ok(()) => written.bytes += chunk.bytes,
                Err(error) => match &mut written.again {
                    Some((rows, _)) => rows.extend(chunk.rows),
                    none => *none = Some((chunk.rows, error)),
                },
            }
        }
        if let Some((rows, _)) = &mut written.again {
            rows.sort_unstable();
        }
        Ok(written)
    }

    async fn look(&self) -> Result<(), WriteError> {
        for upstream in &self.upstreams {
            upstream.probe().await?;
        }
        Ok(())
    }
}

impl Output for Forward {
    fn write<'a>(&'a self, parcel: &'a Parcel) -> Answer<'a, Written> {
        Box::pin(self.send(parcel.batch()))
    }

    fn concurrency(&self) -> usize {
        CONCURRENCY
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(self.look())
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async {
            for upstream in &self.upstreams {
                upstream.close().await;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
