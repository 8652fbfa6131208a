use super::*;

#[test]
fn a_file_that_is_written_or_replaced_has_another_stamp() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("a"), folder.path().join("b"));
    assert_eq!(FileStamp::of(&path), None);
    std::fs::write(&path, "one").unwrap();
    let first = FileStamp::of(&path);
    assert_eq!(FileStamp::of(&path), first);
    std::fs::write(&path, "longer").unwrap();
    let second = FileStamp::of(&path);
    assert_ne!(second, first);
    std::fs::write(&other, "second").unwrap();
    std::fs::rename(&other, &path).unwrap();
    assert_ne!(FileStamp::of(&path), second, "as long as the one before");
}

#[test]
fn a_file_whose_rights_or_whose_content_alone_are_others_has_another_stamp() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    std::fs::write(&path, "one").unwrap();
    let set = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    set(0o000);
    let closed = FileStamp::of(&path);
    another_moment(&path);
    set(0o644);
    let open = FileStamp::of(&path);
    assert_ne!(open, closed, "who could not read it can now");
    let written = path.metadata().unwrap().modified().unwrap();
    another_moment(&path);
    std::fs::write(&path, "two").unwrap();
    File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
    assert_ne!(FileStamp::of(&path), open, "as long as before, and by its time as old");
}

/// Waits until the file system would give another time to what is changed than it has for this file.
fn another_moment(path: &Path) {
    let before = path.metadata().unwrap();
    let other = path.with_extension("moment");
    let is_later = || {
        std::fs::write(&other, "").unwrap();
        let now = other.metadata().unwrap();
        (now.ctime(), now.ctime_nsec()) > (before.ctime(), before.ctime_nsec())
    };
    while !is_later() {
        std::fs::remove_file(&other).unwrap();
    }
}

#[test]
fn a_path_leads_to_the_file_that_stands_there() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("a"), folder.path().join("b"));
    let file = File::create(&path).unwrap();
    assert!(is_at(&file, &path));
    std::os::unix::fs::symlink(&path, &other).unwrap();
    assert!(is_at(&file, &other));
    std::fs::remove_file(&path).unwrap();
    assert!(!is_at(&file, &path));
    File::create(&path).unwrap();
    assert!(!is_at(&file, &path), "another file of the same name");
}
