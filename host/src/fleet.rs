//! This flitch as a server manages it, by [`flitch_opamp`]: which configuration is in force, how its parts do, and what
//! the server has done.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::admin::{Status, StatusBoard};
use crate::app::{Command, Control, Refused};
use crate::config::{self, Config, ConfigError, Loaded, is_host_allowed};
use flitch_core::clock::Clock;
use flitch_core::machine::{hostname, release};
use flitch_opamp::{
    Agent, Component, Description, Document, Health, InForce, Kept, Managed, NotInstalled, OpampSettings,
    Package, Place, Plugin, Vitals,
};
use flitch_registry::Offer;

mod packages;
mod settings;

pub use settings::{AllowSettings, ManageSettings};

/// The folder in `data_dir` of what is kept for the server.
const FOLDER: &str = "manage";
/// The parts by which the way to the server calls itself, which are no fault of a configuration: that there is none, and that it
/// is not the one that the server has offered.
const AWAY: &str = "manager opamp";
const LOST: &str = "manager connection";

/// Which configuration is in force.
#[derive(Debug)]
pub struct Chosen {
    /// That of this machine.
    pub own: Loaded,
    /// One that a server sent, and that is in force in its place.
    pub sent: Option<Loaded>,
}

impl Chosen {
    /// The one in force.
    pub fn in_force(&self) -> &Loaded {
        self.sent.as_ref().unwrap_or(&self.own)
    }
}

/// What is to be in force where a server `sent` a configuration for a machine whose own, at `path`, is `own`.
///
/// # Errors
/// All that is wrong with what was sent.
pub fn instead(own: Loaded, sent: Option<&Kept>, path: &Path) -> Result<Chosen, ConfigError> {
    let sent = sent.map(|sent| read(&own, sent, path)).transpose()?;
    Ok(Chosen { own, sent })
}

fn read(own: &Loaded, sent: &Kept, path: &Path) -> Result<Loaded, ConfigError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let sent = config::sent(&sent.text, &own.config, &folder)?;
    sent.check_parts()?;
    Ok(sent)
}

/// What to start with: the last configuration of the server that did well, where there is one, and it may still be put into
/// force.
pub fn at_start(own: Loaded, path: &Path) -> (Chosen, InForce) {
    if own.config.manage.opamp.as_ref().is_none_or(|opamp| !opamp.accept_config) {
        return (Chosen { own, sent: None }, InForce::Own);
    }
    let folder = own.config.data_dir.join(FOLDER);
    let kept = match flitch_opamp::kept(&folder) {
        Ok(Some(kept)) => Arc::new(kept),
        Ok(None) => return (Chosen { own, sent: None }, InForce::Own),
        Err(error) => {
            tracing::error!(
                folder = %folder.display(),
                %error,
                "the last configuration of the server cannot be read; that of this machine is in force"
            );
            return (Chosen { own, sent: None }, InForce::Own);
        }
    };
    match read(&own, &kept, path) {
        Ok(sent) => (Chosen { own, sent: Some(sent) }, InForce::Sent(kept)),
        Err(error) => (Chosen { own, sent: None }, refused(kept, error.to_string())),
    }
}

/// The text of what a machine with this configuration goes back to, where that is of a server.
pub fn kept_text(config: &Config) -> Option<String> {
    Some(flitch_opamp::kept(&config.data_dir.join(FOLDER)).ok()??.text)
}

/// The last configuration of the server cannot be put into force.
pub fn refused(kept: Arc<Kept>, reason: String) -> InForce {
    tracing::error!(
        "the last configuration of the server cannot be put into force; that of this machine is: {reason}"
    );
    InForce::Refused(kept, reason)
}

/// The agent of this flitch.
///
/// # Errors
/// The settings are wrong, or its folder cannot be used.
pub fn agent(settings: &OpampSettings, config: &Config, managed: Arc<Fleet>) -> anyhow::Result<Agent<Fleet>> {
    let place = Place {
        folder: config.data_dir.join(FOLDER),
        machine: machine(),
        description: description(),
        clock: Clock::system(),
        health: managed.board.health().clone(),
    };
    Agent::open(settings, place, managed)
}

/// What tells this machine from others, also from those that were cloned from it, as far as this user may see it.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    format!("{} {}", read("/etc/machine-id"), read("/sys/class/dmi/id/product_uuid"))
}

fn description() -> Description {
    let texts = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
    };
    Description {
        identifying: texts(&[("service.name", "flitch"), ("service.version", env!("CARGO_PKG_VERSION"))]),
        others: texts(&[
            ("host.name", hostname()),
            ("host.arch", std::env::consts::ARCH),
            ("os.type", std::env::consts::OS),
            ("os.version", &release()),
        ]),
    }
}

/// The running daemon, as an agent manages it.
pub struct Fleet {
    control: Control,
    board: Arc<StatusBoard>,
    since: u64,
    in_force: Mutex<InForce>,
    /// Why it does not restart though the server wants it, and how many configurations had been in force then.
    stays: Mutex<Option<(u64, String)>>,
}

impl Fleet {
    /// The daemon that has this control and this board, and started with this.
    pub fn new(control: Control, board: Arc<StatusBoard>, in_force: InForce) -> Fleet {
        let since = u64::try_from(Clock::system().now()).unwrap_or(0);
        Fleet { control, board, since, in_force: Mutex::new(in_force), stays: Mutex::default() }
    }

    /// Runs its agent until `stop` is cancelled.
    ///
    /// # Errors
    /// As of [`agent`].
    pub async fn run(self: Arc<Self>, config: Arc<Config>, stop: CancellationToken) -> anyhow::Result<()> {
        let Some(settings) = &config.manage.opamp else { return Ok(()) };
        agent(settings, &config, self)?.run(&stop).await;
        Ok(())
    }
}

impl Managed for Fleet {
    async fn apply(&self, sent: Option<Arc<Kept>>) -> Result<(), String> {
        let answer = self.control.ask(Command::Manage(sent.clone())).await;
        answer.map_err(|refused| refused.to_string())?;
        *self.in_force.lock() = sent.map_or(InForce::Own, InForce::Sent);
        Ok(())
    }

    fn in_force(&self) -> InForce {
        self.in_force.lock().clone()
    }

    fn generation(&self) -> u64 {
        self.board.choices()
    }

    fn effective(&self) -> Vec<Document> {
        let Some(chosen) = self.board.in_force() else { return Vec::new() };
        let document = |name: &str, loaded: &Loaded| Document {
            name: name.to_owned(),
            text: loaded.file.shown().to_owned(),
        };
        let mut documents = vec![document("", chosen.in_force())];
        documents.extend(chosen.sent.is_some().then(|| document("own", &chosen.own)));
        documents
    }

    fn health(&self) -> Health {
        let status = self.board.read();
        let mut components: BTreeMap<String, Component> = BTreeMap::new();
        for (name, pipeline) in &status.pipelines {
            components.insert(format!("pipelines.{name}"), Component::default());
            let parts =
                [("sources", &pipeline.from), ("filters", &pipeline.filters), ("outputs", &pipeline.to)];
            for (section, names) in parts {
                components
                    .extend(names.iter().map(|name| (format!("{section}.{name}"), Component::default())));
            }
        }
        for (output, _) in status.outputs.iter().filter(|(_, output)| output.full) {
            let reason = Some("its buffer is full, so sources wait".to_owned());
            components.insert(format!("outputs.{output}"), Component { reason, detail: None });
        }
        for (part, reason) in ailing(&status) {
            components.entry(place(&part)).or_default().reason = Some(reason);
        }
        let stays = self.stays.lock().clone().filter(|(at, _)| *at == self.board.choices());
        let stays = stays.map(|(_, reason)| format!("it could not start again, and was to: {reason}"));
        if let Some(reason) = status.ailments.get(LOST).cloned().or(stays) {
            let reason = Some(reason);
            components.insert("manage.opamp".to_owned(), Component { reason, detail: None });
        }
        for (name, filter) in &status.filters {
            let Some(reference) = &filter.reference else { continue };
            let signed_by = filter.signed_by.as_ref().map(|key| format!(", signed by {key}"));
            let component = components.entry(format!("filters.{name}")).or_default();
            component.detail = Some(format!("{reference}{}", signed_by.unwrap_or_default()));
        }
        Health { since: self.since, reason: self.board.not_ready(), components }
    }

    fn plugins(&self) -> Vec<Plugin> {
        let plugin = |status: &crate::admin::FilterStatus| {
            let sha256 = &*status.sha256;
            let is_stock = crate::STOCK.names().any(|name| name == status.plugin);
            let mut version = match (is_stock, &status.reference) {
                (true, _) => env!("CARGO_PKG_VERSION").to_owned(),
                (_, Some(reference)) => reference.clone(),
                (_, None) => format!("sha256:{}", sha256.get(..12).unwrap_or(sha256)),
            };
            if let Some(key) = &status.signed_by {
                version += &format!(", signed by {key}");
            }
            Plugin { name: status.plugin.clone(), version, sha256: bytes(sha256) }
        };
        // Of packages that is told apart.
        let status = self.board.read();
        status.filters.values().filter(|filter| !filter.plugin.starts_with("package:")).map(plugin).collect()
    }

    fn packages(&self) -> Vec<Package> {
        let package = |package: flitch_registry::Package| Package {
            name: package.name,
            version: package.now.version,
            hash: package.now.hash,
            refused: package.refused.map(|refused| (refused.hash, refused.reason)),
        };
        self.packages_here().into_iter().map(package).collect()
    }

    async fn install(&self, offer: Offer) -> Result<(), NotInstalled> {
        self.takes(offer).await
    }

    fn may_connect(&self, url: &str) -> Result<(), String> {
        let chosen = self.board.in_force().ok_or("flitch has not started yet")?;
        is_host_allowed(url, &chosen.own.config.manage.allow)
    }

    async fn remove(&self, name: String) -> Result<(), String> {
        let answer = self.control.ask(Command::Forget(name)).await;
        answer.map(drop).map_err(|refused| refused.to_string())
    }

    fn vitals(&self) -> Vitals {
        let status = self.board.read();
        let accounts = || status.sources.values().map(|source| &source.accounts);
        Vitals {
            ailing: ailing(&status).into_iter().collect(),
            full: status.outputs.iter().filter(|(_, o)| o.full).map(|(name, _)| name.to_string()).collect(),
            done: accounts().map(|sums| sums.delivered + sums.dropped + sums.stored).sum(),
            rejected: accounts().map(|sums| sums.dead_lettered).sum(),
            waiting: status.sources.values().map(|source| source.in_flight).sum(),
            outputs: status.outputs.iter().map(|(name, o)| (name.to_string(), o.progress)).collect(),
            memory: memory(),
        }
    }

    async fn restart(&self) -> Result<(), String> {
        let refused = match self.control.ask(Command::Restart).await {
            // It ends, and with it whoever would have answered.
            Ok(_) | Err(Refused::Ending) => None,
            Err(refused) => Some(refused.to_string()),
        };
        *self.stays.lock() = refused.clone().map(|reason| (self.board.choices(), reason));
        refused.map_or(Ok(()), Err)
    }
}

/// What parts cannot do now, each with the reason, but for the way to the server.
fn ailing(status: &Status) -> Vec<(String, String)> {
    let down = status.failures.iter().filter(|(_, failures)| failures.down);
    let down = down.map(|(part, failures)| (part.clone(), failures.reason.clone()));
    let ailments = status.ailments.iter().map(|(part, reason)| (part.clone(), reason.clone()));
    down.chain(ailments).filter(|(part, _)| part != AWAY && part != LOST).collect()
}

/// Where a part stands in the configuration, if it does: `outputs.events` for `output events`.
fn place(part: &str) -> String {
    match part.split_once(' ') {
        Some((kind @ ("source" | "output" | "table" | "filter"), name)) => format!("{kind}s.{name}"),
        _ => part.to_owned(),
    }
}

/// Bytes of memory that the process has.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
    resident.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) << 10
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests;
