use super::super::rig::glob;
use super::*;

/// A folder with these files, and what the globs (relative to it) find in it.
fn find(files: &[&str], include: &[&str], exclude: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    let globs = |list: &[&str]| -> Vec<Glob> {
        list.iter().map(|text| glob(format!("{}/{text}", folder.path().display()))).collect()
    };
    let globs = Globs::new(&globs(include), &globs(exclude)).unwrap();
    let walk = globs.walk();
    assert!(walk.errors.is_empty(), "{:?}", walk.errors);
    let name = |found: &Found| found.path.strip_prefix(folder.path()).unwrap().display().to_string();
    let mut names: Vec<_> = walk.files.iter().map(name).collect();
    names.sort();
    names
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
fn what_is_excluded_is_left_out_and_what_matches_twice_comes_once() {
    assert_eq!(find(FILES, &["**/*.log", "*.log"], &["x/**"]), ["a.log", "z/y/a.log"]);
}

#[test]
fn a_link_that_leads_round_in_a_circle_ends() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("x")).unwrap();
    fs::write(folder.path().join("x/a.log"), "x").unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("x/up")).unwrap();
    let globs = Globs::new(&[glob(format!("{}/**/*.log", folder.path().display()))], &[]).unwrap();
    let walk = globs.walk();
    assert_eq!(walk.files.len(), 1);
    assert_eq!(walk.folders.len(), 2);
}

#[test]
fn a_folder_named_as_a_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let globs = Globs::new(&[glob(folder.path().display().to_string())], &[]).unwrap();
    assert_eq!(globs.walk().errors.len(), 1);
}

#[test]
fn older_files_come_first() {
    let folder = tempfile::tempdir().unwrap();
    for (name, time) in [("a", 3), ("b", 1), ("c", 2)] {
        let file = fs::File::create(folder.path().join(name)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(time)).unwrap();
    }
    let globs = Globs::new(&[glob(format!("{}/*", folder.path().display()))], &[]).unwrap();
    let names: Vec<_> = globs.walk().files.iter().map(|f| f.path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["b", "c", "a"]);
}
