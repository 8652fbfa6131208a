//! An agent: the link, the desk and the keeper, wired.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use flitch_core::clock::Clock;
use flitch_core::telemetry::Health;

use crate::app::{Description, Managed};
use crate::connection::Connections;
use crate::desk::Desk;
use crate::identity::Identity;
use crate::keeper::Keeper;
use crate::link::{Link, Ways};
use crate::orders::Orders;
use crate::packages::{PackageStore, Packages};
use crate::settings::OpampSettings;
use crate::store::Store;
use crate::wire::can;

/// Where an agent is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder of what it keeps.
    pub folder: PathBuf,
    /// What tells this machine from others, also from those that were cloned from it.
    pub machine: String,
    /// What the server is told of it.
    pub description: Description,
    /// The time of day.
    pub clock: Clock,
    /// Where it says that the server cannot be reached: as `manager opamp`.
    pub health: Arc<Health>,
}

/// An agent of one server.
pub struct Agent<M> {
    link: Link,
    keeper: Keeper<M>,
    /// None where none are taken.
    packages: Option<Packages<M>>,
}

impl<M: Managed> Agent<M> {
    /// An agent for what is `managed`. Nothing is connected to.
    ///
    /// # Errors
    /// Its folder cannot be used; or the settings are wrong, where the text names the setting.
    pub fn open(settings: &OpampSettings, place: Place, managed: Arc<M>) -> anyhow::Result<Agent<M>> {
        let cannot = || format!("cannot keep what is managed in {}", place.folder.display());
        let store = Store::open(&place.folder).with_context(cannot)?;
        let identity =
            Identity::open(&place.folder, &place.machine, place.clock.now()).with_context(cannot)?;
        let mut capabilities = can::REPORT_STATUS
            | can::REPORT_EFFECTIVE_CONFIG
            | can::REPORT_PACKAGES
            | can::REPORT_HEALTH
            | can::REPORT_REMOTE_CONFIG
            | can::REPORT_HEARTBEAT;
        if settings.accept_config {
            capabilities |= can::ACCEPT_REMOTE_CONFIG;
        }
        if settings.accept_packages {
            capabilities |= can::ACCEPT_PACKAGES;
        }
        if settings.accept_connection {
            capabilities |= can::ACCEPT_CONNECTION | can::REPORT_CONNECTION;
        }
        if settings.accept_restart {
            capabilities |= can::ACCEPT_RESTART;
        }
        let mut description = place.description;
        description.others.extend(settings.labels.clone());
        let desk = Arc::new(Desk::new(identity, capabilities, description, Instant::now()));
        let orders = Arc::new(Orders::default());
        let ends = (desk, orders);
        let may = managed.clone();
        let connections =
            Connections::new(settings, &place.folder, Arc::new(move |url: &str| may.may_connect(url)));
        let make = Box::new(Ways::new);
        let link = Link::new(connections, ends.clone(), place.clock.clone(), &place.health, make)?;
        let packages = settings
            .accept_packages
            .then(|| Packages::new(managed.clone(), ends.clone(), PackageStore::of(&place.folder)));
        Ok(Agent { link, keeper: Keeper::new(managed, ends, store, settings, place.clock), packages })
    }

    /// Goes on until `stop` is cancelled.
    pub async fn run(self, stop: &CancellationToken) {
        let packages = async {
            if let Some(packages) = self.packages {
                packages.run(stop).await;
            }
        };
        tokio::join!(self.link.run(stop), self.keeper.run(stop), packages);
    }
}
