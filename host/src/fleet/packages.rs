//! Packages of the server that manages this flitch, which are plugins: had, held to the machine's own terms, and handed to the
//! daemon.

use std::path::Path;
use std::sync::Arc;

use super::Fleet;
use crate::admin::Home;
use crate::app::{Command, Refused};
use crate::config::is_host_allowed;
use flitch_opamp::NotInstalled;
use flitch_registry::{Error, Offer, Package, Registries};

impl Fleet {
    /// The packages of this machine.
    pub(super) fn packages_here(&self) -> Vec<Package> {
        let packages = self.registries().ok().and_then(|registries| registries.packages());
        packages.map(|packages| packages.all()).unwrap_or_default()
    }

    /// Registries by the terms of the machine's own file, as it is now.
    fn registries(&self) -> anyhow::Result<Registries> {
        let Some((chosen, home)) = self.board.in_force().zip(self.board.home()) else {
            return Ok(Registries::default());
        };
        let Home { config, data_dir } = home;
        let folder = config.parent().unwrap_or(Path::new("."));
        Registries::new(&chosen.own.config.plugins, folder, data_dir.join(flitch_registry::FOLDER), true)
    }

    /// Has a package, and puts it into force.
    pub(super) async fn takes(&self, offer: Offer) -> Result<(), NotInstalled> {
        let refused = |reason: String| NotInstalled::Refused(reason);
        let registries = self.registries().map_err(|error| refused(format!("{error:#}")))?;
        let Some(chosen) = self.board.in_force() else {
            return Err(NotInstalled::Failed("flitch has not started yet".to_owned()));
        };
        let allow = &chosen.own.config.manage.allow;
        let fetched = registries.fetch(&offer, &|url| is_host_allowed(url, allow)).await;
        let fetched = fetched.map_err(|error| match error {
            Error::Refused(reason) => NotInstalled::Refused(reason),
            error => NotInstalled::Failed(error.to_string()),
        })?;
        match self.control.ask(Command::Install(Arc::new(fetched))).await {
            Ok(_) => Ok(()),
            Err(Refused::Ending) => Err(NotInstalled::Failed(Refused::Ending.to_string())),
            Err(error) => Err(refused(error.to_string())),
        }
    }
}
