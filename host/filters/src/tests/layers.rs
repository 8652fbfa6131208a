//! Who may know of whom in this crate.

use std::path::PathBuf;

use super::*;

/// All files of Rust below `folder` that are no tests.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let below = folders.iter().flat_map(|folder| files_below(folder));
    files.into_iter().chain(below).filter(|path| !path.ends_with("tests.rs")).collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    if folder.ends_with("tests") { Vec::new() } else { files(folder) }
}

#[test]
fn a_guest_knows_nothing_of_the_filters_above_it() {
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guest");
    let files = files(&guest);
    assert!(files.len() > 15, "{files:?}");
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let inside = path.strip_prefix(&guest).unwrap().components().count();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let other = line.split("crate::").skip(1).find(|rest| !rest.starts_with("guest::"));
            assert!(other.is_none(), "{}: {line}", path.display());
            let outside = "super::".repeat(inside + usize::from(!path.ends_with("mod.rs")));
            assert!(!line.contains(&outside), "{}: {line}", path.display());
        }
    }
}
