//! A buffer on disk beside what the disk does by itself: the same bytes, written in the same steps and synced after each.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flitch_core::batch::{Batch, Records, StreamId};
use flitch_core::blocking::block_on;
use flitch_core::buffers::{Buffer, BufferContext, BufferKind, BufferSettings, Shelf};
use flitch_core::clock::Clock;
use flitch_core::receipt::{Ledger, issue};
use flitch_core::telemetry::Tally;
use flitch_core::units::Bytes;
use flitch_tests::wait;

use crate::measure::{PATIENCE, cpu_of};

/// Bytes that are synced together, about as many as the buffer takes together when it is fed as fast as it goes.
const STEP: usize = 8 << 20;

/// Wall time and CPU of the process.
struct Spent {
    wall: Duration,
    cpu: Duration,
}

impl Spent {
    fn on(work: impl FnOnce()) -> Spent {
        let (wall, cpu) = (Instant::now(), cpu_of(std::process::id()));
        work();
        Spent { wall: wall.elapsed(), cpu: cpu_of(std::process::id()) - cpu }
    }
}

/// Prints the rows.
pub fn compare(records: u64, runs: u64) {
    let batch = crate::list::timed(crate::list::ROWS);
    println!(
        "\n{:<44} {:>9} {:>12} {:>12} {:>9}",
        format!("disk, {records} records of ten fields"),
        "MB/s",
        "plain MB/s",
        "of plain",
        "CPU µs/r"
    );
    let rows: Vec<(f64, f64, f64)> = (0..runs).map(|_| once(&batch, records)).collect();
    let best = |pick: fn(&(f64, f64, f64)) -> f64| rows.iter().map(pick).fold(0.0, f64::max);
    let (buffer, plain) = (best(|row| row.0), best(|row| row.1));
    let cpu = rows.iter().map(|row| row.2).fold(f64::MAX, f64::min);
    // CPU beyond that of the plain write.
    println!("{:<44} {buffer:>9.0} {plain:>12.0} {:>12.2} {cpu:>9.3}", "buffer on disk", buffer / plain);
}

/// MB a second of the buffer and of the plain write, and CPU µs per record that the buffer takes beyond it.
fn once(batch: &Arc<Records>, records: u64) -> (f64, f64, f64) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut bytes = 0;
    let stored = Spent::on(|| bytes = store(batch, records, &folder.path().join("buffer")));
    let plain = Spent::on(|| write(bytes, &folder.path().join("plain")));
    let speed = |spent: &Spent| bytes as f64 / 1e6 / spent.wall.as_secs_f64();
    let beyond = stored.cpu.as_secs_f64() - plain.cpu.as_secs_f64();
    (speed(&stored), speed(&plain), beyond * 1e6 / records as f64)
}

/// Puts records into a buffer until all are stored. Answers the bytes of its files.
fn store(batch: &Arc<Records>, records: u64, folder: &Path) -> u64 {
    let context = BufferContext {
        folder: folder.to_owned(),
        shelf: Shelf::default(),
        ledgers: Arc::new(|source| Arc::new(Ledger::of(source))),
        dead_letters: None,
        health: Arc::default(),
        clock: Clock::system(),
    };
    let most = Some(Bytes(1 << 40));
    let settings = BufferSettings { kind: BufferKind::Disk, max_bytes: most, ..BufferSettings::default() };
    let buffer = Buffer::open("bench", &settings, false, Tally::noop(), &context).expect("a buffer");
    let ledger = Arc::new(Ledger::of("bench"));
    let count = records / batch.rows() as u64;
    for _ in 0..count {
        let receipt = issue(&ledger, batch.rows(), 0, |_| {});
        let batch = Batch { records: batch.clone(), receipt, stream: StreamId::UNORDERED };
        block_on(buffer.push(batch)).expect("the buffer is open");
    }
    let all = count * batch.rows() as u64;
    wait::eventually("all is stored", PATIENCE, || ledger.read().stored == all);
    let bytes = buffer.on_disk().expect("it is on disk").bytes;
    buffer.leave();
    block_on(buffer.ended());
    bytes
}

fn write(bytes: u64, path: &Path) {
    let step: Vec<u8> = (0..STEP).map(|place| (place * 31 % 251) as u8).collect();
    let mut file = File::create(path).expect("a file");
    let mut left = bytes as usize;
    while left > 0 {
        let part = left.min(STEP);
        file.write_all(&step[..part]).expect("room");
        file.sync_data().expect("a disk");
        left -= part;
    }
}
