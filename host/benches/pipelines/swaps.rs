//! What is left of a pipeline's speed while its filter is replaced again and again.

use std::fs;
use std::time::{Duration, Instant};

use flitch_tests::flitch::Flitch;
use flitch_tests::{http, wait};

use crate::measure::PATIENCE;

/// How long is looked each time, and how often another generation is asked for meanwhile.
const LONG: Duration = Duration::from_secs(4);
const EVERY: Duration = Duration::from_millis(200);

const CONFIG: &str = concat!(
    "sources: { lines: { type: generator, format: nginx } }\n",
    "filters: { parse: { plugin: \"{dir}/parse.wasm\", settings: { field: message, preset: nginx_combined } } }\n",
    "outputs: { out: { type: blackhole } }\n",
    "pipelines: { p: { from: [lines], filters: [parse], to: [{ output: out }] } }\n",
);

/// A flitch whose only filter is a copy of `dissect`.
struct Swapped {
    flitch: Flitch,
    generation: u32,
}

impl Swapped {
    /// Writes code that was never compiled: the same with another number in a section that nobody reads.
    fn write(&mut self) {
        self.generation += 1;
        let mut code = flitch::STOCK.component("dissect").expect("a stock plugin");
        code.extend([0, 8, 3]);
        code.extend(b"nth");
        code.extend(self.generation.to_le_bytes());
        fs::write(self.flitch.at("parse.new"), code).expect("the disk has room");
        fs::rename(self.flitch.at("parse.new"), self.flitch.at("parse.wasm")).expect("the same disk");
    }

    fn received(&self) -> u64 {
        self.flitch.metrics().count("flitch_records_received_total", &[])
    }

    /// Records a second while `meanwhile` is done once and again.
    fn pace(&mut self, mut meanwhile: impl FnMut(&mut Swapped)) -> f64 {
        let (begun, before) = (Instant::now(), self.received());
        while begun.elapsed() < LONG {
            let next = Instant::now() + EVERY;
            meanwhile(self);
            wait::eventually("the next time", PATIENCE, || Instant::now() >= next);
        }
        (self.received() - before) as f64 / begun.elapsed().as_secs_f64()
    }
}

/// Prints the rows.
pub fn compare(runs: u64) {
    let flitch = Flitch::new(env!("CARGO_BIN_EXE_flitch"), CONFIG);
    let mut swapped = Swapped { flitch, generation: 0 };
    swapped.write();
    swapped.flitch.run();
    let mut swaps = 0;
    let rows: Vec<(f64, f64)> = (0..runs)
        .map(|_| {
            let calm = swapped.pace(|_| {});
            let busy = swapped.pace(|swapped| {
                swapped.write();
                let answer = http::post(swapped.flitch.admin(), "/api/filters/parse/swap", &[], b"");
                assert_eq!(answer.expect("the daemon answers").status, 200, "{}", swapped.flitch.log());
                swaps += 1;
            });
            (calm, busy)
        })
        .collect();
    println!(
        "\n{:<44} {:>12} {:>12} {:>9}",
        format!("{swaps} swaps"),
        "r/s before",
        "r/s during",
        "of before"
    );
    for (calm, busy) in rows {
        println!(
            "{:<44} {calm:>12.0} {busy:>12.0} {:>9.2}",
            "throughput while a filter is swapped",
            busy / calm
        );
    }
    swapped.flitch.terminate(PATIENCE);
}
