//! What the commands about registries share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use super::super::{Failure, cache_folder};
use super::wrong;
use crate::config::{self, Loaded};
use flitch_core::net::tls::ClientTls;
use flitch_registry::{Place, Plugin, PluginsSettings, Reference, Registries, TrustSettings};

/// How registries are spoken with, and whose signatures count.
#[derive(Debug, clap::Args)]
pub struct RegistryArgs {
    /// A configuration file whose `plugins` count.
    #[arg(short = 'c', long = "config", value_name = "FILE", env = "FLITCH_CONFIG")]
    pub config: Option<PathBuf>,
    /// A public key whose signatures count besides. With one, a plugin must be signed.
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<String>,
    /// A file with the authorities to which the registry's certificate must lead.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Speak with the registry without TLS.
    #[arg(long, conflicts_with = "ca")]
    plain_http: bool,
}

/// The registries of a command, and the configuration that it was given.
pub struct Opened {
    pub registries: Arc<Registries>,
    pub loaded: Option<Loaded>,
    /// Relative paths are from here.
    pub folder: PathBuf,
    /// Where the configuration was read.
    pub path: PathBuf,
}

impl RegistryArgs {
    /// Opens the registries, with what is said of them for those at `references` too. Without a configuration plugins are
    /// kept in the user's cache folder.
    pub fn open(&self, references: &[Reference]) -> Result<Opened, Failure> {
        let path = self.config.clone().unwrap_or_else(|| PathBuf::from("flitch.yaml"));
        let loaded = match &self.config {
            Some(path) => Some(config::load(path)?),
            None => None,
        };
        self.open_with(references, loaded, path)
    }

    /// The registries of the references that these texts are, or of the configuration's where there are none.
    pub fn open_named(&self, texts: &[String]) -> Result<(Opened, Vec<Reference>), Failure> {
        if texts.is_empty() {
            return self.open_config();
        }
        let references = texts.iter().map(|text| parse(text)).collect::<Result<Vec<_>, _>>()?;
        Ok((self.open(&references)?, references))
    }

    /// The same, with the configuration that is there if none is named.
    pub fn open_config(&self) -> Result<(Opened, Vec<Reference>), Failure> {
        let path = self.config.clone().unwrap_or_else(|| PathBuf::from("flitch.yaml"));
        let loaded = config::load(&path)?;
        loaded.check_parts()?;
        let folder = folder_of(&path);
        let references = references(&loaded, &folder);
        let references: Vec<Reference> = references.into_iter().map(|(_, reference)| reference).collect();
        Ok((self.open_with(&references, Some(loaded), path)?, references))
    }

    fn open_with(
        &self,
        references: &[Reference],
        loaded: Option<Loaded>,
        path: PathBuf,
    ) -> Result<Opened, Failure> {
        let mut settings =
            loaded.as_ref().map_or_else(PluginsSettings::default, |loaded| loaded.config.plugins.clone());
        // Paths of the command line are from here, and those of the configuration from its folder.
        let here = |path: &Path| std::path::absolute(path).map(|path| path.to_string_lossy().into_owned());
        for key in &self.keys {
            settings.trust.push(TrustSettings { key: here(Path::new(key))?, only: None });
        }
        let hosts = references.iter().filter_map(|reference| match &reference.place {
            Place::Registry { host, .. } => Some(host.clone()),
            Place::Layout { .. } | Place::Package { .. } => None,
        });
        for host in hosts {
            if self.plain_http && !settings.plain_http.contains(&host) {
                settings.tls.remove(&host);
                settings.plain_http.push(host);
            } else if let Some(ca) = &self.ca {
                settings.plain_http.retain(|plain| *plain != host);
                settings.tls.insert(host, ClientTls { ca: Some(ca.clone()), ..ClientTls::default() });
            }
        }
        let folder = folder_of(&path);
        let cache = match &loaded {
            Some(loaded) => loaded.config.data_dir.clone(),
            None => cache_folder().context("there is no cache folder: set HOME or XDG_CACHE_HOME")?,
        };
        let cache = cache.join(flitch_registry::FOLDER);
        let registries = Registries::new(&settings, &folder, cache, true).map_err(wrong)?;
        Ok(Opened { registries: Arc::new(registries), loaded, folder, path })
    }
}

/// The folder of a configuration file.
fn folder_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_owned()
}

/// The references of a configuration, each with its place.
pub fn references(loaded: &Loaded, folder: &Path) -> Vec<(String, Reference)> {
    let mut all = Vec::new();
    for (name, filter) in &loaded.config.filters {
        let shadow =
            filter.shadow.as_ref().map(|shadow| (format!("filters.{name}.shadow.plugin"), &shadow.plugin));
        for (place, plugin) in
            std::iter::once((format!("filters.{name}.plugin"), &filter.plugin)).chain(shadow)
        {
            if Reference::is_one(plugin)
                && let Ok(reference) = Reference::parse(plugin, folder)
            {
                all.push((place, reference));
            }
        }
    }
    all
}

/// A reference of the command line.
pub fn parse(text: &str) -> Result<Reference, Failure> {
    let here = std::env::current_dir()?;
    Reference::parse(text, &here).map_err(Failure::Usage)
}

/// What references stand for by the settings of nobody, for the commands that take any plugin.
pub fn of_user() -> anyhow::Result<Arc<Registries>> {
    let Some(cache) = cache_folder() else { return Ok(Arc::default()) };
    let settings = PluginsSettings::default();
    Ok(Arc::new(Registries::new(&settings, Path::new("."), cache.join(flitch_registry::FOLDER), true)?))
}

/// A line about a plugin that may run.
pub fn describe(plugin: &Plugin) -> String {
    let signed = match &plugin.signed_by {
        Some(key) => format!("signed by {key}"),
        None => "no signature was asked for".to_owned(),
    };
    format!("{} ({} KiB, {signed})", plugin.reference, plugin.component.len() / 1024)
}
