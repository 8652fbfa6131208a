//! Packages that a server offers: which of them are here, which are being had, and which are refused and why.
//!
//! What is refused is not tried again under the same hash until flitch starts anew; what could not be had is, after pauses that
//! grow. What the server offers no more goes, unless something needs it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use flitch_core::backoff::{Backoff, scattered};
use flitch_registry::Offer;

use crate::app::{Managed, NotInstalled, Package};
use crate::desk::Desk;
use crate::orders::Orders;
use crate::store::replace;
use crate::wire::{PackageAvailable, PackageState, PackageStatus, PackagesAvailable};

/// How often it is looked what has become of packages.
const LOOK: Duration = Duration::from_secs(1);
/// The pauses after failures to have one.
const PAUSES: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(300) };
/// Most packages of one server.
const MOST: usize = 100;

/// What is kept over restarts: by what the server knows the packages that are here.
#[derive(Debug)]
pub struct PackageStore(PathBuf);

impl PackageStore {
    /// The one in the agent's folder.
    pub fn of(folder: &Path) -> PackageStore {
        PackageStore(folder.join("packages.json"))
    }

    fn hash(&self) -> Vec<u8> {
        let text = std::fs::read(&self.0).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Where nothing is kept, the server offers all again after a restart.
    fn keep(&self, hash: Option<&[u8]>) -> io::Result<()> {
        match hash {
            Some(hash) => replace(&self.0, &serde_json::to_vec(hash)?),
            None => match std::fs::remove_file(&self.0) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }
}

/// Why a package that is offered is not here.
#[derive(Debug)]
struct Missing {
    /// By what the server knows the version that was tried.
    hash: Vec<u8>,
    reason: String,
    /// When it is tried again, if at all, and how often that was.
    again: Option<Instant>,
    failures: u32,
}

/// Has packages, and tells of them.
pub struct Packages<M> {
    managed: Arc<M>,
    desk: Arc<Desk>,
    orders: Arc<Orders>,
    store: PackageStore,
    /// What the server offered last; none since flitch started.
    offered: Option<BTreeMap<String, PackageAvailable>>,
    /// By what the server knows all of that.
    hash: Vec<u8>,
    /// What is wrong with all of it.
    reason: String,
    missing: BTreeMap<String, Missing>,
    /// What is needed and offered no more, and by what.
    needed: BTreeMap<String, String>,
    kept: Option<Vec<u8>>,
}

impl<M: Managed> Packages<M> {
    /// The packages of an agent.
    pub fn new(
        managed: Arc<M>,
        (desk, orders): (Arc<Desk>, Arc<Orders>),
        store: PackageStore,
    ) -> Packages<M> {
        let hash = store.hash();
        let packages = Packages {
            managed,
            desk,
            orders,
            kept: Some(hash.clone()),
            store,
            offered: None,
            hash,
            reason: String::new(),
            missing: BTreeMap::new(),
            needed: BTreeMap::new(),
        };
        // The first message tells all.
        packages.tell(None);
        packages
    }

    /// Goes on until `stop` is cancelled; what it is about then is given up.
    pub async fn run(mut self, stop: &CancellationToken) {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let orders = self.orders.clone();
        let work = async {
            loop {
                tokio::select! {
                    offered = orders.next_packages() => {
                        self.takes(offered);
                        let installed = self.work().await;
                        orders.done(installed);
                    }
                    _ = looks.tick() => {
                        if self.work().await {
                            orders.done(true);
                        }
                    }
                }
            }
        };
        stop.run_until_cancelled(work).await;
    }

    fn takes(&mut self, offered: PackagesAvailable) {
        self.hash = offered.all_packages_hash;
        self.reason.clear();
        if offered.packages.len() > MOST {
            self.reason = format!("there are {} packages, and flitch takes {MOST}", offered.packages.len());
            tracing::error!(reason = self.reason, "the packages of the server are refused");
            self.offered = None;
            return;
        }
        self.missing.retain(|name, missing| {
            offered.packages.get(name).is_some_and(|package| package.hash == missing.hash)
        });
        self.offered = Some(offered.packages);
    }

    /// Has what is offered and not here, and lets go of what is offered no more. Answers whether something is here that was not.
    async fn work(&mut self) -> bool {
        let mut installed = false;
        while self.has_offered(&mut installed).await {}
        if let Some(offered) = self.offered.clone() {
            self.lets_go(&offered).await;
        }
        self.keep();
        self.tell(None);
        installed
    }

    /// Has what is offered and not here. Answers whether something else is offered by now.
    async fn has_offered(&mut self, installed: &mut bool) -> bool {
        let offered = self.offered.clone().unwrap_or_default();
        let here = self.here();
        for (name, package) in &offered {
            if !self.is_due(name, package, here.get(name)) {
                continue;
            }
            self.tell(Some(name));
            tracing::info!(package = name, version = package.version, "the server offers a package");
            let tried = match offer(name, package) {
                Ok(offer) => self.managed.install(offer).await,
                Err(reason) => Err(NotInstalled::Refused(reason)),
            };
            match tried {
                Ok(()) => {
                    tracing::info!(
                        package = name,
                        version = package.version,
                        "the package of the server is here"
                    );
                    self.missing.remove(name);
                    *installed = true;
                }
                Err(error) => self.lacks(name, package, error),
            }
            self.tell(None);
            if let Some(offered) = self.orders.take_packages() {
                self.takes(offered);
                return true;
            }
        }
        false
    }

    fn is_due(&self, name: &str, package: &PackageAvailable, here: Option<&Package>) -> bool {
        let is_here = here.is_some_and(|here| here.hash == package.hash);
        let had_to_go = here.and_then(|here| here.refused.as_ref());
        if is_here || had_to_go.is_some_and(|(hash, _)| *hash == package.hash) {
            return false;
        }
        match self.missing.get(name) {
            Some(missing) => missing.again.is_some_and(|at| Instant::now() >= at),
            None => true,
        }
    }

    fn here(&self) -> BTreeMap<String, Package> {
        self.managed.packages().into_iter().map(|package| (package.name.clone(), package)).collect()
    }

    fn lacks(&mut self, name: &str, package: &PackageAvailable, error: NotInstalled) {
        let before = self.missing.remove(name);
        let is_said = before.as_ref().is_some_and(|before| before.reason == error.to_string());
        let failures = before.map_or(0, |before| before.failures) + 1;
        let again = match error {
            NotInstalled::Refused(_) => None,
            NotInstalled::Failed(_) => {
                Some(Instant::now() + scattered(PAUSES.after(failures), fastrand::f64()))
            }
        };
        let reason = error.to_string();
        if !is_said {
            tracing::error!(
                package = name,
                version = package.version,
                reason,
                "a package of the server is not taken"
            );
        }
        self.missing.insert(name.to_owned(), Missing { hash: package.hash.clone(), reason, again, failures });
    }

    async fn lets_go(&mut self, offered: &BTreeMap<String, PackageAvailable>) {
        self.needed.retain(|name, _| !offered.contains_key(name));
        let gone = self.here().into_keys().filter(|name| !offered.contains_key(name));
        for name in gone.collect::<Vec<_>>() {
            match self.managed.remove(name.clone()).await {
                Ok(()) => {
                    tracing::info!(package = name, "the server offers the package no more, and it is gone");
                    self.needed.remove(&name);
                }
                Err(reason) if self.needed.get(&name) == Some(&reason) => {}
                Err(reason) => {
                    tracing::warn!(
                        package = name,
                        reason,
                        "the server offers the package no more, and it stays"
                    );
                    self.needed.insert(name, reason);
                }
            }
        }
    }

    /// Keeps by what the server knows what is here, where that is all that it offers.
    fn keep(&mut self) {
        if self.offered.is_none() {
            return;
        }
        let wanted = self.missing.is_empty().then(|| self.hash.clone());
        if wanted == self.kept {
            return;
        }
        match self.store.keep(wanted.as_deref()) {
            Ok(()) => self.kept = wanted,
            Err(error) => tracing::error!(%error, "it cannot be written down which packages are here"),
        }
    }

    /// Tells how packages are; one of them may be under way.
    fn tell(&self, installing: Option<&str>) {
        let here = self.here();
        let nothing = BTreeMap::new();
        let offered = self.offered.as_ref().unwrap_or(&nothing);
        let mut names: Vec<&String> = here.keys().chain(offered.keys()).collect();
        names.sort();
        names.dedup();
        let status = |name: &String| {
            let (here, offered) = (here.get(name), offered.get(name));
            let (state, error_message) = match offered {
                Some(_) if installing == Some(name.as_str()) => (PackageState::Installing, String::new()),
                Some(offered) => self.state(name, here, offered),
                // The server knows that it had to go, and does not offer it again.
                None if self.offered.is_none() && here.is_some_and(|here| here.refused.is_some()) => {
                    let refused = here.and_then(|here| here.refused.clone());
                    (PackageState::Failed, refused.map(|(_, reason)| reason).unwrap_or_default())
                }
                None => {
                    let needed = self.needed.get(name);
                    let stays =
                        needed.map(|needed| format!("the server offers it no more, and it stays: {needed}"));
                    (PackageState::Installed, stays.unwrap_or_default())
                }
            };
            // What is here was offered before flitch started, and what had to go too.
            let before = here.filter(|_| self.offered.is_none());
            let refused = before.and_then(|before| before.refused.as_ref());
            let before = before.map(|before| match refused {
                Some((hash, _)) => (String::new(), hash.clone()),
                None => (before.version.clone(), before.hash.clone()),
            });
            let offered = offered.map(|offered| (offered.version.clone(), offered.hash.clone())).or(before);
            let (server_offered_version, server_offered_hash) = offered.unwrap_or_default();
            PackageStatus {
                name: name.clone(),
                agent_has_version: here.map(|here| here.version.clone()).unwrap_or_default(),
                agent_has_hash: here.map(|here| here.hash.clone()).unwrap_or_default(),
                server_offered_version,
                server_offered_hash,
                status: state.into(),
                error_message,
            }
        };
        self.desk.packages(names.into_iter().map(status).collect(), &self.hash, &self.reason);
    }

    fn state(
        &self,
        name: &str,
        here: Option<&Package>,
        offered: &PackageAvailable,
    ) -> (PackageState, String) {
        let had_to_go = here.and_then(|here| here.refused.as_ref()).filter(|(hash, _)| *hash == offered.hash);
        match (self.missing.get(name), had_to_go) {
            _ if here.is_some_and(|here| here.hash == offered.hash) => {
                (PackageState::Installed, String::new())
            }
            (Some(missing), _) => (PackageState::Failed, missing.reason.clone()),
            (None, Some((_, reason))) => (PackageState::Failed, reason.clone()),
            (None, None) => (PackageState::Pending, String::new()),
        }
    }
}

/// What is offered, where it may be a plugin.
fn offer(name: &str, package: &PackageAvailable) -> Result<Offer, String> {
    if package.kind == 0 {
        return Err("it is to be flitch itself (`TopLevel`), and flitch takes plugins (`Addon`)".to_owned());
    }
    if package.hash.is_empty() {
        return Err("it comes without a hash, by which both sides would know it".to_owned());
    }
    let file = package.file.clone().ok_or("it comes without a file")?;
    let headers = file.headers.unwrap_or_default().headers;
    Ok(Offer {
        name: name.to_owned(),
        version: package.version.clone(),
        hash: package.hash.clone(),
        url: file.download_url,
        headers: headers.into_iter().map(|header| (header.key, header.value)).collect(),
        content: file.content_hash,
        signature: file.signature,
    })
}

#[cfg(test)]
mod tests;
