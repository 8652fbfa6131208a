//! The way to the server, over WebSocket or HTTP, and back to it when it is lost: by the connection that a server has offered,
//! and by that of the machine's own file where there is none, or it is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use flitch_core::clock::{Clock, until};
use flitch_core::telemetry::health::Ailment;
use flitch_core::telemetry::{Health, Metric};

use crate::connection::{Connection, Connections};
use crate::desk::Desk;
use crate::orders::Orders;
use crate::pace::Reconnect;
use crate::settings::OpampSettings;
use crate::turns::{Turn, Turns};
use crate::wire::{ConfigStatus, ConnectionSettingsOffers};

pub(crate) use ears::Ears;

mod ears;
mod http;
mod socket;

/// The kind of an error by which a server says that it has too much to do.
const UNAVAILABLE: i32 = 2;
/// Longest time that a server is believed which asks to wait.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long the last message may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// Most bytes of what a server says that are passed on as the reason.
const REASON: usize = 300;

/// Why a connection is over.
#[derive(Debug)]
pub(crate) struct Broken {
    /// For people.
    reason: String,
    /// How long the server asks to wait.
    after: Option<Duration>,
}

impl Broken {
    fn new(reason: impl Into<String>) -> Broken {
        Broken { reason: reason.into(), after: None }
    }
}

/// A way to speak with a server.
pub(crate) trait Way: Send + Sync + Sized {
    /// Speaks with the server until the connection is lost; `heard` is called at each sign of the server. Ends well, with a
    /// farewell, when `stop` is cancelled.
    fn session(
        &self,
        ears: &Ears,
        heard: impl Fn() + Send + Sync,
        stop: &CancellationToken,
    ) -> impl Future<Output = Result<(), Broken>> + Send;
}

/// The two ways.
pub(crate) enum Ways {
    Socket(socket::Dial),
    Http(http::Asker),
}

impl Ways {
    /// The one that the settings want.
    ///
    /// # Errors
    /// What is wrong with them; the text names the setting.
    pub fn new(settings: &OpampSettings) -> anyhow::Result<Ways> {
        Ok(match settings.url()?.scheme() {
            "ws" | "wss" => Ways::Socket(socket::Dial::new(settings)?),
            _ => Ways::Http(http::Asker::new(settings)?),
        })
    }
}

impl Way for Ways {
    async fn session(
        &self,
        ears: &Ears,
        heard: impl Fn() + Send + Sync,
        stop: &CancellationToken,
    ) -> Result<(), Broken> {
        match self {
            Ways::Socket(dial) => dial.session(ears, heard, stop).await,
            Ways::Http(asker) => asker.session(ears, heard, stop).await,
        }
    }
}

/// How a way is made.
type Make<W> = Box<dyn Fn(&OpampSettings) -> anyhow::Result<W> + Send + Sync>;

/// A way with what it was made of.
struct Road<W> {
    way: W,
    settings: OpampSettings,
}

/// The way that a server offered.
struct Offered<W> {
    road: Road<W>,
    connection: Connection,
}

/// The way to one server.
pub(crate) struct Link<W = Ways> {
    make: Make<W>,
    own: Road<W>,
    /// One that has worked.
    offered: Option<Offered<W>>,
    turns: Turns,
    reconnect: Reconnect,
    connections: Connections,
    ears: Ears,
    connected: metrics::Gauge,
    /// That no server is reached.
    away: Ailment,
    /// That the one which was offered is not.
    lost: Ailment,
}

/// How a connection ended.
struct Over {
    /// None where it was to end.
    broken: Option<Broken>,
    is_reached: bool,
}

impl<W: Way> Link<W> {
    /// The ways that the settings say, and that the server has said before. Nothing is connected to.
    ///
    /// # Errors
    /// What is wrong with the settings; the text names the one.
    pub fn new(
        connections: Connections,
        ends: (Arc<Desk>, Arc<Orders>),
        clock: Clock,
        health: &Arc<Health>,
        make: Make<W>,
    ) -> anyhow::Result<Link<W>> {
        let settings = connections.own().clone();
        let own = Road { way: make(&settings)?, settings: settings.clone() };
        let turns = Turns::new(settings.heartbeat.0);
        let mut link = Link {
            make,
            own,
            offered: None,
            turns,
            reconnect: Reconnect::default(),
            connections,
            ears: Ears::new(ends, clock, settings),
            connected: Metric::ManagerConnected.gauge(&[]),
            away: Ailment::of(health, "manager", "opamp"),
            lost: Ailment::of(health, "manager", "connection"),
        };
        if let Some(kept) = link.connections.kept_before() {
            let hash = kept.hash.clone();
            match link.road(kept) {
                Ok(offered) => {
                    link.ears.desk.connection(&hash, ConfigStatus::Applied, "");
                    link.offered = Some(offered);
                }
                Err(error) => link.loses(&hash, &format!("it cannot be used: {error:#}")),
            }
        }
        Ok(link)
    }

    /// The way of a connection.
    fn road(&self, connection: Connection) -> anyhow::Result<Offered<W>> {
        let settings = self.connections.settings(&connection)?;
        Ok(Offered { road: Road { way: (self.make)(&settings)?, settings }, connection })
    }

    /// Keeps up the connection until `stop` is cancelled.
    pub async fn run(mut self, stop: &CancellationToken) {
        let mut is_known = false;
        self.connected.set(0.0);
        loop {
            let mut began = Instant::now();
            let mut over = self.keeps_up(stop).await;
            // One that was tried may have offered another one by now.
            while let Some(offer) = self.ears.take_offer() {
                began = Instant::now();
                over = self.tries(offer, stop).await;
            }
            if stop.is_cancelled() {
                return;
            }
            let Some(Broken { reason, after }) = over.broken else {
                // Another one has its turn.
                (self.reconnect, is_known) = (Reconnect::default(), false);
                continue;
            };
            let pause = self.reconnect.pause(began.elapsed(), after, fastrand::f64());
            self.away.set(Some(format!("the server that manages flitch cannot be reached: {reason}")));
            if is_known {
                tracing::debug!(reason, ?pause, "the server that manages flitch cannot be reached");
            } else {
                tracing::warn!(
                    reason,
                    ?pause,
                    "the server that manages flitch cannot be reached; flitch goes on as it is"
                );
            }
            is_known = began.elapsed() < Duration::from_secs(60);
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Speaks with the server whose turn it is.
    async fn keeps_up(&mut self, stop: &CancellationToken) -> Over {
        let Some(offered) = &self.offered else {
            return self.session(&self.own, || (), None, stop).await;
        };
        let hash = offered.connection.hash.clone();
        let began = Instant::now();
        let (turn, lasts) = (self.turns.turn(), self.turns.lasts(fastrand::f64()));
        let over = match turn {
            Turn::Own => self.session(&self.own, || (), lasts, stop).await,
            Turn::Offered => self.session(&offered.road, || self.is_back(&hash), None, stop).await,
        };
        let now = Instant::now();
        let lasted = over.broken.is_none() && lasts.is_some_and(|lasts| now.duration_since(began) >= lasts);
        // One that ended for another one that is offered tells nothing, unless it was there.
        let tells = over.broken.is_some() || lasted || (turn == Turn::Offered && over.is_reached);
        if tells && self.turns.over(began, now, over.is_reached, lasted) {
            let reason = over.broken.as_ref().map(|broken| broken.reason.as_str()).unwrap_or_default();
            self.loses(&hash, &format!("it is reached no more: {reason}"));
            self.reconnect = Reconnect::default();
        }
        over
    }

    /// Speaks with a server until the connection is lost, has lasted as long as it may, or another one is to be tried; `first` is
    /// called at the first sign of it.
    async fn session(
        &self,
        road: &Road<W>,
        first: impl Fn() + Send + Sync,
        lasts: Option<Duration>,
        stop: &CancellationToken,
    ) -> Over {
        self.ears.settings.lock().clone_from(&road.settings);
        self.ears.desk.begins();
        let is_reached = AtomicBool::new(false);
        let heard = || {
            if !is_reached.swap(true, Ordering::Relaxed) {
                self.connected.set(1.0);
                self.away.set(None);
                first();
            }
        };
        let ends = stop.child_token();
        let leaves = async {
            tokio::select! {
                () = until(lasts.map(|lasts| Instant::now() + lasts)) => {}
                () = self.ears.offered() => {}
            }
            ends.cancel();
            std::future::pending::<()>().await;
        };
        let over = tokio::select! {
            over = road.way.session(&self.ears, heard, &ends) => over,
            () = leaves => Ok(()),
        };
        self.connected.set(0.0);
        Over { broken: over.err(), is_reached: is_reached.into_inner() }
    }

    /// Speaks with the server as it has offered; where it is reached by that, that is how it is spoken with from now on. Else it is
    /// the turn of the one before.
    async fn tries(&mut self, offer: ConnectionSettingsOffers, stop: &CancellationToken) -> Over {
        let nothing = Over { broken: None, is_reached: false };
        let hash = offer.hash.clone();
        let offered = match Connection::offered(offer).and_then(|connection| self.road(connection)) {
            Ok(offered) => offered,
            Err(error) => {
                self.refuses(&hash, &format!("{error:#}"));
                return nothing;
            }
        };
        let connection = &offered.connection;
        tracing::info!(?connection, "the server offers another connection, which is tried");
        let over = self.session(&offered.road, || self.keeps(connection), None, stop).await;
        if over.is_reached {
            self.offered = Some(offered);
            self.turns = Turns::new(self.own.settings.heartbeat.0);
            return over;
        }
        if let Some(Broken { reason, .. }) = over.broken {
            self.refuses(&hash, &format!("it was tried, and the server was not reached: {reason}"));
        }
        nothing
    }

    fn keeps(&self, connection: &Connection) {
        tracing::info!(?connection, "the connection that the server has offered works, and is kept");
        self.lost.set(None);
        match self.connections.keep(connection) {
            Ok(()) => self.ears.desk.connection(&connection.hash, ConfigStatus::Applied, ""),
            Err(error) => {
                let reason = format!("it works until flitch ends, and cannot be kept: {error}");
                tracing::error!(reason, "the connection that the server has offered");
                self.ears.desk.connection(&connection.hash, ConfigStatus::Failed, &reason);
            }
        }
    }

    fn refuses(&self, hash: &[u8], reason: &str) {
        tracing::error!(
            reason,
            "the connection that the server has offered is not taken; the one before stays"
        );
        self.connections.refuse();
        self.ears.desk.connection(hash, ConfigStatus::Failed, reason);
    }

    /// The connection that was kept is lost.
    fn loses(&self, hash: &[u8], reason: &str) {
        let said = format!(
            "the connection that the server has offered is lost, and that of the machine's own file is used: {reason}"
        );
        tracing::error!("{said}");
        self.ears.desk.connection(hash, ConfigStatus::Failed, &said);
        self.lost.set(Some(said));
    }

    /// The connection that was offered is reached.
    fn is_back(&self, hash: &[u8]) {
        if self.turns.is_lost() {
            tracing::info!("the connection that the server has offered is back, and used");
            self.lost.set(None);
            self.ears.desk.connection(hash, ConfigStatus::Applied, "");
        }
    }
}

#[cfg(test)]
mod tests;
