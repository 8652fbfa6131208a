//! What processes before this one have left below the folder of an output: what is worth nothing is removed, and objects that
//! a journal knows are finished.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use blake3::Hasher;
use parking_lot::Mutex;

use super::content::{Broken, id};
use super::journal::{self, Entry, Form, Journal, Left};
use super::keep::{Kept, expanded};
use super::open::OBJECT;
use super::table::{FORMAT, format, make};
use super::trace;
use super::yard::Sealed;
use super::{Compression, Held, Object, Outlasting, Plan, disk, own_name, session};
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
    let mut known = Vec::with_capacity(entries.len());
    let mut unknown = Vec::new();
    for entry in entries {
        match unknown_form(folder, &entry)? {
            None => known.push(entry),
            Some(why) => unknown.push((entry, why)),
        }
    }
    for file in folders(folder)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_of_other =
            unknown.iter().any(|(entry, _)| journal::object(&entry.file) == journal::object(&name));
        if name != journal::NAME && !is_of_other && !known.iter().any(|entry| entry.file == name) {
            std::fs::remove_file(&file)?;
        }
    }
    unknown.iter().for_each(|(entry, why)| leave(plan, &folder.join(&entry.file), entry, why));
    let mut sealed = Vec::new();
    for entry in known {
        let path = folder.join(&entry.file);
        match whole(&path, entry.clone(), &journal)? {
            Found::Whole(entry, id) => sealed.push(object(plan, folder, &id, entry, &journal, held)),
            Found::Spoiled(why) => park(plan, &path, &entry, &why)?,
        }
    }
    Ok(sealed)
}

/// Why this flitch makes nothing of an object that another one has stored, if that is so.
fn unknown_form(folder: &Path, entry: &Entry) -> io::Result<Option<String>> {
    Ok(match entry.form {
        Form::Text | Form::Table => None,
        Form::Rows => format(&folder.join(&entry.file))?.filter(|format| *format != FORMAT).map(|format| {
            format!("its rows have format {format}, and this flitch reads format {FORMAT}; the flitch that wrote it finishes it")
        }),
        Form::Unknown => Some("its form is one that a later flitch knows, which finishes it".to_owned()),
    })
}

/// What the file of an object is.
enum Found {
    /// What is to be written, and the digest of what is in it.
    Whole(Entry, String),
    /// Not what was synced.
    Spoiled(String),
}

impl Found {
    fn spoiled() -> Found {
        Found::Spoiled("it is not what was written".to_owned())
    }
}

/// Looks at the file of an object, cuts off what was not synced, and makes the table where there are only its rows.
fn whole(path: &Path, entry: Entry, journal: &Mutex<Journal>) -> io::Result<Found> {
    let compression = match entry.form {
        Form::Rows => return made(path, entry, journal),
        Form::Table => Compression::None,
        Form::Text | Form::Unknown => entry.compression,
    };
    let file = OpenOptions::new().write(true).open(path)?;
    if file.metadata()?.len() < entry.length {
        return Ok(Found::spoiled());
    }
    disk::cut(&file, entry.length)?;
    let Some((digest, length)) = read(path, compression)? else { return Ok(Found::spoiled()) };
    let id = id(&digest);
    // Of a table the text is what its values are.
    let is_as_long = entry.form == Form::Table || length == entry.header + entry.text;
    match is_as_long && (entry.id.is_empty() || entry.id == id) {
        true => Ok(Found::Whole(entry, id)),
        false => Ok(Found::spoiled()),
    }
}

/// The digest of what is in a file, and how long that is; none where it is no text of its compression.
fn read(path: &Path, compression: Compression) -> io::Result<Option<(Hasher, u64)>> {
    let (mut hasher, mut length, mut piece) = (Hasher::new(), 0, vec![0; 1 << 16]);
    let mut text = expanded(path, compression)?;
    loop {
        match text.read(&mut piece) {
            Ok(0) => return Ok(Some((hasher, length))),
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
}

/// Makes the table of an object of which there are only the rows. From then on it stands for them.
fn made(path: &Path, entry: Entry, journal: &Mutex<Journal>) -> io::Result<Found> {
    let to = path.with_extension("");
    let (table, digest) = match make((path, entry.length), entry.compression, &to) {
        Ok(made) => made,
        Err(Broken::Disk(error)) => return Err(error),
        Err(Broken::Lost(why)) => return Ok(Found::Spoiled(why)),
    };
    let file = to.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let entry = Entry { file, form: Form::Table, length: table.length(), id: id(&digest), ..entry };
    journal.lock().write(std::slice::from_ref(&entry))?;
    std::fs::remove_file(path)?;
    let id = entry.id.clone();
    Ok(Found::Whole(entry, id))
}

fn object(
    plan: &Plan,
    folder: &Path,
    id: &str,
    entry: Entry,
    journal: &Arc<Mutex<Journal>>,
    held: &Arc<AtomicU64>,
) -> Sealed {
    let mut own = Held::new(held);
    own.set(OBJECT + entry.length);
    let rows = entry.rows.iter().map(|(source, rows)| (plan.ledgers.of(source), *rows)).collect();
    let (path, count) = (folder.join(&entry.file), entry.rows.values().sum());
    let id = if plan.has_id { trace::name(id, entry.origins) } else { String::new() };
    let object = Object {
        name: format!("{}{id}{}", entry.begin, entry.end),
        key: entry.begin.len(),
        rows: count,
        text: entry.text,
        length: entry.length,
        progress: Mutex::default(),
        kept: entry.is_kept.then(|| Kept::text(&path, entry.compression, count)),
        path,
        outlasting: Some(Outlasting { rows, has_arrived: AtomicBool::new(false), _journal: journal.clone() }),
        _held: own,
    };
    Sealed { object, shares: Vec::new() }
}

/// Puts an object aside of which no more can be made.
pub(super) fn park(plan: &Plan, path: &Path, entry: &Entry, why: &str) -> io::Result<()> {
    let folder = plan.folder.parent().unwrap_or(&plan.folder).join(PARKED);
    private::folder(&folder)?;
    let to = own_name(&folder);
    disk::rename(path, &to)?;
    Metric::StagingFailures.counter(&[("output", &plan.output), ("kind", "parked")]).increment(1);
    let (records, to) = (entry.rows.values().sum::<u64>(), to.display());
    tracing::error!(
        output = %plan.output, key = entry.begin, records,
        "an object that was stored cannot be read any more, and is put aside: {to}: {why}"
    );
    Ok(())
}

/// Leaves an object to a flitch that knows it.
fn leave(plan: &Plan, path: &Path, entry: &Entry, why: &str) {
    Metric::StagingFailures.counter(&[("output", &plan.output), ("kind", "unknown")]).increment(1);
    let (records, path) = (entry.rows.values().sum::<u64>(), path.display());
    tracing::error!(
        output = %plan.output, key = entry.begin, records,
        "an object that another flitch has stored stays where it is: {path}: {why}"
    );
}

#[cfg(test)]
mod tests;
