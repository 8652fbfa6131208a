//! What the tests share: topics, numbered lines, and the check that none is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use flitch_tests::flitch::Flitch;
use flitch_tests::process::{Process, Signal};
use flitch_tests::servers::consumer::{Message, read_all, read_until};
use flitch_tests::servers::kafka::{Kafka, client};
use flitch_tests::wait;

/// The daemon, which cargo has built before this.
pub const FLITCH: &str = env!("CARGO_BIN_EXE_flitch");

/// How long anything may take before the test fails. Generous: the machines of CI are slow, and a test that
/// passes does not wait for it.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A new topic on the shared broker, with its name.
pub fn topic(name: &str) -> (&'static Kafka, String) {
    let kafka = Kafka::shared();
    kafka.create_topic(name, 2).unwrap();
    (kafka, name.to_owned())
}

/// The output `out`, which writes to a topic.
pub fn kafka_output(bootstrap: &str, topic: &str) -> String {
    let brokers = bootstrap.split(',').map(|broker| format!("\"{broker}\"")).collect::<Vec<_>>().join(", ");
    format!("out: {{ type: kafka, brokers: [{brokers}], topic: {topic}, options: {{ log_level: \"0\" }} }}")
}

/// A configuration with one source, the output of [`kafka_output`] and, between them, filters (none, where
/// that is empty). `source` and `filters` are YAML in the flow style, without their names.
pub fn pipeline(source: &str, filters: &[(&str, String)], output: &str) -> String {
    let names: Vec<&str> = filters.iter().map(|(name, _)| *name).collect();
    let section: String = filters.iter().map(|(name, text)| format!("  {name}: {text}\n")).collect();
    let section = if section.is_empty() { section } else { format!("filters:\n{section}") };
    format!(
        "sources:\n  in: {source}\n{section}outputs:\n  {output}\npipelines:\n  main: {{ from: [in], filters: [{}], \
         to: [{{ output: out }}] }}\n",
        names.join(", ")
    )
}

/// A file source over `{dir}/NAME`, which looks at it often.
pub fn file_source(glob: &str) -> String {
    format!(
        "{{ type: file, include: [\"{{dir}}/{glob}\"], read_from: beginning, poll_interval: 50ms, scan_interval: 100ms, \
         checkpoint_interval: 100ms }}"
    )
}

/// The text of line `n`.
pub fn line(n: usize) -> String {
    format!("n={n:07} and some text behind it, so that it is as long as a line of a log")
}

/// Appends lines `from` to `to` (not included) to a file.
pub fn append(path: &Path, lines: std::ops::Range<usize>) {
    let mut text = String::new();
    for n in lines {
        text += &line(n);
        text.push('\n');
    }
    open(path).write_all(text.as_bytes()).unwrap();
}

/// A file to append to.
pub fn open(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

/// The number of a [`line`], wherever that stands in a text.
pub fn number_in(text: &str) -> Option<usize> {
    let at = text.find("n=")?;
    text.get(at + 2..at + 9)?.parse().ok()
}

/// The number in the text of a message.
pub fn number(message: &Message) -> Option<usize> {
    number_in(&message.text())
}

/// The numbers in the lines of files, or of objects, by their names; each line must have one, and none may come twice.
#[track_caller]
pub fn numbers_once(files: BTreeMap<String, Vec<u8>>) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    for (name, text) in files {
        for line in String::from_utf8(text).unwrap().lines() {
            let number = number_in(line).expect("a line has a number");
            assert!(seen.insert(number), "{number} twice, in {name} too");
        }
    }
    seen
}

/// Waits until a topic holds each of the numbers 0 to `count` at least once, and gives how often each came.
/// Panics with what is missing.
#[track_caller]
pub fn expect_numbers(bootstrap: &str, topic: &str, count: usize) -> BTreeMap<usize, usize> {
    let mut seen = BTreeMap::new();
    let (mut taken, mut found) = (0, 0);
    let read = read_until(client(bootstrap), topic, DEADLINE, |messages| {
        for message in &messages[taken..] {
            if let Some(n) = number(message) {
                let times = seen.entry(n).or_insert(0);
                *times += 1;
                // What was never acknowledged may be there, too.
                found += usize::from(*times == 1 && n < count);
            }
        }
        taken = messages.len();
        found == count
    });
    read.unwrap();
    let missing: Vec<usize> = (0..count).filter(|n| !seen.contains_key(n)).collect();
    assert!(
        missing.is_empty(),
        "{} of {count} records are missing after {taken} messages: {:?}…",
        missing.len(),
        &missing[..missing.len().min(10)]
    );
    seen
}

/// All records of a topic as JSON, when `flitch` has nothing in flight any more.
#[track_caller]
pub fn settled_records(flitch: &Flitch, count: u64, bootstrap: &str, topic: &str) -> Vec<serde_json::Value> {
    flitch.settled_after(count, DEADLINE);
    read_all(bootstrap, topic, DEADLINE).unwrap().iter().map(Message::json).collect()
}

/// Waits for a line in the daemon's log.
#[track_caller]
pub fn log_says(flitch: &Flitch, text: &str) {
    if wait::poll(DEADLINE, || flitch.log().contains(text)).is_none() {
        panic!("the log never says {text:?}:\n{}", flitch.log());
    }
}

/// The position that the file source `in` has saved last.
pub fn saved_position(flitch: &Flitch) -> u64 {
    let text = std::fs::read_to_string(flitch.at("data/sources/in/checkpoints.ndjson")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.filter_map(|line| line["position"].as_u64()).next_back().unwrap_or(0)
}

/// A command of the binary that goes on at each change of its files.
pub struct Watched {
    process: Process,
    /// How much of its output was seen.
    seen: usize,
}

impl Watched {
    /// Starts it.
    pub fn start(flitch: &Flitch, args: &[&str]) -> Watched {
        let process =
            Process::start("watched", &flitch.command(args), &flitch.at("watched.log"), Signal::Kill);
        Watched { process: process.unwrap(), seen: 0 }
    }

    /// Waits until it says this, and then that it waits for a change; both after what it was waited for before.
    #[track_caller]
    pub fn says(&mut self, words: &str) {
        let mut output = String::new();
        let found = wait::poll(DEADLINE, || {
            output = self.process.output();
            let behind = self.seen + output.get(self.seen..)?.find(words)?;
            Some(behind + output[behind..].find("Ctrl-C ends")?)
        });
        self.seen = found.unwrap_or_else(|| panic!("no {words:?} in what follows {} of {output}", self.seen));
    }

    /// Ends it as Ctrl-C does; its exit code.
    pub fn end(&mut self) -> Option<i32> {
        self.process.signal(Signal::Int);
        self.process.wait(DEADLINE).unwrap().code()
    }
}
