//! The settings of a filter.

use std::path::Path;
use std::time::Duration;

use anyhow::{bail, ensure};
use flitch_registry::{Place, Reference};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::guest::{Allow, LimitSettings, Wasi};
use super::probation::settings::ProbationSettings;
use super::saved::StateSettings;
use super::shadow::ShadowSettings;
use flitch_core::setting::wrong;
use flitch_core::units::Span;

/// One filter: which plugin, with which settings, within which limits.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct FilterSettings {
    /// A bare name (`dissect`) is a stock plugin, which the binary holds; `oci://registry.example.com/team/parse:1.2@sha256:…`
    /// is one of a registry, and `oci-layout:/srv/plugins:1.2@sha256:…` one of an OCI layout on disk (see `plugins`);
    /// `package:parse` is one that the server sends which manages this flitch (`manage.opamp.accept_packages`); anything else with
    /// a `/` or the ending `.wasm` is the path of a component.
    pub plugin: String,
    /// How often the registry is asked what a tag stands for, a tenth more or less, where `plugin` has a tag and no digest: what
    /// is new is tried and swapped in as any new version. Not set: a tag goes on standing for what it stood for when it was
    /// pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<Span>,
    /// What the plugin itself is told; its README says which keys it knows.
    #[serde(default = "no_settings")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub settings: serde_json::Value,
    /// What one instance may use.
    #[serde(default)]
    pub limits: LimitSettings,
    /// What becomes of a record that the plugin rejects or cannot survive.
    #[serde(default)]
    pub on_error: OnError,
    /// What becomes of a new generation that is worse than the one before it.
    #[serde(default)]
    pub probation: ProbationSettings,
    /// Most instances of the plugin. A filter that keeps state across records asks for `1`, and its pipeline then has
    /// one worker. By default each worker has an instance of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub instances: Option<std::num::NonZeroUsize>,
    /// How what the plugin remembers is kept, where it says what that is.
    #[serde(default)]
    pub state: StateSettings,
    /// A plugin that is tried beside this one: it is given some of the same batches, and nothing comes of what it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowSettings>,
    /// How much of WASI 0.2 the plugin finds.
    #[serde(default)]
    pub wasi: Wasi,
    /// What the plugin may reach beyond its records.
    #[serde(default)]
    pub allow: Allow,
}

/// The shortest time between two questions what a tag stands for.
const SHORTEST: Duration = Duration::from_secs(1);

impl FilterSettings {
    /// Whether the settings make sense, as far as can be told without the plugin.
    ///
    /// # Errors
    /// What does not; the text names the setting.
    pub fn check(&self) -> anyhow::Result<()> {
        let parse = |plugin: &str| match Reference::is_one(plugin) {
            true => Reference::parse(plugin, Path::new("")).map(Some),
            false => Ok(None),
        };
        let reference = parse(&self.plugin).map_err(|why| wrong!("plugin", ": {why}"))?;
        if let Some(shadow) = &self.shadow {
            parse(&shadow.plugin).map_err(|why| wrong!("shadow.plugin", ": {why}"))?;
        }
        let Some(update) = self.update else { return Ok(()) };
        ensure!(update.0 >= SHORTEST, wrong!("update", ": {update} is less than a second"));
        match reference {
            Some(Reference { place: Place::Registry { .. }, digest: None, .. }) => Ok(()),
            Some(Reference { digest: Some(_), .. }) => bail!(wrong!(
                "update",
                ": `plugin` is pinned to a digest, which never stands for anything else; take `@sha256:…` away, or `update`"
            )),
            _ => bail!(wrong!(
                "update",
                " is for a plugin of a registry (`oci://…`); files and layouts are taken anew when they change"
            )),
        }
    }

    /// The plugins that come from a registry or a layout, its own and the one that is tried beside it, as they stand there.
    pub fn references(&self) -> impl Iterator<Item = &str> {
        let shadow = self.shadow.as_ref().map(|shadow| shadow.plugin.as_str());
        std::iter::once(self.plugin.as_str()).chain(shadow).filter(|plugin| Reference::is_one(plugin))
    }

    /// The tag that a registry is to be asked for, and how often; a relative path is from `folder`.
    pub fn polled(&self, folder: &Path) -> Option<(Reference, Duration)> {
        let every = self.update?.0;
        Some((Reference::parse(&self.plugin, folder).ok()?, every))
    }

    /// A filter that runs `plugin` with its defaults.
    pub fn of(plugin: &str) -> FilterSettings {
        FilterSettings {
            plugin: plugin.to_owned(),
            update: None,
            settings: no_settings(),
            limits: LimitSettings::default(),
            on_error: OnError::default(),
            probation: ProbationSettings::default(),
            instances: None,
            state: StateSettings::default(),
            shadow: None,
            wasi: Wasi::default(),
            allow: Allow::default(),
        }
    }
}

fn no_settings() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

/// What becomes of a record that a filter rejects, or that its plugin cannot survive.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// It goes to the dead letters, as it came to the filter, with the reason.
    #[default]
    DeadLetter,
    /// It goes on as it came, with the reason in `@error`.
    Pass,
    /// It is dropped, and counted.
    Drop,
}

/// A plugin does not take its settings.
#[derive(Debug, thiserror::Error)]
#[error("{plugin} refuses its settings: {reason}")]
pub struct Refused {
    plugin: String,
    reason: String,
}

impl Refused {
    /// What `plugin` said of its settings.
    pub fn new(plugin: &str, reason: String) -> Refused {
        Refused { plugin: plugin.to_owned(), reason }
    }

    /// The setting that it means, from the filter on (`settings.rules[0]`), where it says so: reasons made by the SDK
    /// name it, before a colon.
    pub fn key(&self) -> &str {
        let named = self.reason.split_whitespace().find(|word| word.starts_with("settings."));
        named.map_or("settings", |key| key.trim_end_matches(':'))
    }
}
