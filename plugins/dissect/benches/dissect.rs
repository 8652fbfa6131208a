//! What the nginx preset costs natively: `cargo bench -p flitch-plugin-dissect`.

use divan::{Bencher, counter::ItemsCount};
use flitch_plugin_dissect::{Dissect, Preset, Settings};
use flitch_sdk::{Batch, Changes, ColumnFilter, TextBuilder};

fn main() {
    divan::main();
}

/// Access log lines of about 240 bytes whose fields differ in length.
fn nginx_lines(rows: usize) -> Batch {
    let mut text = TextBuilder::default();
    for i in 0..rows {
        let (a, b) = (i * 7919 % 251, i * 104_729 % 241);
        text.push(&format!(
            "10.{a}.{b}.{} - {} [20/Nov/2026:13:{:02}:{:02} +0000] \"{} /shop/items/{}?page={a}&session={:016x} HTTP/1.1\" {} {} \"https://www.example.com/shop/{}\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36\"",
            i % 256,
            if i % 10 == 0 { "alice" } else { "-" },
            i / 60 % 60,
            i % 60,
            ["GET", "POST", "GET", "HEAD"][a % 4],
            "x".repeat(a % 23),
            i * 1_000_003,
            [200, 304, 404, 500][b % 4],
            a * b,
            "y".repeat(b % 19),
            100 + a % 40,
        ));
    }
    Batch { rows: rows as u32, columns: vec![text.finish("message")] }
}

#[divan::bench(args = [64, 1024])]
fn nginx_combined(bencher: Bencher<'_, '_>, rows: usize) {
    let batch = nginx_lines(rows);
    let settings = Settings { preset: Some(Preset::NginxCombined), ..Settings::default() };
    let mut filter = Dissect::new(settings).expect("settings");
    bencher.counter(ItemsCount::new(rows)).bench_local(|| {
        let mut changes = Changes::none();
        filter.apply(&batch, &mut changes).expect("changes");
        assert!(changes.rejected.is_empty() && changes.set.len() == 10);
        changes
    });
}
