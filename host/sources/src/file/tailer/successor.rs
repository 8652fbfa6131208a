//! Files that came after one that was followed, and were rotated away themselves before the source started.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::super::checkpoint::Checkpoint;
use super::super::content::{Content, Gunzip};
use super::super::discover::{FileId, Found};
use super::super::fingerprint::HEAD;
use super::super::settings::Compression;
use super::Tailer;
use super::twin::holds;

/// What stands before that by which a rotated file is told from others.
const BEFORE: [char; 3] = ['.', '-', '_'];
/// Words by which some tell the one rotated file that they keep.
const WORDS: [&str; 2] = ["old", "bak"];

/// Fewest digits of what tells files of a series apart to which a link leads one after the other: a year and a month.
const SERIES: usize = 6;

/// What was followed, by the folder where it lay and the names that it may have had before it was rotated, its own with them.
#[derive(Debug, Default)]
pub(super) struct Rotations(HashMap<PathBuf, Vec<FileId>>);

impl Rotations {
    /// Those of plain files.
    pub fn of<'a>(kept: impl Iterator<Item = &'a Checkpoint>) -> Rotations {
        let mut all: HashMap<_, Vec<FileId>> = HashMap::new();
        for kept in kept.filter(|kept| kept.finished.is_none() && kept.fingerprint.is_some()) {
            let name = kept.place().file_name().and_then(OsStr::to_str).unwrap_or_default();
            let names = std::iter::once(name.to_owned()).chain(rotated(name).map(|(name, _)| name));
            names.for_each(|name| all.entry(kept.place().with_file_name(name)).or_default().push(kept.id));
        }
        Rotations(all)
    }
}

/// Where files came from to which links led that were followed: by their folder and what their names have in common.
#[derive(Debug, Default)]
pub(super) struct Series(HashMap<PathBuf, FileId>);

impl Series {
    /// Those of files of which the last `kept` is known.
    pub fn of<'a>(kept: impl Iterator<Item = &'a Checkpoint>) -> Series {
        let mut kept: Vec<_> = kept.filter(|kept| kept.place.is_some()).collect();
        // The last one counts.
        kept.sort_by_key(|kept| (kept.seen, kept.id));
        Series(kept.into_iter().flat_map(|kept| names(kept.place()).map(|name| (name, kept.id))).collect())
    }

    fn get(&self, place: &Path) -> Option<FileId> {
        names(place).find_map(|name| self.0.get(&name).copied())
    }
}

/// What files of one series have in common with that of this name.
fn names(place: &Path) -> impl Iterator<Item = PathBuf> {
    let name = place.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let told = rotated(name).filter(|(_, by)| by.bytes().filter(u8::is_ascii_digit).count() >= SERIES);
    told.map(|(name, _)| place.with_file_name(name))
}

impl Tailer {
    /// Takes a name that looks like one of those to which files are rotated, `0.log.20261125-100000` for `0.log`: where
    /// the file of that name was rotated away since it was followed last, this may be one that came after it and went
    /// before the source started. So it is where a link led to `app-20261124.log` and leads to `app-20261127.log` now.
    /// Answers whether the system had to be asked.
    pub(super) fn take_successor(&mut self, place: &Path) -> bool {
        let is_still =
            |path: &Path, id: FileId| fs::metadata(path).is_ok_and(|meta| id.fits(FileId::of(&meta)));
        if let Some(kept) = self.compressed_from(place) {
            let is_read = || last_size(place).is_ok_and(|size| size == kept.position as u32);
            if !is_still(kept.place(), kept.id)
                && let Ok(meta) = fs::symlink_metadata(place)
                && meta.is_file()
                && !is_read()
            {
                let path = kept.path.clone();
                self.scan.found.push(Found { path, place: place.to_owned(), meta, there_before: true });
            }
            return true;
        }
        if let Some(kept) = self.rotated_and_compressed(place, is_still)
            && let Ok(meta) = fs::symlink_metadata(place)
        {
            let path = kept.path.clone();
            self.scan.found.push(Found { path, place: place.to_owned(), meta, there_before: true });
            return true;
        }
        let (kept, is_there) = if let Some(kept) = self.rotated_from(place, &self.kept_places) {
            (kept, is_still(kept.place(), kept.id))
        } else if let Some(kept) = self.rotated_from(place, &self.kept_paths)
            && !kept.path.is_symlink()
        {
            // It was seen to be rotated: what has come under its name since may have gone by now.
            (kept, is_still(&kept.path, kept.id))
        } else if let Some(kept) = self.linked_before(place) {
            (kept, !kept.path.is_symlink() || is_still(&kept.path, kept.id))
        } else {
            return false;
        };
        let Ok(meta) = fs::symlink_metadata(place) else { return true };
        let born = FileId::of(&meta).born.is_none_or(|born| born / 1_000_000_000 >= kept.seen as u64);
        if !is_there && meta.is_file() && born && meta.mtime() >= kept.seen {
            let path = kept.path.clone();
            self.scan.found.push(Found { path, place: place.to_owned(), meta, there_before: true });
        }
        true
    }

    /// What was followed at the place that a compressed file has but for its ending: where it is gone, this is what became of it.
    fn compressed_from(&self, place: &Path) -> Option<&Checkpoint> {
        let plain = place.with_file_name(self.name_of_rotated(place)?);
        let kept = self.kept.get(self.kept_places.get(&plain).filter(|_| plain != place)?)?;
        (!self.globs.leaves_out(place)).then_some(kept)
    }

    /// What was followed, was not read to its end, and was rotated once more and compressed since: `app.log.2.gz` holds what
    /// `app.log.1` did, or `app.log`. Neither its name nor its time tell which that was, so its content must.
    fn rotated_and_compressed(
        &self,
        place: &Path,
        is_still: impl Fn(&Path, FileId) -> bool,
    ) -> Option<&Checkpoint> {
        let name = self.name_of_rotated(place)?;
        if Some(OsStr::new(name)) == place.file_name() || self.globs.leaves_out(place) {
            return None;
        }
        let ids =
            rotated(name).filter_map(|(name, _)| self.kept_rotations.0.get(&place.with_file_name(name)));
        let gone = |kept: &&Checkpoint| !is_still(kept.place(), kept.id);
        let mut gone = ids.flatten().filter_map(|id| self.kept.get(id)).filter(gone).peekable();
        gone.peek()?;
        let meta = fs::symlink_metadata(place).ok().filter(fs::Metadata::is_file)?;
        let size = last_size(place).ok()?;
        gone.find(|kept| {
            // It has the time at which what it holds was written last.
            let is_later =
                kept.id.born.is_none_or(|born| meta.mtime() >= (born / 1_000_000_000).cast_signed());
            is_later && size != kept.position as u32 && holds_gzip(place, kept).unwrap_or(false)
        })
    }

    /// What was followed under a name that rotated files have that of `place` from, unless such files are left out.
    fn rotated_from(&self, place: &Path, names: &HashMap<PathBuf, FileId>) -> Option<&Checkpoint> {
        let name = self.name_of_rotated(place)?;
        let mut known = rotated(name).filter_map(|(name, _)| names.get(&place.with_file_name(name)));
        let kept = known.find_map(|id| self.kept.get(id))?;
        (!self.globs.leaves_out(place)).then_some(kept)
    }

    /// What was followed through a link, and is one of a series with `place`, unless such files are left out.
    fn linked_before(&self, place: &Path) -> Option<&Checkpoint> {
        let name = self.name_of_rotated(place)?;
        let kept = self.kept.get(&self.kept_series.get(&place.with_file_name(name))?)?;
        (!self.globs.leaves_out(place)).then_some(kept)
    }

    /// The name of a file without what it has for being compressed.
    fn name_of_rotated<'a>(&self, place: &'a Path) -> Option<&'a str> {
        let name = place.file_name()?.to_str()?;
        Some(match self.settings.compression {
            Compression::None => name,
            _ => name.strip_suffix(".gz").unwrap_or(name),
        })
    }
}

/// Whether a gzip file holds what was read of a plain one.
fn holds_gzip(place: &Path, kept: &Checkpoint) -> io::Result<bool> {
    let mut content = Content::Gzip(Box::new(Gunzip::new(fs::File::open(place)?)?));
    let mut buffer = [0; HEAD];
    let read = content.read_at(&mut buffer, 0, 0)?;
    Ok(kept.begins(&buffer[..read]) && (kept.position == 0 || holds(&mut content, kept)?))
}

/// How many bytes the last member of a gzip file holds, of which it has the lower 32 bits at its end. Most have one.
fn last_size(place: &Path) -> io::Result<u32> {
    let file = fs::File::open(place)?;
    let mut size = [0; 4];
    file.read_exact_at(&mut size, file.metadata()?.len().saturating_sub(4))?;
    Ok(u32::from_le_bytes(size))
}

/// The names that a file may have had before it was rotated to `name`, and what tells it from each. Numbers, dates, times,
/// or one of [`WORDS`] stand at the end of it, or before an ending.
fn rotated(name: &str) -> impl Iterator<Item = (String, &str)> {
    name.rmatch_indices(BEFORE).filter_map(move |(at, _)| {
        let (front, rest) = (&name[..at], &name[at + 1..]);
        let end = told(rest)?;
        (!front.is_empty()).then(|| (format!("{front}{}", &rest[end..]), &rest[..end]))
    })
}

/// How long that is at the beginning of `rest` by which a rotated file is told from others.
fn told(rest: &str) -> Option<usize> {
    let ends = |len: &usize| rest[*len..].is_empty() || rest[*len..].starts_with('.');
    let word = WORDS.iter().filter(|word| rest.starts_with(*word)).map(|word| word.len());
    let of_time = |c: char| c.is_ascii_digit() || matches!(c, '-' | '_' | '.' | ':' | '+' | 'T' | 'Z');
    let run = &rest[..rest.find(|c| !of_time(c)).unwrap_or(rest.len())];
    let stamp = run.trim_end_matches(|c: char| !c.is_ascii_digit() && c != 'Z').len();
    let stamp = Some(stamp).filter(|_| rest.starts_with(|c: char| c.is_ascii_digit()));
    word.chain(stamp).find(ends)
}

#[cfg(test)]
mod tests;
