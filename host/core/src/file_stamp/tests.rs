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
