//! What processes before this one have left below the folder of an output: what is worth nothing is removed, and objects that
//! a journal knows are finished.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use blake3::Hasher;
use parking_lot::Mutex;

use super::content::{ID, hex};
use super::journal::{self, Entry, Journal, Left};
use super::keep::expanded;
use super::open::OBJECT;
use super::yard::Sealed;
use super::{Held, Object, Outlasting, Plan, own_name, session};
use flitch_core::private;
use flitch_core::telemetry::Metric;

/// Where objects are put that cannot be read any more, beside the folder in which they are built.
const PARKED: &str = "parked";

/// Makes a folder of one's own below that of the plan, and takes over what is left there. What is whole counts for `held`.
///
/// # Errors
/// The system's, with the path.
pub(super) fn own_folder(plan: &Plan, held: &Arc<AtomicU64>) -> io::Result<(PathBuf, Vec<Sealed>)> {
    let said =
        |path: &Path, error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let mut sealed = Vec::new();
    for folder in folders(&plan.folder).map_err(|error| said(&plan.folder, error))? {
        sealed.extend(take_over(plan, &folder, held).map_err(|error| said(&folder, error))?);
    }
    if !sealed.is_empty() {
        let objects = sealed.len();
        tracing::info!(output = %plan.output, objects, "objects that were stored before this start are finished");
    }
    let own = own_name(&plan.folder);
    private::folder(&own).map_err(|error| said(&own, error))?;
    Ok((own, sealed))
}

fn folders(above: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(above) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    }
}

fn take_over(plan: &Plan, folder: &Path, held: &Arc<AtomicU64>) -> io::Result<Vec<Sealed>> {
    let is_of_now = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(session()));
    let (journal, entries) = match Journal::left(folder)? {
        Left::Taken => return Ok(Vec::new()),
        // Somebody of this process builds there.
        Left::None if is_of_now => return Ok(Vec::new()),
        Left::None => {
            std::fs::remove_dir_all(folder)?;
            return Ok(Vec::new());
        }
        Left::Found(journal, entries) => (Arc::new(Mutex::new(journal)), entries),
    };
    for file in folders(folder)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != journal::NAME && !entries.iter().any(|entry| entry.file == name) {
            std::fs::remove_file(&file)?;
        }
    }
    let mut sealed = Vec::new();
    for entry in entries {
        let path = folder.join(&entry.file);
        match whole(plan, &path, &entry)? {
            Some(name) => sealed.push(object(plan, name, path, entry, &journal, held)),
            None => park(plan, &path, &entry)?,
        }
    }
    Ok(sealed)
}

/// Cuts off what was not synced, and answers the name of what is left; none where that is not what it was.
fn whole(plan: &Plan, path: &Path, entry: &Entry) -> io::Result<Option<String>> {
    let file = OpenOptions::new().write(true).open(path)?;
    if file.metadata()?.len() < entry.length {
        return Ok(None);
    }
    file.set_len(entry.length)?;
    let (mut hasher, mut length, mut piece) = (Hasher::new(), 0, vec![0; 1 << 16]);
    let mut text = expanded(path, entry.compression)?;
    loop {
        match text.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => {
                hasher.update(&piece[..count]);
                length += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A disk that fails is another matter than bytes that are no text of its compression.
            Err(error) if error.raw_os_error().is_some() => return Err(error),
            Err(_) => return Ok(None),
        }
    }
    if length != entry.header + entry.text {
        return Ok(None);
    }
    let id = if plan.has_id { hex(&hasher.finalize().as_bytes()[..ID]) } else { String::new() };
    Ok(Some(format!("{}{id}{}", entry.begin, entry.end)))
}

fn object(
    plan: &Plan,
    name: String,
    path: PathBuf,
    entry: Entry,
    journal: &Arc<Mutex<Journal>>,
    held: &Arc<AtomicU64>,
) -> Sealed {
    let mut own = Held::new(held);
    own.set(OBJECT + entry.length);
    let rows = entry.rows.iter().map(|(source, rows)| (plan.ledgers.of(source), *rows)).collect();
    let object = Object {
        name,
        rows: entry.rows.values().sum(),
        text: entry.text,
        path,
        length: entry.length,
        progress: Mutex::default(),
        kept: None,
        outlasting: Some(Outlasting { rows, has_arrived: AtomicBool::new(false), _journal: journal.clone() }),
        _held: own,
    };
    Sealed { object, shares: Vec::new() }
}

/// Puts an object aside whose file is not what was synced.
fn park(plan: &Plan, path: &Path, entry: &Entry) -> io::Result<()> {
    let folder = plan.folder.parent().unwrap_or(&plan.folder).join(PARKED);
    private::folder(&folder)?;
    let to = own_name(&folder);
    std::fs::rename(path, &to)?;
    Metric::StagingFailures.counter(&[("output", &plan.output), ("kind", "parked")]).increment(1);
    let (records, to) = (entry.rows.values().sum::<u64>(), to.display());
    tracing::error!(
        output = %plan.output, key = entry.begin, records,
        "an object that was stored cannot be read any more, and is put aside: {to}"
    );
    Ok(())
}

#[cfg(test)]
mod tests;
