use std::fs;
use std::time::Duration;

use flitch_tests::servers::logrotate::{Logrotate, Manner};
use flitch_tests::servers::nginx::Nginx;
use flitch_tests::wait::eventually;

const DEADLINE: Duration = Duration::from_secs(10);

#[test]
fn nginx_logs_what_it_serves_and_goes_on_in_a_new_file_after_a_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let nginx = Nginx::start(folder.path()).unwrap();
    let log = nginx.access_log();
    let has =
        |path: &std::path::Path, text: &str| fs::read_to_string(path).unwrap_or_default().contains(text);
    assert_eq!(nginx.get("/first").unwrap(), 200);
    assert_eq!(nginx.get("/missing/thing").unwrap(), 404);
    eventually("both lines", DEADLINE, || has(&log, "GET /first HTTP/1.1\" 200") && has(&log, "\" 404"));

    Logrotate::new(folder.path(), &log, Manner::Create, Some(&nginx.pid_file())).unwrap().rotate().unwrap();
    let old = folder.path().join("access.log.1");
    assert!(has(&old, "/first"));
    eventually("a line in the new file", DEADLINE, || {
        nginx.get("/second").unwrap();
        has(&log, "/second")
    });
    assert!(!has(&log, "/first"));
}

#[test]
fn logrotate_by_copytruncate_empties_the_file_that_stays() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("app.log");
    fs::write(&log, "one\ntwo\n").unwrap();
    Logrotate::new(folder.path(), &log, Manner::CopyTruncate, None).unwrap().rotate().unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), "");
    assert_eq!(fs::read_to_string(folder.path().join("app.log.1")).unwrap(), "one\ntwo\n");
}
