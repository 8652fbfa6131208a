use std::path::PathBuf;

use super::super::rig::glob;
use super::super::settings::Glob;
use super::*;

/// The files among these that a walk of the globs, relative to their folder, comes to and the globs match.
fn find(files: &[&str], include: &[&str], exclude: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    let include: Vec<Glob> =
        include.iter().map(|text| glob(format!("{}/{text}", folder.path().display()))).collect();
    let exclude: Vec<Glob> = exclude.iter().map(|text| glob((*text).to_owned())).collect();
    let globs = Globs::new(&include, &exclude).unwrap();
    let (names, _) = walk(&globs);
    let names: BTreeSet<_> = names.into_iter().filter(|name| globs.matches(name) && name.is_file()).collect();
    names.iter().map(|name| name.strip_prefix(folder.path()).unwrap().display().to_string()).collect()
}

/// The names that a walk comes to, and the walk.
fn walk(globs: &Globs) -> (Vec<PathBuf>, Walk) {
    let mut walk = Walk::new(globs);
    let names = std::iter::from_fn(|| walk.next()).map(|entry| entry.path).collect();
    (names, walk)
}

const FILES: &[&str] = &["a.log", "b.txt", "x/a.log", "x/y/a.log", "x/y/b.log", "z/y/a.log"];

#[test]
fn a_star_stays_in_its_folder_and_two_go_below() {
    assert_eq!(find(FILES, &["*.log"], &[]), ["a.log"]);
    assert_eq!(find(FILES, &["*/*.log"], &[]), ["x/a.log"]);
    assert_eq!(find(FILES, &["*/y/a.log"], &[]), ["x/y/a.log", "z/y/a.log"]);
    assert_eq!(find(FILES, &["**/a.log"], &[]), ["a.log", "x/a.log", "x/y/a.log", "z/y/a.log"]);
    assert_eq!(find(FILES, &["x/**"], &[]), ["x/a.log", "x/y/a.log", "x/y/b.log"]);
}

#[test]
fn a_path_is_a_glob_and_choices_may_hold_folders() {
    assert_eq!(find(FILES, &["b.txt", "nothing.log"], &[]), ["b.txt"]);
    assert_eq!(find(FILES, &["{b.txt,x/y/b.log}"], &[]), ["b.txt", "x/y/b.log"]);
}

#[test]
fn what_a_relative_glob_excludes_is_left_out_at_any_depth() {
    assert_eq!(find(FILES, &["**/*.log", "*.log"], &["x/**"]), ["a.log", "z/y/a.log"]);
    assert_eq!(find(FILES, &["**/*"], &["*.txt", "y/b.log"]), ["a.log", "x/a.log", "x/y/a.log", "z/y/a.log"]);
    assert_eq!(find(FILES, &["**/*"], &["**/y/**"]), ["a.log", "b.txt", "x/a.log"]);
    assert_eq!(find(FILES, &["*.log"], &["./a.log"]), ["a.log"], "`./` is the working folder");
}

#[test]
fn a_link_that_leads_round_in_a_circle_ends() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("x")).unwrap();
    fs::write(folder.path().join("x/a.log"), "x").unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("x/up")).unwrap();
    let globs = Globs::new(&[glob(format!("{}/**/*.log", folder.path().display()))], &[]).unwrap();
    let (names, walk) = walk(&globs);
    assert_eq!(names, [folder.path().join("x/a.log")]);
    assert_eq!(walk.folders.len(), 2);
}

#[test]
fn a_folder_that_is_searched_aside_is_listed_once_and_is_not_one_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["in", "aside"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("a.log"), "x").unwrap();
    }
    let globs = Globs::new(&[glob(format!("{}/in/*.log", folder.path().display()))], &[]).unwrap();
    let (_, mut walk) = walk(&globs);
    walk.search(["in", "aside", "absent"].map(|name| folder.path().join(name)).into());
    let entries: Vec<_> = std::iter::from_fn(|| walk.next()).collect();
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].kind, &entries[0].path), (Kind::Aside, &folder.path().join("aside/a.log")));
    assert_eq!(walk.folders.len(), 1);
    assert!(walk.errors.is_empty());
}
