//! What becomes of messages of the server.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Broken, LONGEST, REASON, UNAVAILABLE};
use crate::desk::Desk;
use crate::identity::Uid;
use crate::orders::Orders;
use crate::pace::Allowance;
use crate::settings::OpampSettings;
use crate::wire::{ConnectionSettingsOffers, REPORT_FULL_STATE, ServerToAgent};
use flitch_core::backoff::about;
use flitch_core::clock::{Clock, until};
use flitch_core::telemetry::Quiet;

/// Connections that are offered and may be tried at once, and how long each takes to be allowed again.
const TRIED_AT_ONCE: u32 = 5;
const TRIED_EVERY: Duration = Duration::from_secs(60);

/// What hears the server.
pub(crate) struct Ears {
    pub desk: Arc<Desk>,
    pub orders: Arc<Orders>,
    pub clock: Clock,
    /// Those of the connection that there is.
    pub settings: Mutex<OpampSettings>,
    offers: Mutex<Offers>,
    offered: Notify,
    strange: Quiet,
}

/// Connections that the server offers.
struct Offers {
    last: Option<ConnectionSettingsOffers>,
    leave: Allowance,
}

impl Ears {
    /// Ears for who speaks with these settings.
    pub fn new((desk, orders): (Arc<Desk>, Arc<Orders>), clock: Clock, settings: OpampSettings) -> Ears {
        let leave = Allowance::new(TRIED_AT_ONCE, TRIED_EVERY, Instant::now());
        Ears {
            desk,
            orders,
            clock,
            settings: Mutex::new(settings),
            offers: Mutex::new(Offers { last: None, leave }),
            offered: Notify::new(),
            strange: Quiet::a_minute(),
        }
    }

    /// Takes a message of the server.
    pub fn hear(&self, message: ServerToAgent) -> Result<(), Broken> {
        let own = self.desk.uid();
        if !message.instance_uid.is_empty() && message.instance_uid != own.0 {
            if self.strange.may_say() {
                tracing::warn!("the server sends messages for another agent, which are passed over");
            }
            return Ok(());
        }
        if let Some(error) = message.error_response {
            let said = match &error.error_message[..error.error_message.floor_char_boundary(REASON)] {
                "" => "without a word",
                said => said,
            };
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
        if let Some(offer) = message.connection_settings
            && offer.hash != self.desk.last_connection()
        {
            if self.settings.lock().accept_connection {
                self.offers.lock().last = Some(offer);
                self.offered.notify_one();
            } else if self.strange.may_say() {
                tracing::warn!(
                    "the server offers another connection, and none is taken (`accept_connection: false`)"
                );
            }
        }
        Ok(())
    }

    /// Waits until the server offers another connection, and that may be tried.
    pub async fn offered(&self) {
        loop {
            let due = {
                let offers = self.offers.lock();
                offers.last.is_some().then(|| offers.leave.due(Instant::now()))
            };
            tokio::select! {
                () = until(due) => return,
                () = self.offered.notified() => {}
            }
        }
    }

    /// The connection that the server offers, where it may be tried now.
    pub fn take_offer(&self) -> Option<ConnectionSettingsOffers> {
        let mut offers = self.offers.lock();
        if offers.last.is_none() || !offers.leave.take(Instant::now()) {
            return None;
        }
        offers.last.take()
    }

    /// When a sign of life is due, a tenth sooner or later: agents that came in one moment do not stay together.
    pub fn heartbeat(&self) -> Duration {
        about(self.settings.lock().heartbeat.0, fastrand::f64())
    }
}
