use std::time::Duration;

use flitch_tests::wait::eventually;

use super::*;

const DEADLINE: Duration = Duration::from_secs(60);

#[test]
fn a_folder_that_went_and_came_again_is_watched_anew() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("logs");
    let (folders, file) = (BTreeSet::from([folder.clone()]), folder.join("app.log"));
    let mut watch = Watch::new(Arc::default());
    for _ in 0..3 {
        std::fs::create_dir(&folder).unwrap();
        watch.follow(&folders);
        std::fs::write(&file, "line\n").unwrap();
        eventually("the file is told", DEADLINE, || watch.take().named.contains(&file));
        std::fs::remove_dir_all(&folder).unwrap();
        eventually("its end is told", DEADLINE, || watch.take().named.contains(&folder));
    }
}

#[test]
fn a_folder_that_could_not_be_watched_is_tried_again() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("logs");
    let (folders, file) = (BTreeSet::from([folder.clone()]), folder.join("app.log"));
    let mut watch = Watch::new(Arc::default());
    watch.follow(&folders);
    std::fs::create_dir(&folder).unwrap();
    watch.follow(&folders);
    std::fs::write(&file, "line\n").unwrap();
    eventually("the file is told", DEADLINE, || watch.take().named.contains(&file));
}
