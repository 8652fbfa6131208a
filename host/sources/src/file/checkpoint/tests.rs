use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;

fn checkpoint(path: &str, inode: u64) -> Checkpoint {
    Checkpoint {
        folder: None,
        path: path.into(),
        place: None,
        id: FileId { device: 1, inode, born: Some(3) },
        fingerprint: Fingerprint::of(b"head"),
        position: 4,
        streams: Some([9, 4, 9, 9]),
        before: Fingerprint::of(b"tail"),
        finished: None,
        root: Some(Root::of("test", &[path.as_bytes()])),
        seen: 0,
    }
}

/// What is in the store of a folder, by path.
fn read(folder: &Path) -> Option<Vec<Checkpoint>> {
    let mut files = Store::open(folder).unwrap().1?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Some(files)
}

#[test]
fn positions_come_back_as_they_were_saved() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("deep/er");
    let (mut store, none) = Store::open(&deep).unwrap();
    assert_eq!(none, None, "a first start is told from one without files");
    assert!(store.wants_whole(0));
    store.replace([].into_iter()).unwrap();
    assert_eq!(read(&deep), Some(Vec::new()));
    let mut saved = vec![checkpoint("/a", u64::MAX), checkpoint("/b", 2)];
    store.replace(saved.iter()).unwrap();
    assert_eq!(read(&deep), Some(saved.clone()));
    saved[1].position = 9;
    saved[1].place = Some("/elsewhere".into());
    store.append(&[&saved[1]], &[saved[0].id]).unwrap();
    assert_eq!(read(&deep), Some(vec![saved[1].clone()]));
    let mode = fs::metadata(deep.join(NAME)).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn positions_are_for_their_owner_alone_where_a_crash_left_a_file_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let aside = folder.path().join(format!("{NAME}.new"));
    fs::write(&aside, "half a li").unwrap();
    fs::set_permissions(&aside, fs::Permissions::from_mode(0o644)).unwrap();
    let (mut store, _) = Store::open(folder.path()).unwrap();
    store.replace([&checkpoint("/a", 1)].into_iter()).unwrap();
    assert_eq!(read(folder.path()), Some(vec![checkpoint("/a", 1)]));
    assert_eq!(fs::metadata(folder.path().join(NAME)).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_name_that_is_not_utf8_comes_back_with_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut odd = checkpoint("", 1);
    odd.path = std::ffi::OsString::from_vec(b"/var/\xff\xfe.log".to_vec()).into();
    odd.place = Some(odd.path.clone());
    let (mut store, _) = Store::open(folder.path()).unwrap();
    store.replace([&odd].into_iter()).unwrap();
    assert_eq!(read(folder.path()), Some(vec![odd]));
}

#[test]
fn a_line_that_a_crash_cut_short_is_left_out_and_all_before_it_count() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path()).unwrap();
    let first = checkpoint("/a", 1);
    store.replace([&first].into_iter()).unwrap();
    let whole = fs::read(folder.path().join(NAME)).unwrap();
    let moved = Checkpoint { position: 8, ..first.clone() };
    store.append(&[&moved], &[]).unwrap();
    let longer = fs::read(folder.path().join(NAME)).unwrap();
    for len in whole.len()..longer.len() {
        fs::write(folder.path().join(NAME), &longer[..len]).unwrap();
        assert_eq!(read(folder.path()), Some(vec![first.clone()]), "{len} bytes");
    }
    fs::write(folder.path().join(NAME), &longer).unwrap();
    assert_eq!(read(folder.path()), Some(vec![moved]));
}

#[test]
fn what_is_appended_is_bounded_by_the_files_that_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path()).unwrap();
    let file = checkpoint("/a", 1);
    store.replace([&file].into_iter()).unwrap();
    let appended = (0..).take_while(|_| !store.wants_whole(1) && store.append(&[&file], &[]).is_ok()).count();
    assert!((1000..1100).contains(&appended), "{appended}");
}

#[test]
fn the_positions_of_the_first_version_are_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let old = r#"{"version":1,"files":[{"path":"/a","device":1,"inode":2,"fingerprint":{"len":4,"hash":5},"position":6,"seen":7}]}"#;
    fs::write(folder.path().join(OLD_NAME), old).unwrap();
    let (mut store, files) = Store::open(folder.path()).unwrap();
    let files = files.unwrap();
    assert_eq!((files.len(), files[0].position, files[0].id.born), (1, 6, None));
    store.replace(files.iter()).unwrap();
    assert!(!folder.path().join(OLD_NAME).exists());
    assert_eq!(read(folder.path()), Some(files));
}

#[test]
fn positions_of_another_version_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [(OLD_NAME, r#"{"version":9,"files":[]}"#), (NAME, "{\"version\":9}\nnonsense\n")] {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let error = format!("{:#}", Store::open(folder.path()).unwrap_err());
        assert!(error.contains("its version is 9") && error.contains(name), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_line_that_is_damaged_costs_itself_alone_and_what_was_there_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    let (mut store, _) = Store::open(folder.path()).unwrap();
    let both = [checkpoint("/a", 1), checkpoint("/b", 2)];
    store.replace(both.iter()).unwrap();
    let moved = Checkpoint { position: 8, ..both[0].clone() };
    store.append(&[&moved], &[]).unwrap();
    let whole = fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let left = [
        // Without its first line it is of this version all the same.
        vec![moved.clone(), both[1].clone()],
        vec![moved.clone(), both[1].clone()],
        vec![moved.clone()],
        // The position before counts.
        both.to_vec(),
    ];
    for (damaged, left) in left.into_iter().enumerate() {
        for with in [&b"\n"[..], b"\0\0\0\0\n", b"\xff nonsense {\n", b"{\"version\":2,\"version\":2}\n"] {
            let mut text = lines.clone();
            text[damaged] = with;
            let text = text.concat();
            fs::write(&path, &text).unwrap();
            assert_eq!(read(folder.path()), Some(left.clone()), "line {damaged}");
            assert_eq!(fs::read(folder.path().join("checkpoints.damaged")).unwrap(), text);
        }
    }
}

#[test]
fn a_file_of_which_nothing_can_be_read_is_no_first_start() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [(OLD_NAME, "{"), (OLD_NAME, ""), (NAME, ""), (NAME, "\0\0\0\0"), (NAME, "nonsense\n")]
    {
        fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(read(folder.path()), Some(Vec::new()), "{name}: {text}");
    }
}

#[test]
fn a_folder_that_somebody_removes_is_made_again_by_the_save_after_next() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("deep/er");
    let (mut store, _) = Store::open(&deep).unwrap();
    let file = checkpoint("/a", 1);
    store.replace([&file].into_iter()).unwrap();
    store.append(&[&file], &[]).unwrap();
    fs::remove_dir_all(folder.path().join("deep")).unwrap();
    store.append(&[&file], &[]).unwrap_err();
    assert!(store.wants_whole(1));
    store.replace([&file].into_iter()).unwrap();
    assert_eq!(read(&deep), Some(vec![file]));
}
