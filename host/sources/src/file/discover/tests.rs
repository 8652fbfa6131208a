use std::os::unix::fs::symlink;

use super::super::rig::glob;
use super::*;

#[test]
fn a_glob_that_can_match_nothing_is_told_and_one_that_may_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| format!("{}/{name}", folder.path().display());
    fs::write(at("file"), "x").unwrap();
    let exclude = [glob("*.gz".to_owned()), glob(at("left-out-*"))];
    let told = |text: &str| -> Vec<String> {
        let include = [glob(at("*.log")), glob(text.to_owned())];
        Globs::warnings(&include, &exclude)
            .into_iter()
            .map(|(place, says)| format!("{place} {says}"))
            .collect()
    };
    for (text, says) in [
        (&*at(""), "names a folder"),
        (folder.path().to_str().unwrap(), "names a folder"),
        (&at("file/*.log"), "file is a file"),
        ("~/logs/*.log", "a folder called `~`"),
        (&at("$APP_HOME/*.log"), "`$APP_HOME`: a variable is `${APP_HOME}`"),
        ("/var/log/a.log, /var/log/b*.log", "one glob with a comma in it"),
        (&at("left-out-*"), "`exclude` leaves out all of it"),
        (&at("one.gz"), "`exclude` leaves out all of it"),
    ] {
        let told = told(text);
        assert_eq!(told.len(), 1, "{text}: {told:?}");
        assert!(told[0].starts_with("1 ") && told[0].contains(says), "{told:?}");
    }
    for text in ["file", "absent/*.log", "*", "*.gz*", "absent.log", "a,b.log", "{a,b}/c,d*", "$1.log"] {
        assert_eq!(told(&at(text)), [""; 0], "{text}");
    }
}

#[test]
fn a_link_is_followed_name_by_name_and_one_that_leads_nowhere_or_round_ends() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    fs::create_dir(root.join("pods")).unwrap();
    fs::write(root.join("pods/1.log"), "x").unwrap();
    symlink("1.log", root.join("pods/0.log")).unwrap();
    symlink("pods/../pods/0.log", root.join("link.log")).unwrap();
    assert_eq!(hops(&root.join("link.log")), [root.join("pods/0.log"), root.join("pods/1.log")]);
    assert!(hops(&root.join("pods/1.log")).is_empty());
    symlink("gone/x.log", root.join("dangling.log")).unwrap();
    assert_eq!(hops(&root.join("dangling.log")), [root.join("gone/x.log")]);
    symlink("round.log", root.join("round.log")).unwrap();
    assert_eq!(hops(&root.join("round.log")).len(), 40);
}

#[test]
fn a_pipe_under_the_name_of_a_file_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.log");
    fs::write(&path, "x").unwrap();
    let id = FileId::of(&fs::metadata(&path).unwrap());
    assert!(open(&path, id).is_ok());
    fs::remove_file(&path).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let id = FileId::of(&fs::metadata(&path).unwrap());
    assert_eq!(open(&path, id).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn files_of_one_number_that_were_made_at_different_times_are_two() {
    let id = |born| FileId { device: 1, inode: 2, born };
    assert!(id(Some(1)).fits(id(Some(1))) && id(None).fits(id(Some(1))));
    assert!(!id(Some(1)).fits(id(Some(2))));
}
