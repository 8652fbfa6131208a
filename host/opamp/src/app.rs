//! What is managed, as the agent sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use flitch_core::buffers::Progress;
use flitch_registry::Offer;

use crate::store::Kept;

/// What is managed. All answers are of this moment, and quick but for [`Managed::apply`].
pub trait Managed: Send + Sync + 'static {
    /// Puts a configuration that a server sent into force, in place of the one that is; none for the configuration of
    /// this machine. It is whole: what does not stand in it ends.
    ///
    /// # Errors
    /// What is wrong with it, for people, each thing with its line. What was in force goes on.
    fn apply(&self, sent: Option<Arc<Kept>>) -> impl Future<Output = Result<(), String>> + Send;

    /// What is in force.
    fn in_force(&self) -> InForce;

    /// A number that is another one when another configuration came into force.
    fn generation(&self) -> u64;

    /// What is in force, without what is secret in it.
    fn effective(&self) -> Vec<Document>;

    /// How its parts do.
    fn health(&self) -> Health;

    /// The plugins that run.
    fn plugins(&self) -> Vec<Plugin>;

    /// The packages that are here.
    fn packages(&self) -> Vec<Package>;

    /// Has a package that the server offers, and puts it in the place of what is here of that name. It is checked before, and
    /// where what runs it cannot go on with it, what was before is there again.
    ///
    /// # Errors
    /// It is not here, or not any more.
    fn install(&self, offer: Offer) -> impl Future<Output = Result<(), NotInstalled>> + Send;

    /// Whether this machine lets a server have it connect to where a URL leads.
    ///
    /// # Errors
    /// It does not, and why.
    fn may_connect(&self, url: &str) -> Result<(), String>;

    /// Forgets a package.
    ///
    /// # Errors
    /// What needs it.
    fn remove(&self, name: String) -> impl Future<Output = Result<(), String>> + Send;

    /// What is measured while a configuration is on probation.
    fn vitals(&self) -> Vitals;

    /// Makes the process end what it has under way, and start again.
    ///
    /// # Errors
    /// It could not start again, and why; it goes on.
    fn restart(&self) -> impl Future<Output = Result<(), String>> + Send;
}

/// Which configuration is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InForce {
    /// That of this machine.
    Own,
    /// One that a server sent.
    Sent(Arc<Kept>),
    /// That of this machine, since the one that a server sent could not be put into force at the start, and why not.
    Refused(Arc<Kept>, String),
}

/// What is told of a machine and of what runs on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// What identifies it: `service.name`, `service.version`.
    pub identifying: BTreeMap<String, String>,
    /// What else there is to know: `host.name`, `os.type`, labels of its owner.
    pub others: BTreeMap<String, String>,
}

/// A configuration that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its name; the first one's is empty.
    pub name: String,
    /// Its text, as YAML.
    pub text: String,
}

/// How all parts do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// When the process started, in ns since 1970.
    pub since: u64,
    /// Why it does not do its work; none where it does.
    pub reason: Option<String>,
    /// Its parts by their places in the configuration: `outputs.events`.
    pub components: BTreeMap<String, Component>,
}

/// How a part does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Component {
    /// In one sentence, what it cannot do; none where all is well.
    pub reason: Option<String>,
    /// What there is to say besides.
    pub detail: Option<String>,
}

/// A plugin that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// What is known of where it comes from, and of who signed it.
    pub version: String,
    /// SHA-256 of its code.
    pub sha256: Vec<u8>,
}

/// A package that is here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// What the server calls this version, and knows it by.
    pub version: String,
    /// The same.
    pub hash: Vec<u8>,
    /// One that had to go again: by what the server knows it, and why.
    pub refused: Option<(Vec<u8>, String)>,
}

/// Why a package is not here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotInstalled {
    /// It may not be.
    #[error("{0}")]
    Refused(String),
    /// It could not be had; later it may.
    #[error("{0}")]
    Failed(String),
}

/// What tells whether a configuration does well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Parts that cannot do their work, each with the reason.
    pub ailing: BTreeMap<String, String>,
    /// Outputs whose buffers are full, so that sources wait.
    pub full: BTreeSet<String>,
    /// Records that arrived, or were dropped on purpose, since the process started.
    pub done: u64,
    /// Records that went to the dead letters since then.
    pub rejected: u64,
    /// Records that are on their way.
    pub waiting: u64,
    /// How far each output is with what it has taken.
    pub outputs: BTreeMap<String, Progress>,
    /// Bytes of memory that the process has.
    pub memory: u64,
}
