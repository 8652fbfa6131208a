use std::time::{Duration, UNIX_EPOCH};

use super::*;

#[test]
fn what_was_used_longest_ago_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    for (name, used) in [("old", 1), ("new", 3), ("middle", 2)] {
        let path = folder.path().join(name);
        fs::write(&path, [0; 100]).unwrap();
        File::open(&path).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(used)).unwrap();
    }
    prune(folder.path(), 200);
    let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["middle", "new"]);
}

#[test]
fn a_folder_that_others_may_write_is_closed_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    Cache::open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
}
