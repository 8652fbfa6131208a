use std::collections::HashSet;

use super::super::rotate::Rotation;
use super::*;

fn files(sync: SyncMode) -> Files {
    Files::new(Root::new("/", true), None, Form { header: None, lines: true }, sync)
}

#[test]
fn outputs_leave_descriptors_to_all_else_and_each_has_one_file_open() {
    for (descriptors, outputs, most) in [
        (None, 1, 256),
        (Some(524_288), 200, 256),
        (Some(1_024), 1, 128),
        (Some(1_024), 4, 32),
        (Some(80), 1, 10),
        (Some(80), 30, 1),
        (Some(3), 1, 1),
    ] {
        assert_eq!(most_open(descriptors, outputs), most, "{descriptors:?} of {outputs}");
    }
}

#[test]
fn the_file_that_was_used_longest_ago_makes_room_and_nothing_of_it_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = files(SyncMode::Interval);
    let path = |name: &str| folder.path().join("new").join(name);
    for name in ["a", "b", "a", "c"] {
        files.append(&path(name), format!("{name}\n").as_bytes()).unwrap();
    }
    assert!(files.close_oldest());
    let mut open: Vec<_> = files.open.keys().cloned().collect();
    open.sort();
    assert_eq!(open, [path("a"), path("c")]);
    files.append(&path("b"), b"b\n").unwrap();
    assert_eq!(fs::read_to_string(path("b")).unwrap(), "b\nb\n");
    while files.close_oldest() {}
    assert!(files.open.is_empty());
}

#[test]
fn the_names_of_what_could_not_be_written_at_once_are_forced_to_the_disk_with_the_next_records() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = files(SyncMode::Interval);
    let new = folder.path().join("new");
    let path = new.join("a");
    files.ready(&path, &Place::of(&path), 0).unwrap();
    // As if the disk were full.
    files.open.get_mut(&path).unwrap().file = Arc::new(File::open(&path).unwrap());
    files.append(&path, b"a\n").unwrap_err();
    files.append(&path, b"a\n").unwrap();
    assert_eq!(files.take_dirty().folders, HashSet::from([folder.path().to_owned(), new.clone()]));
    assert!(files.take_dirty().is_empty());

    let newer = new.join("newer");
    files.append(&newer.join("a".repeat(300)), b"a\n").unwrap_err();
    files.append(&newer.join("a"), b"a\n").unwrap();
    assert_eq!(files.take_dirty().folders, HashSet::from([new.clone(), newer.clone()]));

    let many = |n: usize| newer.join(n.to_string()).join("a".repeat(300));
    (0..1_000).for_each(|n| _ = files.append(&many(n), b"a\n").unwrap_err());
    assert!(files.unsynced.folders.len() <= OPEN, "nobody comes to write there");
}

/// Writes a line to each of so many files, `times` times over.
fn write_all(files: &mut Files, folder: &Path, count: usize, times: usize) {
    for _ in 0..times {
        for name in 0..count {
            files.append(&folder.join(name.to_string()), b"line\n").unwrap();
        }
    }
}

#[test]
fn more_files_than_may_be_open_are_each_forced_to_the_disk_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = files(SyncMode::Interval);
    let count = OPEN + 44;
    write_all(&mut files, folder.path(), count, 3);
    assert!(files.open.len() < count);
    let mut dirty = files.take_dirty();
    assert_eq!(dirty.count(), count, "none was forced to the disk to make room, and each waits once");
    dirty.sync();
    assert!(dirty.is_empty());
    assert!(files.take_dirty().is_empty());
    for name in 0..count {
        assert_eq!(fs::read_to_string(folder.path().join(name.to_string())).unwrap(), "line\n".repeat(3));
    }
}

#[test]
fn where_nobody_forces_files_to_the_disk_to_close_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = files(SyncMode::Never);
    write_all(&mut files, folder.path(), OPEN + 44, 1);
    while files.close_oldest() {}
    assert!(files.take_dirty().is_empty());
}

#[test]
fn a_closed_file_that_was_moved_or_replaced_is_forced_to_the_disk_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = files(SyncMode::Interval);
    write_all(&mut files, folder.path(), 3, 1);
    while files.close_oldest() {}
    let path = |name: &str| folder.path().join(name);
    fs::rename(path("0"), path("moved")).unwrap();
    fs::remove_file(path("1")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path("1"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    files.append(&path("0"), b"new\n").unwrap();
    while files.close_oldest() {}
    let mut dirty = files.take_dirty();
    assert_eq!(dirty.count(), 3);
    // It ends, though nobody reads the pipe.
    dirty.sync();
    assert!(dirty.is_empty());
    assert_eq!(fs::read_to_string(path("moved")).unwrap(), "line\n");
}

#[test]
fn a_closed_file_that_is_rotated_does_not_wait_under_the_name_of_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = files(SyncMode::Interval);
    let rotation = Rotation { max_bytes: 6, keep: 2, compresses: None };
    files.rotation = Some(Arc::new(rotation));
    write_all(&mut files, folder.path(), 1, 1);
    while files.close_oldest() {}
    write_all(&mut files, folder.path(), 1, 1);
    assert!(folder.path().join("0.1").exists());
    assert_eq!(files.take_dirty().count(), 1);
}
