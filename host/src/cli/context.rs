//! What the filters of a configuration are loaded with by commands that start nothing.

use std::path::Path;
use std::sync::Arc;

use crate::config::{Loaded, Problem};
use flitch_filters::{FilterContext, TablePlaces, Tables};

/// What a configuration gives its filters.
pub struct Found {
    /// Its tables and plugins, without asking a server for any. What filters reject comes back.
    pub cx: FilterContext,
    /// What is wrong with those that cannot be had.
    pub problems: Vec<Problem>,
    /// Whether plugins of registries can be had, as far as `plugins` decides it.
    pub has_registries: bool,
}

/// What the configuration at `path` gives its filters.
///
/// # Errors
/// What is wrong with this machine, and not with the configuration.
pub fn context(loaded: &Loaded, path: &Path) -> anyhow::Result<Found> {
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let config = &loaded.config;
    let mut problems = Vec::new();
    let mut sound = config.tables.clone();
    sound.retain(|name, table| match table.check() {
        Ok(()) => true,
        Err(error) => {
            problems.push(loaded.error(&format!("tables.{name}"), &error));
            false
        }
    });
    let places = TablePlaces { folder: &folder, data_dir: Some(&config.data_dir), asks: false };
    let tables = Tables::default().next(&sound, &places).unwrap_or_else(|error| {
        problems.push(loaded.error("tables", &error));
        Tables::default()
    });
    let registries = config.plugins.check().and_then(|()| super::registries(loaded, &folder, false));
    let has_registries = registries.is_ok();
    let registries = registries.unwrap_or_else(|error| {
        problems.push(loaded.error("plugins", &error));
        Arc::default()
    });
    let cx = FilterContext {
        engine: super::engine()?,
        stock: crate::STOCK,
        registries,
        tables: Arc::new(tables),
        dead_letters: None,
        folder,
        silent: false,
    };
    Ok(Found { cx, problems, has_registries })
}
