use std::path::Path;
use std::sync::Arc;

use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::decode_line;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::{Batch, Records, StreamId};
use flitch_core::blocking::block_on;
use flitch_core::buffers::Buffer;
use flitch_core::dead_letter::DeadLetters;
use flitch_core::inlet::Pass;
use flitch_core::receipt::{self, Ledger};
use flitch_core::router::{Route, Router};
use flitch_core::telemetry::Tally;
use flitch_core::units::Bytes;
use flitch_filters::{
    Alone, Engine, FilterContext, FilterSettings, Program, TableSettings, Tables, Wasi, Workers,
};

use super::allocator::alone;
use super::hold;

/// Records of a batch that is cut up.
const RECORDS: usize = 150;
/// Bytes of the one value of the table.
const VALUE: usize = 10_000;

/// Records with a `message` each, and its bytes.
fn messages(texts: &[String]) -> (Arc<Records>, usize) {
    let mut builder = Builder::new();
    for text in texts {
        builder.begin_record();
        builder.key(b"message").text(text.as_bytes());
        builder.end_record();
    }
    let records = Arc::new(builder.finish(InvalidUtf8::Replace, &Constants::new()).records);
    (records, texts.iter().map(String::len).sum())
}

/// What filters are loaded with whose dead letters go to `folder`.
fn context(folder: &Path) -> FilterContext {
    FilterContext {
        stock: flitch::STOCK,
        registries: Arc::default(),
        engine: Engine::new(None, &Arc::default()).unwrap(),
        tables: Arc::new(Tables::default()),
        dead_letters: Some(DeadLetters::open(&folder.join("dead")).unwrap()),
        folder: folder.to_owned(),
        silent: false,
    }
}

/// The guest in C beside a table `t` with one row under the key `a`, and dead letters in `folder`.
fn guest(folder: &Path) -> Alone {
    std::fs::write(folder.join("t.csv"), format!("key,text\na,{}\n", "x".repeat(VALUE))).unwrap();
    let table = TableSettings::of_file("t.csv", "key");
    let tables = Arc::new(Tables::load(&[("t".to_owned(), table)].into(), folder).unwrap());
    let cx = FilterContext { tables, ..context(folder) };
    let mut settings = FilterSettings::of(flitch_tests::guests::c_filter().to_str().unwrap());
    settings.wasi = Wasi::None;
    settings.limits.memory = Bytes(64 << 20);
    Alone::load("c", &settings, &cx).unwrap()
}

/// Bytes of all files below a folder.
fn size(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { size(&path) } else { path.metadata().unwrap().len() as usize })
        .sum()
}

/// What the guest is asked to do, in one batch.
fn answers() -> Vec<(&'static str, Vec<String>)> {
    let large = "x".repeat(1 << 20);
    vec![
        ("rows that are taken over and over", vec![format!("NONSENSE again {large}")]),
        ("a long error of a whole batch", vec![format!("FAIL {large}")]),
        ("long reasons and a long panic", vec![format!("REJECT {large}"), format!("PANIC {large}")]),
        ("a key that is looked up over and over", vec!["LOOKUP 100000".to_owned()]),
        ("so many keys that they take no value", vec!["LOOKUP 4000000".to_owned()]),
        ("a column that is wanted over and over", vec!["WANT 10000".to_owned()]),
        (
            "paths that are deep, long or many",
            ["deep", "long", "many"].map(|w| format!("NONSENSE {w}")).into(),
        ),
        ("objects inside one another", vec!["NONSENSE nested".to_owned()]),
        ("values that are more than they may be", ["huge", "large"].map(|w| format!("NONSENSE {w}")).into()),
        ("names and lines without end", vec!["COUNT 1000000".to_owned(), "SHOUT 1000000".to_owned()]),
    ]
}

#[test]
fn an_answer_of_a_guest_is_held_within_eight_times_what_it_was_given() {
    let _alone = alone();
    for (what, asked) in answers() {
        let rows = (0..1000).map(|n| format!("row{n}"));
        let texts: Vec<String> = rows.chain(asked).collect();
        let (records, came) = messages(&texts);
        let folder = tempfile::tempdir().unwrap();
        let mut guest = guest(folder.path());
        hold(what, came, || drop(guest.run(records)));
        let accounts = guest.ledger().read();
        assert_eq!((accounts.in_flight(), accounts.returned), (0, 0), "{what}");
        let letters = size(&folder.path().join("dead"));
        // Each record with a reason of a few lines, where all of them are rejected.
        let most = 8 * came + texts.len() * 4096;
        assert!(letters <= most, "{what}: {came} bytes became {letters} bytes of dead letters");
    }
}

#[test]
fn answers_of_a_batch_that_is_cut_up_are_held_within_a_bound_that_no_guest_and_no_client_has_a_say_in() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let mut split = FilterSettings::of("split");
    split.settings = serde_json::json!({"field": "arr"});
    let program = Program::load(&[("split", &split)], &context(folder.path())).unwrap();
    let buffer = Buffer::with_room(4 << 20);
    let router = Arc::new(Router::new(vec![Route::to(buffer.clone())], Tally::noop()));
    let states = flitch_filters::States::in_memory();
    let workers = Workers::start("test", Arc::new(program), 2, router, &states, &Arc::default()).unwrap();
    // Each is 3 kB, and becomes 900 kB.
    let line = format!("{{\"t\":\"{}\",\"arr\":[{}]}}", "x".repeat(900), ["1"; 1000].join(","));
    let ledger = Arc::<Ledger>::default();
    hold("records that are split", 2 * RECORDS * line.len(), || {
        let stream = StreamId::next();
        for _ in 0..2 {
            let mut builder = Builder::new();
            (0..RECORDS).for_each(|_| decode_line(&mut builder, line.as_bytes()).unwrap());
            let records = Arc::new(builder.finish(InvalidUtf8::Replace, &Constants::new()).records);
            let receipt = receipt::issue(&ledger, RECORDS, 0, |_| {});
            let batch = Batch { records, receipt, stream };
            block_on(workers.inlet().push(batch, &Pass::default())).unwrap();
        }
        let mut left = 2 * RECORDS * 1000;
        while left > 0 {
            let batch = block_on(buffer.lease()).unwrap();
            left -= batch.records.rows();
            batch.receipt.delivered();
        }
    });
    workers.finish();
    let accounts = ledger.read();
    assert_eq!((accounts.delivered, accounts.in_flight()), (2 * RECORDS as u64 * 1000, 0));
}
