//! Files that came after one that was followed, and were rotated away themselves before the source started.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::super::checkpoint::Checkpoint;
use super::super::discover::{FileId, Found};
use super::super::settings::Compression;
use super::Tailer;

/// What stands before that by which a rotated file is told from others.
const BEFORE: [char; 3] = ['.', '-', '_'];
/// Words by which some tell the one rotated file that they keep.
const WORDS: [&str; 2] = ["old", "bak"];

impl Tailer {
    /// Takes a name that looks like one of those to which files are rotated, `0.log.20261125-100000` for `0.log`: where
    /// the file of that name was rotated away since it was followed last, this may be one that came after it and went
    /// before the source started. Answers whether the system had to be asked.
    pub(super) fn take_successor(&mut self, place: &Path) -> bool {
        let Some(kept) = self.rotated_from(place) else { return false };
        let is_there = fs::metadata(kept.place()).is_ok_and(|meta| kept.id.fits(FileId::of(&meta)));
        let Ok(meta) = fs::symlink_metadata(place) else { return true };
        let born = FileId::of(&meta).born.is_none_or(|born| born / 1_000_000_000 >= kept.seen as u64);
        if !is_there && meta.is_file() && born && meta.mtime() >= kept.seen {
            let path = kept.path.clone();
            self.scan.found.push(Found { path, place: place.to_owned(), meta, there_before: true });
        }
        true
    }

    /// What was followed under a name that rotated files have that of `place` from, unless such files are left out.
    fn rotated_from(&self, place: &Path) -> Option<&Checkpoint> {
        let name = place.file_name()?.to_str()?;
        let name = match self.settings.compression {
            Compression::None => name,
            _ => name.strip_suffix(".gz").unwrap_or(name),
        };
        let mut known = rotated(name).filter_map(|name| self.kept_places.get(&place.with_file_name(name)));
        let kept = known.find_map(|id| self.kept.get(id))?;
        (!self.globs.leaves_out(place)).then_some(kept)
    }
}

/// The names that a file may have had before it was rotated to `name`. Numbers, dates, times, or one of [`WORDS`] stand at
/// the end of it, or before an ending.
fn rotated(name: &str) -> impl Iterator<Item = String> {
    name.rmatch_indices(BEFORE).filter_map(move |(at, _)| {
        let (front, rest) = (&name[..at], &name[at + 1..]);
        let end = told(rest)?;
        (!front.is_empty()).then(|| format!("{front}{}", &rest[end..]))
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
