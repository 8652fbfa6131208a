use std::process::{Command, Stdio};

use flitch_tests::folder::Folder;

#[test]
fn a_folder_is_removed_when_the_last_process_that_writes_to_it_has_ended() {
    let mut folder = Folder::new("flitch-folder-").unwrap();
    let path = folder.path().to_owned();
    std::fs::create_dir(path.join("data")).unwrap();
    std::fs::write(path.join("data/file"), "text").unwrap();
    let mut server = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    folder.used_by(server.id()).unwrap();
    let (alive, removed) = (path.clone(), path);
    let dropped = flitch_tests::beside(move || drop(folder));
    assert!(alive.join("data/file").exists(), "the server still writes there");
    drop(server.stdin.take());
    server.wait().unwrap();
    dropped.join().unwrap();
    assert!(!removed.exists());
}
