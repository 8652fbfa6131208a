//! Asking registries: the nearest first, and the registry itself last.

use std::cmp::Reverse;

use super::Registries;
use crate::Error;
use crate::client::{Client, Sent, is_manifest};
use crate::digest::Digest;
use crate::layout;
use crate::manifest::{Descriptor, Manifest};
use crate::reference::{Place, Reference};
use crate::signature::{SIGNS, Search};
use flitch_core::telemetry::Metric;

/// Most things that are said of a plugin which are looked at for signatures.
const MOST_REFERRERS: usize = 256;
/// What cosign 3 writes to a list of referrers: what a bundle states, and since when it is there.
const PREDICATE: &str = "dev.sigstore.bundle.predicateType";
const CREATED: &str = "org.opencontainers.image.created";

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

    /// Looks for signatures wherever they are; no more than it takes for one of the keys.
    pub(super) async fn signatures(
        &self,
        reference: &Reference,
        search: &mut Search<'_>,
    ) -> Result<(), Error> {
        let mut failure = None;
        for (client, repository) in self.places(reference)? {
            failure = self.signatures_from(&client, &repository, search).await.err();
            if search.is_signed() {
                return Ok(());
            }
        }
        match failure {
            // What could not be had from the registry itself may be the one that counts.
            Some(error) if search.is_empty() || matches!(error, Error::Failed(_)) => {
                Err(error.about(reference))
            }
            _ => Ok(()),
        }
    }

    async fn signatures_from(
        &self,
        client: &Client<'_>,
        repository: &str,
        search: &mut Search<'_>,
    ) -> Result<(), Error> {
        let digest = search.digest();
        let mut referrers = Vec::new();
        let mut failure = client.referrers(repository, digest, &mut referrers).await.err();
        referrers.sort_by_cached_key(nearness);
        if referrers.len() > MOST_REFERRERS {
            search.leave_out();
        }
        let older = format!("sha256-{}.sig", digest.hex());
        let first = referrers.iter().take(MOST_REFERRERS).map(|of| of.digest.to_string());
        for name in first.chain([older]) {
            match self.signatures_of(client, repository, &name, search).await {
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
        search: &mut Search<'_>,
    ) -> Result<(), Error> {
        if !search.takes_more() {
            return Ok(());
        }
        let sent = client.manifest(repository, name).await?;
        if !is_manifest(&sent) {
            return Ok(());
        }
        let manifest = Manifest::read(&sent.bytes, sent.media_type.as_deref())?;
        for layer in layout::layers(&manifest) {
            if !search.takes_more() {
                return Ok(());
            }
            let mut content = Vec::new();
            client.blob(repository, layer, &mut content).await?;
            layout::of_layer(layer, content).into_iter().for_each(|one| search.add(one));
        }
        Ok(())
    }
}

/// Which of what is said of a plugin is looked at first: what says of itself that it is a signature, the newest of them, as cosign
/// notes it. Some registries say nothing of what things are, or something else.
fn nearness(of: &Descriptor) -> impl Ord + use<> {
    let note = |name: &str| of.annotations.get(name).map(String::as_str).unwrap_or_default();
    let is_bundle = of.artifact_type.as_deref().is_some_and(|kind| kind.contains("sigstore.bundle"));
    let is_statement = !matches!(note(PREDICATE), "" | SIGNS);
    (!is_bundle, is_statement, Reverse(note(CREATED).to_owned()))
}

/// The one of several errors that says most: what is refused says more than what is not there.
fn worst(errors: Vec<Error>) -> Error {
    let place = errors.iter().rposition(|error| matches!(error, Error::Refused(_)));
    let told = place.unwrap_or(errors.len().saturating_sub(1));
    errors.into_iter().nth(told).unwrap_or_else(|| Error::Failed("no registry has it".to_owned()))
}
