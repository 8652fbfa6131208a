//! What a record costs: each stage by itself, then whole pipelines over seeded nginx lines as a process apart.
//!
//! Prints one table: CPU time per record (of a pipeline user and system of the whole process), records and MB per CPU
//! second, and peak memory, best of some runs. Two calibration rows make tables of different machines comparable; they
//! are taken before and after, because a machine that is shared changes its pace.
//!
//! `FLITCH_BENCH_RECORDS` (2,000,000) and `FLITCH_BENCH_RUNS` (3) set the size.

#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

use std::path::Path;

mod bulk;
mod cases;
mod disk;
mod kafka;
#[path = "../stages/mod.rs"]
mod list;
mod many_files;
mod measure;
mod stages;
mod swaps;

use measure::{Cost, Run};

/// Stages have the memory that the daemon has.
#[global_allocator]
static ALLOCATOR: flitch::allocator::Allocator = flitch::allocator::Allocator;

fn main() {
    // `cargo test --benches` runs this too, to see that it builds.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    flitch::allocator::keep();
    let filter = std::env::args().nth(1).filter(|arg| !arg.starts_with("--"));
    let setting =
        |name: &str, default: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let records = setting("FLITCH_BENCH_RECORDS", 2_000_000);
    let runs = setting("FLITCH_BENCH_RUNS", 3);
    let wanted = |name: &str| filter.as_ref().is_none_or(|f| name.contains(f.as_str()));

    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines = folder.path().join("lines.log");
    cases::write_lines(&lines, records);
    println!("stages, ns per row; pipelines, CPU µs per record of 241 bytes; best of {runs} runs\n");
    println!("{:<44} {:>9} {:>12} {:>9}", "stage", "ns/row", "rows/s", "MB/s");
    for (name, rows, make) in list::ALL {
        let name = format!("{name}, {rows} rows");
        if !wanted(&name) {
            continue;
        }
        let mut stage = make(rows);
        let each = (0..runs).map(|_| stages::nanos_per_row(&mut stage)).fold(f64::MAX, f64::min);
        let bytes = stage.bytes as f64 / stage.rows as f64;
        println!("{name:<44} {each:>9.1} {:>12.0} {:>9.0}", 1e9 / each, 1e3 * bytes / each);
    }
    println!(
        "\n{:<44} {:>9} {:>12} {:>9} {:>9} {:>8}",
        format!("pipeline, {records} records"),
        "CPU µs/r",
        "r/CPU s",
        "MB/CPU s",
        "peak MB",
        "cores"
    );
    let calibrate = || {
        for (name, calibrate) in cases::CALIBRATIONS.into_iter().filter(|(name, _)| wanted(name)) {
            print(name, (0..runs).map(|_| calibrate(&lines)).min_by(Cost::cheaper));
        }
    };
    calibrate();
    for (name, calibrate) in kafka::CALIBRATIONS.into_iter().filter(|(name, _)| wanted(name)) {
        print(name, (0..runs).map(|_| calibrate(&lines)).min_by(Cost::cheaper));
    }
    for case in cases::all().into_iter().chain(kafka::cases()) {
        if wanted(case.name) {
            let best = (0..runs).map(|_| run(&case, &lines, records)).min_by(Cost::cheaper);
            print(case.name, best);
        }
    }
    calibrate();
    if wanted("buffer on disk") {
        disk::compare(records, runs);
    }
    if wanted("swaps") {
        swaps::compare(runs);
    }
    if wanted("start") {
        measure::start_and_idle();
    }
    if wanted("100,000 files") {
        many_files::follow();
    }
}

fn run(case: &cases::Case, lines: &Path, records: u64) -> Cost {
    let run = Run::start(case, lines);
    (case.feed)(&run, lines, records);
    run.finish(records)
}

fn print(name: &str, cost: Option<Cost>) {
    let Some(cost) = cost else { return };
    println!(
        "{name:<44} {:>9.3} {:>12.0} {:>9.0} {:>9.0} {:>8.2}",
        cost.cpu_micros_per_record(),
        cost.records_per_cpu_second(),
        cost.megabytes_per_cpu_second(),
        cost.peak_bytes as f64 / 1e6,
        cost.cores(),
    );
}
