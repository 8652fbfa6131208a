//! The rows of the table that show a stage by itself.

use std::time::{Duration, Instant};

use crate::list::Stage;

/// How long each run of a stage is repeated, and how long a piece of it is of which the time is taken.
const LONG: Duration = Duration::from_millis(300);
const PIECE: Duration = Duration::from_millis(5);

/// ns per row, of the fastest piece: the stages run on one thread and wait for nothing.
pub fn nanos_per_row(stage: &mut Stage) -> f64 {
    let begun = Instant::now();
    let mut best = f64::MAX;
    while begun.elapsed() < LONG {
        let piece = Instant::now();
        let mut rows = 0;
        while piece.elapsed() < PIECE {
            (stage.run)();
            rows += stage.rows;
        }
        best = best.min(piece.elapsed().as_nanos() as f64 / rows as f64);
    }
    best
}
