//! Packages of a server that manages this flitch: put into their places, and into force where filters name them.

use std::io;

use super::history::By;
use super::{App, Applied, apart};
use flitch_filters::{Filter, swap};
use flitch_registry::{Fetched, Packages, Registries};

impl App {
    fn packages(&self) -> io::Result<Packages> {
        self.filters.registries.packages().ok_or_else(|| io::Error::other("no package can be kept here"))
    }

    /// Puts a package in the place of what is here of that name. Filters that name it take it as any new generation; where one
    /// of them cannot, what was before is there again, for all of them.
    ///
    /// # Errors
    /// It cannot be used, and why. What was before goes on.
    pub(super) async fn install(&mut self, package: &Fetched) -> Result<Applied, String> {
        let (cx, content) = (self.filters.silent(), package.content.clone());
        let looked = apart(move || swap::aside(|| cx.holds(&content))).await;
        looked.map_err(|error| format!("it is no plugin: {error:#}"))?;
        let packages = self.packages().map_err(|error| error.to_string())?;
        packages.put(package).map_err(|error| error.to_string())?;
        let reference = Registries::named(&package.name).to_string();
        let filters = self.config().filters.iter();
        let named = filters.filter(|(_, filter)| filter.references().any(|plugin| plugin == reference));
        let named: Vec<String> = named.map(|(name, _)| name.clone()).collect();
        if named.is_empty() {
            return Ok(Applied::default());
        }
        let reason = match self.apply(self.config().clone(), By::Server).await {
            Ok(applied) => {
                let kept = applied.kept.iter().find(|kept| named.contains(&kept.filter));
                match kept.map(ToString::to_string).or_else(|| self.has_not_taken(package)) {
                    Some(reason) => reason,
                    None => return Ok(applied),
                }
            }
            Err(error) => error.to_string(),
        };
        self.takes_back(&package.name, &reason);
        // Others may have taken it.
        if let Err(error) = self.apply(self.config().clone(), By::Server).await {
            tracing::error!(%error, package = package.name, "filters that have taken a package cannot go back");
        }
        Err(reason)
    }

    /// Why a filter that names a package runs other code than that, where one does: it was put back before with this code.
    fn has_not_taken(&self, package: &Fetched) -> Option<String> {
        let reference = Registries::named(&package.name).to_string();
        let made = self.made().into_iter();
        let mut others = made.filter(|(_, made)| {
            made.settings.plugin == reference && *made.sha256 != *package.version.content.hex()
        });
        let (filter, _) = others.next()?;
        Some(format!(
            "filters.{filter}: it was rolled back with this code before, and goes on with what it runs"
        ))
    }

    /// Forgets a package.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn forget(&self, name: &str) -> io::Result<()> {
        self.packages()?.remove(name)
    }

    /// A filter went back to what it ran before. Where that is of the same package, so does the package: a restart finds what
    /// runs, and the server hears why.
    pub(super) fn package_went_back(&self, from: &Filter, to: &Filter, reason: &str) {
        let plugin = &from.configured.plugin;
        let Some(name) = plugin.strip_prefix("package:").filter(|_| *plugin == to.configured.plugin) else {
            return;
        };
        let is_it = |packages: Packages| {
            packages.get(name).is_some_and(|package| package.now.content.hex() == from.plugin().sha256())
        };
        if self.packages().is_ok_and(is_it) {
            self.takes_back(name, reason);
        }
    }

    fn takes_back(&self, name: &str, reason: &str) {
        match self.packages().and_then(|packages| packages.go_back(name, reason)) {
            Ok(()) => tracing::error!(
                package = name,
                reason,
                "what was before of the package of the server is back"
            ),
            Err(error) => {
                tracing::error!(package = name, %error, "what was before of a package cannot be put back")
            }
        }
    }
}
