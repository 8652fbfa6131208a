//! Puts the configurations of a server into force, and goes back where one does not do well. It goes on whether there is
//! a server or not.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use flitch_core::clock::Clock;
use flitch_core::hex;
use flitch_core::telemetry::{Metric, Quiet};

use crate::app::{InForce, Managed};
use crate::desk::Desk;
use crate::orders::{Orders, names_packages};
use crate::pace::Allowance;
use crate::probation::{LOOK, Lately, Probation, Verdict};
use crate::settings::OpampSettings;
use crate::store::{Kept, Store};
use crate::wire::{AgentRemoteConfig, ConfigStatus, RemoteConfigStatus};

/// How long after its start flitch does not restart because a server wants it: one that asks each time it hears of flitch
/// would have it do nothing else.
const SETTLED: Duration = Duration::from_secs(10);
/// Configurations that may follow each other at once, and how long each takes to be allowed again: of a server that has another
/// one with each answer the last one counts, and neither the processor nor the log is full of the others.
const AT_ONCE: u32 = 20;
const EVERY: Duration = Duration::from_secs(10);
/// Configurations that were refused and are remembered.
const REFUSED: usize = 64;
/// Pause between two attempts to go back, and the first one before what had stood is tried again that could not be put into force
/// at the start, which doubles up to the longest.
const AGAIN: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(300);

/// Keeps a configuration in force.
pub struct Keeper<M> {
    managed: Arc<M>,
    desk: Arc<Desk>,
    orders: Arc<Orders>,
    store: Store,
    settings: OpampSettings,
    clock: Clock,
    started: Instant,
    /// The last one of the server that stood its probation; none where that is the one of this machine.
    good: Option<Arc<Kept>>,
    running: Option<Arc<Kept>>,
    /// The last one that came, and what became of it.
    last: Option<RemoteConfigStatus>,
    /// The last ones that were refused, or had to go: none of them is tried again.
    refused: VecDeque<RemoteConfigStatus>,
    lately: Lately,
    probation: Option<Probation>,
    /// Why the one that runs has to go, and when that is tried.
    leaving: Option<(String, Instant)>,
    /// One that had stood before and could not be put into force at the start, be it for a port in use or a file that was not there
    /// yet; and when it is tried again.
    returning: Option<Returning>,
    generation: Option<u64>,
    /// Whether it is written down that a configuration is tried.
    is_noted: bool,
    /// A configuration that names packages and was refused: it is tried again when another package has come.
    waiting: Option<AgentRemoteConfig>,
    unwilling: Quiet,
    leave: Allowance,
    /// The last one that came, where too many came.
    held: Option<AgentRemoteConfig>,
}

struct Returning {
    kept: Arc<Kept>,
    at: Instant,
    pause: Duration,
}

impl<M: Managed> Keeper<M> {
    /// A keeper of what is in force now.
    pub fn new(
        managed: Arc<M>,
        (desk, orders): (Arc<Desk>, Arc<Orders>),
        store: Store,
        settings: &OpampSettings,
        clock: Clock,
    ) -> Keeper<M> {
        let mut returning = None;
        let (running, mut last) = match managed.in_force() {
            InForce::Own => (None, None),
            InForce::Sent(kept) => (Some(kept.clone()), Some(status(&kept.hash, ConfigStatus::Applied, ""))),
            InForce::Refused(kept, reason) => {
                let said = format!("at the start, and it is tried again: {reason}");
                let last = status(&kept.hash, ConfigStatus::Failed, &said);
                returning = Some(Returning { kept, at: Instant::now() + AGAIN, pause: AGAIN });
                (None, Some(last))
            }
        };
        // One that had stood before is in force, and was not what ended it.
        let is_running = |hash: &Vec<u8>| running.as_ref().is_some_and(|running| running.hash == *hash);
        if let Some(hash) = store.crashed().filter(|hash| !is_running(hash)) {
            let reason = "flitch ended without a word while this configuration was on probation; it is not taken up again";
            last = Some(status(&hash, ConfigStatus::Failed, reason));
        }
        last.iter().for_each(|last| desk.status(last.clone()));
        let refused = last.iter().filter(|last| last.status() == ConfigStatus::Failed).cloned().collect();
        let mut keeper = Keeper {
            managed,
            desk,
            orders,
            store,
            settings: settings.clone(),
            clock,
            started: Instant::now(),
            good: running.clone(),
            running,
            last,
            refused,
            lately: Lately::default(),
            probation: None,
            leaving: None,
            returning,
            generation: None,
            is_noted: false,
            waiting: None,
            unwilling: Quiet::a_minute(),
            leave: Allowance::new(AT_ONCE, EVERY, Instant::now()),
            held: None,
        };
        // The first message tells all.
        keeper.tell();
        keeper
    }

    /// Keeps on until `stop` is cancelled; what it is about then is given up.
    pub async fn run(mut self, stop: &CancellationToken) {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let orders = self.orders.clone();
        let work = async {
            loop {
                tokio::select! {
                    wanted = orders.next() => {
                        if let Some(config) = wanted.config {
                            self.offered(config).await;
                        }
                        if wanted.installed && let Some(config) = self.waiting.take() {
                            self.last = None;
                            self.refused.retain(|known| known.last_remote_config_hash != config.config_hash);
                            self.offered(config).await;
                        }
                        if wanted.restart {
                            self.restart().await;
                        }
                    }
                    _ = looks.tick() => self.look().await,
                }
            }
        };
        stop.run_until_cancelled(work).await;
        // Who ends flitch in good order says nothing about a configuration: it may be tried again.
        if self.is_noted {
            self.noted(self.store.tries_none());
        }
    }

    async fn offered(&mut self, offered: AgentRemoteConfig) {
        let hash = offered.config_hash.clone();
        let again = names_packages(&offered).then(|| offered.clone());
        if self.last.as_ref().is_some_and(|last| last.last_remote_config_hash == hash) {
            return;
        }
        self.held = None;
        let known = self.refused.iter().find(|known| known.last_remote_config_hash == hash);
        if let Some(known) = known.filter(|_| !hash.is_empty()).cloned() {
            return self.say(known);
        }
        if !self.leave.take(Instant::now()) {
            self.held = Some(offered);
            return;
        }
        if hash.is_empty() {
            return self.failed(&hash, "it comes without a hash, by which both sides would know it");
        }
        if !self.settings.accept_config {
            return self
                .failed(&hash, "this flitch takes no configuration of a server (`accept_config: false`)");
        }
        let text = match whole(offered) {
            Ok(text) => text,
            Err(reason) => return self.failed(&hash, &reason),
        };
        let sent = Arc::new(Kept { hash, text });
        if self.running.as_ref().is_some_and(|running| running.text == sent.text) && self.leaving.is_none() {
            return self.is_the_same(sent);
        }
        self.waiting = None;
        self.say(status(&sent.hash, ConfigStatus::Applying, ""));
        // One that has stood before is on no probation: there is nothing to go back to but itself.
        let has_stood = self.good.as_ref().is_some_and(|good| good.text == sent.text);
        if !has_stood {
            if let Err(error) = self.store.tries(&sent.hash) {
                return self
                    .failed(&sent.hash, &format!("it cannot be written down that it is tried: {error}"));
            }
            self.is_noted = true;
        }
        tracing::info!(hash = %beginning(&sent.hash), "the server sends another configuration");
        if let Err(reason) = self.managed.apply(Some(sent.clone())).await {
            // The one that runs may be on probation itself.
            let tried = self.running.clone().filter(|_| self.probation.is_some());
            let noted = match tried {
                Some(running) => self.store.tries(&running.hash),
                None => self.tries_none(),
            };
            self.noted(noted);
            self.waiting = again;
            return self.failed(&sent.hash, &reason);
        }
        Metric::ManagedConfigs.counter(&[("result", "applied")]).increment(1);
        self.running = Some(sent.clone());
        self.leaving = None;
        if has_stood {
            self.say(status(&sent.hash, ConfigStatus::Applied, ""));
            self.tell();
            return self.stood();
        }
        // Where one on probation was replaced, the measure is what was before that.
        let length = self.settings.probation.0;
        self.probation = Some(Probation::new(Instant::now(), length, &self.lately));
        self.say(status(&sent.hash, ConfigStatus::Applied, ""));
        self.tell();
        if length.is_zero() {
            self.stood();
        }
    }

    /// It is the one that runs, by another hash.
    fn is_the_same(&mut self, sent: Arc<Kept>) {
        self.say(status(&sent.hash, ConfigStatus::Applied, ""));
        self.running = Some(sent.clone());
        let noted = match self.probation {
            Some(_) => self.store.tries(&sent.hash),
            None => {
                self.good = Some(sent.clone());
                self.store.keep(&sent)
            }
        };
        self.noted(noted);
    }

    /// Looks how things are.
    async fn look(&mut self) {
        if self.leave.due(Instant::now()) <= Instant::now()
            && let Some(config) = self.held.take()
        {
            self.offered(config).await;
        }
        let (now, vitals) = (Instant::now(), self.managed.vitals());
        match &mut self.probation {
            Some(probation) => match probation.look(now, &vitals) {
                Verdict::Open => {}
                Verdict::Stood => self.stood(),
                Verdict::Worse(reason) => self.leaving = Some((reason, now)),
            },
            None if self.leaving.is_none() => self.lately.note(vitals),
            None => {}
        }
        if let Some((reason, at)) = self.leaving.clone()
            && now >= at
        {
            self.probation = None;
            self.goes_back(reason).await;
        }
        // What runs meanwhile is the machine's own, or another one that the server has sent, which is to show what it is worth.
        if self.running.is_none()
            && let Some(returning) = self.returning.take_if(|returning| returning.at <= now)
        {
            self.returns(returning).await;
        }
        self.tell();
    }

    /// Tries again what had stood before.
    async fn returns(&mut self, Returning { kept, pause, .. }: Returning) {
        if let Err(reason) = self.managed.apply(Some(kept.clone())).await {
            let pause = (pause * 2).min(LONGEST);
            tracing::warn!(hash = %beginning(&kept.hash), "the last configuration of the server is tried again in {} s: {reason}", pause.as_secs());
            self.returning = Some(Returning { kept, at: Instant::now() + pause, pause });
            return;
        }
        Metric::ManagedConfigs.counter(&[("result", "applied")]).increment(1);
        tracing::info!(hash = %beginning(&kept.hash), "the last configuration of the server is in force again");
        self.refused.retain(|known| known.last_remote_config_hash != kept.hash);
        // Another one may have come since.
        if self.last.as_ref().is_some_and(|last| last.last_remote_config_hash == kept.hash) {
            self.say(status(&kept.hash, ConfigStatus::Applied, ""));
        }
        self.running = Some(kept.clone());
        self.good = Some(kept);
    }

    /// Tells what is so now, where it is other than before.
    fn tell(&mut self) {
        let generation = self.managed.generation();
        if self.generation != Some(generation) {
            self.generation = Some(generation);
            self.desk.effective(self.managed.effective());
        }
        self.desk.plugins(self.managed.plugins());
        let now = u64::try_from(self.clock.now()).unwrap_or(0);
        self.desk.health(&self.managed.health(), now);
    }

    /// What runs has stood its probation.
    fn stood(&mut self) {
        (self.probation, self.returning) = (None, None);
        let Some(running) = self.running.clone() else { return };
        tracing::info!(hash = %beginning(&running.hash), "the configuration of the server has stood its probation");
        self.is_noted = false;
        self.noted(self.store.keep(&running));
        self.good = Some(running);
    }

    /// What runs has to go.
    async fn goes_back(&mut self, reason: String) {
        let Some(running) = self.running.clone() else { return };
        let hash = beginning(&running.hash);
        tracing::error!(%hash, reason, "the configuration of the server is worse than what was before, which returns");
        match self.managed.apply(self.good.clone()).await {
            Ok(()) => {
                Metric::ManagedConfigs.counter(&[("result", "reverted")]).increment(1);
                self.leaving = None;
                self.running = self.good.clone();
                let noted = self.tries_none();
                self.noted(noted);
                let said = format!("{reason}; what was before is in force again");
                self.say(status(&running.hash, ConfigStatus::Failed, &said));
            }
            Err(error) => {
                let said = format!(
                    "{reason}; what was before cannot be put into force, which is tried again: {error}"
                );
                self.say(status(&running.hash, ConfigStatus::Failed, &said));
                self.leaving = Some((reason, Instant::now() + AGAIN));
            }
        }
    }

    async fn restart(&self) {
        let why = match self.settings.accept_restart {
            false => "which this flitch does not take (`accept_restart: false`)".to_owned(),
            true if self.started.elapsed() < SETTLED => "and flitch has just started, and goes on".to_owned(),
            true => match self.managed.restart().await {
                Ok(()) => return tracing::info!("the server wants a restart"),
                Err(reason) => format!("after which flitch could not start, so it goes on: {reason}"),
            },
        };
        // It may ask with each answer.
        if self.unwilling.may_say() {
            tracing::warn!("the server wants a restart, {why}");
        }
    }

    fn failed(&mut self, hash: &[u8], reason: &str) {
        Metric::ManagedConfigs.counter(&[("result", "refused")]).increment(1);
        tracing::error!(hash = %beginning(hash), "the configuration of the server is refused, the old one goes on: {reason}");
        self.say(status(hash, ConfigStatus::Failed, reason));
    }

    fn say(&mut self, status: RemoteConfigStatus) {
        self.refused.retain(|known| known.last_remote_config_hash != status.last_remote_config_hash);
        if status.status() == ConfigStatus::Failed {
            self.refused.truncate(REFUSED - 1);
            self.refused.push_front(status.clone());
        }
        self.desk.status(status.clone());
        self.last = Some(status);
    }

    fn tries_none(&mut self) -> std::io::Result<()> {
        self.is_noted = false;
        self.store.tries_none()
    }

    fn noted(&self, done: std::io::Result<()>) {
        if let Err(error) = done {
            tracing::error!(%error, "what became of a configuration of the server cannot be written down");
        }
    }
}

/// The text of a configuration.
///
/// # Errors
/// It is none that could be whole.
fn whole(offered: AgentRemoteConfig) -> Result<String, String> {
    let mut files = offered.config.map(|config| config.config_map).unwrap_or_default();
    if files.len() > 1 {
        let names = files.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        return Err(format!("flitch takes one file, and {} came: {names}", files.len()));
    }
    let (_, file) = files.pop_first().unwrap_or_default();
    let text = String::from_utf8(file.body).map_err(|_| "it is not UTF-8".to_owned())?;
    let says = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    match text.lines().any(says) {
        true => Ok(text),
        false => Err("it is empty, and an empty configuration is never put into force".to_owned()),
    }
}

fn status(hash: &[u8], status: ConfigStatus, message: &str) -> RemoteConfigStatus {
    RemoteConfigStatus {
        last_remote_config_hash: hash.to_vec(),
        status: status.into(),
        error_message: message.to_owned(),
    }
}

/// The beginning of a hash, for people.
fn beginning(hash: &[u8]) -> String {
    hex::encode(&hash[..hash.len().min(8)])
}

#[cfg(test)]
mod tests;
