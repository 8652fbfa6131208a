use super::*;

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
    let mut files = Files::new(Root::new("/", true), None, Form { header: None, lines: true });
    let path = |name: &str| folder.path().join("new").join(name);
    for name in ["a", "b", "a", "c"] {
        files.append(&path(name), format!("{name}\n").as_bytes(), false).unwrap();
    }
    assert!(files.close_oldest());
    let mut open: Vec<_> = files.open.keys().cloned().collect();
    open.sort();
    assert_eq!(open, [path("a"), path("c")]);
    files.append(&path("b"), b"b\n", false).unwrap();
    assert_eq!(fs::read_to_string(path("b")).unwrap(), "b\nb\n");
    while files.close_oldest() {}
    assert!(files.open.is_empty());
}

#[test]
fn the_names_of_what_could_not_be_written_at_once_are_forced_to_the_disk_with_the_next_records() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Files::new(Root::new("/", true), None, Form { header: None, lines: true });
    let new = folder.path().join("new");
    let path = new.join("a");
    files.ready(&path, &Place::of(&path), 0).unwrap();
    // As if the disk were full.
    files.open.get_mut(&path).unwrap().file = Arc::new(File::open(&path).unwrap());
    files.append(&path, b"a\n", false).unwrap_err();
    files.append(&path, b"a\n", false).unwrap();
    assert_eq!(files.take_dirty().folders, HashSet::from([folder.path().to_owned(), new.clone()]));
    assert!(files.take_dirty().is_empty());

    let newer = new.join("newer");
    files.append(&newer.join("a".repeat(300)), b"a\n", false).unwrap_err();
    files.append(&newer.join("a"), b"a\n", false).unwrap();
    assert_eq!(files.take_dirty().folders, HashSet::from([new.clone(), newer.clone()]));

    let many = |n: usize| newer.join(n.to_string()).join("a".repeat(300));
    (0..1_000).for_each(|n| _ = files.append(&many(n), b"a\n", false).unwrap_err());
    assert!(files.unsynced.folders.len() <= OPEN, "nobody comes to write there");
}
