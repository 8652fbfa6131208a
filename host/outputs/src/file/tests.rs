use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use arrow_array::{ArrayRef, StringArray};
use rustix::fs::OFlags;

use super::super::contract::{Found, Specimen, Subject, WriteBatch, context, context_with, lines, numbered};
use super::*;
use flitch_core::batch::Kind;
use flitch_core::batch::encode::{Encoding, Framing};
use flitch_core::telemetry::Health;

fn settings(folder: &Path, name: &str) -> FileSettings {
    FileSettings::new(Template::parse(&format!("{}/{name}", folder.display())).unwrap())
}

fn output(settings: &FileSettings) -> FileOutput {
    open(settings, &context()).unwrap()
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

impl Specimen for FileSettings {
    const VARIANTS: usize = 3;

    async fn subject(variant: usize, cx: &OutputContext) -> Subject {
        let sync = [SyncMode::Batch, SyncMode::Interval, SyncMode::Never][variant];
        let folder = tempfile::tempdir().unwrap();
        let of = |name| FileSettings { sync, ..settings(folder.path(), name) }.open(cx).unwrap();
        let (output, by_field) = (of("a/b/out.ndjson"), of("c/{k}"));
        let path = folder.path().join("a/b/out.ndjson");
        let there = path.clone();
        let cut = move || {
            fs::create_dir_all(there.parent().unwrap()).unwrap();
            fs::write(&there, "{\"n\":1,\"mess").unwrap();
        };
        let read = move || {
            let _keep = &folder;
            Found::Stream(fs::read(&path).unwrap_or_default())
        };
        Subject { output, read: Some(Box::new(read)), by_field: Some(by_field), cut: Some(Box::new(cut)) }
    }
}

#[tokio::test]
async fn records_go_to_the_files_that_their_fields_name() {
    let folder = tempfile::tempdir().unwrap();
    let output = output(&settings(folder.path(), "{app}.ndjson"));
    let written = output.write_batch(&tagged(&["a", "b", "a", "../x"])).await.unwrap();
    assert!(written.refused.is_empty());
    assert_eq!(names(folder.path()), [".._x.ndjson", "a.ndjson", "b.ndjson"]);
    assert_eq!(fs::read(folder.path().join("a.ndjson")).unwrap(), b"{\"app\":\"a\"}\n{\"app\":\"a\"}\n");
}

#[tokio::test]
async fn each_file_of_a_csv_output_begins_with_the_columns_after_a_rotation_too() {
    let folder = tempfile::tempdir().unwrap();
    let encoding = Encoding { format: Format::Csv, columns: vec!["app".to_owned()], ..Encoding::default() };
    let settings = FileSettings { max_bytes: Some(Bytes(10)), ..settings(folder.path(), "{app}.csv") };
    let output = super::open(&settings, &context_with(encoding, Framing::Lines)).unwrap();
    for _ in 0..2 {
        output.write_batch(&tagged(&["a", "b", "a"])).await.unwrap();
    }
    assert_eq!(names(folder.path()), ["a.csv", "a.csv.1", "b.csv"]);
    for (name, text) in [("a.csv", "app\na\na\n"), ("a.csv.1", "app\na\na\n"), ("b.csv", "app\nb\nb\n")] {
        assert_eq!(fs::read_to_string(folder.path().join(name)).unwrap(), text, "{name}");
    }
}

#[tokio::test]
async fn a_record_without_a_path_is_refused_alone() {
    let folder = tempfile::tempdir().unwrap();
    let output = output(&settings(folder.path(), "{app}/{none}"));
    let written = output.write_batch(&tagged(&["a"])).await.unwrap();
    assert_eq!(written.refused.len(), 1);
    let output = super::open(&settings(folder.path(), "{app}"), &context()).unwrap();
    let long = "x".repeat(300);
    let written = output.write_batch(&tagged(&["a", &long])).await.unwrap();
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
            output.write_batch(&numbered(n * 100, 10)).await.unwrap();
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
async fn as_many_rotated_files_as_anybody_may_want_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let settings =
        FileSettings { max_bytes: Some(Bytes(1000)), keep: u32::MAX, ..settings(folder.path(), "out") };
    let output = output(&settings);
    for n in 0..4 {
        output.write_batch(&numbered(n * 100, 10)).await.unwrap();
    }
    // Somebody took one of them away: those behind it stay where they are.
    fs::remove_file(folder.path().join("out.2")).unwrap();
    output.write_batch(&numbered(400, 10)).await.unwrap();
    assert_eq!(names(folder.path()), ["out", "out.1", "out.2", "out.3"]);
    for (name, from) in [("out", 400), ("out.1", 300), ("out.2", 200), ("out.3", 0)] {
        assert_eq!(fs::read(folder.path().join(name)).unwrap(), numbered(from, 10).ndjson().text, "{name}");
    }
}

#[tokio::test]
async fn what_stands_where_a_rotated_file_must_go_is_named_and_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    for (keep, taken) in [(2, "out.2"), (1, "out.1")] {
        let folder = folder.path().join(format!("{keep}-{taken}"));
        let settings = FileSettings { max_bytes: Some(Bytes(1000)), keep, ..settings(&folder, "out") };
        let output = output(&settings);
        for n in 0..3 {
            output.write_batch(&numbered(n * 100, 10)).await.unwrap();
        }
        fs::remove_file(folder.join(taken)).unwrap_or_default();
        fs::create_dir_all(folder.join(taken).join("inside")).unwrap();
        let error = output.write_batch(&numbered(300, 10)).await.unwrap_err().to_string();
        assert!(error.contains(&format!("/{taken}")), "{error}");
        fs::remove_dir_all(folder.join(taken)).unwrap();
        output.write_batch(&numbered(300, 10)).await.unwrap();
        assert_eq!(fs::read(folder.join("out")).unwrap(), numbered(300, 10).ndjson().text);
    }
}

#[tokio::test]
async fn what_is_made_of_a_file_by_rotation_is_for_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    for (gzip, keep) in [(false, 2), (true, 2), (false, 0)] {
        for mode in [0o600, 0o640, 0o666] {
            let folder = folder.path().join(format!("{gzip}-{keep}-{mode:o}"));
            fs::create_dir(&folder).unwrap();
            let path = folder.join("out");
            fs::write(&path, "").unwrap();
            let set =
                |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            set(&path, mode);
            // What a crash has left of another compression.
            fs::write(folder.join("out.1.gz.part"), "half").unwrap();
            set(&folder.join("out.1.gz.part"), 0o644);
            let settings =
                FileSettings { max_bytes: Some(Bytes(1000)), keep, gzip, ..settings(&folder, "out") };
            let output = output(&settings);
            for n in 0..5 {
                output.write_batch(&numbered(n * 100, 10)).await.unwrap();
            }
            output.close().await.unwrap();
            for name in names(&folder).into_iter().filter(|name| !name.ends_with(".part")) {
                let there = fs::metadata(folder.join(&name)).unwrap().permissions().mode();
                assert_eq!(there & 0o777, mode, "{name} of {}", folder.display());
            }
            if keep > 0 {
                // As where no file could be made after a rotation.
                fs::remove_file(&path).unwrap();
                output.write_batch(&numbered(0, 1)).await.unwrap();
                assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
            }
        }
    }
}

#[tokio::test]
async fn behind_a_link_the_file_is_rotated_where_it_lies() {
    for gzip in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let [logs, disk] = ["logs", "disk"].map(|name| folder.path().join(name));
        [&logs, &disk].iter().for_each(|folder| fs::create_dir(folder).unwrap());
        std::os::unix::fs::symlink("../disk/real", logs.join("out")).unwrap();
        let settings = FileSettings { max_bytes: Some(Bytes(1000)), keep: 2, gzip, ..settings(&logs, "out") };
        let output = output(&settings);
        for n in 0..5 {
            output.write_batch(&numbered(n * 100, 10)).await.unwrap();
        }
        output.close().await.unwrap();
        assert_eq!(names(&logs), ["out"]);
        assert!(fs::symlink_metadata(logs.join("out")).unwrap().is_symlink());
        let expected = if gzip { ["real", "real.1.gz", "real.2.gz"] } else { ["real", "real.1", "real.2"] };
        assert_eq!(names(&disk), expected);
        assert_eq!(fs::read(disk.join("real")).unwrap(), numbered(400, 10).ndjson().text);
    }
}

#[tokio::test]
async fn a_file_that_somebody_moves_away_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let output = output(&settings(folder.path(), "out"));
    output.write_batch(&numbered(0, 3)).await.unwrap();
    fs::rename(folder.path().join("out"), folder.path().join("moved")).unwrap();
    output.write_batch(&numbered(3, 3)).await.unwrap();
    assert_eq!(fs::read(folder.path().join("moved")).unwrap(), numbered(0, 3).ndjson().text);
    assert_eq!(fs::read(folder.path().join("out")).unwrap(), numbered(3, 3).ndjson().text);
}

#[tokio::test]
async fn a_full_disk_is_busy_and_leaves_no_half_line() {
    let output = output(&FileSettings::new(Template::parse("/dev/full").unwrap()));
    let error = output.write_batch(&numbered(0, 3)).await.unwrap_err();
    assert!(matches!(error, WriteError::Busy { .. }), "{error}");
}

#[tokio::test]
async fn whatever_is_in_the_way_of_one_path_costs_its_records_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    fs::create_dir(folder.path().join("parts")).unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    std::os::unix::fs::symlink("loop", folder.path().join("loop")).unwrap();
    std::os::unix::fs::symlink("no/such/folder/x", folder.path().join("dangling")).unwrap();
    let pipe = folder.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    let reader =
        OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(&pipe).unwrap();
    let mut reader = Some(reader);
    for _ in 0..2 {
        let output = output(&settings(folder.path(), "{app}"));
        let bad = ["folder", "loop", "dangling", "pipe", "socket", ""];
        for bad in bad {
            let written = output.write_batch(&tagged(&["a", bad, "b"])).await.unwrap();
            assert!(written.again.is_none(), "{bad}: {written:?}");
            assert_eq!(written.refused.iter().map(|r| r.row).collect::<Vec<_>>(), [1], "{bad}: {written:?}");
            assert!(written.refused[0].reason.contains(bad), "{written:?}");
        }
        // The second time nobody reads the pipe, so that opening it would wait.
        drop(reader.take());
    }
    let output = output(&settings(folder.path(), "{app}/x"));
    let written = output.write_batch(&tagged(&["file", "parts", "pipe"])).await.unwrap();
    assert_eq!(written.refused.iter().map(|r| r.row).collect::<Vec<_>>(), [0, 2], "{written:?}");
    assert!(written.again.is_none());
    assert_eq!(fs::read_to_string(folder.path().join("parts/x")).unwrap(), "{\"app\":\"parts\"}\n");
}

#[test]
fn the_names_of_new_files_and_folders_are_forced_to_the_disk_with_the_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/out");
    let rotation = Some(Rotation { max_bytes: 10, keep: 2, compresses: None });
    let mut files =
        Files::new(Root::new("/", true), rotation, Form { header: None, lines: true }, SyncMode::Interval);
    let changed = |files: &mut Files| {
        let mut folders: Vec<_> = files.take_dirty().folders.into_iter().collect();
        folders.sort();
        folders
    };
    files.append(&path, b"one\n").unwrap();
    let all = ["", "a", "a/b"].map(|name| folder.path().join(name).components().collect::<PathBuf>());
    assert_eq!(changed(&mut files), all);
    files.append(&path, b"two\n").unwrap();
    assert!(changed(&mut files).is_empty());
    files.append(&path, b"rotated\n").unwrap();
    assert_eq!(changed(&mut files), all[2..]);
    let mut files =
        Files::new(Root::new("/", true), None, Form { header: None, lines: true }, SyncMode::Batch);
    files.append(&folder.path().join("c/out"), b"three\n").unwrap();
    assert!(changed(&mut files).is_empty(), "they are safe already");
}

#[test]
fn what_a_sync_did_not_come_to_is_synced_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let mut files =
        Files::new(Root::new("/", true), None, Form { header: None, lines: true }, SyncMode::Interval);
    files.append(&folder.path().join("a"), b"one\n").unwrap();
    let broken_off = files.take_dirty();
    assert!(files.take_dirty().is_empty(), "it is under way");
    files.give_back(broken_off);
    let mut again = files.take_dirty();
    assert!(!again.is_empty());
    again.sync();
    assert!(again.is_empty());
}

#[test]
fn a_rotated_file_whose_compression_panics_is_told_of_and_holds_up_no_rotation() {
    let health = Arc::<Health>::default();
    let place = place::Place::of(Path::new("/a/path/that/panics"));
    place.compress(Part::new(&health, "compress", "out"), || panic!("while it compresses")).unwrap();
    place.finish();
    assert_eq!(health.failures()["compress out"].count, 1);
    place.compress(Part::new(&health, "compress", "out"), || ()).unwrap();
    place.finish();
    assert_eq!(health.failures()["compress out"].count, 1);
}

#[tokio::test]
async fn a_path_that_cannot_begin_is_the_operators_and_costs_no_record() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let output = output(&settings(folder.path(), "file/{app}"));
    let error = output.write_batch(&tagged(&["a"])).await.unwrap_err();
    assert!(matches!(error, WriteError::Denied { .. }), "{error}");
    assert!(output.probe().await.is_err());
    fs::remove_file(folder.path().join("file")).unwrap();
    assert!(output.write_batch(&tagged(&["a"])).await.unwrap().refused.is_empty());
}

#[tokio::test]
async fn a_disk_that_is_full_is_waited_for_whatever_the_path() {
    let output = output(&FileSettings::new(Template::parse("/dev/full").unwrap()));
    assert!(matches!(output.write_batch(&numbered(0, 1)).await, Err(WriteError::Busy { .. })));
    let root = Root::new("/tmp/", true);
    for error in
        [rustix::io::Errno::NOSPC, rustix::io::Errno::DQUOT, rustix::io::Errno::IO, rustix::io::Errno::MFILE]
    {
        let path = Path::new("/tmp/x");
        assert!(matches!(root.of_path(path, &error.into()), Fault::Again(_)), "{error}");
        assert!(matches!(root.of_write(path, &error.into()), Fault::Again(_)), "{error}");
    }
    for error in [rustix::io::Errno::ACCESS, rustix::io::Errno::ROFS, rustix::io::Errno::ISDIR] {
        assert!(matches!(root.of_path(Path::new("/tmp/a/x"), &error.into()), Fault::Refused(_)), "{error}");
    }
}

#[tokio::test]
async fn two_generations_of_an_output_rotate_and_compress_one_path_without_losing_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let of = |gzip| {
        let keep = 10_000;
        let settings =
            FileSettings { max_bytes: Some(Bytes(300)), keep, gzip, ..settings(folder.path(), "out") };
        Arc::new(output(&settings))
    };
    const BATCHES: i64 = 60;
    let generations = [of(true), of(true), of(false)];
    let mut writers = tokio::task::JoinSet::new();
    for (place, output) in generations.into_iter().enumerate() {
        writers.spawn(async move {
            for n in 0..BATCHES {
                output.write_batch(&numbered(place as i64 * 1_000_000 + n * 1000, 3)).await.unwrap();
            }
            output.close().await.unwrap();
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let mut found = Vec::new();
    for name in names(folder.path()) {
        let mut text = Vec::new();
        let mut file = fs::File::open(folder.path().join(&name)).unwrap();
        if name.ends_with(".gz") {
            flate2::read::GzDecoder::new(file).read_to_end(&mut text).unwrap();
        } else {
            file.read_to_end(&mut text).unwrap();
        }
        found.extend(lines(&text));
    }
    let mut expected: Vec<String> = (0..3)
        .flat_map(|place| (0..BATCHES).map(move |n| numbered(place * 1_000_000 + n * 1000, 3)))
        .flat_map(|records| lines(&records.ndjson().text))
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_folder_in_the_way_is_denied() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("out")).unwrap();
    let error = output(&settings(folder.path(), "out")).write_batch(&numbered(0, 3)).await.unwrap_err();
    assert!(matches!(error, WriteError::Denied { .. }), "{error}");
    assert!(error.to_string().contains("/out"), "{error}");
}

#[test]
fn wrong_settings_say_what_to_do() {
    let wrong = |settings: FileSettings| open(&settings, &context()).unwrap_err().to_string();
    let fine = settings(Path::new("/tmp"), "out");
    assert!(wrong(FileSettings::new(Template::parse("out").unwrap())).contains("must begin with `/`"));
    assert!(wrong(FileSettings::new(Template::parse("/out/{app}/").unwrap())).contains("names a folder"));
    assert!(wrong(FileSettings::new(Template::parse("/out/../{app}").unwrap())).contains("`..`"));
    let by_field = FileSettings { max_bytes: Some(Bytes(10)), ..settings(Path::new("/tmp"), "{app}") };
    assert!(
        wrong(by_field.clone()).contains("put an ending behind the last field, such as `/tmp/{app}.log`")
    );
    for fine in [
        FileSettings { max_bytes: None, ..by_field.clone() },
        FileSettings { path: Template::parse("/tmp/{app}.log").unwrap(), ..by_field },
    ] {
        open(&fine, &context()).unwrap();
    }
    assert!(wrong(FileSettings { gzip: true, ..fine.clone() }).contains("max_bytes"));
    assert!(wrong(FileSettings { max_bytes: Some(Bytes(0)), ..fine }).contains("max_bytes"));
}
