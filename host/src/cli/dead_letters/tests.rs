use super::*;

#[test]
fn messages_name_a_url_without_its_password() {
    assert_eq!(without_password("https://ada:hunter2@host/x"), "https://***@host/x");
    assert_eq!(without_password("http://host/x"), "http://host/x");
}

#[test]
fn a_time_is_a_moment_or_a_while_ago() {
    let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    let at = |text| time(text, now).map(|time| time.to_string()).ok();
    assert_eq!(at("2h").unwrap(), "2026-11-20T10:00:00Z");
    assert_eq!(at("2026-11-20T13:55:36Z").unwrap(), "2026-11-20T13:55:36Z");
    assert!(at("yesterday").is_none());
}

#[test]
fn a_folder_in_which_no_flitch_has_run_is_named() {
    use clap::Parser;
    #[derive(Parser)]
    struct Asked {
        #[command(flatten)]
        which: Which,
    }
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    let which = Asked::parse_from(["show", "--data-dir", data_dir]).which;
    let said = format!("there is no {data_dir}/{FOLDER}: no flitch has run with this `data_dir`");
    match which.folder() {
        Err(Failure::Other(error)) => assert_eq!(error.to_string(), said),
        other => panic!("{other:?}"),
    }
    std::fs::create_dir(folder.path().join(FOLDER)).unwrap();
    assert_eq!(which.folder().unwrap(), folder.path().join(FOLDER));
}
