//! Plugins that registries have (OCI distribution-spec 1.1), or an OCI layout on disk.
//!
//! A plugin is named by a [`Reference`]. [`Registries`] has what a reference stands for: from the [`cache`], or else from where
//! it is, checked against its digest whenever it is read, and believed by its [`signature`]s as the [settings](PluginsSettings)
//! say. Nothing here knows what a plugin is good for: it is bytes.

mod cache;
mod client;
mod digest;
mod layout;
pub mod manifest;
mod packages;
mod poll;
mod reference;
mod registries;
mod settings;
pub mod signature;

pub use digest::Digest;
pub use packages::{Fetched, Offer, Package, Packages, Refusal, Version};
pub use reference::{Place, Reference};
pub use registries::{Found, Plugin, Registries};
pub use settings::{CacheSettings, PluginsSettings, TrustSettings};

/// The folder of what was pulled, below `data_dir`.
pub const FOLDER: &str = "registry";

/// Why there is no plugin.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// It was not pulled, and nobody is asked.
    #[error("{}", told(.0))]
    NotHere(Box<str>),
    /// It is not there where it should be.
    #[error("{}", told(.0))]
    Missing(String),
    /// What is there may not run, or is not what was asked for.
    #[error("{}", told(.0))]
    Refused(String),
    /// It could not be had; later it may.
    #[error("{}", told(.0))]
    Failed(String),
}

/// Most bytes of a reason that is told: some of it are a registry's words.
const MOST_TOLD: usize = 2048;

fn told(why: &str) -> &str {
    &why[..why.floor_char_boundary(MOST_TOLD)]
}

impl Error {
    /// The same, with the name of what it is about.
    #[must_use]
    fn about(self, reference: &Reference) -> Error {
        match self {
            Error::Missing(why) => Error::Missing(format!("{reference}: {why}")),
            Error::Refused(why) => Error::Refused(format!("{reference}: {why}")),
            Error::Failed(why) => Error::Failed(format!("{reference}: {why}")),
            not_here @ Error::NotHere(_) => not_here,
        }
    }

    /// What it counts as: `refused`, or `failed`.
    pub fn result(&self) -> &'static str {
        if matches!(self, Error::Refused(_)) { "refused" } else { "failed" }
    }
}

#[cfg(test)]
mod tests;
