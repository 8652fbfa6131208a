//! What the border costs: the same parse of nginx lines natively and in WebAssembly, and a batch that crosses it for
//! nothing. `cargo bench -p flitch --bench filters`
//!
//! `native` is the plugin's code over columns that lie ready, `wasm` the whole step of a pipeline: columns handed over,
//! parsed by the same code in its sandbox, the answer checked and put into the records.

use std::sync::Arc;

use divan::{Bencher, counter::ItemsCount};
use flitch::batch::Records;
use flitch::batch::builder::Builder;
use flitch::batch::constants::Constants;
use flitch::batch::utf8::InvalidUtf8;
use flitch::filters::{Alone, Engine, FilterContext, FilterSettings};
use flitch_plugin_dissect::{Dissect, Preset, Settings};
use flitch_sdk::{Batch, Changes, ColumnFilter, TextBuilder};
use serde_json::json;

const ROWS: [usize; 3] = [1, 64, 1024];

fn main() {
    divan::main();
}

/// An access log line of about 240 bytes; the fields differ in length from row to row.
fn line(i: usize) -> String {
    let (a, b) = (i * 7919 % 251, i * 104_729 % 241);
    format!(
        "10.{a}.{b}.{} - {} [20/Nov/2026:13:{:02}:{:02} +0000] \"{} /shop/items/{}?page={a}&session={:016x} \
         HTTP/1.1\" {} {} \"https://www.example.com/shop/{}\" \"Mozilla/5.0 (X11; Linux x86_64) \
         AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36\"",
        i % 256,
        if i.is_multiple_of(10) { "alice" } else { "-" },
        i / 60 % 60,
        i % 60,
        ["GET", "POST", "GET", "HEAD"][a % 4],
        "x".repeat(a % 23),
        i * 1_000_003,
        [200, 304, 404, 500][b % 4],
        a * b,
        "y".repeat(b % 19),
        100 + a % 40,
    )
}

fn records(rows: usize) -> Arc<Records> {
    let mut builder = Builder::new();
    for i in 0..rows {
        builder.begin_record();
        builder.key(b"message").text(line(i).as_bytes());
        builder.end_record();
    }
    let constants = Constants::new().timestamp("@timestamp", 0).text("@tag", "nginx");
    Arc::new(builder.finish(InvalidUtf8::Replace, &constants).records)
}

fn filter(plugin: &str, settings: serde_json::Value) -> Alone {
    let cx = FilterContext {
        engine: Engine::new(None).expect("an engine"),
        tables: Arc::default(),
        dead_letters: None,
        folder: ".".into(),
    };
    let mut filter = FilterSettings::of(plugin);
    filter.settings = settings;
    Alone::load("bench", &filter, &cx).expect("a filter")
}

#[divan::bench(args = ROWS)]
fn native(bencher: Bencher<'_, '_>, rows: usize) {
    let mut text = TextBuilder::default();
    (0..rows).for_each(|i| text.push(&line(i)));
    let batch = Batch { rows: rows as u32, columns: vec![text.finish("message")] };
    let settings = Settings { preset: Some(Preset::NginxCombined), ..Settings::default() };
    let mut filter = Dissect::new(settings).expect("settings");
    bencher.counter(ItemsCount::new(rows)).bench_local(|| {
        let mut changes = Changes::none();
        filter.apply(&batch, &mut changes).expect("changes");
        changes
    });
}

#[divan::bench(args = ROWS)]
fn wasm(bencher: Bencher<'_, '_>, rows: usize) {
    let records = records(rows);
    let mut filter = filter("dissect", json!({"preset": "nginx_combined"}));
    bencher.counter(ItemsCount::new(rows)).bench_local(|| {
        let (out, rejected) = filter.run(records.clone());
        assert!(out.rows() == rows && rejected.is_empty());
        out
    });
}

/// The columns go in, nothing comes out: the call itself and one copy.
#[divan::bench(args = ROWS)]
fn nothing_out(bencher: Bencher<'_, '_>, rows: usize) {
    let records = records(rows);
    // A pattern that no line has, and `on_miss: keep` where there is one, would reject; so the field is another.
    let mut filter = filter("dissect", json!({"preset": "nginx_combined", "field": "other"}));
    bencher.counter(ItemsCount::new(rows)).bench_local(|| filter.run(records.clone()));
}
