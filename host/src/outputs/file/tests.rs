use std::fs;
use std::io::Read;

use arrow_array::{ArrayRef, StringArray};

use super::super::contract::{self, Subject, lines, numbered};
use super::*;
use crate::batch::Kind;

fn settings(folder: &Path, name: &str) -> FileSettings {
    FileSettings::new(Template::parse(&format!("{}/{name}", folder.display())).unwrap())
}

fn output(settings: &FileSettings) -> FileOutput {
    open(settings, &Encoding::default()).unwrap()
}

fn tagged(tags: &[&str]) -> Arc<Records> {
    let field = Arc::new(Kind::Text.field("app"));
    let array: ArrayRef = Arc::new(StringArray::from(tags.to_vec()));
    Arc::new(Records::of(tags.len(), vec![(field, array)], vec![]).unwrap())
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn it_keeps_the_contract_of_outputs() {
    for sync in [Sync::Batch, Sync::Interval, Sync::Never] {
        contract::check(|| async move {
            let folder = tempfile::tempdir().unwrap();
            let output = output(&FileSettings { sync, ..settings(folder.path(), "a/b/out.ndjson") });
            let read = move || lines(&fs::read(folder.path().join("a/b/out.ndjson")).unwrap_or_default());
            Subject { output: Arc::new(output), newline: true, read: Some(Box::new(read)) }
        })
        .await;
    }
}

#[tokio::test]
async fn records_go_to_the_files_that_their_fields_name() {
    let folder = tempfile::tempdir().unwrap();
    let output = output(&settings(folder.path(), "{app}.ndjson"));
    let written = output.write(&tagged(&["a", "b", "a", "../x"])).await.unwrap();
    assert!(written.refused.is_empty());
    assert_eq!(names(folder.path()), [".._x.ndjson", "a.ndjson", "b.ndjson"]);
    assert_eq!(fs::read(folder.path().join("a.ndjson")).unwrap(), b"{\"app\":\"a\"}\n{\"app\":\"a\"}\n");
}

#[tokio::test]
async fn a_record_without_a_path_is_refused_alone() {
    let folder = tempfile::tempdir().unwrap();
    let output = output(&settings(folder.path(), "{app}/{none}"));
    let written = output.write(&tagged(&["a"])).await.unwrap();
    assert_eq!(written.refused.len(), 1);
    let output = super::open(&settings(folder.path(), "{app}"), &Encoding::default()).unwrap();
    let long = "x".repeat(300);
    let written = output.write(&tagged(&["a", &long])).await.unwrap();
    assert_eq!(written.refused.iter().map(|r| r.row).collect::<Vec<_>>(), [1]);
    assert_eq!(written.bytes, 12);
}

#[tokio::test]
async fn files_are_rotated_kept_and_compressed() {
    let folder = tempfile::tempdir().unwrap();
    for gzip in [false, true] {
        let folder = folder.path().join(format!("gzip-{gzip}"));
        let settings =
            FileSettings { max_bytes: Some(Bytes(1000)), keep: 2, gzip, ..settings(&folder, "out") };
        let output = output(&settings);
        for n in 0..5 {
            output.write(&numbered(n * 100, 10)).await.unwrap();
        }
        output.close().await.unwrap();
        let expected = if gzip { ["out", "out.1.gz", "out.2.gz"] } else { ["out", "out.1", "out.2"] };
        assert_eq!(names(&folder), expected);
        assert_eq!(fs::read(folder.join("out")).unwrap(), numbered(400, 10).ndjson().text);
        let mut before = Vec::new();
        if gzip {
            let file = fs::File::open(folder.join("out.2.gz")).unwrap();
            flate2::read::GzDecoder::new(file).read_to_end(&mut before).unwrap();
        } else {
            before = fs::read(folder.join("out.2")).unwrap();
        }
        assert_eq!(before, numbered(200, 10).ndjson().text);
    }
}

#[tokio::test]
async fn a_file_that_somebody_moves_away_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let output = output(&settings(folder.path(), "out"));
    output.write(&numbered(0, 3)).await.unwrap();
    fs::rename(folder.path().join("out"), folder.path().join("moved")).unwrap();
    output.write(&numbered(3, 3)).await.unwrap();
    assert_eq!(fs::read(folder.path().join("moved")).unwrap(), numbered(0, 3).ndjson().text);
    assert_eq!(fs::read(folder.path().join("out")).unwrap(), numbered(3, 3).ndjson().text);
}

#[tokio::test]
async fn a_full_disk_is_busy_and_leaves_no_half_line() {
    let output = output(&FileSettings::new(Template::parse("/dev/full").unwrap()));
    let error = output.write(&numbered(0, 3)).await.unwrap_err();
    assert!(matches!(error, WriteError::Busy { .. }), "{error}");
}

#[tokio::test]
async fn a_folder_in_the_way_is_denied() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("out")).unwrap();
    let error = output(&settings(folder.path(), "out")).write(&numbered(0, 3)).await.unwrap_err();
    assert!(matches!(error, WriteError::Denied { .. }), "{error}");
    assert!(error.to_string().contains("/out"), "{error}");
}

#[test]
fn wrong_settings_say_what_to_do() {
    let wrong = |settings: FileSettings| open(&settings, &Encoding::default()).unwrap_err().to_string();
    let fine = settings(Path::new("/tmp"), "out");
    assert!(wrong(FileSettings::new(Template::parse("out").unwrap())).contains("must begin with `/`"));
    assert!(wrong(FileSettings { gzip: true, ..fine.clone() }).contains("max_bytes"));
    assert!(wrong(FileSettings { max_bytes: Some(Bytes(0)), ..fine }).contains("max_bytes"));
}
