//! Stores of objects (S3, Azure Blob, Google Cloud Storage), which differ in their settings alone.
//!
//! An object is named by what is in it and where that comes from, and is written only where there is none of that name: so a
//! write that is repeated because its answer was lost, and records that come again in the same order, write nothing twice, and
//! what only has the same text is another object.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, Error, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions,
    PutPayload, TagSet,
};

use self::fault::{Fault, fault, of_key};
use crate::staging::{Ack, Compression, Object, Plan};
use crate::{Answer, Fate, Output, OutputContext, Parcel, WriteError, Written};
use flitch_core::batch::encode::Format;
use flitch_core::batch::template::Template;
use flitch_core::blocking;
use flitch_core::setting::wrong;
use flitch_core::units::{Bytes, Span};

pub(crate) mod checks;
mod fault;
mod http;
mod notes;
pub(crate) mod pause;
mod plan;
mod settings;
mod uploads;

pub(crate) use fault::classify;
pub(crate) use http::{Connector, believing, direct, http, retries};
pub(crate) use notes::{Note, Notes};
pub(crate) use plan::{plan, table};
pub(crate) use settings::store_settings;
pub(crate) use uploads::{Listing, Uploads};

/// What is written in one request; what is larger goes in parts. S3 allows 10,000 parts.
const PART: u64 = 8 << 20;
/// What is read of a file at once: memory of this size the allocator has from the piece before.
const PIECE: u64 = 256 << 10;
/// Longest name that all stores allow, in bytes.
const LONGEST: usize = 1024;
/// What objects can be made of.
pub(crate) const FORMATS: &[Format] =
    &[Format::Ndjson, Format::Text, Format::Raw, Format::Csv, Format::Parquet];
/// Objects that are written at once.
const WRITES: usize = 4;

/// A store that can write in parts.
pub(crate) trait Store: ObjectStore + MultipartStore {}

impl<S: ObjectStore + MultipartStore> Store for S {}

/// What the settings of all stores have.
#[derive(Clone, Debug)]
pub(crate) struct Common<'a> {
    pub key: &'a Template,
    pub compression: Compression,
    pub max_bytes: Bytes,
    pub max_age: Span,
    pub max_idle: Span,
    pub max_open: usize,
    pub max_staged: Bytes,
    pub ack: Ack,
}

/// What is asked of the store for each object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extras {
    pub storage_class: Option<String>,
    pub tags: TagSet,
    /// Whether a write in parts can be told them too.
    pub with_parts: bool,
    /// Knows which writes in parts are open, where the store tells.
    pub uploads: Option<Arc<dyn Uploads>>,
    /// The same store, spoken to with checksums of what is written, which not every store of its kind knows.
    pub with_checksums: Option<Arc<dyn Store>>,
}

/// Why an object was not written.
enum Failure {
    /// What the store says.
    Store(Error),
    /// What came between.
    Own(WriteError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Store(error)
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Failure {
        Failure::Own(error)
    }
}

/// See the settings of the stores.
pub(crate) struct ObjectOutput {
    store: Arc<dyn Store>,
    plan: Plan,
    notes: Notes,
    attributes: Attributes,
    extras: Extras,
    /// The store has asked for checksums.
    has_checksums: AtomicBool,
}

impl ObjectOutput {
    /// An output to `store`. Nothing is connected to.
    ///
    /// # Errors
    /// The text names the key that is wrong.
    pub fn new(
        store: Arc<dyn Store>,
        common: &Common<'_>,
        extras: Extras,
        cx: &OutputContext,
    ) -> anyhow::Result<ObjectOutput> {
        let (plan, content_type) = plan(common, cx)?;
        let most = PART * 10_000;
        anyhow::ensure!(
            common.max_bytes.0 <= most,
            wrong!("max_bytes", " is more than an object can have: {most} bytes at most")
        );
        let mut attributes = Attributes::new();
        attributes.insert(Attribute::ContentType, content_type.into());
        if let Some(class) = &extras.storage_class {
            attributes.insert(Attribute::StorageClass, class.clone().into());
        }
        let notes = Notes::new(cx.state_dir.join("uploads"));
        Ok(ObjectOutput { store, plan, notes, attributes, extras, has_checksums: AtomicBool::new(false) })
    }

    /// Writes an object. A store that wants checksums, as one whose objects are locked does, says so once.
    async fn put(&self, object: &Object) -> Result<Fate, WriteError> {
        let store = self.store();
        let written = match self.put_to(store, object).await {
            Err(Failure::Store(error)) if self.wants_checksums(store, &error) => {
                *object.progress.lock() = Default::default();
                self.put_to(self.store(), object).await
            }
            written => written,
        };
        match written {
            Ok(()) => Ok(Fate::Safe),
            Err(Failure::Own(error)) => Err(error),
            Err(Failure::Store(error)) => match of_key(&error) {
                // Where all have one key it is a fault of the configuration, which somebody mends.
                Some(reason) if self.plan.key.constant().is_none() => Ok(Fate::Refused(reason)),
                _ => Err(classify(&error)),
            },
        }
    }

    fn store(&self) -> &Arc<dyn Store> {
        match &self.extras.with_checksums {
            Some(store) if self.has_checksums.load(Ordering::Acquire) => store,
            _ => &self.store,
        }
    }

    /// Whether an object is to be written again, with a checksum, since this store has asked for one.
    fn wants_checksums(&self, store: &Arc<dyn Store>, error: &Error) -> bool {
        let Some(with) = &self.extras.with_checksums else { return false };
        if Arc::ptr_eq(store, with) || fault(error) != Fault::WantsChecksum {
            return false;
        }
        if !self.has_checksums.swap(true, Ordering::AcqRel) {
            tracing::warn!(output = %self.plan.output, "the bucket wants checksums of what is written (objects in it are locked): from now on they are sent");
        }
        true
    }

    async fn put_to(&self, store: &Arc<dyn Store>, object: &Object) -> Result<(), Failure> {
        let path = path(&object.name);
        if object.length > PART {
            return self.put_parts(store, &path, object).await;
        }
        let bytes = read(object, 0, object.length).await?;
        let options = |mode| PutOptions {
            mode,
            tags: self.extras.tags.clone(),
            attributes: self.attributes.clone(),
            ..PutOptions::default()
        };
        let created = store.put_opts(&path, bytes.clone(), options(PutMode::Create)).await;
        let written = match created {
            // A store that cannot look whether there is one: the same is written over the same.
            Err(error) if fault(&error) == Fault::NotImplemented => {
                store.put_opts(&path, bytes, options(PutMode::Overwrite)).await
            }
            created => created,
        };
        match written {
            Ok(_) => Ok(()),
            Err(error) if fault(&error) == Fault::Exists => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes in parts. What breaks off goes on where it stood.
    async fn put_parts(&self, store: &Arc<dyn Store>, path: &Path, object: &Object) -> Result<(), Failure> {
        let mut progress = object.progress.lock().clone();
        let upload = match &progress.upload {
            Some(upload) => upload.clone(),
            None => {
                // One who may only write is told nothing here.
                if store.head(path).await.is_ok() {
                    self.notes.remove(object).await;
                    return Ok(());
                }
                let mut options = PutMultipartOptions::default();
                if self.extras.with_parts {
                    options.attributes = self.attributes.clone();
                    options.tags = self.extras.tags.clone();
                }
                let unwritten = |error: std::io::Error| WriteError::Unreachable { reason: error.to_string() };
                if self.extras.uploads.is_some() {
                    self.notes.write(object, path.as_ref(), None).await.map_err(unwritten)?;
                }
                let upload = store.create_multipart_opts(path, options).await?;
                if let Err(error) = self.notes.write(object, path.as_ref(), Some(&upload)).await {
                    let _ = store.abort_multipart(path, &upload).await;
                    return Err(unwritten(error).into());
                }
                progress.upload = Some(upload.clone());
                *object.progress.lock() = progress.clone();
                upload
            }
        };
        let Err(error) = self.finish(store, path, object, &upload).await else {
            self.notes.remove(object).await;
            return Ok(());
        };
        match fault(&error) {
            // Somebody else has written the same meanwhile. What is not ended by this is so by the store.
            Fault::Exists => {
                let _ = store.abort_multipart(path, &upload).await;
                self.notes.remove(object).await;
                return Ok(());
            }
            Fault::Conflict | Fault::WantsChecksum | Fault::PartsGone => {
                let _ = store.abort_multipart(path, &upload).await;
                *object.progress.lock() = Default::default();
            }
            // The store knows nothing of it any more; it may be whole.
            _ if matches!(error, Error::NotFound { .. }) => *object.progress.lock() = Default::default(),
            _ => {}
        }
        Err(error.into())
    }

    async fn finish(
        &self,
        store: &Arc<dyn Store>,
        path: &Path,
        object: &Object,
        upload: &String,
    ) -> Result<(), Error> {
        let mut parts = object.progress.lock().parts.clone();
        let count = object.length.div_ceil(PART) as usize;
        while parts.len() < count {
            let from = parts.len() as u64 * PART;
            let bytes = read(object, from, PART.min(object.length - from)).await;
            let bytes = bytes.map_err(|error| Error::Generic { store: "disk", source: Box::new(error) })?;
            let part = store.put_part(path, upload, parts.len(), bytes).await?;
            parts.push(part.content_id.clone());
            object.progress.lock().parts.push(part.content_id);
        }
        let parts =
            parts.into_iter().map(|content_id| object_store::multipart::PartId { content_id }).collect();
        store.complete_multipart(path, upload, parts).await.map(drop)
    }

    /// Ends the writes in parts that a process before this one has begun and not ended.
    async fn abort_leftovers(&self) -> Result<(), WriteError> {
        let left =
            self.notes.left().await.map_err(|error| WriteError::Unreachable { reason: error.to_string() })?;
        let mut failed = None;
        for note in left {
            // One that is refused keeps no other from its end.
            if let Err(error) = self.abort_leftover(&note).await {
                failed = Some(error);
                continue;
            }
            self.notes.forget(&note).await;
        }
        failed.map_or(Ok(()), Err)
    }

    async fn abort_leftover(&self, note: &Note) -> Result<(), WriteError> {
        // The name as the store has it: encoded already.
        let path = Path::parse(&note.object).unwrap_or_else(|_| path(&note.object));
        let uploads = match &note.upload {
            Some(upload) => vec![upload.clone()],
            None => self.open_uploads(&path).await?,
        };
        for upload in uploads {
            match self.store.abort_multipart(&path, &upload).await {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(classify(&error)),
            }
            tracing::info!(output = %self.plan.output, object = note.object, "a write in parts that had broken off is ended");
        }
        Ok(())
    }

    /// The writes to an object that are open, of which one was begun by a process before this one, if any. Whoever else writes
    /// an object of this name writes the same into it, and begins again where its write is gone.
    async fn open_uploads(&self, path: &Path) -> Result<Vec<String>, WriteError> {
        let Some(uploads) = &self.extras.uploads else { return Ok(Vec::new()) };
        if let Some(open) = uploads.open(path).await? {
            return Ok(open);
        }
        tracing::warn!(output = %self.plan.output, object = %path, "the store does not tell whether a write in parts is left of the process before; a rule of the bucket that aborts incomplete multipart uploads ends it");
        Ok(Vec::new())
    }

    /// Begins a write and ends it, so that nothing is there afterwards.
    async fn try_write(&self) -> Result<(), WriteError> {
        let mut name =
            self.plan.key.literal_prefix().rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        name.push_str("/.flitch-probe");
        let path = path(&name);
        let upload = self.store.create_multipart(&path).await.map_err(|error| classify(&error))?;
        if upload.is_empty() {
            // Azure has no begin of a write: what is said so, and never completed, it forgets.
            let part = self.store.put_part(&path, &upload, 0, PutPayload::from_static(b"-")).await;
            part.map_err(|error| classify(&error))?;
        }
        match self.store.abort_multipart(&path, &upload).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(classify(&error)),
        }
    }
}

/// The name of an object as stores have it: what some do not allow in names is written `%XX`.
fn path(name: &str) -> Path {
    Path::from(name)
}

async fn read(object: &Object, from: u64, length: u64) -> Result<PutPayload, WriteError> {
    let path = object.path.clone();
    let bytes = blocking::io(move || {
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::Start(from))?;
        let (mut pieces, mut rest) = (Vec::with_capacity(length.div_ceil(PIECE) as usize), length);
        while rest > 0 {
            let count = rest.min(PIECE);
            let mut piece = Vec::with_capacity(count as usize);
            if file.by_ref().take(count).read_to_end(&mut piece)? as u64 != count {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            pieces.push(bytes::Bytes::from(piece));
            rest -= count;
        }
        Ok(PutPayload::from_iter(pieces))
    });
    bytes
        .await
        .map_err(|error| WriteError::Unreachable { reason: format!("{}: {error}", object.path.display()) })
}

impl Output for ObjectOutput {
    fn write<'a>(&'a self, _: &'a Parcel) -> Answer<'a, Written> {
        let reason = "objects are built before they are written".to_owned();
        Box::pin(std::future::ready(Err(WriteError::Denied { reason })))
    }

    fn builds(&self) -> Option<Plan> {
        Some(self.plan.clone())
    }

    fn begin(&self) -> Answer<'_, ()> {
        Box::pin(pause::heeding(self.abort_leftovers()))
    }

    fn send<'a>(&'a self, object: &'a Object) -> Answer<'a, Fate> {
        Box::pin(pause::heeding(self.put(object)))
    }

    fn concurrency(&self) -> usize {
        WRITES
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(self.try_write())
    }
}

/// Descriptors of an output: a connection and a file for each write, and those that rest.
pub(crate) fn descriptors() -> u64 {
    WRITES as u64 * 4
}

/// Where a date of the default key comes from.
pub(crate) fn default_key() -> Template {
    Template::parse("date={@timestamp:%Y-%m-%d|unknown}/").expect("it is a template")
}

pub(crate) fn default_max_bytes() -> Bytes {
    Bytes(256 << 20)
}

pub(crate) fn default_max_age() -> Span {
    Span(Duration::from_secs(300))
}

pub(crate) fn default_max_idle() -> Span {
    Span(Duration::from_secs(60))
}

pub(crate) fn default_max_open() -> usize {
    10_000
}

pub(crate) fn default_max_staged() -> Bytes {
    Bytes(2 << 30)
}

pub(crate) fn default_timeout() -> Span {
    Span(Duration::from_secs(120))
}

/// A file of certificates, as the settings have it.
pub(crate) type CaFile = Option<PathBuf>;

#[cfg(test)]
mod tests;
