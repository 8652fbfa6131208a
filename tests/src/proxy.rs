//! A TCP proxy that cuts connections on which nothing has come for a while, as load balancers and Event Hubs do.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::beside;

/// A proxy on loopback before one server. It ends when it is dropped.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    target: u16,
    idle: Duration,
    begin: Instant,
    cuts: AtomicUsize,
    ended: AtomicBool,
}

impl Proxy {
    /// Hands what comes to `port` on to `target`, and ends each connection on which neither side has said anything for
    /// `idle`.
    ///
    /// # Errors
    /// The port is taken.
    pub fn start(port: u16, target: u16, idle: Duration) -> Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let (cuts, ended) = (AtomicUsize::new(0), AtomicBool::new(false));
        let shared = Arc::new(Shared { target, idle, begin: Instant::now(), cuts, ended });
        let own = shared.clone();
        drop(beside(move || {
            for stream in listener.incoming() {
                if own.ended.load(Ordering::Acquire) {
                    return;
                }
                let Ok(client) = stream else { continue };
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, own.target)) else { continue };
                let last = Arc::new(AtomicU64::new(own.now()));
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { continue };
                    let (shared, last) = (own.clone(), last.clone());
                    drop(beside(move || shared.carry(from, to, &last)));
                }
            }
        }));
        Ok(Proxy { port, shared })
    }

    /// How many connections were cut.
    pub fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::Acquire)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Shared {
    /// Milliseconds since the proxy began.
    fn now(&self) -> u64 {
        self.begin.elapsed().as_millis() as u64
    }

    /// Hands on what one side says, until it ends or both have been silent for too long.
    fn carry(&self, mut from: TcpStream, mut to: TcpStream, last: &AtomicU64) {
        let idle = self.idle.as_millis() as u64;
        let _ = from.set_read_timeout(Some(self.idle / 4));
        let mut piece = [0; 16 << 10];
        loop {
            match from.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => {
                    last.store(self.now(), Ordering::Release);
                    if to.write_all(&piece[..count]).is_err() {
                        break;
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    let silent = last.load(Ordering::Acquire);
                    if self.now().saturating_sub(silent) < idle {
                        continue;
                    }
                    // Of the two directions one counts.
                    if last.compare_exchange(silent, u64::MAX, Ordering::AcqRel, Ordering::Acquire).is_ok()
                        && silent != u64::MAX
                    {
                        self.cuts.fetch_add(1, Ordering::AcqRel);
                    }
                    break;
                }
                Err(_) => break,
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }
}
