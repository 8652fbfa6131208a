//! An OCI layout: a registry's content as a folder (OCI image-spec, image-layout), for machines that reach no registry.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::cache::Aside;
use crate::digest::Digest;
use crate::manifest::{self, Descriptor, EMPTY, INDEX, Index, MANIFEST, Manifest};
use crate::reference::Reference;
use crate::signature::{self, BUNDLE, SIGNATURE, SIMPLE, Search, Signature};
use flitch_core::named_file;

/// The annotation with the tag of a manifest.
const TAG: &str = "org.opencontainers.image.ref.name";
/// Manifests of a layout that are looked at for the signatures of one plugin.
const MANY: usize = 256;
/// Held while something is added.
const LOCK: &str = ".lock";

/// A layout in a folder.
#[derive(Clone, Copy, Debug)]
pub struct Layout<'a>(pub &'a Path);

/// A plugin as it is written to a layout.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// Its manifest.
    pub manifest: &'a [u8],
    /// What is said of it.
    pub config: &'a [u8],
    /// The component.
    pub component: &'a [u8],
    /// Its signatures.
    pub signatures: &'a [Signature],
}

impl Layout<'_> {
    /// The file that changes when anything is added.
    pub fn index_file(&self) -> PathBuf {
        self.0.join("index.json")
    }

    fn blob_file(&self, digest: &Digest) -> PathBuf {
        self.0.join("blobs/sha256").join(digest.hex())
    }

    fn index(&self) -> Result<Index, Error> {
        let path = self.index_file();
        let text = read(&path, manifest::MOST)?;
        serde_json::from_slice(&text).map_err(|error| {
            Error::Refused(format!("{} is no index of an OCI layout: {error}", path.display()))
        })
    }

    /// The digest of the manifest that a reference stands for.
    ///
    /// # Errors
    /// It is not there, or its tag stands for another one.
    pub fn find(&self, reference: &Reference) -> Result<Digest, Error> {
        let index = self.index()?;
        let tagged = reference.tag.as_ref().and_then(|tag| {
            let is_it = |of: &&Descriptor| of.annotations.get(TAG).is_some_and(|name| is_named(name, tag));
            index.manifests.iter().rev().find(is_it)
        });
        let tagged = tagged.map(|of| &of.digest);
        let missing = || Error::Missing(format!("{} has no {reference}", self.0.display()));
        match (&reference.digest, tagged) {
            (Some(wanted), Some(now)) if wanted != now => Err(reference.moved(now).about(reference)),
            (Some(wanted), _) if index.manifests.iter().any(|of| of.digest == *wanted) => Ok(wanted.clone()),
            (Some(_), _) => Err(missing()),
            (None, Some(now)) => Ok(now.clone()),
            (None, None) => Err(missing()),
        }
    }

    /// Content of at most `most` bytes.
    ///
    /// # Errors
    /// It is not there, or is something else.
    pub fn blob(&self, digest: &Digest, most: u64) -> Result<Vec<u8>, Error> {
        let path = self.blob_file(digest);
        let bytes = read(&path, most)?;
        if Digest::of(&bytes) != *digest {
            return Err(Error::Refused(format!("{} is other content than its name says", path.display())));
        }
        Ok(bytes)
    }

    /// Looks for signatures: those that are said to be of the plugin, and those of which only they say what they sign.
    ///
    /// # Errors
    /// The layout cannot be read.
    pub fn signatures(&self, search: &mut Search<'_>) -> Result<(), Error> {
        let (index, digest) = (self.index()?, search.digest());
        // However many plugins there are, with signatures of their own: those count that may be of this one.
        let mut may_be = index.manifests.iter().rev().filter_map(|of| self.about(of, digest));
        for manifest in may_be.by_ref().take(MANY) {
            for layer in layers(&manifest) {
                if !search.takes_more() {
                    return Ok(());
                }
                let Ok(content) = self.blob(&layer.digest, signature::MOST) else { continue };
                of_layer(layer, content).into_iter().for_each(|one| search.add(one));
            }
        }
        if may_be.next().is_some() {
            search.leave_out();
        }
        Ok(())
    }

    /// The manifest that this leads to, where it may hold signatures of the plugin of this digest.
    fn about(&self, of: &Descriptor, digest: &Digest) -> Option<Manifest> {
        let text = self.blob(&of.digest, manifest::MOST).ok()?;
        let manifest = Manifest::read(&text, None).ok()?;
        let is_of_another = manifest.subject.as_ref().is_some_and(|subject| subject.digest != *digest);
        (!is_of_another && layers(&manifest).next().is_some()).then_some(manifest)
    }

    /// Adds a plugin under a tag, with its signatures. The layout is made where there is none.
    ///
    /// Others who add to it at the same time are waited for.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add(&self, content: &Content<'_>, tag: &str) -> Result<(), Error> {
        let _alone = self.lock()?;
        let mut index = match self.index_file().exists() {
            true => self.index()?,
            false => Index { schema_version: 2, media_type: Some(INDEX.to_owned()), manifests: Vec::new() },
        };
        for blob in [content.component, content.config] {
            self.write(blob)?;
        }
        let mut of = Descriptor::of(MANIFEST, content.manifest);
        let subject = of.clone();
        of.annotations.insert(TAG.to_owned(), tag.to_owned());
        self.put(&mut index, of, content.manifest)?;
        let mut simple = Manifest::of_signatures(None);
        for signature in content.signatures {
            match signature {
                Signature::Bundle(text) => {
                    self.write(text.as_bytes())?;
                    let mut manifest = Manifest::of_signatures(Some(subject.clone()));
                    manifest.layers.push(Descriptor::of(BUNDLE, text.as_bytes()));
                    let text = manifest.text();
                    let of = Descriptor {
                        artifact_type: Some(BUNDLE.to_owned()),
                        ..Descriptor::of(MANIFEST, &text)
                    };
                    self.put(&mut index, of, &text)?;
                }
                Signature::Simple { payload, signature } => {
                    self.write(payload.as_bytes())?;
                    let annotations = BTreeMap::from([(SIGNATURE.to_owned(), signature.clone())]);
                    let layer = Descriptor { annotations, ..Descriptor::of(SIMPLE, payload.as_bytes()) };
                    simple.layers.push(layer);
                }
            }
        }
        if !simple.layers.is_empty() {
            let text = simple.text();
            let mut of = Descriptor::of(MANIFEST, &text);
            of.annotations.insert(TAG.to_owned(), format!("sha256-{}.sig", subject.digest.hex()));
            self.put(&mut index, of, &text)?;
        }
        self.write(b"{}")?;
        self.write_to(&self.0.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        // Last, so that all is there that it names.
        self.write_to(&self.index_file(), &serde_json::to_vec(&index).expect("texts make JSON"))
    }

    /// Waits until nobody else adds anything, for as long as the answer lives: whoever has read the index writes it whole.
    fn lock(&self) -> Result<File, Error> {
        let path = self.0.join(LOCK);
        let lock = || {
            std::fs::create_dir_all(self.0)?;
            let file = match OpenOptions::new().append(true).create(true).open(&path) {
                // It is another user's, and may be held all the same.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => File::open(&path)?,
                opened => opened?,
            };
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|error: std::io::Error| Error::Failed(format!("{}: {error}", path.display())))
    }

    /// Adds a manifest. One that had its tag loses it; its own other tags stay, each an entry of the index.
    fn put(&self, index: &mut Index, of: Descriptor, text: &[u8]) -> Result<(), Error> {
        self.write(text)?;
        let is_tagged = |other: &Descriptor| other.annotations.contains_key(TAG);
        if let Some(tag) = of.annotations.get(TAG) {
            for other in &mut index.manifests {
                if other.annotations.get(TAG) == Some(tag) {
                    other.annotations.remove(TAG);
                }
            }
        }
        // An entry without a tag is for what has no other one.
        let named = index.manifests.iter().filter(|other| is_tagged(other)).map(|other| other.digest.clone());
        let named: Vec<Digest> = named.chain([of.digest.clone()]).collect();
        index.manifests.retain(|other| is_tagged(other) || !named.contains(&other.digest));
        index.manifests.push(of);
        Ok(())
    }

    fn write(&self, content: &[u8]) -> Result<(), Error> {
        self.write_to(&self.blob_file(&Digest::of(content)), content)
    }

    fn write_to(&self, path: &Path, content: &[u8]) -> Result<(), Error> {
        let write = || {
            // Who brings it to another machine is not who runs it there.
            let mut aside = Aside::for_all(path.parent().unwrap_or(self.0))?;
            aside.write_all(content)?;
            aside.take(path)
        };
        write().map_err(|error| Error::Failed(format!("{}: {error}", path.display())))
    }
}

impl Manifest {
    /// One of signatures, of `subject`.
    pub(crate) fn of_signatures(subject: Option<Descriptor>) -> Manifest {
        Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST.to_owned()),
            artifact_type: subject.as_ref().map(|_| BUNDLE.to_owned()),
            config: Descriptor::of(EMPTY, b"{}"),
            layers: Vec::new(),
            subject,
            annotations: BTreeMap::new(),
        }
    }
}

/// The layers of a manifest that may be signatures.
pub fn layers(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
    let is_one = |layer: &&Descriptor| {
        let is_simple = layer.media_type == SIMPLE && layer.annotations.contains_key(SIGNATURE);
        (is_simple || layer.media_type.starts_with("application/vnd.dev.sigstore.bundle"))
            && layer.size <= signature::MOST
    };
    manifest.layers.iter().rev().filter(is_one)
}

/// The signature that a layer is, of this content.
pub fn of_layer(layer: &Descriptor, content: Vec<u8>) -> Option<Signature> {
    let text = String::from_utf8(content).ok()?;
    Some(match layer.annotations.get(SIGNATURE).filter(|_| layer.media_type == SIMPLE) {
        Some(signature) => Signature::Simple { payload: text, signature: signature.clone() },
        None => Signature::Bundle(text),
    })
}

/// Whether the name of a manifest is this tag. Some tools write the whole reference.
fn is_named(name: &str, tag: &str) -> bool {
    name == tag || name.rsplit_once(':').is_some_and(|(_, own)| own == tag)
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    let failed = |error: std::io::Error| {
        let text = format!("{}: {error}", path.display());
        if error.kind() == ErrorKind::NotFound { Error::Missing(text) } else { Error::Failed(text) }
    };
    let mut bytes = Vec::new();
    named_file::open(path).map_err(failed)?.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(Error::Refused(format!("{} has more than {most} bytes", path.display())));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
