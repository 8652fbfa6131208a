//! Filters that are swapped under load, and that come back by themselves.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use flitch_tests::flitch::Flitch;
use flitch_tests::wait::eventually;
use flitch_tests::{guests, http};

use crate::support::*;

/// How many records are sent through the swaps at least, in thousands: `FLITCH_SWAP_THOUSANDS`. More go where they are through
/// before each kind of swap came.
const THOUSANDS: usize = 1000;
/// How often another generation is put to work.
const EVERY: Duration = Duration::from_millis(200);

/// What a generation is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Good,
    SlowToCompile,
    Trapping,
    RefusingItsSettings,
    WronglyImporting,
    Truncated,
}

const KINDS: [Kind; 6] = [
    Kind::Good,
    Kind::SlowToCompile,
    Kind::Trapping,
    Kind::RefusingItsSettings,
    Kind::WronglyImporting,
    Kind::Truncated,
];

impl Kind {
    /// The component of generation `number`.
    fn component(self, number: usize) -> Vec<u8> {
        match self {
            Kind::Good => guests::generation('g', number),
            Kind::SlowToCompile => {
                let mut component = guests::generation('g', number);
                component.extend(ballast(number));
                component
            }
            Kind::Trapping => guests::generation('t', number),
            Kind::RefusingItsSettings => guests::generation('r', number),
            Kind::WronglyImporting => {
                let mut component = fs::read(guests::wasi_c_filter()).unwrap();
                component.extend(note(number));
                component
            }
            Kind::Truncated => {
                let whole = guests::generation('g', number);
                whole[..whole.len() / 2].to_vec()
            }
        }
    }

    /// What is said of it; none where it is taken.
    fn refusal(self) -> Option<&'static str> {
        match self {
            Kind::Good | Kind::SlowToCompile => None,
            Kind::Trapping => Some("in a trial on the last batches"),
            Kind::RefusingItsSettings => Some("takes no settings"),
            Kind::WronglyImporting => Some("wasi: none"),
            Kind::Truncated => Some("flitch can compile"),
        }
    }
}

/// A section of a component that holds nothing but a number, so that its hash is another one.
fn note(number: usize) -> Vec<u8> {
    let text = format!("{number:08}");
    let mut section = vec![0, 12, 3];
    section.extend(b"nth");
    section.extend(text.bytes());
    section
}

/// A core module that a component has and never uses: many functions that the compiler has to work on, others for each
/// `number`.
fn ballast(number: usize) -> Vec<u8> {
    const FUNCTIONS: usize = 400;
    let mut types = vec![1, 0x60, 1, 0x7f, 1, 0x7f];
    let mut functions = leb(FUNCTIONS);
    functions.extend(vec![0; FUNCTIONS]);
    let mut code = leb(FUNCTIONS);
    for function in 0..FUNCTIONS {
        let mut body = vec![0];
        for step in 0..100 {
            // local.get 0; i32.const n; i32.mul; local.get 0; i32.add; local.set 0
            body.extend([0x20, 0, 0x41]);
            body.extend(
                leb((number + function * 100 + step) % 8000)
                    .into_iter()
                    .chain([0x6c, 0x20, 0, 0x6a, 0x21, 0]),
            );
        }
        body.extend([0x20, 0, 0x0b]);
        code.extend(leb(body.len()));
        code.extend(body);
    }
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    for (id, section) in [(1, std::mem::take(&mut types)), (3, functions), (10, code)] {
        module.push(id);
        module.extend(leb(section.len()));
        module.extend(section);
    }
    let mut section = vec![1];
    section.extend(leb(module.len()));
    section.extend(module);
    section
}

/// A number in LEB128; the sixth bit of a signed one is kept free by the numbers that are used.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 && byte & 0x40 == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

fn config(filter: &str, output: &str) -> String {
    format!(
        "sources:\n  in: {}\nfilters:\n  mark: {{ plugin: \"{{dir}}/mark.wasm\", wasi: none{filter} }}\noutputs:\n  out: \
         {output}\npipelines:\n  main: {{ from: [in], filters: [mark], workers: 2, to: [out] }}\n",
        file_source("app.log")
    )
}

const FILE: &str = "{ type: file, path: \"{dir}/out.ndjson\" }";

/// Puts a component into the filter's file, in one step.
fn replace(flitch: &Flitch, component: &[u8]) {
    fs::write(flitch.at("mark.new"), component).unwrap();
    fs::rename(flitch.at("mark.new"), flitch.at("mark.wasm")).unwrap();
}

/// The number and the generation of each record that was written, in order.
fn written(flitch: &Flitch) -> Vec<(usize, String)> {
    let out = fs::read_to_string(flitch.at("out.ndjson")).unwrap();
    let field = |line: &str, before: &str, len: usize| {
        let at = line.find(before).unwrap_or_else(|| panic!("{before} in {line}")) + before.len();
        line[at..at + len].to_owned()
    };
    out.lines()
        .map(|line| (field(line, "n=", 7).parse().unwrap(), field(line, "\"generation\":\"", 8)))
        .collect()
}

#[test]
fn a_million_records_go_through_swaps_of_every_kind_once_in_order_and_by_one_generation() {
    let thousands = std::env::var("FLITCH_SWAP_THOUSANDS").ok().and_then(|text| text.parse().ok());
    let least = thousands.unwrap_or(THOUSANDS) * 1000;
    let mut flitch = Flitch::new(FLITCH, &config("", FILE));
    replace(&flitch, &guests::generation('g', 0));
    flitch.run();
    let source = flitch.at("app.log");
    append(&source, 0..20_000);
    flitch.settled_after(1, DEADLINE);
    let (mut number, mut sent, mut tried) = (0, 20_000, BTreeMap::<Kind, usize>::new());
    let mut in_force = vec!["g0000000".to_owned()];
    let read = |flitch: &Flitch| flitch.metrics().count("flitch_records_received_total", &[]) as usize;
    let enough = |sent: usize, tried: &BTreeMap<Kind, usize>| sent >= least && tried.len() == KINDS.len();
    while !enough(sent, &tried) || read(&flitch) < sent {
        let began = Instant::now();
        // Never so much that the swaps come when all is through, never so little that a worker rests.
        while !enough(sent, &tried) && sent < read(&flitch) + 100_000 {
            append(&source, sent..sent + 50_000);
            sent += 50_000;
        }
        number += 1;
        let kind = KINDS[number % KINDS.len()];
        replace(&flitch, &kind.component(number));
        let answer = http::post(flitch.admin(), "/api/filters/mark/swap", &[], b"").unwrap();
        let told = answer.json().unwrap();
        match kind.refusal() {
            None => {
                assert_eq!(answer.status, 200, "{kind:?}: {told}\n{}", flitch.log());
                in_force.push(format!("g{number:07}"));
            }
            Some(why) => {
                assert_eq!(answer.status, 409, "{kind:?}: {told}");
                assert!(told["reason"].as_str().unwrap().contains(why), "{kind:?}: {told}");
            }
        }
        *tried.entry(kind).or_default() += 1;
        let rest = EVERY.saturating_sub(began.elapsed());
        let next = Instant::now() + rest;
        eventually("the time of the next swap", DEADLINE, || Instant::now() >= next);
    }
    let count = sent;
    let sums = flitch.settled_after(count as u64, DEADLINE);
    assert_eq!((sums.received, sums.delivered), (count as u64, count as u64), "{sums}\n{}", flitch.log());
    let metrics = flitch.metrics();
    let pauses = metrics.count("flitch_filter_swap_pause_seconds_count", &[]);
    let short = metrics.count("flitch_filter_swap_pause_seconds_bucket", &[("le", "0.01")]);
    eprintln!("{tried:?}; {pauses} pauses of workers, {short} of them up to 10 ms");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());

    let written = written(&flitch);
    let wrong = written.iter().enumerate().find(|(place, (number, _))| place != number);
    assert_eq!((wrong, written.len()), (None, count), "lost, doubled, or out of order");
    let mut generations: Vec<&String> = written.iter().map(|(_, generation)| generation).collect();
    generations.dedup();
    assert!(generations.iter().all(|generation| in_force.contains(generation)), "{generations:?}");
    assert!(generations.len() > 1, "no swap came while records did");
}

/// The history of the filter `mark`: who, and what came of it.
fn history(flitch: &Flitch) -> Vec<(String, String)> {
    let told = http::get(flitch.admin(), "/api/filters/history?filter=mark").unwrap().json().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    told.as_array().unwrap().iter().map(|entry| (text(&entry["by"]), text(&entry["result"]))).collect()
}

/// Has run 2,000 records through a generation of the filter `mark`, whose settings end in these, and has put 2,000 more before
/// one that rejects half of them.
fn begins_to_reject(settings: &str) -> Flitch {
    let mut flitch = Flitch::new(FLITCH, &config(settings, FILE));
    replace(&flitch, &guests::generation('g', 1));
    flitch.run();
    append(&flitch.at("app.log"), 0..2000);
    flitch.settled_after(2000, DEADLINE);
    // It stands the trial, since to reject is its own business.
    replace(&flitch, &guests::generation('j', 2));
    let swapped = ("file".to_owned(), "in_force".to_owned());
    eventually("the swap", DEADLINE, || history(&flitch).last() == Some(&swapped));
    append(&flitch.at("app.log"), 2000..4000);
    flitch
}

#[test]
fn a_filter_that_begins_to_reject_comes_back_by_itself_and_no_record_is_lost_or_dead() {
    let mut flitch = begins_to_reject("");
    let back = ("probation".to_owned(), "rolled_back".to_owned());
    eventually("the rollback", DEADLINE, || history(&flitch).last() == Some(&back));
    append(&flitch.at("app.log"), 4000..6000);
    eventually("all records", DEADLINE, || written(&flitch).len() >= 6000);
    let sums = flitch.settled(DEADLINE);
    assert_eq!(sums.received, 6000, "{sums}");
    let mut numbers: Vec<usize> = written(&flitch).into_iter().map(|(number, _)| number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..6000).collect::<Vec<_>>(), "{}", flitch.log());
    let letters =
        fs::read_dir(flitch.at("data/dead-letters")).unwrap().map(|entry| entry.unwrap().file_name());
    let letters: Vec<_> = letters.filter(|name| name.to_string_lossy().ends_with(".ndjson")).collect();
    assert!(letters.is_empty(), "what was run again is no dead letter any more: {letters:?}");
    // The file holds the bad generation still: nobody takes it up again but who asks.
    flitch.signal(flitch_tests::process::Signal::Hup);
    let generation = |flitch: &Flitch| flitch.status()["generation"].as_u64().unwrap();
    eventually("the reload", DEADLINE, || generation(&flitch) >= 3);
    assert_eq!(history(&flitch).last(), Some(&back));
    assert_eq!(flitch.metrics().count("flitch_filter_swaps_total", &[("result", "rolled_back")]), 1);

    let admin = format!("http://{}", flitch.admin());
    let filter = |args: &[&str]| flitch.cli(&[&["filter"], args, &["--admin", &admin]].concat(), "");
    let nothing = filter(&["rollback", "mark"]);
    assert_eq!(nothing.status.code(), Some(1), "{nothing:?}");
    assert!(nothing.stderr.contains("nothing to go back to"), "{nothing:?}");
    assert_eq!(filter(&["rollback", "makr"]).status.code(), Some(64));
    assert_eq!(filter(&["swap", "mark"]).stdout, "mark: new code is in force\n");
    let rolled = filter(&["rollback", "mark"]);
    assert_eq!(rolled.stdout, "mark: what was before is in force again\n", "{rolled:?}");
    assert_eq!(history(&flitch).last(), Some(&("api".to_owned(), "rolled_back".to_owned())));
    let told = history(&flitch);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    flitch.run();
    assert_eq!(history(&flitch)[..told.len()], told, "the history survives a restart");
    log_says(&flitch, "code that was rolled back before");
}

#[test]
fn what_a_filter_on_probation_rejected_is_among_the_dead_letters_after_a_kill() {
    let mut flitch = begins_to_reject(", probation: { for: 1h, rejected: 1 }");
    let sums = flitch.settled_after(4000, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (3000, 1000), "{sums}");
    let probation = &flitch.status()["filters"]["mark"]["probation"]["main"];
    let told = ["records", "lost", "rejected"].map(|name| probation[name].as_u64());
    assert_eq!(told, [Some(2000), Some(0), Some(1000)], "{probation}");
    let admin = format!("http://{}", flitch.admin());
    let list = flitch.cli(&["filter", "list", "--admin", &admin], "");
    assert!(list.stdout.contains("  on probation for "), "{list:?}");
    flitch.kill();
    flitch.run();
    let letters = fs::read_dir(flitch.at("data/dead-letters")).unwrap().map(|entry| entry.unwrap().path());
    let letters = letters.filter(|path| path.extension().is_some_and(|ending| ending == "ndjson"));
    let text: String = letters.map(|path| fs::read_to_string(path).unwrap()).collect();
    let odd = |number: &usize| number % 2 == 1;
    let missing = (2000..4000).filter(odd).find(|number| !text.contains(&line(*number)));
    assert_eq!(missing, None);
}
