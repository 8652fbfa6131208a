use super::*;

fn checkpoint(path: &str) -> Checkpoint {
    Checkpoint {
        path: path.into(),
        device: 1,
        inode: u64::MAX,
        fingerprint: Fingerprint::of(b"head").expect("content"),
        position: 4,
        finished: None,
        seen: 0,
    }
}

#[test]
fn positions_come_back_as_they_were_saved() {
    let folder = tempfile::tempdir().unwrap();
    let (store, none) = Store::open(&folder.path().join("deep/er")).unwrap();
    assert_eq!(none, None, "a first start is told from one without files");
    store.save(Vec::new()).unwrap();
    assert_eq!(Store::open(&folder.path().join("deep/er")).unwrap().1, Some(Vec::new()));
    let saved = vec![checkpoint("/a"), checkpoint("/b")];
    store.save(saved.clone()).unwrap();
    assert_eq!(Store::open(&folder.path().join("deep/er")).unwrap().1, Some(saved));
}

#[test]
fn a_file_that_holds_no_checkpoints_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    for (text, says) in [("{", "holds no checkpoints"), (r#"{"version":9,"files":[]}"#, "its version is 9")] {
        fs::write(&path, text).unwrap();
        let error = Store::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains(NAME), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}
