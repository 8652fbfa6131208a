//! What a table holds.

use std::path::Path;

use super::TableFormat;
use super::networks::Networks;
use super::rows::Rows;

/// What a table holds.
#[derive(Debug)]
pub enum Content {
    /// The rows of a file.
    Rows(Rows),
    /// The networks of a MaxMind DB.
    Networks(Networks),
    /// What a server has, and nobody asks for now: no key is found, whatever is wanted of it.
    Unknown,
}

impl Content {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is no table.
    pub fn read(path: &Path, key: &str, format: TableFormat) -> anyhow::Result<Content> {
        Ok(match format {
            TableFormat::Csv => Content::Rows(Rows::csv(path, key)?),
            TableFormat::Ndjson => Content::Rows(Rows::ndjson(path, key)?),
            TableFormat::Mmdb => Content::Networks(Networks::read(path)?),
        })
    }

    /// Rows of a file, or nodes of a tree.
    pub fn len(&self) -> usize {
        match self {
            Content::Rows(rows) => rows.len(),
            Content::Networks(networks) => networks.len(),
            Content::Unknown => 0,
        }
    }

    /// The same after `old`.
    pub fn after(self, old: &Content) -> Content {
        match (self, old) {
            (Content::Rows(new), Content::Rows(old)) => Content::Rows(new.after(old)),
            (new, _) => new,
        }
    }

    /// What filters may ask this for, and may not ask `new` for.
    pub fn lost_by<'a>(&'a self, new: &Content) -> Option<&'a str> {
        match (self, new) {
            (Content::Rows(old), Content::Rows(new)) => old.lost_by(new),
            // A country's database where a city's was.
            (Content::Networks(old), Content::Networks(new)) => {
                (old.kind() != new.kind()).then(|| old.kind())
            }
            _ => None,
        }
    }
}
