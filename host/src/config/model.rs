//! What a configuration file holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::cases::TestSettings;
use super::output::OutputConfig;
use crate::admin::AdminSettings;
use crate::fleet::ManageSettings;
use crate::pipeline::PipelineSettings;
use flitch_core::batch::Cut;
use flitch_core::buffers::{self, BufferKind};
use flitch_core::dead_letter::DeadLetterSettings;
use flitch_core::units::{Bytes, Span, or_zero};
use flitch_filters::{FilterSettings, STATE_FOLDER, States, TableSettings};
use flitch_outputs::staging;
use flitch_registry::{PluginsSettings, Reference};
use flitch_sources::SourceSettings;

/// All of `flitch.yaml`.
///
/// Values may hold `${NAME}` and `${NAME:-default}` (the environment), `${file:/path}` (the text of a file) and
/// `${base64:/path}` (its bytes); `$${` stands for `${`. Keys at the top that begin with `x-` are left to the writer, as a
/// place for YAML anchors.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The folder of everything that flitch keeps: positions of files, buffers on disk, dead letters, compiled plugins. A
    /// relative path is from the folder in which flitch is started, unlike those of plugins and tables, which are from the
    /// folder of the configuration; a service needs an absolute one.
    #[serde(default = "data_dir")]
    pub data_dir: PathBuf,
    /// Where records come from, each under a name of its own.
    #[serde(default)]
    pub sources: BTreeMap<String, SourceSettings>,
    /// What changes records on their way.
    #[serde(default)]
    pub filters: BTreeMap<String, FilterSettings>,
    /// Plugins from registries: whose they may be, and how they are had.
    #[serde(default)]
    pub plugins: PluginsSettings,
    /// Files that filters look things up in, each under the name that they use for it.
    #[serde(default)]
    pub tables: BTreeMap<String, TableSettings>,
    /// Where records go.
    #[serde(default)]
    pub outputs: BTreeMap<String, OutputConfig>,
    /// Ways from sources through filters to outputs.
    #[serde(default)]
    pub pipelines: BTreeMap<String, PipelineSettings>,
    /// When sources cut a batch.
    #[serde(default)]
    pub batch: BatchSettings,
    /// How records are kept that no stage can take further.
    #[serde(default)]
    pub dead_letter: DeadLetterSettings,
    /// Metrics, health and status over HTTP.
    #[serde(default)]
    pub admin: AdminSettings,
    /// A server that manages this flitch, and what it may not touch.
    #[serde(default)]
    pub manage: ManageSettings,
    /// Tests of pipelines, each under a name of its own, which may be a sentence. `flitch test` runs them.
    #[serde(default)]
    pub tests: BTreeMap<String, TestSettings>,
    /// How long SIGTERM and SIGINT wait until everything on its way has arrived, and a reload until what it replaces
    /// has let go of it; `0s` does not wait.
    #[serde(default = "drain_timeout", deserialize_with = "or_zero")]
    pub drain_timeout: Span,
}

impl Config {
    /// The tags that registries are to be asked for, and how often; relative paths are from `folder`.
    pub fn polled(&self, folder: &Path) -> Vec<(Reference, Duration)> {
        let mut all: BTreeMap<String, (Reference, Duration)> = BTreeMap::new();
        for (reference, every) in self.filters.values().filter_map(|filter| filter.polled(folder)) {
            let known = all.entry(reference.to_string()).or_insert((reference, every));
            known.1 = known.1.min(every);
        }
        all.into_values().collect()
    }

    /// Whether anything comes from a registry or an OCI layout.
    pub fn has_references(&self) -> bool {
        self.filters.values().any(|filter| filter.references().next().is_some())
    }

    /// The folders of buffers on disk in which records wait, and which no output in use has.
    pub fn left_buffers(&self) -> Vec<PathBuf> {
        let below = self.data_dir.join(buffers::FOLDER);
        let used = |name: &str| self.pipelines.values().any(|p| p.to.iter().any(|to| to.output == name));
        let used = self.outputs.iter().filter(|(name, _)| used(name));
        let own: BTreeSet<PathBuf> =
            used.filter_map(|(name, output)| output.buffer.folder(name, &below)).collect();
        buffers::folders(&below).into_iter().filter(|folder| !own.contains(folder)).collect()
    }

    /// The folders of outputs in which objects are stored (`ack: stored`), and which no output in use finishes.
    pub fn left_objects(&self) -> Vec<PathBuf> {
        let used = |name: &str| self.pipelines.values().any(|p| p.to.iter().any(|to| to.output == name));
        let finishes = |name: &str| self.outputs.get(name).is_some_and(|output| output.kind.builds());
        let is_left = |folder: &PathBuf| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            !(used(&name) && finishes(&name)) && staging::has_stored(folder)
        };
        let folders = std::fs::read_dir(self.data_dir.join("outputs")).into_iter().flatten();
        let mut left: Vec<PathBuf> = folders.flatten().map(|entry| entry.path()).filter(is_left).collect();
        left.sort();
        left
    }

    /// The files of what filters remember that no pipeline has.
    pub fn left_states(&self) -> Vec<PathBuf> {
        let in_use = |pipeline: &str, filter: &str| {
            self.pipelines
                .get(pipeline)
                .is_some_and(|pipeline| pipeline.filters.iter().any(|name| name == filter))
        };
        States::left(&self.data_dir.join(STATE_FOLDER), in_use)
    }

    /// How many files and connections each part that is in use may hold open at once, under the part's path.
    pub fn descriptors(&self) -> Vec<(String, u64)> {
        let mut parts: Vec<(String, u64)> = Vec::new();
        if self.admin.enabled {
            parts.push(("admin".to_owned(), self.admin.max_connections as u64 + 2));
        }
        let used = |name: &str| self.pipelines.values().any(|p| p.from.iter().any(|from| from == name));
        for (name, source) in self.sources.iter().filter(|(name, _)| used(name)) {
            parts.push((format!("sources.{name}"), source.descriptors()));
        }
        let used = |name: &str| self.pipelines.values().any(|p| p.to.iter().any(|to| to.output == name));
        for (name, output) in self.outputs.iter().filter(|(name, _)| used(name)) {
            let buffer = if output.buffer.kind == BufferKind::Disk { BUFFER_FILES } else { 0 };
            parts.push((format!("outputs.{name}"), output.kind.descriptors() + buffer));
        }
        parts
    }
}

/// Files that a buffer on disk holds open: its lock, what is settled, one segment to write and one to read, one to park.
const BUFFER_FILES: u64 = 5;

/// What is said of such a folder.
pub fn left_buffer(folder: &Path) -> String {
    format!("records wait in the buffer {}, and no output that is in use has it", folder.display())
}

/// What is said of a folder of objects.
pub fn left_object(folder: &Path) -> String {
    format!("objects are stored in {}, and no output that is in use finishes them", folder.display())
}

fn data_dir() -> PathBuf {
    PathBuf::from("/var/lib/flitch")
}

fn drain_timeout() -> Span {
    Span(Duration::from_secs(30))
}

/// When sources cut a batch: at whichever comes first, and at once when a sender waits for its answer or there is
/// nothing more to read.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchSettings {
    /// Most records in a batch.
    #[schemars(range(min = 1, max = 65536))]
    pub rows: usize,
    /// Most bytes in a batch, as they came.
    pub bytes: Bytes,
    /// Longest time that the first record waits for more.
    pub age: Span,
}

impl Default for BatchSettings {
    fn default() -> Self {
        let Cut { rows, bytes, age } = Cut::default();
        BatchSettings { rows, bytes: Bytes(bytes as u64), age: Span(age) }
    }
}

impl BatchSettings {
    /// The same as sources take it.
    pub fn cut(&self) -> Cut {
        Cut { rows: self.rows, bytes: self.bytes.0 as usize, age: self.age.0 }
    }
}
