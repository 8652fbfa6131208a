//! A server, and the connection to it, which is made when it is needed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::ClientConfig;
use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::link::{Letter, Link, Lost, Patience};
use crate::WriteError;
use flitch_core::net::address::Address;
use flitch_core::net::dial::{Stream, dial, is_disbelief};
use flitch_core::net::forward::handshake::{SecuritySettings, client};
use flitch_core::net::tls::Renewed;

/// How long a probe waits for a server that speaks first.
const GREETING: Duration = Duration::from_millis(500);

/// How servers are reached.
pub(super) struct Reach {
    pub tls: Renewed<Option<Arc<ClientConfig>>>,
    pub security: Option<SecuritySettings>,
    pub connect_timeout: Duration,
    pub patience: Patience,
    /// Ends all connections.
    pub stop: CancellationToken,
}

/// A server.
pub(super) struct Upstream {
    address: Address,
    reach: Arc<Reach>,
    link: tokio::sync::Mutex<Option<Link>>,
}

/// What comes of a chunk that was handed over.
pub(super) type Answer = oneshot::Receiver<Result<(), Lost>>;

impl Upstream {
    pub fn new(address: Address, reach: Arc<Reach>) -> Upstream {
        Upstream { address, reach, link: tokio::sync::Mutex::default() }
    }

    /// Hands a chunk over to the connection, a new one where there is none.
    ///
    /// # Errors
    /// None can be made.
    pub async fn hand(&self, message: &Bytes, id: Option<&str>) -> Result<Answer, WriteError> {
        let mut slot = self.link.lock().await;
        let (done, answer) = oneshot::channel();
        let mut letter = Letter { message: message.clone(), id: id.map(str::to_owned), done };
        loop {
            let mut once = self.reach.patience.idle.is_zero();
            let link = match slot.take() {
                Some(link) => link,
                None => {
                    let (stream, keeps) = self.connect().await?;
                    once |= !keeps;
                    let patience = Patience { idle: self.idle(), ..self.reach.patience };
                    Link::open(stream, patience, self.reach.stop.clone())
                }
            };
            match link.put(letter).await {
                Ok(()) => {
                    if !once {
                        *slot = Some(link);
                    }
                    return Ok(answer);
                }
                // It ended while it rested.
                Err(refused) => letter = refused,
            }
        }
    }

    fn idle(&self) -> Duration {
        match self.reach.patience.idle {
            Duration::ZERO => self.reach.patience.ack,
            idle => idle,
        }
    }

    /// Connects, and answers whether the server takes more than one chunk from a connection.
    ///
    /// # Errors
    /// The server cannot be reached, or lets nobody in who does not know more.
    pub async fn connect(&self) -> Result<(Box<dyn Stream>, bool), WriteError> {
        let connecting = async {
            let mut stream = dial(&self.address, self.reach.tls.get(), self.reach.connect_timeout).await?;
            let keeps = match &self.reach.security {
                Some(security) => client::shake(&mut stream, security).await?,
                None => true,
            };
            Ok((stream, keeps))
        };
        let connected = tokio::time::timeout(self.reach.connect_timeout, connecting).await;
        connected.unwrap_or_else(|_| Err(self.late())).map_err(|error| self.failed(&error))
    }

    fn late(&self) -> io::Error {
        let seconds = self.reach.connect_timeout.as_secs_f64();
        let hint = match self.reach.security {
            Some(_) => " (a server without a shared key says nothing: is `security` right?)",
            None => "",
        };
        io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {seconds} s{hint}"))
    }

    fn failed(&self, error: &io::Error) -> WriteError {
        let reason = format!("{}: {error}", self.address);
        match error.kind() {
            io::ErrorKind::InvalidData => WriteError::Denied { reason },
            _ if is_disbelief(error) => WriteError::Denied { reason },
            _ => WriteError::Unreachable { reason },
        }
    }

    /// Whether the server can be reached and lets flitch in. One that has a shared key says so before anything else.
    ///
    /// # Errors
    /// As of [`Upstream::connect`].
    pub async fn probe(&self) -> Result<(), WriteError> {
        let (mut stream, _) = self.connect().await?;
        if self.reach.security.is_none() {
            let first = tokio::time::timeout(GREETING, stream.read_u8()).await;
            if let Ok(Ok(_)) = first {
                let why =
                    "it speaks first: it asks for a shared key (`security`), or is no server of the protocol";
                return Err(self.lost(&Lost::Denied(why.into())));
            }
        }
        Ok(())
    }

    /// What became of a chunk, as the delivery loop needs it.
    pub fn lost(&self, lost: &Lost) -> WriteError {
        let reason = |why: &str| format!("{}: {why}", self.address);
        match lost {
            Lost::Unsent => {
                WriteError::Unreachable { reason: reason("it closes connections before they are used") }
            }
            Lost::Broken(why) => WriteError::Unreachable { reason: reason(why) },
            Lost::Denied(why) => WriteError::Denied { reason: reason(why) },
        }
    }

    /// Lets the connection end when all is answered that is under way.
    pub async fn close(&self) {
        self.link.lock().await.take();
    }
}
