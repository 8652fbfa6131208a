//! The end of a batch: records out, names and sizes kept for the next.

use std::collections::HashSet;

use super::tree::{NONE, ROOT};
use super::{Builder, MAX_UNUSED};
use crate::batch::constants::Constants;
use crate::batch::utf8::InvalidUtf8;
use crate::batch::value::Value;
use crate::batch::{REST, Records, object, path, record_batch, with_rows};

/// A finished batch's records.
#[derive(Debug)]
pub struct Finished {
    /// The records.
    pub records: Records,
    /// Values in which bytes that are not UTF-8 became U+FFFD.
    pub replaced: u64,
    /// Values of `@timestamp` that are no time, and of `@tag` that are no text.
    pub misnamed: u64,
}

/// What was changed of a batch's values so that it could be built, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// See [`Finished::replaced`].
    pub replaced: u64,
    /// See [`Finished::misnamed`].
    pub misnamed: u64,
}

impl Finished {
    /// What was changed.
    pub fn changed(&self) -> Changed {
        Changed { replaced: self.replaced, misnamed: self.misnamed }
    }
}

impl Builder {
    /// The batch's records, with `constants` for every record that does not bring its own value of that name. The
    /// builder is empty after it, and remembers names and sizes for the next batch.
    pub fn finish(&mut self, invalid: InvalidUtf8, constants: &Constants) -> Finished {
        let rows = std::mem::take(&mut self.rows);
        let mut constants = constants.clone();
        self.fill_beside_rest(rows, &mut constants);
        let mut replaced = 0;
        let mut finished = Vec::with_capacity(self.used);
        for column in &mut self.columns {
            if column.is_used()
                && let Some(constant) = constants.take(column.path())
                && column.is_absent_in(rows)
                && let Some(value) = constant.value()
            {
                column.fill(rows, value, |_| true);
            }
            if let Some((field, array, mended)) = column.finish(rows, invalid) {
                replaced += mended;
                finished.push((field, array));
            }
        }
        self.lane.restart();
        let unused = self.tree.nodes.len().saturating_sub(self.used);
        self.bytes = 0;
        self.used = 0;
        if unused > MAX_UNUSED || self.columns.len() > 2 * finished.len() + 64 {
            let kept: Vec<_> = finished.iter().map(|(field, _)| field.name().as_str()).collect();
            self.forget_all_but(&kept);
        }
        let columns = match &self.schema {
            Some(schema)
                if schema.fields().len() == finished.len()
                    && schema
                        .fields()
                        .iter()
                        .zip(&finished)
                        .all(|(a, (b, _))| std::sync::Arc::ptr_eq(a, b)) =>
            {
                let arrays = finished.into_iter().map(|(_, array)| array).collect();
                with_rows(schema.clone(), arrays, rows)
            }
            _ => record_batch(rows, finished),
        };
        let columns = columns.expect("each column has its own name, and a place for each row");
        self.schema = Some(columns.schema());
        let misnamed = std::mem::take(&mut self.misnamed);
        Finished { records: Records::new(columns, constants.into_batch()), replaced, misnamed }
    }

    /// Gives a constant a column of its own where a record brings that name among the members that share a column, so
    /// that it does not stand twice in it.
    fn fill_beside_rest(&mut self, rows: usize, constants: &mut Constants) {
        let rest = self.tree.look_up(ROOT, REST.as_bytes()).map(|node| self.tree.nodes[node as usize].column);
        let Some(rest) = rest.and_then(|column| self.columns.get(column as usize)).filter(|c| c.is_used())
        else {
            return;
        };
        let brings = |row: usize, path: &str| {
            let Some(Value::Json(text)) = rest.get(row) else { return false };
            let names: Vec<String> = path::split(path).map(path::unescape).take(1).collect();
            std::str::from_utf8(text).is_ok_and(|text| object::member(text, &names[0]).is_some())
        };
        let twice: Vec<(String, Vec<bool>)> = constants
            .paths()
            .map(|path| (path.to_owned(), (0..rows).map(|row| brings(row, path)).collect::<Vec<_>>()))
            .filter(|(_, brings)| brings.contains(&true))
            .collect();
        for (path, brings) in twice {
            let Some(constant) = constants.take(&path) else { continue };
            let node = self.tree.find_path(&path);
            let mut id = self.tree.nodes[node as usize].column;
            if id == NONE {
                id = self.add_column(node);
            }
            let used = self.columns[id as usize].is_used();
            if let Some(value) = constant.value() {
                self.columns[id as usize].fill(rows, value, |row| !brings[row]);
            }
            self.used += usize::from(!used);
        }
    }

    pub(super) fn forget_unused(&mut self) {
        let used: Vec<String> =
            self.columns.iter().filter(|c| c.is_used()).map(|c| c.path().to_owned()).collect();
        let used: Vec<&str> = used.iter().map(String::as_str).collect();
        self.forget_all_but(&used);
    }

    /// Forgets every name and column but those of these paths and the handles.
    fn forget_all_but(&mut self, paths: &[&str]) {
        let paths: HashSet<&str, ahash::RandomState> = paths.iter().copied().collect();
        let keep: Vec<bool> = self.columns.iter().map(|c| paths.contains(c.path())).collect();
        let (handles, time, tag) = (&self.handles, self.time, self.tag);
        let moved = self.tree.retain(|id, node| {
            id == time
                || id == tag
                || handles.contains(&id)
                || (node.column != NONE && keep[node.column as usize])
        });
        self.time = moved[self.time as usize];
        self.tag = moved[self.tag as usize];
        for handle in &mut self.handles {
            *handle = moved[*handle as usize];
        }
        for node in &mut self.tree.nodes {
            node.column = NONE;
        }
        let nodes = std::mem::take(&mut self.nodes);
        let columns = std::mem::take(&mut self.columns);
        for ((column, node), keep) in columns.into_iter().zip(nodes).zip(keep) {
            if keep {
                let node = moved[node as usize];
                self.tree.nodes[node as usize].column = self.columns.len() as u32;
                self.nodes.push(node);
                self.columns.push(column);
            }
        }
        self.current = NONE;
        self.current_column = NONE;
        self.guess = NONE;
        self.lane.forget();
    }
}
