//! What a server wants, until it is done.

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::wire::{AgentRemoteConfig, PackagesAvailable};

/// How filters name packages.
const PACKAGE: &[u8] = b"package:";

/// What a server wants. Of two configurations, or two lists of packages, the later one counts. A configuration that names
/// packages waits for those that came before it.
#[derive(Debug, Default)]
pub struct Orders {
    given: Mutex<Given>,
    told: Notify,
    offered: Notify,
}

#[derive(Debug, Default)]
struct Given {
    wanted: Wanted,
    packages: Option<PackagesAvailable>,
    /// Whether packages are under way.
    is_busy: bool,
}

/// What is to be done now.
#[derive(Debug, Default)]
pub struct Wanted {
    /// A configuration came.
    pub config: Option<AgentRemoteConfig>,
    /// A restart is wanted.
    pub restart: bool,
    /// Another package is here.
    pub installed: bool,
}

impl Orders {
    /// A configuration came.
    pub fn config(&self, config: AgentRemoteConfig) {
        self.given.lock().wanted.config = Some(config);
        self.told.notify_one();
    }

    /// A restart is wanted.
    pub fn restart(&self) {
        self.given.lock().wanted.restart = true;
        self.told.notify_one();
    }

    /// Packages are offered.
    pub fn packages(&self, packages: PackagesAvailable) {
        self.given.lock().packages = Some(packages);
        self.offered.notify_one();
    }

    /// Waits until there is something to do, but for packages.
    pub async fn next(&self) -> Wanted {
        self.told.notified().await;
        let mut given = self.given.lock();
        let is_busy = given.is_busy || given.packages.is_some();
        let waits = given.wanted.config.take_if(|config| is_busy && names_packages(config));
        let wanted = std::mem::take(&mut given.wanted);
        given.wanted.config = waits;
        wanted
    }

    /// Waits until packages are offered. Until [`done`](Orders::done) they are under way.
    pub async fn next_packages(&self) -> PackagesAvailable {
        loop {
            if let Some(packages) = self.take_packages() {
                return packages;
            }
            self.offered.notified().await;
        }
    }

    /// Packages that are offered now.
    pub fn take_packages(&self) -> Option<PackagesAvailable> {
        let mut given = self.given.lock();
        let packages = given.packages.take();
        given.is_busy |= packages.is_some();
        packages
    }

    /// Packages that were under way are here, or refused; and whether another one is here.
    pub fn done(&self, installed: bool) {
        let mut given = self.given.lock();
        given.is_busy = false;
        given.wanted.installed |= installed;
        drop(given);
        self.told.notify_one();
    }
}

/// Whether a configuration names packages.
pub fn names_packages(config: &AgentRemoteConfig) -> bool {
    let files = config.config.iter().flat_map(|config| config.config_map.values());
    files.into_iter().any(|file| file.body.windows(PACKAGE.len()).any(|part| part == PACKAGE))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::wire::{AgentConfigFile, AgentConfigMap};

    fn config(text: &str) -> AgentRemoteConfig {
        let file = AgentConfigFile { body: text.into(), ..AgentConfigFile::default() };
        let config = Some(AgentConfigMap { config_map: BTreeMap::from([(String::new(), file)]) });
        AgentRemoteConfig { config, ..AgentRemoteConfig::default() }
    }

    #[tokio::test]
    async fn a_configuration_that_names_packages_waits_for_those_that_came_before_it_and_no_other_does() {
        let orders = Orders::default();
        orders.packages(PackagesAvailable::default());
        orders.config(config("plugin: package:mine"));
        assert!(orders.next().await.config.is_none());
        orders.next_packages().await;
        orders.restart();
        let wanted = orders.next().await;
        assert!(wanted.restart && wanted.config.is_none());
        orders.done(true);
        let wanted = orders.next().await;
        assert!(wanted.installed && wanted.config.is_some());
        orders.packages(PackagesAvailable::default());
        orders.config(config("plugin: dissect"));
        assert!(orders.next().await.config.is_some());
    }
}
