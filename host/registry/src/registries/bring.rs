//! Bringing plugins to registries and layouts, and looking at their signatures.

use std::path::Path;

use super::{Plugin, Registries};
use crate::Error;
use crate::digest::Digest;
use crate::layout::{Content, Layout};
use crate::manifest::{MANIFEST, Manifest};
use crate::reference::{Place, Reference};
use crate::signature::{Search, Signature};

/// Most bytes of what is said of a component.
const CONFIG: u64 = 1 << 20;

/// The signatures of a plugin.
#[derive(Debug)]
pub struct Found {
    /// The digest of its manifest.
    pub digest: Digest,
    /// They themselves.
    pub signatures: Vec<Signature>,
    /// Whether there may be more, which were not looked at.
    pub is_part: bool,
}

impl Registries {
    /// Brings a component to where `reference` says, with what is said of it (see [`manifest::config`]). Blocks.
    ///
    /// # Errors
    /// It is not taken.
    pub fn push(&self, reference: &Reference, component: Vec<u8>, config: Vec<u8>) -> Result<Digest, Error> {
        let text = Manifest::of_component(&config, &component).text();
        let digest = Digest::of(&text);
        let tag = reference.tag.clone();
        match &reference.place {
            Place::Package { .. } => return Err(of_the_server(reference)),
            Place::Layout { path } => {
                let content =
                    Content { manifest: &text, config: &config, component: &component, signatures: &[] };
                let tag = tag.ok_or_else(|| Error::Failed(format!("{reference} has no tag")))?;
                Layout(path).add(&content, &tag)?;
            }
            Place::Registry { .. } => self.block_on(async {
                let mut places = self.places(reference)?;
                let (client, repository) =
                    places.pop().ok_or_else(|| Error::Failed("no registry".to_owned()))?;
                client.upload(&repository, component.into()).await?;
                client.upload(&repository, config.into()).await?;
                let name = tag.unwrap_or_else(|| digest.to_string());
                client.put_manifest(&repository, &name, MANIFEST, text.into()).await
            })?,
        }
        Ok(digest)
    }

    /// Copies a plugin that was had from a registry into a layout, with its signatures. Blocks.
    ///
    /// # Errors
    /// It cannot be had, or not written.
    pub fn copy(&self, plugin: &Plugin, to: &Path, tag: &str) -> Result<(), Error> {
        if matches!(plugin.reference.place, Place::Package { .. }) {
            return Err(of_the_server(&plugin.reference));
        }
        let manifest = Manifest::read(&plugin.manifest, None)?;
        let of = &manifest.config;
        let mut search = Search::all(plugin.digest());
        let config = match &plugin.reference.place {
            Place::Layout { path } => {
                Layout(path).signatures(&mut search)?;
                Layout(path).blob(&of.digest, CONFIG)?
            }
            Place::Package { .. } => return Err(of_the_server(&plugin.reference)),
            Place::Registry { .. } => self.block_on(async {
                self.signatures(&plugin.reference, &mut search).await?;
                let mut failure = Error::Failed("no registry".to_owned());
                for (client, repository) in self.places(&plugin.reference)? {
                    if of.size > CONFIG {
                        return Err(Error::Refused(format!("its configuration has {} bytes", of.size)));
                    }
                    let mut config = Vec::new();
                    match client.blob(&repository, of, &mut config).await {
                        Ok(()) => return Ok(config),
                        Err(error) => failure = error,
                    }
                }
                Err(failure)
            })?,
        };
        let signatures = search.found();
        let content = Content {
            manifest: &plugin.manifest,
            config: &config,
            component: &plugin.component,
            signatures: &signatures,
        };
        Layout(to).add(&content, tag)
    }

    /// The signatures of what a reference stands for, whoever made them. Blocks.
    ///
    /// # Errors
    /// They cannot be had.
    pub fn found(&self, reference: &Reference) -> Result<Found, Error> {
        let digest = match &reference.digest {
            Some(digest) => digest.clone(),
            None => self.resolve(reference)?,
        };
        let mut search = Search::all(&digest);
        match &reference.place {
            Place::Layout { path } => Layout(path).signatures(&mut search)?,
            Place::Package { .. } => return Err(of_the_server(reference)),
            Place::Registry { .. } => self.block_on(self.signatures(reference, &mut search))?,
        }
        let (is_part, signatures) = (search.is_part(), search.found());
        Ok(Found { digest, signatures, is_part })
    }
}

fn of_the_server(reference: &Reference) -> Error {
    Error::Failed(format!(
        "{reference} is the server's which manages this flitch: nothing is brought there, and no signatures are looked for"
    ))
}
