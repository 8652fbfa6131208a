//! What each stage does by itself to a batch, in the process that measures. One list for the two programs that show
//! it: `cargo bench --bench stages` with its statistics, and the table of `cargo bench --bench pipelines`.

use std::hint::black_box;
use std::sync::Arc;

use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::decode_lines;
use flitch_core::batch::lines::Lines;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::{Cut, Records, encode};
use flitch_filters::{Alone, Engine, FilterContext, FilterSettings};
use flitch_sdk::{Batch, Changes, ColumnFilter, TextBuilder};
use flitch_sources::forward::gather::{Gather, Origin, Step};
use flitch_sources::forward::tags::Tags;
use flitch_sources::generator::samples;
use serde_json::json;

use dissect::{Dissect, Preset, Settings};

/// The filter by its source: as a plugin it is no library that another crate can be linked with.
#[path = "../../../plugins/dissect/src/lib.rs"]
#[allow(dead_code, unused_imports, reason = "some of it is for the component and its tests alone")]
mod dissect;

/// Rows of a full batch.
pub const ROWS: usize = 1024;

const CUT: Cut = Cut { rows: ROWS, bytes: 1 << 20, age: std::time::Duration::MAX };

/// A stage, ready to be run again and again.
pub struct Stage {
    /// Rows that one run takes.
    pub rows: usize,
    /// Bytes that one run reads or writes.
    pub bytes: usize,
    /// Runs it once.
    pub run: Box<dyn FnMut()>,
}

/// Makes a stage that takes this many rows at once.
type Make = fn(usize) -> Stage;

/// Every stage, with the rows that it takes at once.
pub const ALL: [(&str, usize, Make); 19] = [
    ("decode: lines", ROWS, lines),
    ("decode: NDJSON, nine fields", ROWS, ndjson),
    ("decode: forward, four texts, one time", ROWS, |rows| forward(rows, false)),
    ("decode: forward, four texts, own times", ROWS, |rows| forward(rows, true)),
    ("encode: NDJSON, nine fields", ROWS, encode_parsed),
    ("encode: NDJSON, ten fields and a time", ROWS, encode_timed),
    ("border: nothing in, nothing out", ROWS, |rows| through("set", json!({"remove": ["none"]}), rows)),
    ("border: one column in, nothing out", ROWS, border_in),
    ("nginx by dissect, native", 1, native),
    ("nginx by dissect, native", 64, native),
    ("nginx by dissect, native", ROWS, native),
    ("nginx by dissect, WASM and border", 1, wasm),
    ("nginx by dissect, WASM and border", 64, wasm),
    ("nginx by dissect, WASM and border", ROWS, wasm),
    ("nginx by regex, WASM and border", ROWS, |rows| {
        through("regex", json!({"preset": "nginx_combined"}), rows)
    }),
    ("JSON of eleven fields by json, WASM and border", 1, json_by_json),
    ("JSON of eleven fields by json, WASM and border", 64, json_by_json),
    ("JSON of eleven fields by json, WASM and border", ROWS, json_by_json),
    ("time by timestamp, WASM and border", ROWS, timestamp),
];

impl Stage {
    fn new<T>(rows: usize, bytes: usize, mut run: impl FnMut() -> T + 'static) -> Stage {
        let run = Box::new(move || drop(black_box(run())));
        Stage { rows, bytes, run }
    }
}

fn constants() -> Constants {
    Constants::new().timestamp("@timestamp", 1_769_900_000_123_000_000).text("@tag", "nginx.access")
}

fn line(number: usize) -> Vec<u8> {
    let mut line = Vec::new();
    samples::nginx(1, number as u64, &mut line);
    line
}

/// Texts in one column.
fn texts<'t>(texts: impl Iterator<Item = &'t [u8]>) -> Arc<Records> {
    let mut builder = Builder::new();
    for text in texts {
        builder.begin_record();
        builder.key(b"message").text(text);
        builder.end_record();
    }
    Arc::new(builder.finish(InvalidUtf8::Replace, &constants()).records)
}

/// nginx lines in one column.
fn messages(rows: usize) -> Arc<Records> {
    let lines: Vec<_> = (0..rows).map(line).collect();
    texts(lines.iter().map(Vec::as_slice))
}

fn filter(plugin: &str, settings: serde_json::Value) -> Alone {
    let cx = FilterContext {
        engine: Engine::new(None, &Arc::default()).expect("an engine"),
        stock: flitch::STOCK,
        registries: Arc::default(),
        tables: Arc::default(),
        dead_letters: None,
        folder: ".".into(),
        silent: false,
    };
    let mut filter = FilterSettings::of(plugin);
    filter.settings = settings;
    Alone::load("bench", &filter, &cx).expect("a filter")
}

/// nginx lines taken apart.
fn parsed(rows: usize) -> Arc<Records> {
    filter("dissect", json!({"preset": "nginx_combined"})).run(messages(rows)).0
}

fn lines(rows: usize) -> Stage {
    let text = (0..rows).map(line).flat_map(|line| [line, b"\n".to_vec()].concat()).collect::<Vec<u8>>();
    let (mut lines, constants) = (Lines::new("message"), constants());
    Stage::new(rows, text.len(), move || {
        assert_eq!(lines.append(black_box(&text), &CUT, 1 << 20), text.len());
        lines.finish(InvalidUtf8::Replace, &constants)
    })
}

/// A line's fields as JSON, the time as the text that nginx writes.
fn ndjson(rows: usize) -> Stage {
    let text = encode::ndjson(&parsed(rows)).text.to_vec();
    let (mut builder, constants) = (Builder::new(), constants());
    Stage::new(rows, text.len(), move || {
        let taken = decode_lines(&mut builder, black_box(&text), &CUT, |_, _, e| panic!("{e}"));
        assert_eq!(taken, text.len());
        builder.finish(InvalidUtf8::Replace, &constants)
    })
}

fn forward(rows: usize, own_times: bool) -> Stage {
    let entries = entries(rows, own_times);
    let mut gather = Gather::new(CUT, InvalidUtf8::Replace, Tags::default());
    let origin = Origin { raw_tag: b"docker.web", tag: "docker.web", now: 0, answered: true, root: None };
    Stage::new(rows, entries.len(), move || {
        assert_eq!(gather.entries(origin, black_box(&entries), &mut 0, true, None), Step::Drained);
        gather.finish()
    })
}

/// Entries `[time, record]` as Docker's driver sends them, all of one second or each at a time of its own.
pub fn entries(rows: usize, own_times: bool) -> Vec<u8> {
    use rmp::encode::{write_array_len, write_ext_meta, write_map_len, write_str, write_uint};
    let mut out = Vec::new();
    let all = "a vector takes every byte";
    for number in 0..rows as u64 {
        write_array_len(&mut out, 2).expect(all);
        if own_times {
            let time = samples::time(number);
            write_ext_meta(&mut out, 8, 0).expect(all);
            out.extend_from_slice(&((time / 1_000_000_000) as u32).to_be_bytes());
            out.extend_from_slice(&((time % 1_000_000_000) as u32).to_be_bytes());
        } else {
            write_uint(&mut out, 1_767_225_600).expect(all);
        }
        let record = samples::docker(1, number);
        let fields = [
            ("container_id", &*record.container_id),
            ("container_name", record.container_name),
            ("source", record.source),
            ("log", &*record.log),
        ];
        write_map_len(&mut out, fields.len() as u32).expect(all);
        for text in fields.into_iter().flat_map(|(name, value)| [name, value]) {
            write_str(&mut out, text).expect(all);
        }
    }
    out
}

fn encoding(records: Arc<Records>) -> Stage {
    let (rows, bytes) = (records.rows(), encode::ndjson(&records).text.len());
    Stage::new(rows, bytes, move || encode::ndjson(black_box(&records)))
}

/// Lines taken apart, with time and tag as constants.
fn encode_parsed(rows: usize) -> Stage {
    encoding(parsed(rows))
}

/// The same with the event's own time.
fn encode_timed(rows: usize) -> Stage {
    encoding(timed(rows))
}

/// nginx lines taken apart, with the event's own time.
pub fn timed(rows: usize) -> Arc<Records> {
    let format = json!({"field": "time", "format": "clf"});
    filter("timestamp", format).run(parsed(rows)).0
}

fn through(plugin: &str, settings: serde_json::Value, rows: usize) -> Stage {
    passing(plugin, settings, messages(rows))
}

/// A plugin in its sandbox: columns handed over, its code, the answer checked and put into the records.
fn passing(plugin: &str, settings: serde_json::Value, records: Arc<Records>) -> Stage {
    let mut filter = filter(plugin, settings);
    let rows = records.rows();
    Stage::new(rows, records.memory(), move || {
        let (out, rejected) = filter.run(records.clone());
        assert!(out.rows() == rows && rejected.is_empty());
        out
    })
}

/// A plugin that looks at each line and leaves it as it is.
fn border_in(rows: usize) -> Stage {
    through("match", json!({"keep": {"field": "message", "exists": true}}), rows)
}

fn wasm(rows: usize) -> Stage {
    through("dissect", json!({"preset": "nginx_combined"}), rows)
}

/// What applications write to stdout: the fields of a line, time and tag as JSON.
fn json_by_json(rows: usize) -> Stage {
    let text = encode::ndjson(&timed(rows));
    passing("json", json!({}), texts((0..rows).map(|row| text.row(row).trim_ascii_end())))
}

/// The time of lines that are taken apart.
fn timestamp(rows: usize) -> Stage {
    passing("timestamp", json!({"field": "time", "format": "clf"}), parsed(rows))
}

/// The plugin's own code over a column that lies ready.
fn native(rows: usize) -> Stage {
    let mut text = TextBuilder::default();
    (0..rows).for_each(|n| text.push(&String::from_utf8_lossy(&line(n))));
    let batch = Batch { rows: rows as u32, columns: vec![text.finish("message")] };
    let settings = Settings { preset: Some(Preset::NginxCombined), ..Settings::default() };
    let mut filter = Dissect::new(settings).expect("settings");
    Stage::new(rows, rows * samples::NGINX_LINE, move || {
        let mut changes = Changes::none();
        filter.apply(black_box(&batch), &mut changes).expect("changes");
        changes
    })
}
