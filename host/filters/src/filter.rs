//! One filter of the configuration, and what filters are loaded with.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use flitch_registry::{Reference, Registries};
use parking_lot::Mutex;

use super::chain::apart;
use super::guest::{Component, Engine, Environment, Guest, Instance, Origin, Wasi};
use super::metrics::FilterMetrics;
use super::origin::Stock;
use super::origin::registry::OfRegistry;
use super::probation::{Past, ProbationStatus, Spurned};
use super::recent::Recent;
use super::settings::FilterSettings;
use super::shadow::Shadow;
use super::tables::Tables;
use flitch_core::dead_letter::{Cause, DeadLetters};
use flitch_core::setting::wrong;

/// The shortest time between two saves of a state.
const SHORTEST: Duration = Duration::from_millis(100);

/// One filter of the configuration, its plugin loaded and checked.
pub struct Filter {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// What it was made of.
    pub configured: FilterSettings,
    /// What its instances are made from.
    pub guest: Arc<Guest>,
    /// What is counted when its records are settled.
    pub metrics: FilterMetrics,
    /// A plugin that is tried beside it.
    pub shadow: Option<Arc<Shadow>>,
    /// Where its dead letters go; none where the caller takes the rejected records itself.
    pub dead_letters: Option<DeadLetters>,
    /// The last batches that it and those before it were given.
    pub(super) recent: Arc<Recent>,
    /// How it does, and what was before it and after it.
    pub(super) past: Arc<Past>,
    /// Instances that workers take.
    ready: Mutex<Vec<Instance>>,
}

/// What filters are loaded with.
#[derive(Clone, Debug)]
pub struct FilterContext {
    /// The engine that runs them.
    pub engine: Engine,
    /// The plugins that have no file.
    pub stock: Stock,
    /// What references to registries stand for.
    pub registries: Arc<Registries>,
    /// Tables for `lookup`.
    pub tables: Arc<Tables>,
    /// Where records go that a filter cannot handle.
    pub dead_letters: Option<DeadLetters>,
    /// Relative paths of plugins are from here: the folder of the configuration file.
    pub folder: std::path::PathBuf,
    /// Whether nobody is to hear of them: no line in the log, no metric.
    pub silent: bool,
}

impl FilterContext {
    /// The same for filters that are only tried: what they say and count is for nobody, and they have no dead letters.
    pub fn silent(&self) -> FilterContext {
        FilterContext { silent: true, dead_letters: None, ..self.clone() }
    }

    /// Where the plugin comes from that settings name: a stock plugin, a file, or what a reference stands for.
    ///
    /// # Errors
    /// There is no such stock plugin, or it is no reference.
    pub fn origin(&self, plugin: &str) -> anyhow::Result<Arc<dyn Origin>> {
        if !Reference::is_one(plugin) {
            return self.stock.origin(plugin, &self.folder);
        }
        let reference = Reference::parse(plugin, &self.folder).map_err(|why| wrong!("plugin", ": {why}"))?;
        Ok(Arc::new(OfRegistry::new(&self.registries, reference)))
    }

    /// Whether a component that is in no place yet could be a filter's plugin, as far as can be told without settings. Compiles it.
    ///
    /// # Errors
    /// Why not.
    pub fn holds(&self, component: &[u8]) -> anyhow::Result<()> {
        Component::look_at(&self.engine, component)
    }

    /// Whether the plugins of a filter that was loaded earlier may run by the same terms.
    pub(super) fn has_terms_of(&self, filter: &Filter) -> bool {
        let plugins =
            std::iter::once(filter.plugin()).chain(filter.shadow.iter().map(|shadow| shadow.plugin()));
        let terms = plugins.filter_map(|plugin| plugin.origin().terms());
        terms.into_iter().all(|terms| terms == self.registries.id())
    }

    /// Whether a filter that was loaded earlier finds the same tables.
    pub(super) fn has_tables_of(&self, filter: &Filter) -> bool {
        let theirs = Arc::as_ptr(&filter.guest.environment.tables).cast::<()>();
        theirs == Arc::as_ptr(&self.tables).cast::<()>()
    }
}

impl Filter {
    /// Links `plugin`, as `settings` say. Nothing is tried beside it.
    pub fn new(
        name: &str,
        settings: &FilterSettings,
        plugin: Component,
        cx: &FilterContext,
    ) -> anyhow::Result<Filter> {
        if settings.wasi == Wasi::None && !settings.allow.is_empty() {
            anyhow::bail!(wrong!(
                "allow",
                " grants something that only WASI can use: take `wasi: none` away"
            ));
        }
        if settings.state.interval.0 < SHORTEST {
            anyhow::bail!(wrong!("state.interval", " is shorter than 100ms"));
        }
        let name: Arc<str> = name.into();
        let (limits, allow) = (settings.limits, settings.allow.clone());
        let environment = match cx.silent {
            true => Environment::silent(name.clone(), limits, allow, cx.tables.clone()),
            false => Environment::new(name.clone(), limits, allow, cx.tables.clone()),
        };
        let text = serde_json::to_string(&settings.settings).context("settings")?;
        Ok(Filter {
            guest: Arc::new(Guest::link(&cx.engine, plugin, settings.wasi, text, environment)?),
            metrics: if cx.silent { FilterMetrics::silent(&name) } else { FilterMetrics::new(&name) },
            recent: Arc::default(),
            past: Arc::default(),
            ready: Mutex::default(),
            configured: settings.clone(),
            shadow: None,
            dead_letters: cx.dead_letters.clone(),
            name,
        })
    }

    /// Instances for workers to take.
    pub(super) fn add_ready(&self, instances: impl IntoIterator<Item = Instance>) {
        self.ready.lock().extend(instances);
    }

    /// An instance that is ready, if there is one.
    pub(super) fn take_ready(&self) -> Option<Instance> {
        self.ready.lock().pop()
    }

    /// Makes instances until `count` are ready. What fails is told when a worker tries again.
    pub(super) fn fill(&self, count: usize) {
        let missing = count.saturating_sub(self.ready.lock().len());
        let start = || Instance::start(&self.guest).ok().and_then(Result::ok);
        let more = apart(|| Ok((0..missing).map_while(|_| start()).collect::<Vec<_>>()));
        self.add_ready(more.unwrap_or_default());
    }

    /// Whether its file holds other code now, and none that was put back with the settings that it has, or its shadow's does.
    pub(super) fn is_stale(&self) -> bool {
        let is_spurned = |spurned: Arc<Spurned>| {
            spurned.is_of(&self.configured) && !self.plugin().origin().is_stale(&spurned.sha256)
        };
        self.plugin().is_stale() && !self.past.spurned().is_some_and(is_spurned)
            || self.shadow.as_ref().is_some_and(|shadow| shadow.plugin().is_stale())
    }

    /// The files that its plugin and that of its shadow come from.
    pub(super) fn files(&self) -> impl Iterator<Item = &std::path::Path> {
        let plugins = std::iter::once(self.plugin()).chain(self.shadow.as_deref().map(Shadow::plugin));
        plugins.filter_map(|plugin| plugin.origin().file())
    }

    /// How it stands with its probation, while that is open.
    pub fn on_probation(&self) -> Option<ProbationStatus> {
        self.past.status()
    }

    /// The plugin's code.
    pub fn plugin(&self) -> &Component {
        &self.guest.component
    }

    /// The plugin and its code, as reasons name them: `dissect (sha256 0123456789ab)`.
    pub fn label(&self) -> String {
        format!("{} (sha256 {})", self.plugin().name(), &self.plugin().sha256()[..12])
    }

    /// The reasons with who gives them. Rows that share a reason go on sharing it.
    pub fn causes(&self, rejected: &[(u32, Arc<str>)]) -> Vec<Cause> {
        let mut last: Option<(&Arc<str>, Arc<str>)> = None;
        let mut causes = Vec::with_capacity(rejected.len());
        for (row, reason) in rejected {
            let whole = match &last {
                Some((same, whole)) if Arc::ptr_eq(same, reason) => whole.clone(),
                _ => format!("filter {}, plugin {}: {reason}", self.name, self.label()).into(),
            };
            causes.push(Cause { row: *row, reason: Arc::clone(&whole) });
            last = Some((reason, whole));
        }
        causes
    }
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filter").field("name", &self.name).field("plugin", &self.plugin().name()).finish()
    }
}
