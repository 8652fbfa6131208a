//! Asking registries: the nearest first, and the registry itself last.

use super::Registries;
use crate::Error;
use crate::client::{Client, Sent, is_manifest};
use crate::digest::Digest;
use crate::layout;
use crate::manifest::Manifest;
use crate::reference::{Place, Reference};
use crate::signature::{self, Key, Signature, Signed};
use flitch_core::telemetry::Metric;

impl Registries {
    /// The registries that may have a reference, the nearest first, each with the name of its repository there.
    pub(super) fn places(&self, reference: &Reference) -> Result<Vec<(Client<'_>, String)>, Error> {
        let Place::Registry { host, repository } = &reference.place else { return Ok(Vec::new()) };
        let own = match (host.as_str(), repository.contains('/')) {
            ("docker.io", false) => format!("library/{repository}"),
            _ => repository.clone(),
        };
        let mirrors = self.settings.mirrors.get(host).into_iter().flatten();
        let mirror = |mirror: &String| match mirror.split_once('/') {
            Some((host, path)) => (host.to_owned(), format!("{}/{own}", path.trim_matches('/'))),
            None => (mirror.clone(), own.clone()),
        };
        let all = mirrors.map(mirror).chain([(host.clone(), own.clone())]);
        all.map(|(host, repository)| Ok((Client::new(&host, &self.settings, &self.logins)?, repository)))
            .collect()
    }

    /// What the first place that answers says of a tag.
    pub(super) async fn tag_of(&self, reference: &Reference) -> Result<Option<Digest>, Error> {
        let tag = reference.tag.as_deref().unwrap_or_default();
        let mut last = Ok(None);
        for (client, repository) in self.places(reference)? {
            last = client.tag(&repository, tag).await;
            if matches!(last, Ok(Some(_))) {
                break;
            }
        }
        last
    }

    /// Pulls what a reference stands for into the cache. Answers the digest of its manifest.
    pub(super) async fn pull(&self, reference: &Reference) -> Result<Digest, Error> {
        let mut errors: Vec<Error> = Vec::new();
        for (client, repository) in self.places(reference)? {
            match self.pull_from(&client, &repository, reference).await {
                Ok(digest) => {
                    if let Place::Registry { host, .. } = &reference.place {
                        Metric::PluginPulls.counter(&[("registry", host), ("result", "pulled")]).increment(1);
                    }
                    for error in &errors {
                        tracing::warn!(plugin = %reference, reason = %error, "a mirror does not have it as it should; another one did");
                    }
                    tracing::info!(plugin = %reference, digest = %digest, "plugin pulled");
                    return Ok(digest);
                }
                Err(error) => errors.push(error),
            }
        }
        Err(worst(errors).about(reference))
    }

    async fn pull_from(
        &self,
        client: &Client<'_>,
        repository: &str,
        reference: &Reference,
    ) -> Result<Digest, Error> {
        let cache = self.cache()?;
        let (sent, manifest) = self.manifest_of(client, repository, reference).await?;
        let of = manifest.component(self.settings.max_bytes.0)?;
        if cache.read(&of.digest, of.size).map_err(|error| cache.failed(&error))?.is_none() {
            let mut aside = cache.aside().map_err(|error| cache.failed(&error))?;
            client.blob(repository, of, &mut aside).await?;
            cache.keep(aside).map_err(|error| cache.failed(&error))?;
        }
        cache.write(&sent.bytes).map_err(|error| cache.failed(&error))?;
        Ok(Digest::of(&sent.bytes))
    }

    /// The manifest that a reference stands for at this place.
    async fn manifest_of(
        &self,
        client: &Client<'_>,
        repository: &str,
        reference: &Reference,
    ) -> Result<(Sent, Manifest), Error> {
        if let (Some(tag), Some(wanted)) = (&reference.tag, &reference.digest)
            && let Some(now) = client.tag(repository, tag).await?
            && now != *wanted
        {
            return Err(reference.moved(&now));
        }
        let name = reference.digest.as_ref().map(ToString::to_string).or_else(|| reference.tag.clone());
        let sent = client.manifest(repository, &name.unwrap_or_default()).await?;
        let digest = Digest::of(&sent.bytes);
        if let Some(wanted) = reference.digest.as_ref().filter(|wanted| **wanted != digest) {
            return Err(Error::Refused(format!(
                "{repository} is answered with another manifest, {digest}, than {wanted}"
            )));
        }
        let manifest = Manifest::read(&sent.bytes, sent.media_type.as_deref())?;
        Ok((sent, manifest))
    }

    /// The digest of the manifest that a reference stands for at the first place that has it as it should be. Nothing is pulled.
    pub(super) async fn find(&self, reference: &Reference) -> Result<Digest, Error> {
        let mut errors: Vec<Error> = Vec::new();
        for (client, repository) in self.places(reference)? {
            let found = self.manifest_of(&client, &repository, reference).await;
            let found = found.and_then(|(sent, manifest)| {
                manifest.component(self.settings.max_bytes.0)?;
                Ok(Digest::of(&sent.bytes))
            });
            match found {
                Ok(digest) => return Ok(digest),
                Err(error) => errors.push(error),
            }
        }
        Err(worst(errors).about(reference))
    }

    /// The signatures of a manifest, wherever they are; no more than it takes for one of `keys`.
    pub(super) async fn signatures(
        &self,
        reference: &Reference,
        digest: &Digest,
        keys: &[&Key],
    ) -> Result<Vec<Signature>, Error> {
        let mut found = Vec::new();
        let mut failure = None;
        for (client, repository) in self.places(reference)? {
            if let Err(error) = self.signatures_from(&client, &repository, digest, &mut found).await {
                failure = Some(error);
            }
            if matches!(signature::signed(&found, digest, keys), Signed::By(_)) {
                return Ok(found);
            }
        }
        match failure {
            Some(error) if found.is_empty() => Err(error.about(reference)),
            _ => Ok(found),
        }
    }

    async fn signatures_from(
        &self,
        client: &Client<'_>,
        repository: &str,
        digest: &Digest,
        found: &mut Vec<Signature>,
    ) -> Result<(), Error> {
        let mut failure = None;
        let mut referrers = client.referrers(repository, digest).await.unwrap_or_else(|error| {
            failure = Some(error);
            Vec::new()
        });
        // Some registries say nothing of what they are, or something else.
        let is_bundle =
            |kind: &Option<String>| kind.as_deref().is_some_and(|kind| kind.contains("sigstore.bundle"));
        referrers.sort_by_key(|of| !is_bundle(&of.artifact_type));
        let mut names: Vec<String> =
            referrers.iter().take(signature::MANY).map(|of| of.digest.to_string()).collect();
        names.push(format!("sha256-{}.sig", digest.hex()));
        for name in names {
            match self.signatures_of(client, repository, &name, found).await {
                Ok(()) | Err(Error::Missing(_)) => {}
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(()), Err)
    }

    async fn signatures_of(
        &self,
        client: &Client<'_>,
        repository: &str,
        name: &str,
        found: &mut Vec<Signature>,
    ) -> Result<(), Error> {
        let sent = client.manifest(repository, name).await?;
        if !is_manifest(&sent) {
            return Ok(());
        }
        let manifest = Manifest::read(&sent.bytes, sent.media_type.as_deref())?;
        for layer in layout::layers(&manifest) {
            if found.len() >= signature::MANY {
                return Ok(());
            }
            let mut content = Vec::new();
            client.blob(repository, layer, &mut content).await?;
            found.extend(layout::of_layer(layer, content).filter(|one| !found.contains(one)));
        }
        Ok(())
    }
}

/// The one of several errors that says most: what is refused says more than what is not there.
fn worst(errors: Vec<Error>) -> Error {
    let place = errors.iter().rposition(|error| matches!(error, Error::Refused(_)));
    let told = place.unwrap_or(errors.len().saturating_sub(1));
    errors.into_iter().nth(told).unwrap_or_else(|| Error::Failed("no registry has it".to_owned()))
}
