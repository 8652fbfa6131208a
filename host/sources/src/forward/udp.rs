//! Heartbeats over UDP: Fluentd's forward output with `heartbeat_type udp` sends a zero byte, and one zero byte is the
//! answer.
//!
//! Answers look as heartbeats do, and anybody may forge where a packet comes from: two servers that answer everything
//! answer each other for ever. So a packet has no answer that comes from a server's port, or sooner after the last
//! answer to its sender than a client's next heartbeat does.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;
use tokio::net::UdpSocket;
use tokio::time::Instant;

/// Least time between two answers to one sender. Fluentd's `heartbeat_interval` is 1 s unless told otherwise; an
/// answer to an answer takes as long as the way between two machines.
const PAUSE: Duration = Duration::from_millis(100);
/// Senders that are remembered.
const SENDERS: NonZeroUsize = NonZeroUsize::new(1024).expect("it is not zero");
/// The port that the protocol's servers have.
const FORWARD: u16 = 24224;
/// Ports below this one are those of services (echo, chargen, DNS), and no client's.
const SERVICES: u16 = 1024;

/// Answers heartbeats until it is dropped.
///
/// # Errors
/// The socket cannot be used.
pub async fn answer(socket: UdpSocket) -> io::Result<Infallible> {
    let mut beats = Beats::new(socket.local_addr()?.port());
    let mut packet = [0; 2];
    loop {
        // A packet that cannot be read or answered is a client's that is gone; it sends the next one.
        if let Ok((length, from)) = socket.recv_from(&mut packet).await
            && beats.is_heartbeat(&packet[..length], from)
        {
            let _ = socket.send_to(&[0], from).await;
        }
    }
}

/// Tells heartbeats from answers.
struct Beats {
    own: u16,
    answered: LruCache<SocketAddr, Instant, ahash::RandomState>,
}

impl Beats {
    /// For a server on the port `own`.
    fn new(own: u16) -> Beats {
        Beats { own, answered: LruCache::with_hasher(SENDERS, ahash::RandomState::new()) }
    }

    /// Whether a packet is a client's heartbeat that is to be answered now.
    fn is_heartbeat(&mut self, packet: &[u8], from: SocketAddr) -> bool {
        let port = from.port();
        if packet != [0] || port == self.own || port == FORWARD || port < SERVICES {
            return false;
        }
        let now = Instant::now();
        if self.answered.get(&from).is_some_and(|last| now - *last < PAUSE) {
            return false;
        }
        self.answered.put(from, now);
        true
    }
}

#[cfg(test)]
mod tests;
