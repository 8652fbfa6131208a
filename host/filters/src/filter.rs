//! One filter of the configuration, and what filters are loaded with.

use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::Context as _;

use super::bindings::PluginPre;
use super::engine::Engine;
use super::host::State;
use super::metrics::FilterMetrics;
use super::plugin::{Component, Stock};
use super::settings::{Allow, FilterSettings, LimitSettings, OnError};
use super::tables::Tables;
use super::voice::Voice;
use flitch_core::dead_letter::DeadLetters;
use flitch_core::setting::wrong;

/// One filter of the configuration, its plugin loaded and checked: what instances are made from.
pub struct Filter {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// The plugin's code.
    pub plugin: Component,
    /// The settings of the plugin, as JSON text.
    pub settings: String,
    /// Limits of each instance.
    pub limits: LimitSettings,
    /// What it was made of.
    pub configured: FilterSettings,
    /// What becomes of records that it rejects or cannot survive.
    pub on_error: OnError,
    /// Most instances.
    pub instances: Option<NonZeroUsize>,
    /// What it may reach.
    pub allow: Allow,
    /// Its lines in the log.
    pub voice: Arc<Voice>,
    /// What is counted for it.
    pub metrics: FilterMetrics,
    /// Tables that it may look things up in.
    pub tables: Arc<Tables>,
    /// Where its dead letters go; none where the caller takes the rejected records itself.
    pub dead_letters: Option<DeadLetters>,
    /// The plugin, linked.
    pub pre: PluginPre<State>,
}

/// What filters are loaded with.
#[derive(Clone, Debug)]
pub struct FilterContext {
    /// The engine that runs them.
    pub engine: Engine,
    /// The plugins that have no file.
    pub stock: Stock,
    /// Tables for `lookup`.
    pub tables: Arc<Tables>,
    /// Where records go that a filter cannot handle.
    pub dead_letters: Option<DeadLetters>,
    /// Relative paths of plugins are from here: the folder of the configuration file.
    pub folder: std::path::PathBuf,
}

impl Filter {
    /// Links `plugin`, as `settings` say.
    pub fn new(
        name: &str,
        settings: &FilterSettings,
        plugin: Component,
        cx: &FilterContext,
    ) -> anyhow::Result<Filter> {
        if settings.wasi == super::settings::Wasi::None && !settings.allow.is_empty() {
            anyhow::bail!(wrong!(
                "allow",
                " grants something that only WASI can use: take `wasi: none` away"
            ));
        }
        let pre = plugin.link(&cx.engine, settings.wasi)?;
        let name: Arc<str> = name.into();
        Ok(Filter {
            voice: Arc::new(Voice::new(name.clone())),
            metrics: FilterMetrics::new(&name),
            settings: serde_json::to_string(&settings.settings).context("settings")?,
            configured: settings.clone(),
            limits: settings.limits,
            on_error: settings.on_error,
            instances: settings.instances,
            allow: settings.allow.clone(),
            tables: cx.tables.clone(),
            dead_letters: cx.dead_letters.clone(),
            name,
            plugin,
            pre,
        })
    }

    /// The plugin and its code, as reasons name them: `dissect (sha256 0123456789ab)`.
    pub fn label(&self) -> String {
        format!("{} (sha256 {})", self.plugin.name(), &self.plugin.sha256()[..12])
    }
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filter").field("name", &self.name).field("plugin", &self.plugin.name()).finish()
    }
}
