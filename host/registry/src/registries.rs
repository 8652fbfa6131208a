//! What references stand for.

mod bring;
mod pull;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::timeout;

pub use bring::Found;

use crate::cache::Cache;
use crate::client::Logins;
use crate::digest::Digest;
use crate::layout::Layout;
use crate::manifest::{self, Manifest};
use crate::reference::{Place, Reference};
use crate::settings::PluginsSettings;
use crate::signature::{self, Key, Search, Signature, Signed};
use crate::{Error, poll};
use flitch_core::placed::Placed;
use flitch_core::tasks;
use flitch_core::telemetry::{Health, Metric};

/// Has what references stand for, from its cache, from registries and from layouts.
#[derive(Debug)]
pub struct Registries {
    id: u64,
    pub(crate) settings: PluginsSettings,
    keys: Vec<(Key, Option<String>)>,
    logins: Logins,
    /// None where nothing is kept, and so nothing can be had.
    pub(crate) cache: Option<Cache>,
    /// Whether registries are asked. Where not, what was pulled counts.
    asks: bool,
}

/// Longest time for all that registries are asked for one thing, however slowly they answer: a reload waits for it.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// A manifest and its component.
type Texts = (Vec<u8>, Vec<u8>);

/// A plugin that may run.
#[derive(Debug)]
pub struct Plugin {
    /// What it is of, with the digest of its manifest.
    pub reference: Reference,
    /// The component.
    pub component: Vec<u8>,
    /// Whose signature counted, where one did.
    pub signed_by: Option<Key>,
    pub(crate) manifest: Vec<u8>,
}

impl Plugin {
    /// The digest of its manifest.
    ///
    /// # Panics
    /// Never: it was had by it.
    pub fn digest(&self) -> &Digest {
        self.reference.digest.as_ref().expect("what was had has a digest")
    }
}

impl Default for Registries {
    fn default() -> Self {
        Registries {
            id: next_id(),
            settings: PluginsSettings::default(),
            keys: Vec::new(),
            logins: Logins::default(),
            cache: None,
            asks: false,
        }
    }
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Registries {
    /// Those of a configuration, whose folder is `folder`; what is pulled is kept in `cache`. Where they are not asked, what
    /// was pulled counts.
    ///
    /// # Errors
    /// What is wrong with the settings; the text names the setting.
    pub fn new(
        settings: &PluginsSettings,
        folder: &Path,
        cache: PathBuf,
        asks: bool,
    ) -> anyhow::Result<Registries> {
        settings.check()?;
        let docker = settings.docker_config.as_ref().map(|path| folder.join(path));
        Ok(Registries {
            id: next_id(),
            keys: settings.keys(folder)?,
            logins: Logins::new(&settings.credentials, docker),
            cache: Some(Cache::new(cache, settings.cache.max_bytes.0)),
            settings: settings.clone(),
            asks,
        })
    }

    /// By which these are known from all others of the process.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether what was pulled is another user's, and this one may not look at it.
    pub fn is_closed(&self) -> bool {
        self.cache.as_ref().is_some_and(Cache::is_closed)
    }

    /// Asks from time to time what tags stand for, for as long as somebody uses these. `placed` hears of the [files](Self::file)
    /// of those that have come to stand for something else.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn watch(
        self: &Arc<Self>,
        updates: Vec<(Reference, Duration)>,
        health: &Arc<Health>,
        placed: &Arc<Placed>,
    ) -> std::io::Result<()> {
        poll::watch(self, updates, health, placed)
    }

    /// The file that changes when a reference comes to stand for something else; none where it cannot.
    pub fn file(&self, reference: &Reference) -> Option<PathBuf> {
        match (&reference.place, &reference.digest) {
            (_, Some(_)) | (Place::Package { .. }, _) => None,
            (Place::Layout { path }, None) => Some(Layout(path).index_file()),
            (Place::Registry { .. }, None) => Some(self.cache.as_ref()?.tag_file(reference)),
        }
    }

    /// The plugin that a reference stands for, whole, checked and believed. Pulls what is not in the cache. Blocks.
    ///
    /// # Errors
    /// It cannot be had, or may not run.
    pub fn load(&self, reference: &Reference) -> Result<Plugin, Error> {
        match &reference.place {
            Place::Layout { path } => self.of_layout(Layout(path), reference),
            Place::Package { name } => self.of_package(reference, name),
            Place::Registry { host, .. } => {
                let loaded = self.of_registry(reference);
                if let (Err(error), true) = (&loaded, self.asks) {
                    Metric::PluginPulls
                        .counter(&[("registry", host), ("result", error.result())])
                        .increment(1);
                }
                loaded
            }
        }
    }

    /// The digest of the component that a reference stands for, as far as is known without asking anybody.
    pub fn component(&self, reference: &Reference) -> Option<Digest> {
        let text = match &reference.place {
            Place::Layout { path } => {
                let layout = Layout(path);
                layout.blob(&layout.find(reference).ok()?, manifest::MOST).ok()?
            }
            Place::Package { name } => return Some(self.packages()?.get(name)?.now.content),
            Place::Registry { .. } => {
                let cache = self.cache.as_ref()?;
                let digest = reference.digest.clone().or_else(|| cache.tag(reference))?;
                cache.read(&digest, manifest::MOST).ok()??
            }
        };
        let manifest = Manifest::read(&text, None).ok()?;
        Some(manifest.component(u64::MAX).ok()?.digest.clone())
    }

    /// The digest that the tag of a reference stands for now, as its registry or layout says, or the one of the reference
    /// where it has no tag. Blocks.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn resolve(&self, reference: &Reference) -> Result<Digest, Error> {
        let tagged = match &reference.tag {
            Some(_) => Reference { digest: None, ..reference.clone() },
            None => reference.clone(),
        };
        match &reference.place {
            Place::Layout { path } => Layout(path).find(&tagged),
            Place::Package { name } => Ok(self.package(name)?.now.content),
            Place::Registry { .. } => self.block_on(self.pull(&tagged)),
        }
    }

    /// Asks whether the plugin of a reference is there, as it should be, and may run. Its component is not pulled, and nothing is
    /// kept. Blocks.
    ///
    /// # Errors
    /// It cannot be had, or may not run.
    pub fn probe(&self, reference: &Reference) -> Result<(), Error> {
        match &reference.place {
            Place::Layout { .. } | Place::Package { .. } => self.load(reference).map(drop),
            Place::Registry { .. } => {
                let digest = self.block_on(self.find(reference))?;
                let keys = self.keys_of(reference);
                let found = || {
                    let mut search = Search::new(&digest, &keys);
                    self.block_on(self.signatures(reference, &mut search))?;
                    Ok(search.found())
                };
                self.judge(&reference.pinned(digest.clone()), found).map(drop)
            }
        }
    }

    /// Asks what a tag stands for, and pulls it where that is something else than before: it is checked and believed before
    /// it takes the place of the other. Answers whether it did.
    ///
    /// # Errors
    /// It cannot be had, or may not run.
    pub fn refresh(&self, reference: &Reference) -> Result<bool, Error> {
        let cache = self.cache()?;
        let before = cache.tag(reference);
        let now = match (&before, self.block_on(self.tag_of(reference))?) {
            (Some(before), Some(now)) if *before == now => return Ok(false),
            _ => self.block_on(self.pull(reference))?,
        };
        if before.as_ref() == Some(&now) {
            return Ok(false);
        }
        self.of_registry(&reference.pinned_alone(now.clone()))?;
        cache.set_tag(reference, &now).map_err(|error| cache.failed(&error))?;
        Ok(true)
    }

    fn cache(&self) -> Result<&Cache, Error> {
        self.cache.as_ref().ok_or_else(|| Error::Failed("no plugin of a registry can be had here".to_owned()))
    }

    fn of_registry(&self, reference: &Reference) -> Result<Plugin, Error> {
        let cache = self.cache()?;
        let known = reference.digest.clone().or_else(|| cache.tag(reference));
        let here = match &known {
            Some(digest) => match self.cached(cache, digest) {
                // Of another user's data only that user knows: who asks nobody looks no further.
                Err(Error::Failed(why)) if !self.asks && cache.is_closed() => {
                    return Err(Error::NotHere(why.into()));
                }
                cached => cached?,
            },
            None => None,
        };
        let (digest, manifest, component) = match here {
            Some((manifest, component)) => {
                (known.unwrap_or_else(|| Digest::of(&manifest)), manifest, component)
            }
            None if !self.asks => return Err(not_pulled(reference)),
            None => {
                // What a tag stood for is pulled again, and not what it stands for by now.
                let wanted = match (&reference.digest, known) {
                    (None, Some(digest)) => reference.pinned_alone(digest),
                    _ => reference.clone(),
                };
                let digest = self.block_on(self.pull(&wanted))?;
                let here = self.cached(cache, &digest)?;
                let (manifest, component) =
                    here.ok_or_else(|| Error::Failed(format!("{reference} was pulled, and is gone again")))?;
                (digest, manifest, component)
            }
        };
        let signed_by = self.believe(cache, &reference.pinned(digest.clone()))?;
        if reference.digest.is_none() && cache.tag(reference).as_ref() != Some(&digest) {
            cache.set_tag(reference, &digest).map_err(|error| cache.failed(&error))?;
        }
        Ok(Plugin { reference: reference.pinned(digest), component, signed_by, manifest })
    }

    /// A manifest and its component, where both are in the cache.
    fn cached(&self, cache: &Cache, digest: &Digest) -> Result<Option<Texts>, Error> {
        let Some(text) = cache.read(digest, manifest::MOST).map_err(|error| cache.failed(&error))? else {
            return Ok(None);
        };
        let manifest = Manifest::read(&text, None)?;
        let of = manifest.component(self.settings.max_bytes.0)?;
        let component = cache.read(&of.digest, of.size).map_err(|error| cache.failed(&error))?;
        component.map(|component| Ok((text, of.holds(component)?))).transpose()
    }

    fn of_layout(&self, layout: Layout<'_>, reference: &Reference) -> Result<Plugin, Error> {
        let digest = layout.find(reference)?;
        let text = layout.blob(&digest, manifest::MOST)?;
        let of = Manifest::read(&text, None)?;
        let of = of.component(self.settings.max_bytes.0)?;
        let component = of.holds(layout.blob(&of.digest, of.size)?)?;
        let reference = reference.pinned(digest.clone());
        let keys = self.keys_of(&reference);
        let signed_by = self.judge(&reference, || {
            let mut search = Search::new(&digest, &keys);
            layout.signatures(&mut search)?;
            Ok(search.found())
        })?;
        Ok(Plugin { reference, component, signed_by, manifest: text })
    }

    /// All keys.
    pub fn keys(&self) -> Vec<&Key> {
        self.keys.iter().map(|(key, _)| key).collect()
    }

    /// The keys that count for a reference.
    pub fn keys_of(&self, reference: &Reference) -> Vec<&Key> {
        let counts = |only: &Option<String>| only.as_ref().is_none_or(|place| reference.is_below(place));
        self.keys.iter().filter(|(_, only)| counts(only)).map(|(key, _)| key).collect()
    }

    /// Whose signature counts for a plugin that was pulled. Those in the cache are asked first, so that a start needs no
    /// registry.
    fn believe(&self, cache: &Cache, reference: &Reference) -> Result<Option<Key>, Error> {
        let digest =
            reference.digest.as_ref().ok_or_else(|| Error::Failed(format!("{reference} has no digest")))?;
        let keys = self.keys_of(reference);
        let kept = cache.signatures(digest);
        if let Signed::By(key) = signature::signed(kept.as_deref().unwrap_or_default(), digest, &keys) {
            return Ok(Some(key));
        }
        let is_asked =
            self.asks && (self.settings.requires_signature() || kept.is_none() && !keys.is_empty());
        self.judge(reference, || {
            if !is_asked {
                return Ok(kept.clone().unwrap_or_default());
            }
            let mut search = Search::new(digest, &keys);
            self.block_on(self.signatures(reference, &mut search))?;
            let mut found = search.found();
            found.extend(
                kept.iter().flatten().filter(|kept| !found.contains(kept)).cloned().collect::<Vec<_>>(),
            );
            found.truncate(signature::MANY);
            cache.set_signatures(digest, &found).map_err(|error| cache.failed(&error))?;
            Ok(found)
        })
    }

    /// Whose signature counts, of those that are found.
    fn judge(
        &self,
        reference: &Reference,
        find: impl FnOnce() -> Result<Vec<Signature>, Error>,
    ) -> Result<Option<Key>, Error> {
        let (keys, is_required) = (self.keys_of(reference), self.settings.requires_signature());
        if keys.is_empty() && !is_required {
            return Ok(None);
        }
        let digest =
            reference.digest.as_ref().ok_or_else(|| Error::Failed(format!("{reference} has no digest")))?;
        let why = match find() {
            Ok(found) => match signature::signed(&found, digest, &keys) {
                Signed::By(key) => return Ok(Some(key)),
                Signed::Not(why) => format!("it {why}"),
            },
            Err(error) if is_required => return Err(error),
            Err(error) => format!("its signatures cannot be had: {error}"),
        };
        self.unsigned(reference, &why, keys.is_empty())
    }

    /// Nobody who counts stands behind a plugin, and why.
    pub(crate) fn unsigned(
        &self,
        reference: &Reference,
        why: &str,
        has_no_key: bool,
    ) -> Result<Option<Key>, Error> {
        let none = if has_no_key { " (no key of `plugins.trust` is for it)" } else { "" };
        if self.settings.requires_signature() {
            return Err(Error::Refused(format!(
                "{reference} may not run: {why}{none}; sign it with a key of `plugins: {{ trust: … }}`, or add the key of who signed it"
            )));
        }
        tracing::warn!(plugin = %reference, why, "a plugin runs that no key stands behind, since `require_signature` is false");
        Ok(None)
    }

    /// Does what asks a registry, on a thread of its own: the caller may be inside of a runtime.
    fn block_on<T: Send>(&self, work: impl Future<Output = Result<T, Error>> + Send) -> Result<T, Error> {
        let run = || {
            let runtime = tasks::runtime_here();
            let all = async {
                let late = || format!("a registry was not done within {} minutes", PATIENCE.as_secs() / 60);
                timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(Error::Failed(late())))
            };
            runtime
                .map_err(|error| Error::Failed(format!("no registry can be asked: {error}")))?
                .block_on(all)
        };
        let done =
            tasks::apart(run).map_err(|error| Error::Failed(format!("no registry can be asked: {error}")))?;
        done.unwrap_or_else(|_| Err(Error::Failed("a panic while a registry was asked".to_owned())))
    }
}

fn not_pulled(reference: &Reference) -> Error {
    Error::NotHere(
        format!("{reference} was not pulled to this machine yet; `flitch plugin pull` does that").into(),
    )
}
