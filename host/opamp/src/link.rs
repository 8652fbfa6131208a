//! The way to the server, over WebSocket or HTTP, and back to it when it is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use flitch_core::clock::Clock;
use flitch_core::telemetry::health::Ailment;
use flitch_core::telemetry::{Health, Metric, Quiet};

use crate::connection::{Connection, Connections};
use crate::desk::Desk;
use crate::identity::Uid;
use crate::orders::Orders;
use crate::pace::Reconnect;
use crate::settings::OpampSettings;
use crate::wire::{ConfigStatus, ConnectionSettingsOffers, REPORT_FULL_STATE, ServerToAgent};

mod http;
mod socket;

/// The kind of an error by which a server says that it has too much to do.
const UNAVAILABLE: i32 = 2;
/// Longest time that a server is believed which asks to wait.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long the last message may take.
const FAREWELL: Duration = Duration::from_secs(2);

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

/// The two ways.
enum Way {
    Socket(socket::Dial),
    Http(http::Asker),
}

impl Way {
    fn new(settings: &OpampSettings) -> anyhow::Result<Way> {
        Ok(match settings.url()?.scheme() {
            "ws" | "wss" => Way::Socket(socket::Dial::new(settings)?),
            _ => Way::Http(http::Asker::new(settings)?),
        })
    }
}

/// The way to one server.
pub(crate) struct Link {
    way: Way,
    connections: Connections,
    ears: Ears,
    ailment: Ailment,
}

/// What becomes of messages of the server.
pub(crate) struct Ears {
    pub desk: Arc<Desk>,
    pub orders: Arc<Orders>,
    pub clock: Clock,
    settings: Mutex<OpampSettings>,
    /// Another connection that is offered.
    offered: Mutex<Option<ConnectionSettingsOffers>>,
    connected: metrics::Gauge,
    strange: Quiet,
}

impl Link {
    /// The way that the settings say, or the server has said before. Nothing is connected to.
    ///
    /// # Errors
    /// What is wrong with them; the text names the setting.
    pub fn new(
        connections: Connections,
        (desk, orders): (Arc<Desk>, Arc<Orders>),
        clock: Clock,
        health: &Arc<Health>,
    ) -> anyhow::Result<Link> {
        let (settings, kept) = connections.first();
        if let Some(kept) = kept {
            desk.connection(&kept.hash, ConfigStatus::Applied, "");
        }
        let way = Way::new(&settings)?;
        let ears = Ears {
            desk,
            orders,
            clock,
            settings: Mutex::new(settings),
            offered: Mutex::default(),
            connected: Metric::ManagerConnected.gauge(&[]),
            strange: Quiet::a_minute(),
        };
        Ok(Link { way, connections, ears, ailment: Ailment::of(health, "manager", "opamp") })
    }

    /// Keeps up the connection until `stop` is cancelled.
    pub async fn run(mut self, stop: &CancellationToken) {
        let mut reconnect = Reconnect::default();
        let mut is_known = false;
        self.ears.connected.set(0.0);
        loop {
            let began = Instant::now();
            let Err(Broken { reason, after }) = self.session(&self.way, || (), stop).await else { return };
            let offered = self.ears.offered.lock().take();
            if let Some(offered) = offered {
                self.tries(offered, stop).await;
                continue;
            }
            let pause = reconnect.pause(began.elapsed(), after, fastrand::f64());
            self.ailment.set(Some(format!("the server that manages flitch cannot be reached: {reason}")));
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

    /// Speaks with a server until the connection is lost; `heard` is called at each sign of it.
    async fn session(&self, way: &Way, heard: impl Fn(), stop: &CancellationToken) -> Result<(), Broken> {
        self.ears.desk.begins();
        let heard = || {
            self.ears.connected.set(1.0);
            self.ailment.set(None);
            heard();
        };
        let over = match way {
            Way::Socket(dial) => dial.session(&self.ears, heard, stop).await,
            Way::Http(asker) => asker.session(&self.ears, heard, stop).await,
        };
        self.ears.connected.set(0.0);
        over
    }

    /// Speaks with the server as it has offered; where it says something then, that is how it is spoken with from now on.
    async fn tries(&mut self, offered: ConnectionSettingsOffers, stop: &CancellationToken) {
        let hash = offered.hash.clone();
        let made = Connection::offered(offered).and_then(|connection| {
            let settings = self.connections.settings(&connection)?;
            Ok((connection, Way::new(&settings)?, settings))
        });
        let (connection, way, settings) = match made {
            Ok(made) => made,
            Err(error) => return self.refuses(&hash, &format!("{error:#}")),
        };
        tracing::info!(?connection, "the server offers another connection, which is tried");
        let before = std::mem::replace(&mut *self.ears.settings.lock(), settings);
        let is_heard = AtomicBool::new(false);
        let heard = || {
            if !is_heard.swap(true, Ordering::Relaxed) {
                self.keeps(&connection);
            }
        };
        let over = self.session(&way, heard, stop).await;
        if is_heard.load(Ordering::Relaxed) {
            self.way = way;
        } else if let Err(Broken { reason, .. }) = over {
            *self.ears.settings.lock() = before;
            self.refuses(&hash, &format!("it was tried, and the server was not reached: {reason}"));
        }
    }

    fn keeps(&self, connection: &Connection) {
        tracing::info!(?connection, "the connection that the server has offered works, and is kept");
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
}

impl Ears {
    /// Takes a message of the server.
    fn hear(&self, message: ServerToAgent) -> Result<(), Broken> {
        let own = self.desk.uid();
        if !message.instance_uid.is_empty() && message.instance_uid != own.0 {
            if self.strange.may_say() {
                tracing::warn!("the server sends messages for another agent, which are passed over");
            }
            return Ok(());
        }
        if let Some(error) = message.error_response {
            let said = if error.error_message.is_empty() { "without a word" } else { &error.error_message };
            if error.kind == UNAVAILABLE {
                let after = error.retry_info.map(|info| Duration::from_nanos(info.retry_after_nanoseconds));
                let after = after.map(|after| after.min(LONGEST));
                return Err(Broken { reason: format!("it has too much to do: {said}"), after });
            }
            if self.strange.may_say() {
                tracing::warn!(said, "the server does not take a message of flitch");
            }
            return Ok(());
        }
        // Of a message with a command nothing else counts.
        if let Some(command) = message.command {
            if command.kind == 0 {
                self.orders.restart();
            }
            return Ok(());
        }
        if let Some(identification) = message.agent_identification
            && let Ok(uid) = <[u8; 16]>::try_from(identification.new_instance_uid)
        {
            self.desk.renew(Uid(uid), Instant::now());
        }
        if message.flags & REPORT_FULL_STATE != 0 {
            self.desk.wants_all();
        }
        // A configuration may name packages that come with it.
        if let Some(packages) = message.packages_available {
            if self.settings.lock().accept_packages {
                self.orders.packages(packages);
            } else {
                let reason = "this flitch takes no packages of a server (`accept_packages: false`)";
                self.desk.packages(Vec::new(), &packages.all_packages_hash, reason);
            }
        }
        if let Some(config) = message.remote_config {
            self.orders.config(config);
        }
        if let Some(offered) = message.connection_settings
            && offered.hash != self.desk.last_connection()
        {
            if self.settings.lock().accept_connection {
                *self.offered.lock() = Some(offered);
                return Err(Broken::new("it offers another connection"));
            }
            if self.strange.may_say() {
                tracing::warn!(
                    "the server offers another connection, and none is taken (`accept_connection: false`)"
                );
            }
        }
        Ok(())
    }

    /// When a sign of life is due, a tenth sooner or later: agents that came in one moment do not stay together.
    fn heartbeat(&self) -> Duration {
        self.settings.lock().heartbeat.0.mul_f64(0.9 + fastrand::f64() / 5.0)
    }
}

/// Waits until a moment; for ever where there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
