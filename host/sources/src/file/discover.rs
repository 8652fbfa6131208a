//! Which files are ours: what the system calls a file, and the globs.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use globset::{GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

use super::overlay::is_overlay;
use super::settings::Glob;
use flitch_core::setting::wrong;

/// What the system calls a file: device, inode, and when it was made where the file system knows it (ns since 1970).
/// Device and inode may be given to another file once the first is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct FileId {
    pub device: u64,
    pub inode: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<u64>,
}

impl FileId {
    pub fn of(meta: &Metadata) -> FileId {
        let born = meta.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        FileId { device: meta.dev(), inode: meta.ino(), born: born.map(|born| born.as_nanos() as u64) }
    }

    /// Whether both can be one file, whose device may have another number after the machine started again.
    pub fn fits(self, other: FileId) -> bool {
        let born = self.born.zip(other.born);
        self.inode == other.inode && born.is_none_or(|(one, two)| one == two)
    }

    /// Whether the file can be `now` what it was, copied within its overlay: its content tells.
    pub fn may_be_copied_to(self, now: FileId) -> bool {
        let born = self.born.zip(now.born);
        self.inode == now.inode && born.is_some_and(|(one, two)| one < two) && is_overlay(now.device)
    }
}

/// A file that is ours.
#[derive(Debug)]
pub(super) struct Found {
    /// The name that the globs match.
    pub path: PathBuf,
    /// Where it lies: the same, or where a link leads, or what it was renamed to.
    pub place: PathBuf,
    pub meta: Metadata,
    /// It was there when the source started.
    pub there_before: bool,
}

impl Found {
    /// Older first, so that of several rotated files the records come in their order.
    pub fn order(&self) -> impl Ord + use<> {
        (self.meta.mtime(), self.meta.mtime_nsec(), self.path.clone())
    }
}

/// The include and exclude globs of a source.
#[derive(Debug)]
pub(super) struct Globs {
    include: GlobSet,
    exclude: Exclude,
    pub roots: Vec<Root>,
}

/// What is left out.
#[derive(Debug)]
struct Exclude {
    /// By the whole path.
    whole: GlobSet,
    /// By the part of the path below a folder of `include`.
    below: GlobSet,
}

/// The part of a glob that is a plain path, and how many folders below it can hold matches (none: any number).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Root {
    pub path: PathBuf,
    pub depth: Option<usize>,
}

impl Globs {
    /// Compiles the globs. Relative ones of `include` start at the working folder, those of `exclude` match at any
    /// depth below the folders of `include`.
    pub fn new(include: &[Glob], exclude: &[Glob]) -> anyhow::Result<Globs> {
        anyhow::ensure!(
            !include.is_empty(),
            wrong!("include", " is empty: name the files to read, such as /var/log/nginx/*.log")
        );
        let mut roots = Vec::with_capacity(include.len());
        for glob in include {
            roots.push(Root::of(&glob.absolute().map_err(anyhow::Error::msg)?));
        }
        roots.sort();
        roots.dedup();
        let include = set(include.iter().map(Glob::compile))?;
        Ok(Globs { include, exclude: Exclude::new(exclude)?, roots })
    }

    /// Whether the globs choose this path.
    pub fn matches(&self, path: &Path) -> bool {
        self.include.is_match(path) && !self.exclude.is_match(path, &self.roots)
    }

    /// Whether `exclude` names a file that no glob of `include` leads to. Where it lies below none of their folders, a
    /// pattern that matches at any depth is one for its name.
    pub fn leaves_out(&self, path: &Path) -> bool {
        let is_named = path.file_name().is_some_and(|name| self.exclude.below.is_match(name));
        is_named || self.exclude.is_match(path, &self.roots)
    }

    /// What is odd about globs that are valid, with the place of each in `include`: those that can match nothing.
    pub fn warnings(include: &[Glob], exclude: &[Glob]) -> Vec<(usize, String)> {
        let Ok(excluded) = Exclude::new(exclude) else { return Vec::new() };
        let odd = |glob: &Glob| {
            let path = glob.absolute().ok()?;
            let root = Root::of(&path);
            let text = glob.to_string();
            if let Some(rest) = text.strip_prefix("~/") {
                return Some(format!(
                    "`{glob}` names a folder called `~`: write the path of the home folder before {rest}"
                ));
            }
            if let Some(name) = bare_variable(&text).filter(|_| !root.path.exists()) {
                return Some(format!(
                    "`{glob}` names a folder called `${name}`: a variable is `${{{name}}}`"
                ));
            }
            if !text.contains('{') && text.split(',').skip(1).any(|part| part.trim_start().starts_with('/')) {
                return Some(format!(
                    "`{glob}` is one glob with a comma in it: write each as a text of its own"
                ));
            }
            if text.ends_with('/') || (root.depth == Some(0) && root.path.is_dir()) {
                let folder = text.trim_end_matches('/');
                return Some(format!("`{glob}` names a folder, and only files are read: write {folder}/*"));
            }
            if root.depth != Some(0) && root.path.is_file() {
                return Some(format!("`{glob}` can match nothing: {} is a file", root.path.display()));
            }
            let hidden = root.depth == Some(0) && excluded.is_match(&root.path, std::slice::from_ref(&root));
            if hidden || exclude.iter().any(|other| other.covers(glob)) {
                return Some(format!("`{glob}` can match nothing: `exclude` leaves out all of it"));
            }
            None
        };
        include.iter().enumerate().filter_map(|(place, glob)| Some((place, odd(glob)?))).collect()
    }
}

/// The name behind a dollar sign that has no brace behind it.
fn bare_variable(text: &str) -> Option<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = text.split('$').skip(1).map(|rest| rest.split(|c| !is_name(c)).next().unwrap_or_default());
    names.into_iter().find(|name| name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_'))
}

pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

impl Exclude {
    fn new(globs: &[Glob]) -> anyhow::Result<Exclude> {
        let (below, whole): (Vec<&Glob>, Vec<&Glob>) = globs.iter().partition(|glob| glob.is_loose());
        Ok(Exclude {
            whole: set(whole.into_iter().map(Glob::compile))?,
            below: set(below.into_iter().map(Glob::compile_below))?,
        })
    }

    fn is_match(&self, path: &Path, roots: &[Root]) -> bool {
        let is_below =
            |root: &Root| path.strip_prefix(root.folder()).is_ok_and(|rest| self.below.is_match(rest));
        self.whole.is_match(path) || (!self.below.is_empty() && roots.iter().any(is_below))
    }
}

impl Root {
    /// The folder that holds all that the glob matches.
    fn folder(&self) -> &Path {
        match self.depth {
            Some(0) => self.path.parent().unwrap_or(&self.path),
            _ => &self.path,
        }
    }

    fn of(glob: &str) -> Root {
        let special = |part: &str| part.contains(['*', '?', '[', ']', '{', '}', '\\']);
        let parts: Vec<&str> = glob.split('/').collect();
        let plain = parts.iter().position(|p| special(p)).unwrap_or(parts.len());
        let path = PathBuf::from(match parts[..plain].join("/") {
            path if path.is_empty() => "/".to_owned(),
            path => path,
        });
        let rest = &parts[plain..];
        // A choice may hold folders of its own: `{a,b/c}`.
        let unbounded = rest.iter().any(|p| p.contains("**") || p.contains('{'));
        Root { path, depth: (!unbounded).then_some(rest.len()) }
    }
}

fn set(globs: impl Iterator<Item = Result<globset::Glob, String>>) -> anyhow::Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(glob.map_err(anyhow::Error::msg)?);
    }
    Ok(set.build()?)
}

/// The files of these identities in a folder, by the names that they have now.
pub(super) fn find_in_folder(folder: &Path, id: FileId) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let is_it = |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|meta| FileId::of(&meta) == id);
    entries.flatten().filter(|e| e.ino() == id.inode).map(|e| e.path()).find(is_it)
}

/// Opens a file to read it. What took its name meanwhile and is none, a pipe or a device, is not waited for.
pub(super) fn open(path: &Path, id: FileId) -> io::Result<File> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = File::options().read(true).custom_flags(nonblocking).open(path)?;
    let meta = file.metadata()?;
    match meta.is_file() && FileId::of(&meta) == id {
        true => Ok(file),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

/// The names that a symbolic link leads over, the last of which is no link; none for what is no link.
pub(super) fn hops(path: &Path) -> Vec<PathBuf> {
    let mut hops: Vec<PathBuf> = Vec::new();
    // The kernel goes over 40 links at most (path_resolution(7)).
    while hops.len() < 40 {
        let from = hops.last().map_or(path, PathBuf::as_path);
        let Ok(target) = fs::read_link(from) else { break };
        // A relative target starts where the link lies.
        let target = from.parent().unwrap_or(Path::new("/")).join(target);
        hops.push(plain(&target));
    }
    hops
}

/// A path without `.` and `..`, as long as its folder is there to ask.
fn plain(path: &Path) -> PathBuf {
    let resolved = path.parent().and_then(|folder| fs::canonicalize(folder).ok());
    resolved.zip(path.file_name()).map_or_else(|| path.to_owned(), |(folder, name)| folder.join(name))
}

/// The folders of these identities' names.
pub(super) fn folders<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> HashSet<PathBuf> {
    paths.filter_map(|path| Some(path.parent()?.to_owned())).collect()
}

#[cfg(test)]
mod tests;
