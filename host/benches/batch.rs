//! ns per row of what happens to each record in a batch: lines to a column, JSON to columns, columns to JSON.
//!
//! `cargo bench -p flitch --bench batch`. The time shown is for a batch of 1,024 rows; the counter shows rows a second.

use std::hint::black_box;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, main as run};
use flitch::batch::Cut;
use flitch::batch::builder::Builder;
use flitch::batch::constants::Constants;
use flitch::batch::decode::decode_lines;
use flitch::batch::encode;
use flitch::batch::lines::Lines;
use flitch::batch::utf8::InvalidUtf8;

const ROWS: usize = 1024;
const CUT: Cut = Cut { rows: ROWS, bytes: 1 << 20, age: std::time::Duration::MAX };

fn main() {
    run();
}

fn constants() -> Constants {
    Constants::new().timestamp("@timestamp", 1_769_900_000_123_000_000).text("@tag", "nginx.access")
}

/// Access lines of about 243 bytes.
fn nginx_lines() -> Vec<u8> {
    let mut text = String::new();
    for n in 0..ROWS {
        text += &format!(
            "10.{}.{}.7 - - [31/Jan/2026:23:{:02}:{:02} +0000] \"GET /shop/items/{n}?page={}&sort=price HTTP/1.1\" 200 {} \
             \"https://www.example.com/catalogue/start/\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, \
             like Gecko) Chrome/130.0 Safari/537.36\"\n",
            n % 200,
            n % 256,
            n / 60 % 60,
            n % 60,
            n % 9,
            n * 37 % 50_000,
        );
    }
    text.into_bytes()
}

/// The same as JSON of ten fields.
fn nginx_json() -> Vec<u8> {
    let mut text = String::new();
    for n in 0..ROWS {
        text += &format!(
            "{{\"remote_addr\":\"10.{}.{}.7\",\"time\":\"31/Jan/2026:23:{:02}:{:02} +0000\",\"method\":\"GET\",\
             \"path\":\"/shop/items/{n}?page={}&sort=price\",\"protocol\":\"HTTP/1.1\",\"status\":200,\"bytes\":{},\
             \"referer\":\"https://www.example.com/catalogue/start/\",\"user_agent\":\"Mozilla/5.0 (X11; Linux x86_64) \
             AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36\",\"request_time\":0.{:03}}}\n",
            n % 200,
            n % 256,
            n / 60 % 60,
            n % 60,
            n % 9,
            n * 37 % 50_000,
            n % 1000,
        );
    }
    text.into_bytes()
}

/// Records of ten text fields, about 318 bytes as JSON.
fn ten_texts(builder: &mut Builder, quoted: bool) {
    let agent: &[u8] = if quoted {
        b"Mozilla/5.0 \"quoted\" (X11; Linux)"
    } else {
        b"Mozilla/5.0 (X11; Linux x86_64) Chrome"
    };
    for n in 0..ROWS {
        builder.begin_record();
        builder.key(b"remote").text(format!("10.0.{}.7", n % 256).as_bytes());
        builder.key(b"user").text(b"-");
        builder.key(b"time").text(b"31/Jan/2026:23:59:59 +0000");
        builder.key(b"method").text(b"GET");
        builder.key(b"path").text(format!("/shop/items/{n}?page=1&sort=price").as_bytes());
        builder.key(b"protocol").text(b"HTTP/1.1");
        builder.key(b"status").text(b"200");
        builder.key(b"bytes").text(format!("{}", n * 37).as_bytes());
        builder.key(b"referer").text(b"https://www.example.com/catalogue/start/page");
        builder.key(b"agent").text(agent);
        builder.end_record();
    }
}

#[divan::bench]
fn lines(bencher: Bencher<'_, '_>) {
    let text = nginx_lines();
    let mut lines = Lines::new("message");
    let constants = constants();
    let counted = bencher.counter(ItemsCount::new(ROWS)).counter(BytesCount::new(text.len()));
    counted.bench_local(|| {
        let taken = lines.append(black_box(&text), &CUT, 1 << 20);
        assert_eq!(taken, text.len());
        lines.finish(InvalidUtf8::Replace, &constants)
    });
}

#[divan::bench]
fn decode(bencher: Bencher<'_, '_>) {
    let text = nginx_json();
    let mut builder = Builder::new();
    let constants = constants();
    let counted = bencher.counter(ItemsCount::new(ROWS)).counter(BytesCount::new(text.len()));
    counted.bench_local(|| {
        let taken = decode_lines(&mut builder, black_box(&text), &CUT, |_, _, e| panic!("{e}"));
        assert_eq!(taken, text.len());
        builder.finish(InvalidUtf8::Replace, &constants)
    });
}

/// Four fields of a Docker record, named and fixed: what the forward source does but for its own format.
#[divan::bench(args = [false, true])]
fn four_fields(bencher: Bencher<'_, '_>, handles: bool) {
    let mut builder = Builder::new();
    let constants = constants();
    let names = ["container_id", "container_name", "source", "log"];
    let known = names.map(|name| builder.raw_column(name));
    let values: [&[u8]; 4] = [
        b"0d5f8cafb6a1c1ae6ac3efb9a0a1ff9f4e4b2a9f77d5a9d7be7bd7c4b8e0a7f1",
        b"/web-1",
        b"stdout",
        b"GET /shop/items/17?page=1 200 in 17 ms",
    ];
    bencher.counter(ItemsCount::new(ROWS)).bench_local(|| {
        for _ in 0..ROWS {
            builder.begin_record();
            for (place, value) in black_box(values).into_iter().enumerate() {
                if handles {
                    builder.at(known[place]).text(value);
                } else {
                    builder.key(names[place].as_bytes()).text(value);
                }
            }
            builder.end_record();
        }
        builder.finish(InvalidUtf8::Replace, &constants)
    });
}

/// Ten text columns to NDJSON, with and without something to escape in one of them.
#[divan::bench(args = [false, true])]
fn encode_texts(bencher: Bencher<'_, '_>, quoted: bool) {
    let mut builder = Builder::new();
    ten_texts(&mut builder, quoted);
    let records = builder.finish(InvalidUtf8::Replace, &Constants::new()).records;
    let size = encode::ndjson(&records).text.len();
    let counted = bencher.counter(ItemsCount::new(ROWS)).counter(BytesCount::new(size));
    counted.bench_local(|| encode::ndjson(black_box(&records)));
}

/// The decoded JSON with its time and tag to NDJSON again.
#[divan::bench]
fn encode_mixed(bencher: Bencher<'_, '_>) {
    let mut builder = Builder::new();
    decode_lines(&mut builder, &nginx_json(), &CUT, |_, _, e| panic!("{e}"));
    let records = builder.finish(InvalidUtf8::Replace, &constants()).records;
    let size = encode::ndjson(&records).text.len();
    let counted = bencher.counter(ItemsCount::new(ROWS)).counter(BytesCount::new(size));
    counted.bench_local(|| encode::ndjson(black_box(&records)));
}
