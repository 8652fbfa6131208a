use std::time::Instant;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Engine, Store};
wasmtime::component::bindgen!({ path: "../wit", world: "plugin" });
struct S;
use self::flitch::filter::host::Level;
impl self::flitch::filter::columns::Host for S {}
impl self::flitch::filter::host::Host for S {
    fn log(&mut self, _l: Level, m: String) {
        println!("LOG {m}");
    }
    fn count(&mut self, _c: String, _d: u64) {}
    fn lookup(&mut self, _t: String, _k: Column, _w: Vec<String>) -> Result<Vec<Column>, String> {
        Err("no".into())
    }
}
use self::flitch::filter::columns::{Batch, Blobs, Column, Values};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let bytes = std::fs::read(&args[1]).unwrap();
    let settings = &args[2];
    let field = &args[3];
    let lines: Vec<String> = std::fs::read_to_string(&args[4]).unwrap().lines().map(str::to_owned).collect();
    let mut config = Config::new();
    config.epoch_interruption(true);
    let engine = Engine::new(&config).unwrap();
    let t = Instant::now();
    let component = Component::new(&engine, &bytes).unwrap();
    println!("compile {:?}", t.elapsed());
    let mut linker = Linker::<S>::new(&engine);
    Plugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |s| s).unwrap();
    let mut store = Store::new(&engine, S);
    store.set_epoch_deadline(1_000_000);
    let p = Plugin::instantiate(&mut store, &component, &linker).unwrap();
    let f = p.flitch_filter_filter();
    println!("{:?}", f.call_configure(&mut store, settings).unwrap());
    for rows in [1usize, 64, 1024] {
        let mut data = Vec::new();
        let mut ends = Vec::new();
        for l in lines.iter().cycle().take(rows) {
            data.extend_from_slice(l.as_bytes());
            ends.push(data.len() as u32);
        }
        let mut best = f64::MAX;
        let mut shape = String::new();
        for _ in 0..300 {
            let col = Column {
                name: field.clone(),
                present: None,
                values: Values::Text(Blobs { data: data.clone(), ends: ends.clone() }),
            };
            let b = Batch { rows: rows as u32, columns: vec![col] };
            let t = Instant::now();
            let r = f.call_apply(&mut store, &b).unwrap();
            let ns = t.elapsed().as_nanos() as f64 / rows as f64;
            best = best.min(ns);
            let r = r.unwrap();
            shape = format!("set {} rejected {} {:?}", r.set.len(), r.rejected.len(), r.rejected.first());
        }
        println!("{rows}: {best:.1} ns/row {shape}");
    }
}
