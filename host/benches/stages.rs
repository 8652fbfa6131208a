//! ns per row of each stage by itself, with statistics. `cargo bench -p flitch --bench stages [-- NAME]`
//!
//! The time shown is for one batch; the counters show rows and bytes a second. The pipelines' table shows the same
//! stages as ns per row.

#[path = "stages/mod.rs"]
mod list;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};

/// As the daemon has it.
#[global_allocator]
static ALLOCATOR: flitch::allocator::Allocator = flitch::allocator::Allocator;

fn main() {
    flitch::allocator::keep();
    divan::main();
}

#[divan::bench(args = list::ALL.map(|(name, rows, _)| format!("{name}, {rows} rows")))]
fn stage(bencher: Bencher<'_, '_>, name: &str) {
    let (_, rows, make) = list::ALL
        .into_iter()
        .find(|(stage, rows, _)| format!("{stage}, {rows} rows") == name)
        .expect("the names are made of this list");
    let mut stage = make(rows);
    bencher
        .counter(ItemsCount::new(stage.rows))
        .counter(BytesCount::new(stage.bytes))
        .bench_local(|| (stage.run)());
}
