use super::rotated;

fn is_of(name: &str, original: &str) -> bool {
    rotated(name).any(|(name, _)| name == original)
}

#[test]
fn what_rotates_files_writes_is_known_as_a_name_of_theirs() {
    for (name, original) in [
        // logrotate, alone and with dateext.
        ("app.log.1", "app.log"),
        ("app.log-20261125", "app.log"),
        ("app.log-20261125-1732492800", "app.log"),
        ("app.1.log", "app.log"),
        ("app-20261125.log", "app.log"),
        ("messages.1", "messages"),
        ("messages-20261125", "messages"),
        // Kubernetes and Docker.
        ("0.log.20261125-100000", "0.log"),
        ("4f0c-json.log.3", "4f0c-json.log"),
        // Python's handlers by size and by time.
        ("app.log.2026-11-25", "app.log"),
        ("app.log.2026-11-25_13", "app.log"),
        ("app.log.2026-11-25_13-10-05", "app.log"),
        // log4j, logback, Go's lumberjack, rotatelogs.
        ("app-2026-11-25.log", "app.log"),
        ("app-2026-11-25-1.log", "app.log"),
        ("app.2026-11-25.0.log", "app.log"),
        ("app-2026-11-25T10-00-00.000.log", "app.log"),
        ("app.log.2026-11-25T10:00:00+01:00", "app.log"),
        ("app.log.20261125T100000Z", "app.log"),
        ("access_log.1732492800", "access_log"),
        ("app_2026-11-25.log", "app.log"),
        // The one that is kept.
        ("Xorg.0.log.old", "Xorg.0.log"),
        ("app.log.bak", "app.log"),
        ("app.old.log", "app.log"),
        // Names with numbers of their own.
        ("svc-1.log.3", "svc-1.log"),
        ("app.2.1.log", "app.2.log"),
    ] {
        assert!(is_of(name, original), "{name}: {:?}", rotated(name).collect::<Vec<_>>());
    }
}

#[test]
fn another_file_that_begins_like_one_of_ours_is_none_of_its_names() {
    for name in [
        "app.log.audit",
        "app.log.swp",
        "app.log-notes.txt",
        "app.log.1.swp",
        "app.log.1~",
        "app.log.",
        "app.log-",
        "app.log.older",
        "app.log.1st",
        "app.log.-",
        "app.logs",
        ".1",
    ] {
        assert!(!is_of(name, "app.log") && !is_of(name, ""), "{name}");
    }
}
