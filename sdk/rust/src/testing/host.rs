//! The stand-in for the host of this thread: it keeps what a filter logs and counts, and holds
//! the tables that it looks into.

use crate::host::Level;
use crate::{Column, ColumnSet, json};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// The rows of a table by their key, each an object.
type Table = BTreeMap<String, serde_json::Value>;

#[derive(Default)]
struct Host {
    lines: Vec<(Level, String)>,
    counters: BTreeMap<String, u64>,
    tables: BTreeMap<String, Table>,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// What was logged since the last call.
pub fn take_log() -> Vec<(Level, String)> {
    HOST.with_borrow_mut(|host| std::mem::take(&mut host.lines))
}

/// What was counted since the last call, by the name of the counter.
pub fn take_counters() -> BTreeMap<String, u64> {
    HOST.with_borrow_mut(|host| std::mem::take(&mut host.counters))
}

/// Gives the host a table, its rows by their key.
pub fn set_table(name: &str, rows: impl IntoIterator<Item = (String, serde_json::Value)>) {
    HOST.with_borrow_mut(|host| host.tables.insert(name.to_owned(), rows.into_iter().collect()));
}

pub(crate) fn log(level: Level, message: &str) {
    HOST.with_borrow_mut(|host| host.lines.push((level, message.to_owned())));
}

pub(crate) fn count(counter: &str, delta: u64) {
    HOST.with_borrow_mut(|host| *host.counters.entry(counter.to_owned()).or_default() += delta);
}

pub(crate) fn lookup(table: &str, keys: &Column, want: &[String]) -> Result<Vec<Column>, String> {
    HOST.with_borrow(|host| {
        let table = host.tables.get(table).ok_or("there is no such table")?;
        let mut set = ColumnSet::default();
        let rows = match keys.view() {
            crate::View::Text(keys) => keys.len(),
            crate::View::Int64(keys) => keys.len(),
            _ => return Err("keys are text or whole numbers".to_owned()),
        };
        for row in 0..rows {
            set.begin_row();
            let key = match keys.value(row) {
                Some(crate::Value::Text(text)) => text.to_owned(),
                Some(crate::Value::Int64(number)) => number.to_string(),
                _ => continue,
            };
            let Some(found) = table.get(&key) else { continue };
            for field in want {
                if let Some(value) = member(found, field) {
                    let wrapped = format!("{{\"value\":{value}}}");
                    let mut one = ColumnSet::default();
                    json::flatten(&wrapped, "", 0, &mut one, json::Limits { depth: 1, ..Default::default() })
                        .map_err(String::from)?;
                    if let Some(value) = one.get(0, "value") {
                        set.set(row, field, value);
                    }
                }
            }
        }
        Ok(set.finish(rows))
    })
}

/// The value at a path of a row.
fn member<'a>(row: &'a serde_json::Value, path: &str) -> Option<&'a serde_json::Value> {
    flitch_model::path::names(path).iter().try_fold(row, |object, name| object.get(name))
}
