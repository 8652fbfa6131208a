//! What a guest finds of WASI, and what it does not.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::faults::isolates_with;
use super::*;
use flitch_core::units::Span;

fn settings() -> FilterSettings {
    FilterSettings::of(flitch_tests::guests::wasi_c_filter().to_str().unwrap())
}

/// Loads the guest in C that uses WASI, with `change` made to its settings.
fn guest(change: impl FnOnce(&mut FilterSettings)) -> Alone {
    let mut settings = settings();
    change(&mut settings);
    Alone::load("talker", &settings, &context()).unwrap()
}

/// What the guest reads where a record asks it to.
fn read(guest: &mut Alone, ask: &str) -> String {
    let (out, rejected) = guest.run(messages(&[ask]));
    assert!(rejected.is_empty(), "{rejected:?}");
    rows(&out)[0]["upper"].as_str().unwrap().to_owned()
}

/// The log while `run` runs on this thread.
pub(crate) fn log_of(run: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    // Where a process has one subscriber alone, `tracing` asks the thread that comes to a line first whether anybody wants it,
    // and believes that for all others: a test beside this one, which has none, would take the lines from it.
    static ANOTHER: LazyLock<tracing::Dispatch> =
        LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));
    LazyLock::force(&ANOTHER);
    let sink = Sink::default();
    let writer = sink.clone();
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(log, run);
    let bytes = sink.0.lock();
    String::from_utf8(bytes.clone()).unwrap()
}

#[test]
fn what_a_guest_prints_comes_to_the_log_under_the_name_of_the_filter() {
    let mut guest = guest(|_| {});
    let log = log_of(|| {
        guest.run(messages(&["PRINT to stdout", "COMPLAIN to stderr", "PRINT again"]));
    });
    for text in ["to stdout", "to stderr", "again"] {
        let line = log.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {log}"));
        assert!(line.contains("INFO") && line.contains("filter=\"talker\""), "{line}");
    }
}

#[test]
fn a_record_on_which_the_guest_sleeps_is_isolated_like_one_on_which_it_spins() {
    let impatient = || guest(|s| s.limits.time = Span(Duration::from_millis(50)));
    let began = Instant::now();
    isolates_with(impatient(), "SLEEP 3600000", "deadline: it ran longer than 50ms");
    isolates_with(impatient(), "NAP", "deadline: it ran longer than 50ms");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[test]
fn a_guest_that_exits_ends_its_instance_and_not_the_host() {
    isolates_with(guest(|_| {}), "EXIT 3", "trap: ");
    isolates_with(guest(|_| {}), "EXIT 0", "trap: ");
}

#[test]
fn a_guest_may_sleep_for_less_than_its_deadline() {
    let mut guest = guest(|s| s.limits.time = Span(Duration::from_secs(30)));
    let began = Instant::now();
    read(&mut guest, "SLEEP 20");
    assert!(began.elapsed() >= Duration::from_millis(20), "{:?}", began.elapsed());
}

#[test]
fn a_guest_reads_no_file_that_is_not_granted() {
    let folder = tempfile::tempdir().unwrap();
    let (granted, beside) = (folder.path().join("granted"), folder.path().join("beside"));
    for path in [&granted, &beside] {
        std::fs::create_dir(path).unwrap();
        std::fs::write(path.join("file"), "what is in it").unwrap();
    }
    let ask = |path: &PathBuf| format!("READ {}/file", path.display());
    let mut without = guest(|_| {});
    assert!(read(&mut without, &ask(&granted)).starts_with("error: "));
    let mut with = guest(|s| s.allow.read.push(granted.clone()));
    assert_eq!(read(&mut with, &ask(&granted)), "what is in it");
    assert!(read(&mut with, &ask(&beside)).starts_with("error: "));
    let out = format!("READ {}/../beside/file", granted.display());
    assert!(read(&mut with, &out).starts_with("error: "), "there is no way out of a granted folder");
    std::os::unix::fs::symlink(beside.join("file"), granted.join("link")).unwrap();
    let link = format!("READ {}/link", granted.display());
    assert!(read(&mut with, &link).starts_with("error: "), "nor by a link");
}

#[test]
fn a_guest_cannot_open_what_would_block_it_past_its_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    // Open at both ends and full of text, so that a guest that may open it reads something.
    let mut both = std::fs::File::options().read(true).write(true).open(&pipe).unwrap();
    both.write_all(&[b'x'; 16 << 10]).unwrap();
    let mut guest = guest(|s| s.allow.read.push(folder.path().to_owned()));
    let said = read(&mut guest, &format!("READ {}", pipe.display()));
    assert!(said.starts_with("error: Operation not permitted"), "{said}");
}

#[test]
fn a_folder_that_is_granted_and_missing_refuses_the_filter() {
    let mut settings = settings();
    settings.allow.read.push("/no/such/folder".into());
    let error = format!("{:#}", Alone::load("talker", &settings, &context()).unwrap_err());
    assert!(error.contains("cannot open /no/such/folder, which `allow: read` grants"), "{error}");
}

#[test]
fn a_guest_sees_no_variable_that_is_not_granted_and_no_input() {
    let path = std::env::var("PATH").unwrap();
    let mut without = guest(|_| {});
    assert_eq!(read(&mut without, "ENV PATH"), "error: not set");
    assert_eq!(read(&mut without, "STDIN"), "");
    let mut with = guest(|s| s.allow.env.push("PATH".to_owned()));
    assert_eq!(read(&mut with, "ENV PATH"), path);
    assert_eq!(read(&mut with, "ENV HOME"), "error: not set");
}

#[test]
fn wasi_none_refuses_a_guest_that_imports_it_with_the_line_to_write() {
    let mut settings = settings();
    settings.wasi = Wasi::None;
    let error = format!("{:#}", Alone::load("talker", &settings, &context()).unwrap_err());
    assert!(error.contains("it imports wasi:"), "{error}");
    assert!(error.contains("`wasi: none` does not grant; write `wasi: empty`"), "{error}");
}
