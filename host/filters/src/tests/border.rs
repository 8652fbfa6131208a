//! The cases of `wit/cases/batches` through the conformance guest of each SDK, as the component that it is: nothing of
//! the host stands between a case and the contract but the host's half of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use flitch_sdk::testing::borders::{self, Guest};
use flitch_sdk::{Batch as CaseBatch, Blobs, Changes, Column, Fields, Rejection, Removal, Values};
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime::{ResourceLimiter, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::super::guest::bindings::flitch::filter::{columns, host};
use super::super::guest::bindings::{
    self, Batch, BlobsParam, BlobsResult, ColumnParam, ColumnResult, Level, Plugin, ValuesParam, ValuesResult,
};
use super::super::guest::limits::Bounds;
use super::super::guest::{self, Lookup, LookupError};
use super::*;

/// What the guest finds, and has said.
struct Host {
    log: Vec<(String, String)>,
    counters: BTreeMap<String, u64>,
    tables: Tables,
    wasi: WasiCtx,
    handles: ResourceTable,
    /// Bytes of memory that the guest has.
    memory: usize,
}

impl ResourceLimiter for Host {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.memory += desired.saturating_sub(current);
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.handles }
    }
}

impl columns::Host for Host {}

impl host::Host for Host {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        self.log.push((level.to_owned(), message));
        Ok(())
    }

    fn count(&mut self, counter: String, delta: u64) -> wasmtime::Result<()> {
        *self.counters.entry(counter).or_default() += delta;
        Ok(())
    }

    fn lookup(
        &mut self,
        table: String,
        keys: ColumnResult,
        want: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<ColumnResult>, String>> {
        let bounds = Bounds { bytes: 1 << 20, ..Bounds::none() };
        match self.tables.lookup(&table, keys, &want, &bounds) {
            Ok(found) => Ok(Ok(found)),
            Err(LookupError::Refused(reason)) => Ok(Err(reason)),
            Err(LookupError::TooMuch | LookupError::Late) => {
                Err(wasmtime::Error::msg("too much is looked up"))
            }
        }
    }
}

/// A guest as a component.
struct Component {
    code: guest::Component,
    running: Option<(Store<Host>, Plugin)>,
}

impl Component {
    fn load(path: &Path) -> Component {
        let origin = STOCK.origin(&path.to_string_lossy(), Path::new("")).unwrap();
        Component { code: guest::Component::load(&ENGINE, origin).unwrap(), running: None }
    }

    fn start(&self, tables: &BTreeMap<String, Vec<Json>>) -> anyhow::Result<(Store<Host>, Plugin)> {
        let engine = ENGINE.wasm();
        let mut linker = Linker::new(engine);
        Plugin::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host)?;
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        let host = Host {
            log: Vec::new(),
            counters: BTreeMap::new(),
            tables: load(tables)?,
            wasi: WasiCtx::builder().build(),
            handles: ResourceTable::new(),
            memory: 0,
        };
        let mut store = Store::new(engine, host);
        store.limiter(|host| host);
        store.set_epoch_deadline(u64::MAX / 2);
        let plugin = Plugin::instantiate(&mut store, self.code.code(), &linker)?;
        Ok((store, plugin))
    }
}

/// The tables of a case, from files of their rows.
fn load(tables: &BTreeMap<String, Vec<Json>>) -> anyhow::Result<Tables> {
    let folder = tempfile::tempdir()?;
    let mut settings = BTreeMap::new();
    for (name, rows) in tables {
        let path = folder.path().join(format!("{name}.ndjson"));
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        std::fs::write(&path, text)?;
        settings.insert(name.clone(), TableSettings::of_file(path, "key"));
    }
    Tables::load(&settings.into_iter().collect(), folder.path())
}

impl Guest for Component {
    fn configure(&mut self, settings: &str, tables: &BTreeMap<String, Vec<Json>>) -> Result<Fields, String> {
        let (mut store, plugin) = self.start(tables).map_err(|error| format!("{error:#}"))?;
        let said = plugin.flitch_filter_filter().call_configure(&mut store, settings);
        self.running = Some((store, plugin));
        Ok(match said.map_err(|error| format!("{error:#}"))?? {
            bindings::Fields::All => Fields::All,
            bindings::Fields::Only(names) => Fields::Only(names),
        })
    }

    fn apply(&mut self, batch: &CaseBatch) -> Result<Changes, String> {
        let (store, plugin) = self.running.as_mut().expect("a guest that was configured");
        let columns: Vec<ColumnParam<'_>> = batch.columns.iter().map(param).collect();
        let batch = Batch { rows: batch.rows, columns: &columns };
        let said = plugin.flitch_filter_filter().call_apply(store, batch);
        let changes = said.map_err(|error| format!("{error:#}"))??;
        let rejection = |one: bindings::Rejection| Rejection { row: one.row, reason: one.reason };
        Ok(Changes {
            take: changes.take,
            set: changes.set.into_iter().map(column).collect(),
            remove: changes
                .remove
                .into_iter()
                .map(|one| Removal { name: one.name, rows: one.rows })
                .collect(),
            rejected: changes.rejected.into_iter().map(rejection).collect(),
        })
    }

    fn said(&mut self) -> (Vec<(String, String)>, BTreeMap<String, u64>) {
        let (store, _) = self.running.as_mut().expect("a guest that was configured");
        let host = store.data_mut();
        (std::mem::take(&mut host.log), std::mem::take(&mut host.counters))
    }
}

fn param(column: &Column) -> ColumnParam<'_> {
    let values = match &column.values {
        Values::Text(blobs) => ValuesParam::Text(blobs_param(blobs)),
        Values::Bytes(blobs) => ValuesParam::Bytes(blobs_param(blobs)),
        Values::Json(blobs) => ValuesParam::Json(blobs_param(blobs)),
        Values::Int64(numbers) => ValuesParam::Int64(numbers),
        Values::Float64(numbers) => ValuesParam::Float64(numbers),
        Values::Timestamp(numbers) => ValuesParam::Timestamp(numbers),
        Values::Boolean(bits) => ValuesParam::Boolean(bits),
    };
    ColumnParam { name: &column.name, present: column.present.as_deref(), values }
}

fn blobs_param(blobs: &Blobs) -> BlobsParam<'_> {
    BlobsParam { data: &blobs.data, ends: &blobs.ends }
}

fn column(column: ColumnResult) -> Column {
    let blobs = |blobs: BlobsResult| Blobs { data: blobs.data, ends: blobs.ends };
    let values = match column.values {
        ValuesResult::Text(text) => Values::Text(blobs(text)),
        ValuesResult::Bytes(bytes) => Values::Bytes(blobs(bytes)),
        ValuesResult::Json(texts) => Values::Json(blobs(texts)),
        ValuesResult::Int64(numbers) => Values::Int64(numbers),
        ValuesResult::Float64(numbers) => Values::Float64(numbers),
        ValuesResult::Timestamp(numbers) => Values::Timestamp(numbers),
        ValuesResult::Boolean(bits) => Values::Boolean(bits),
    };
    Column { name: column.name, present: column.present, values }
}

/// Runs the cases through a conformance guest.
#[track_caller]
fn answers_as_the_contract_says(guest: PathBuf) {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/cases/batches");
    let count = borders::run(&cases, &mut Component::load(&guest));
    assert!(count > 10, "{count} cases");
}

/// Has a conformance guest misbehave in every way that `wit/cases/README.md` has: the record that made it do so is rejected,
/// and those beside it go on.
#[track_caller]
fn costs_one_record_when_it_misbehaves(guest: &Path) {
    let good = [json!({"n": 1}), json!({"n": 3})];
    for (what, word) in
        [("throw", "boom"), ("trap", "trap: "), ("spin", "deadline: "), ("eat", ""), ("answer", "answer: ")]
    {
        let mut settings = FilterSettings::of(guest.to_str().unwrap());
        settings.settings = json!({"steps": [{"if": "bad", "do": what, "message": "boom"}]});
        let mut filter = Alone::load("guest", &settings, &context()).unwrap();
        let (out, rejected) = filter.run(records(&[good[0].clone(), json!({"bad": 1}), good[1].clone()]));
        assert_eq!(rows(&out), good, "{what}");
        assert_eq!(rejected.len(), 1, "{what}: {rejected:?}");
        assert!(rejected[0].reason.contains(word), "{what}: {}", rejected[0].reason);
    }
}

/// Hands a conformance guest a thousand batches to warm up, and then another: those need not a byte more than the first. (What
/// componentize-py makes of one in Python keeps some 50 bytes a row, see `sdk/python/README.md`.)
#[track_caller]
fn keeps_its_memory_over_a_thousand_batches(path: PathBuf) {
    let set =
        json!({"do": "set", "field": "set", "value": {"text": "some text", "list": [1, 2], "number": 5}});
    let copy = json!({"do": "copy", "from": "message", "to": "copied"});
    let settings = json!({"steps": [set, copy, {"if": "odd", "do": "remove", "field": "message"}]});
    let rows = 256;
    let batch = borders::batch(&json!({"rows": rows, "columns": {
        "message": {"text": vec!["a line of some length, as they come"; rows]},
        "odd": {"boolean": (0..rows).map(|row| if row % 2 == 1 { json!(true) } else { Json::Null }).collect::<Vec<_>>()},
    }}));
    let mut guest = Component::load(&path);
    guest.configure(&settings.to_string(), &BTreeMap::new()).unwrap();
    let mut needed = Vec::new();
    for batches in [1000, 1000] {
        (0..batches).for_each(|_| assert_eq!(guest.apply(&batch).unwrap().set.len(), 4));
        needed.push(guest.running.as_ref().unwrap().0.data().memory);
    }
    assert!(needed[0] > 0 && needed[1] == needed[0], "{needed:?} bytes");
}

#[test]
fn the_conformance_guest_of_the_rust_sdk_answers_as_the_contract_says() {
    answers_as_the_contract_says(flitch_tests::guests::rust_conformance());
}

#[test]
fn the_conformance_guest_of_the_c_sdk_answers_as_the_contract_says() {
    answers_as_the_contract_says(flitch_tests::guests::of_sdk("c", "conformance"));
}

#[test]
fn a_filter_in_c_that_misbehaves_costs_one_record() {
    costs_one_record_when_it_misbehaves(&flitch_tests::guests::of_sdk("c", "conformance"));
}

#[test]
fn a_filter_in_c_keeps_its_memory_over_a_thousand_batches() {
    keeps_its_memory_over_a_thousand_batches(flitch_tests::guests::of_sdk("c", "conformance"));
}

#[test]
fn the_conformance_guest_of_the_go_sdk_answers_as_the_contract_says() {
    answers_as_the_contract_says(flitch_tests::guests::of_sdk("go", "conformance"));
}

#[test]
fn a_filter_in_go_that_misbehaves_costs_one_record() {
    costs_one_record_when_it_misbehaves(&flitch_tests::guests::of_sdk("go", "conformance"));
}

#[test]
fn a_filter_in_go_keeps_its_memory_over_a_thousand_batches() {
    keeps_its_memory_over_a_thousand_batches(flitch_tests::guests::of_sdk("go", "conformance"));
}

#[test]
fn the_conformance_guest_of_the_python_sdk_answers_as_the_contract_says() {
    answers_as_the_contract_says(flitch_tests::guests::of_sdk("python", "conformance"));
}

#[test]
fn a_filter_in_python_that_misbehaves_costs_one_record() {
    costs_one_record_when_it_misbehaves(&flitch_tests::guests::of_sdk("python", "conformance"));
}

#[test]
fn the_conformance_guest_of_the_javascript_sdk_answers_as_the_contract_says() {
    answers_as_the_contract_says(flitch_tests::guests::of_sdk("js", "conformance"));
}

#[test]
fn a_filter_in_javascript_that_misbehaves_costs_one_record() {
    costs_one_record_when_it_misbehaves(&flitch_tests::guests::of_sdk("js", "conformance"));
}

#[test]
fn a_filter_in_javascript_keeps_its_memory_over_a_thousand_batches() {
    keeps_its_memory_over_a_thousand_batches(flitch_tests::guests::of_sdk("js", "conformance"));
}
