//! Which files there are: globs, and the walk that finds what they match.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use globset::{GlobSet, GlobSetBuilder};

use super::settings::Glob;

/// What the system calls a file: device and inode. It may be given to another file once the first is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FileId {
    pub device: u64,
    pub inode: u64,
}

impl FileId {
    pub fn of(meta: &Metadata) -> FileId {
        FileId { device: meta.dev(), inode: meta.ino() }
    }
}

/// A file that the globs match.
#[derive(Debug)]
pub(super) struct Found {
    pub path: PathBuf,
    pub meta: Metadata,
}

/// What a walk saw.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The files, those last written first to be read last.
    pub files: Vec<Found>,
    /// The folders that were looked into.
    pub folders: BTreeSet<PathBuf>,
    /// What could not be read.
    pub errors: Vec<(PathBuf, io::Error)>,
}

/// The include and exclude globs of a source.
#[derive(Debug)]
pub(super) struct Globs {
    include: GlobSet,
    exclude: GlobSet,
    roots: Vec<Root>,
}

/// The part of a glob that is a plain path, and how many folders below it can hold matches (none: any number).
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Root {
    path: PathBuf,
    depth: Option<usize>,
}

impl Globs {
    /// Compiles the globs. Relative ones start at the working folder.
    pub fn new(include: &[Glob], exclude: &[Glob]) -> anyhow::Result<Globs> {
        anyhow::ensure!(
            !include.is_empty(),
            "`include` is empty: name the files to read, such as /var/log/nginx/*.log"
        );
        let mut roots = Vec::with_capacity(include.len());
        for glob in include {
            roots.push(Root::of(&glob.absolute().map_err(anyhow::Error::msg)?));
        }
        roots.sort();
        roots.dedup();
        Ok(Globs { include: compile(include)?, exclude: compile(exclude)?, roots })
    }

    /// Whether the globs choose this path.
    pub fn matches(&self, path: &Path) -> bool {
        self.include.is_match(path) && !self.exclude.is_match(path)
    }

    /// Looks for files.
    pub fn walk(&self) -> Walk {
        let mut walk = Walk::default();
        let mut seen = HashSet::new();
        for root in &self.roots {
            match root.depth {
                Some(0) => {
                    walk.folders.extend(root.path.parent().map(Path::to_owned));
                    self.consider(root.path.clone(), None, &mut seen, &mut walk);
                }
                depth => self.folder(&root.path, depth, &mut Vec::new(), &mut seen, &mut walk),
            }
        }
        walk.files.sort_by(|a, b| (order(&a.meta), &a.path).cmp(&(order(&b.meta), &b.path)));
        walk
    }

    fn folder(
        &self,
        path: &Path,
        depth: Option<usize>,
        above: &mut Vec<FileId>,
        seen: &mut HashSet<PathBuf>,
        walk: &mut Walk,
    ) {
        let entries = match fs::metadata(path).and_then(|meta| Ok((FileId::of(&meta), fs::read_dir(path)?))) {
            // A link to a folder above would lead round in a circle.
            Ok((id, _)) if above.contains(&id) => return,
            Ok((id, entries)) => {
                above.push(id);
                entries
            }
            Err(error) => {
                if !is_absent(&error) {
                    walk.errors.push((path.to_owned(), error));
                }
                return;
            }
        };
        walk.folders.insert(path.to_owned());
        let below = depth.map(|d| d - 1);
        for entry in entries.flatten() {
            let child = entry.path();
            let is_folder = match entry.file_type() {
                Ok(kind) if kind.is_symlink() => fs::metadata(&child).is_ok_and(|m| m.is_dir()),
                Ok(kind) => kind.is_dir(),
                Err(_) => false,
            };
            if !is_folder {
                self.consider(child, Some(()), seen, walk);
            } else if below != Some(0) {
                self.folder(&child, below, above, seen, walk);
            }
        }
        above.pop();
    }

    /// Takes a path that is perhaps a file of ours. A path named without wildcards is told when it cannot be read.
    fn consider(&self, path: PathBuf, listed: Option<()>, seen: &mut HashSet<PathBuf>, walk: &mut Walk) {
        if !self.matches(&path) || !seen.insert(path.clone()) {
            return;
        }
        match fs::metadata(&path) {
            Ok(meta) if meta.is_file() => walk.files.push(Found { path, meta }),
            Ok(_) if listed.is_some() => {}
            Ok(_) => walk.errors.push((path, io::Error::other("it is no regular file"))),
            Err(error) if is_absent(&error) => {}
            Err(error) => walk.errors.push((path, error)),
        }
    }
}

/// Older first, so that of several rotated files the records come in their order.
fn order(meta: &Metadata) -> (i64, i64) {
    (meta.mtime(), meta.mtime_nsec())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

impl Root {
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

fn compile(globs: &[Glob]) -> anyhow::Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(glob.compile().map_err(anyhow::Error::msg)?);
    }
    Ok(set.build()?)
}

/// The files of these identities in a folder, by the names that they have now.
pub(super) fn find_in_folder(folder: &Path, ids: &HashSet<FileId>) -> Vec<Found> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let named = entries.flatten().filter(|e| ids.iter().any(|id| id.inode == e.ino()));
    let files =
        named.filter_map(|e| Some(Found { meta: fs::symlink_metadata(e.path()).ok()?, path: e.path() }));
    files.filter(|found| found.meta.is_file() && ids.contains(&FileId::of(&found.meta))).collect()
}

#[cfg(test)]
mod tests;
