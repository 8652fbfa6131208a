//! ns per record of what the forward source does to each: entries of four text fields, about 220 bytes, to columns.
//!
//! `cargo bench -p flitch --bench forward`. The time shown is for a message of 1,000 records; the counter shows
//! records and bytes a second.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, main as run};
use flitch::batch::Cut;
use flitch::batch::utf8::InvalidUtf8;
use flitch::sources::forward::gather::{Gather, Origin, Step};
use flitch::sources::forward::tags::Tags;

const RECORDS: usize = 1000;

fn main() {
    run();
}

/// Entries as Docker's records look, all of one second or each at a time of its own.
fn entries(own_times: bool) -> Vec<u8> {
    use rmp::encode::{write_array_len, write_ext_meta, write_map_len, write_str, write_uint};
    let mut out = Vec::new();
    for n in 0..RECORDS {
        let log = format!(
            "10.0.0.{} - - [20/Nov/2026:17:00:00 +0000] \"GET /item/{n} HTTP/1.1\" 200 {} \"-\" \"curl/8.5\"",
            n % 250,
            n * 7 % 5000,
        );
        write_array_len(&mut out, 2).expect("a vector takes every byte");
        if own_times {
            write_ext_meta(&mut out, 8, 0).expect("a vector takes every byte");
            out.extend_from_slice(&1_700_000_000_u32.to_be_bytes());
            out.extend_from_slice(&(n as u32).to_be_bytes());
        } else {
            write_uint(&mut out, 1_700_000_000).expect("a vector takes every byte");
        }
        let id = "0a1b2c3d4e5f6789".repeat(4);
        let fields =
            [("container_id", &*id), ("container_name", "/web-1"), ("source", "stdout"), ("log", &*log)];
        write_map_len(&mut out, fields.len() as u32).expect("a vector takes every byte");
        for text in fields.into_iter().flat_map(|(name, value)| [name, value]) {
            write_str(&mut out, text).expect("a vector takes every byte");
        }
    }
    out
}

#[divan::bench(args = [false, true])]
fn decode(bencher: Bencher<'_, '_>, own_times: bool) {
    let entries = entries(own_times);
    let mut gather = Gather::new(Cut::default(), InvalidUtf8::Replace, Tags::default());
    let origin = Origin { raw_tag: b"docker.web", tag: "docker.web", now: 0, answered: true };
    bencher.counter(ItemsCount::new(RECORDS)).counter(BytesCount::new(entries.len())).bench_local(|| {
        assert_eq!(gather.entries(origin, &entries, &mut 0, true, None), Step::Drained);
        gather.finish()
    });
}
