//! What reading times costs natively: `cargo bench -p flitch-plugin-timestamp`.

use divan::{Bencher, counter::ItemsCount};
use flitch_plugin_timestamp::{Formats, Settings, Timestamp};
use flitch_sdk::{Batch, Changes, ColumnFilter, TextBuilder};

fn main() {
    divan::main();
}

const ROWS: usize = 1024;

fn run(bencher: Bencher<'_, '_>, format: &str, text: impl Fn(usize) -> String) {
    let mut times = TextBuilder::default();
    (0..ROWS).for_each(|i| times.push(&text(i)));
    let batch = Batch { rows: ROWS as u32, columns: vec![times.finish("time")] };
    let settings = Settings { format: Formats(vec![format.to_owned()]), ..Settings::default() };
    let mut filter = Timestamp::new(settings).expect("settings");
    bencher.counter(ItemsCount::new(ROWS)).bench_local(|| {
        let mut changes = Changes::none();
        filter.apply(&batch, &mut changes).expect("changes");
        assert!(changes.rejected.is_empty());
        changes
    });
}

#[divan::bench]
fn clf(bencher: Bencher<'_, '_>) {
    run(bencher, "clf", |i| format!("20/Nov/2026:13:{:02}:{:02} +0100", i / 60 % 60, i % 60));
}

#[divan::bench]
fn rfc3339(bencher: Bencher<'_, '_>) {
    run(bencher, "rfc3339", |i| format!("2026-11-20T13:{:02}:{:02}.{:06}Z", i / 60 % 60, i % 60, i * 977));
}

#[divan::bench]
fn epoch_ms(bencher: Bencher<'_, '_>) {
    run(bencher, "epoch_ms", |i| format!("{}", 1_605_515_507_123_u64 + i as u64));
}

#[divan::bench]
fn strptime(bencher: Bencher<'_, '_>) {
    run(bencher, "%Y-%m-%d %H:%M:%S", |i| format!("2026-11-20 13:{:02}:{:02}", i / 60 % 60, i % 60));
}
