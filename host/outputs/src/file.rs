//! Files of records: one `write` call per batch and file, straight from the batch's encoded text.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::fault::{Fault, Root, classify};
use self::files::{Files, Form};
use self::rotate::{Compresses, Rotation};
use super::{Answer, Output, OutputContext, OutputKind, Parcel, Refusal, WriteError, Written};
use flitch_core::batch::encode::{Encoder, Format};
use flitch_core::batch::template::{Rendered, Template};
use flitch_core::batch::{Encoded, Records};
use flitch_core::setting::wrong;
use flitch_core::tasks;
use flitch_core::telemetry::Part;
use flitch_core::units::{Bytes, Span};

mod dirty;
mod ending;
mod fault;
mod files;
mod place;
mod rotate;

/// When records are forced to the disk. Whatever it is, they are with the kernel before they count as delivered, so that
/// the end of the process loses nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncMode {
    /// Before they count as delivered, and the names of new files too: safe from a power failure. Every batch waits for
    /// the disk.
    Batch,
    /// Within `sync_interval`: a power failure can lose what was delivered in that time.
    #[default]
    Interval,
    /// When the kernel likes: a power failure can lose half a minute.
    Never,
}

/// Writes records to files: a line of JSON (NDJSON) each, or as `encoding` says.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSettings {
    /// The file, a template: `/var/log/flitch/{@tag}/{@timestamp:%Y-%m-%d}.ndjson`. Missing folders are made. A slash in
    /// the value of a field is written `_`; one in the format of a time parts folders (`{@timestamp:%Y/%m/%d}`). A record without a field of it goes to the dead letters, and so does one whose
    /// fields name no file that can be written: a part that is empty, `.`, `..` or too long, a folder or a pipe that
    /// stands there, a file without the right to write it.
    pub path: Template,
    /// A file is rotated before it grows past this: it becomes `<path>.1`, the one before it `<path>.2`, and so on; the
    /// next one has its owner and its permissions, and so has what is compressed of it. Not set: never. A `path` that ends in a field takes an ending behind it then, `{app}.log`, so that no record names a
    /// rotated file.
    #[serde(default)]
    pub max_bytes: Option<Bytes>,
    /// How many rotated files are kept, 0 for none; the oldest are deleted.
    #[serde(default = "keep")]
    pub keep: u32,
    /// Whether rotated files are compressed with gzip.
    #[serde(default)]
    pub gzip: bool,
    /// When records are forced to the disk: `batch`, `interval` or `never`.
    #[serde(default)]
    pub sync: SyncMode,
    /// How often, with `sync: interval`.
    #[serde(default = "sync_interval")]
    pub sync_interval: Span,
}

fn keep() -> u32 {
    7
}

fn sync_interval() -> Span {
    Span(Duration::from_secs(1))
}

impl FileSettings {
    /// Settings for one path, all else by default.
    pub fn new(path: Template) -> FileSettings {
        let (keep, sync_interval) = (keep(), sync_interval());
        FileSettings { path, max_bytes: None, keep, gzip: false, sync: SyncMode::default(), sync_interval }
    }
}

/// See [`FileSettings`].
#[derive(Debug)]
pub struct FileOutput {
    shared: Arc<Shared>,
    root: Root,
    path: Template,
    encoder: Encoder,
    sync: SyncMode,
    interval: Duration,
}

#[derive(Debug)]
struct Shared {
    files: Mutex<Files>,
    /// Whose turn it is to sync them: where that takes longer than the interval there would else be ever more of those who do.
    turn: Mutex<()>,
    /// A task waits to sync the files.
    waiting: AtomicBool,
    /// Syncing them.
    syncs: Arc<Part>,
}

impl OutputKind for FileSettings {
    fn open(&self, cx: &OutputContext) -> anyhow::Result<Arc<dyn Output>> {
        Ok(Arc::new(open(self, cx)?))
    }

    fn writes(&self) -> Option<&Template> {
        Some(&self.path)
    }

    fn descriptors(&self) -> u64 {
        files::OPEN as u64 + 4
    }

    fn idle(&self) -> Vec<(&'static str, &'static str)> {
        let mut idle = Vec::new();
        if self.sync != SyncMode::Interval {
            idle.push(("sync_interval", "`sync_interval` is for `sync: interval` alone"));
        }
        if self.max_bytes.is_none() {
            idle.push(("keep", "`keep` changes nothing: without `max_bytes` no file is rotated"));
        }
        idle
    }
}

/// Opens an output. No file is opened before the first record. The health of the context hears of syncing and
/// compressing that fails.
///
/// # Errors
/// `path` is no absolute path of a file, or a limit makes no sense.
fn open(settings: &FileSettings, cx: &OutputContext) -> anyhow::Result<FileOutput> {
    let begin = settings.path.literal_prefix();
    anyhow::ensure!(
        begin.starts_with('/'),
        wrong!("path", " must begin with `/`: `{}` would depend on where flitch is started", settings.path)
    );
    let path = settings.path.to_string();
    anyhow::ensure!(
        !path.ends_with('/'),
        wrong!("path", " must end with the name of a file: `{path}` names a folder")
    );
    anyhow::ensure!(
        !path.split('/').any(|part| matches!(part, "." | "..")),
        wrong!("path", " must not have a part `.` or `..`: `{path}`")
    );
    if let Some(why) = settings.path.wrong_as_place() {
        anyhow::bail!(wrong!("path", ": {why}"));
    }
    anyhow::ensure!(
        settings.max_bytes != Some(Bytes(0)),
        wrong!("max_bytes", " of 0 would rotate for ever; leave it out to never rotate")
    );
    anyhow::ensure!(
        settings.max_bytes.is_none() || !ending::may_collide(&path, settings.keep),
        wrong!(
            "path",
            ": with `max_bytes` a record could name a file that was rotated, `….1`: put an ending behind the last field, \
             such as `{path}.log`"
        )
    );
    anyhow::ensure!(
        settings.max_bytes.is_some() || !settings.gzip,
        wrong!("gzip", " compresses rotated files: set `max_bytes` too")
    );
    let compresses = settings.gzip.then(|| Compresses::new(&cx.name, &cx.health));
    let rotation =
        settings.max_bytes.map(|max| Rotation { max_bytes: max.0, keep: settings.keep, compresses });
    let root = Root::new(begin, settings.path.constant().is_none());
    // Records of another format end in a newline.
    let lines = cx.encoder.encoding().format != Format::Raw;
    let form = Form { header: cx.encoder.header(), lines };
    let files = Mutex::new(Files::new(root.clone(), rotation, form, settings.sync));
    Ok(FileOutput {
        shared: Arc::new(Shared {
            files,
            turn: Mutex::default(),
            waiting: AtomicBool::new(false),
            syncs: Arc::new(Part::new(&cx.health, "sync", &cx.name)),
        }),
        root,
        path: settings.path.clone().for_paths(),
        encoder: cx.encoder.clone(),
        sync: settings.sync,
        interval: settings.sync_interval.0,
    })
}

impl FileOutput {
    async fn send(&self, records: &Arc<Records>) -> Result<Written, WriteError> {
        let rows = records.rows();
        if rows == 0 {
            return Ok(Written::default());
        }
        let paths = records.render(&self.path);
        let text = self.encoder.encode(records);
        let mut written = Written::of(&text);
        written.refused.retain(|refused| paths.row(refused.row as usize).is_some());
        written.refused.extend(Refusal::all(paths.missing(), || {
            format!("the path `{}` has a field that is missing, empty or no name for a file", self.path)
        }));
        let shared = self.shared.clone();
        let encoded = text.clone();
        let parts = tasks::aside(move || {
            let mut files = shared.files.lock();
            let mut parts = Vec::new();
            for part in split(&paths, &text, rows) {
                let result = files.append(&part.path, part.bytes(&text));
                parts.push((part.rows, part.length, result));
            }
            parts
        });
        let parts = parts.await.map_err(|e| WriteError::Unreachable { reason: e.to_string() })?;
        let mut again: Vec<u32> = Vec::new();
        let mut why = None;
        for (part, length, result) in parts {
            let part = part.unwrap_or_else(|| (0..rows as u32).filter(|row| encoded.has(*row)).collect());
            match result {
                Ok(()) => written.bytes += length as u64,
                Err(Fault::Refused(reason)) => {
                    written.refused.extend(Refusal::all(&part, || reason));
                }
                Err(Fault::Again(error)) => {
                    again.extend(part);
                    why = Some(error);
                }
            }
        }
        if self.sync == SyncMode::Interval && written.bytes > 0 {
            self.sync_later();
        }
        written.refused.sort_unstable_by_key(|r| r.row);
        again.sort_unstable();
        match why {
            Some(why) if again.len() == rows => Err(why),
            Some(why) => Ok(Written { again: Some((again, why)), ..written }),
            None => Ok(written),
        }
    }

    /// Syncs the files after a while, once for all that is written until then.
    fn sync_later(&self) {
        if self.shared.waiting.swap(true, Ordering::AcqRel) {
            return;
        }
        let shared = self.shared.clone();
        tasks::kept_work(self.shared.syncs.clone(), self.interval, move || shared.sync_now());
    }
}

impl Shared {
    /// Syncs what a task has waited to sync. After a panic it is to do so again.
    fn sync_now(&self) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.sync())) {
            self.waiting.store(true, Ordering::Release);
            resume_unwind(panic);
        }
    }

    fn sync(&self) {
        let _turn = self.turn.lock();
        self.waiting.store(false, Ordering::Release);
        // Not under the lock: writes go on while the disk works.
        let mut dirty = self.files.lock().take_dirty();
        let synced = catch_unwind(AssertUnwindSafe(|| dirty.sync()));
        if let Err(panic) = synced {
            self.files.lock().give_back(dirty);
            resume_unwind(panic);
        }
    }
}

/// What goes to one file.
struct Share {
    path: PathBuf,
    /// None: all.
    rows: Option<Vec<u32>>,
    length: usize,
    /// The rows' text, where it is not the whole.
    text: Vec<u8>,
}

impl Share {
    fn bytes<'a>(&'a self, all: &'a Encoded) -> &'a [u8] {
        if self.rows.is_none() { &all.text } else { &self.text }
    }
}

/// The text of each file.
fn split(paths: &Rendered, text: &Encoded, rows: usize) -> Vec<Share> {
    use std::os::unix::ffi::OsStrExt;
    let path = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
    if text.text.is_empty() {
        return Vec::new();
    }
    if let Rendered::Same(same) = paths {
        return vec![Share { path: path(same), rows: None, length: text.text.len(), text: Vec::new() }];
    }
    let mut parts: Vec<Share> = Vec::new();
    let mut places: HashMap<&[u8], usize, ahash::RandomState> = HashMap::default();
    for row in 0..rows {
        let Some(name) = paths.row(row).filter(|_| text.has(row as u32)) else { continue };
        let place = *places.entry(name).or_insert_with(|| {
            parts.push(Share { path: path(name), rows: Some(Vec::new()), length: 0, text: Vec::new() });
            parts.len() - 1
        });
        let part = &mut parts[place];
        part.rows.get_or_insert_default().push(row as u32);
        part.text.extend_from_slice(text.row(row));
        part.length = part.text.len();
    }
    parts
}

impl Output for FileOutput {
    fn write<'a>(&'a self, parcel: &'a Parcel) -> Answer<'a, Written> {
        Box::pin(self.send(parcel.batch()))
    }

    /// Looks whether files can be made where the path begins, without making any.
    fn probe(&self) -> Answer<'_, ()> {
        let looked = self.root.look(true).map_err(|error| classify(&error));
        Box::pin(std::future::ready(looked))
    }

    fn close(&self) -> Answer<'_, ()> {
        let shared = self.shared.clone();
        let sync = self.sync != SyncMode::Never;
        Box::pin(async move {
            let close = move || {
                if sync {
                    shared.sync();
                }
                shared.files.lock().close();
            };
            tasks::aside(close).await.map_err(|e| WriteError::Unreachable { reason: e.to_string() })
        })
    }
}

#[cfg(test)]
mod tests;
