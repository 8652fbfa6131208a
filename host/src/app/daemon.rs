//! Does what the daemon is asked, one thing after the other.

mod again;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use self::again::Again;
use super::apply::Occasion;
use super::command::{Answer, Applied, Command, Refused, Request};
use super::history::By;
use super::{App, Control, manager};
use crate::admin::StatusBoard;
use crate::cli;
use crate::config::{self, Config, ConfigError, Loaded};
use crate::fleet::{self, Chosen};
use flitch_core::telemetry;
use flitch_filters::FilterSettings;
use flitch_filters::swap::Which;
use flitch_opamp::Kept as Sent;
use flitch_registry::Registries;

/// How often it is looked at whether filters were put back.
const LOOK: Duration = Duration::from_millis(500);
/// How long a configuration of a server waits for records of the one before it, however long that would have waited: it may
/// be the one that cannot deliver.
const PATIENCE: Duration = Duration::from_secs(10);

/// The running parts, and what is asked of them.
pub(super) struct Daemon {
    path: PathBuf,
    /// What a server sent, where that is in force in place of the file.
    sent: Option<Arc<Sent>>,
    app: App,
    board: Arc<StatusBoard>,
    control: Control,
    requests: mpsc::Receiver<Request>,
    /// The files that plugins come from now.
    plugins: watch::Sender<Vec<PathBuf>>,
    again: Again,
}

impl Daemon {
    /// A daemon that was started with the configuration file at `path`, or with what a server `sent` in place of it, and
    /// tells `plugins` of the files to watch.
    pub fn new(
        (path, sent): (PathBuf, Option<Arc<Sent>>),
        app: App,
        board: Arc<StatusBoard>,
        (control, requests): (Control, mpsc::Receiver<Request>),
        plugins: watch::Sender<Vec<PathBuf>>,
    ) -> Daemon {
        plugins.send_replace(app.plugin_files());
        Daemon { path, sent, app, board, control, requests, plugins, again: Again::default() }
    }

    /// Does what it is asked until it is to end; what it is about then is given up. Answers what runs.
    pub async fn serve(mut self) -> App {
        let ending = self.control.ending().clone();
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let request = tokio::select! {
                biased;
                () = ending.cancelled() => break,
                request = self.requests.recv() => request.expect("the daemon has a control itself"),
                _ = looks.tick() => {
                    telemetry::say_due();
                    // They may wait for dead letters, or for the disk.
                    let look = async {
                        self.app.hold().await;
                        self.app.look().await;
                        self.try_again().await;
                    };
                    ending.run_until_cancelled(look).await;
                    continue;
                }
            };
            // It may compile for seconds, or wait for an output that is stuck.
            let done = ending.run_until_cancelled(self.perform(request.command)).await;
            let Some(answer) = done else { break };
            self.plugins.send_replace(self.app.plugin_files());
            // Who asked may have gone.
            let _ = request.answer.send(answer);
        }
        self.app
    }

    async fn perform(&mut self, command: Command) -> Answer {
        let answer = match command {
            Command::Reload => {
                manager::reloading();
                let answer = self.reload(self.sent.clone(), By::Config).await;
                manager::reloaded(self.app.config().pipelines.len(), answer.is_err());
                answer
            }
            Command::Manage(sent) => {
                tracing::info!(
                    own = sent.is_none(),
                    "the server that manages flitch has another configuration"
                );
                manager::reloading();
                let answer = self.reload(sent, By::Server).await;
                manager::reloaded(self.app.config().pipelines.len(), answer.is_err());
                answer
            }
            Command::Refresh(files) => {
                tracing::info!("a plugin's file has changed");
                self.refresh(Occasion { which: Which::Files(&files), ..By::File.into() }).await
            }
            Command::Install(package) => {
                let installed = self.app.install(&package).await;
                return installed.map_err(|reason| Refused::Config { report: reason.clone(), line: reason });
            }
            Command::Restart => {
                let sound = self.sound().await.map_err(refused);
                if sound.is_ok() {
                    self.control.restart();
                }
                return sound.map(|()| Applied::default());
            }
            Command::Forget(name) => return self.forget(&name),
            Command::Renew => self.refresh(By::Registry).await,
            Command::Rollback(name) => {
                self.known(&name)?;
                tracing::info!(filter = name, "a rollback was asked for");
                return match self.app.roll_back(&name).await {
                    true => Ok(Applied { changed: vec![name.into()], kept: Vec::new() }),
                    false => Err(Refused::NothingBefore(name)),
                };
            }
            Command::Swap(name) => {
                self.known(&name)?;
                tracing::info!(filter = name, "a swap was asked for");
                self.refresh(Occasion { which: Which::One(&name), ..By::Api.into() }).await
            }
        };
        self.tell(&answer);
        answer
    }

    /// Forgets a package, where neither what is in force, nor the machine's own file, nor what is kept of the server names it.
    fn forget(&self, name: &str) -> Answer {
        let reference = Registries::named(name).to_string();
        let names = |config: &Config| {
            let mut filters = config.filters.iter();
            let names = |filter: &FilterSettings| filter.references().any(|plugin| plugin == reference);
            filters
                .find(|(_, filter)| names(filter))
                .map(|(filter, _)| format!("`filters.{filter}` names it"))
        };
        let own = self.board.in_force();
        let own = own.as_ref().and_then(|chosen| names(&chosen.own.config));
        let own = own.map(|why| format!("{why} in the machine's own file"));
        let kept = fleet::kept_text(self.app.config()).filter(|text| text.contains(&reference));
        let kept = kept.map(|_| "the last good configuration of the server names it".to_owned());
        if let Some(reason) = names(self.app.config()).or(own).or(kept) {
            return Err(Refused::Config { report: reason.clone(), line: reason });
        }
        self.app.forget(name).map(|()| Applied::default()).map_err(|error| {
            let reason = format!("it cannot be taken away: {error}");
            Refused::Config { report: reason.clone(), line: reason }
        })
    }

    fn known(&self, name: &str) -> Result<(), Refused> {
        let filters = &self.app.config().filters;
        if filters.contains_key(name) {
            return Ok(());
        }
        Err(Refused::Unknown { name: name.to_owned(), known: filters.keys().cloned().collect() })
    }

    async fn refresh(&mut self, occasion: impl Into<Occasion<'_>>) -> Answer {
        let occasion = occasion.into();
        let applied = self.app.apply(self.app.config().clone(), occasion).await;
        let lacks = match &applied {
            Ok(applied) => applied.lacks(),
            Err(part) => config::lacks(&part.error),
        };
        self.again.came(occasion, lacks, Instant::now());
        applied.map_err(|part| Refused::Config { report: part.to_string(), line: part.to_string() })
    }

    /// Tries the plugins again that the machine could not load, where it is time for it.
    async fn try_again(&mut self) {
        let Some((files, all)) = self.again.due(Instant::now()) else { return };
        tracing::info!("what the machine could not load is tried again");
        let answer = match all {
            Some(by) => self.refresh(by).await,
            None => self.refresh(Occasion { which: Which::Files(&files), ..By::File.into() }).await,
        };
        self.plugins.send_replace(self.app.plugin_files());
        self.tell(&answer);
    }

    /// Whether a flitch that begins anew could start with the file as it is now.
    async fn sound(&self) -> Result<(), ConfigError> {
        let path = self.path.clone();
        let look = move || {
            let own = config::load_again(&path)?;
            cli::check::sound(&own, &path)
        };
        super::apart(look).await
    }

    /// Reads the file again, and puts it into force, or what a server sent for a machine that has this file.
    async fn reload(&mut self, sent: Option<Arc<Sent>>, by: By) -> Answer {
        let (path, text) = (self.path.clone(), sent.clone());
        let read = move || {
            let own = config::load_again(&path)?;
            own.check_parts()?;
            fleet::instead(own, text.as_deref(), &path)
        };
        let Chosen { own, sent: instead } = super::apart(read).await.map_err(refused)?;
        self.warn_of_what_stays(&own);
        let loaded = instead.as_ref().unwrap_or(&own);
        for warning in &loaded.warnings {
            tracing::warn!("{warning:?}");
        }
        let occasion = Occasion { patience: (by == By::Server).then_some(PATIENCE), ..by.into() };
        let applied = self.app.apply(loaded.config.clone(), occasion).await;
        let applied = applied.map_err(|part| refused(loaded.error(&part.path, &part.error).into()))?;
        self.again.came(occasion, applied.lacks(), Instant::now());
        self.sent = sent;
        self.board.chosen(Arc::new(Chosen { own, sent: instead }));
        Ok(applied)
    }

    fn warn_of_what_stays(&self, loaded: &Loaded) {
        let (old, new) = (self.app.config(), &loaded.config);
        let once = [
            ("data_dir", old.data_dir != new.data_dir),
            ("admin", old.admin != new.admin),
            ("manage.opamp", old.manage.opamp != new.manage.opamp),
        ];
        for (key, differs) in once {
            if differs {
                let text = format!("`{key}` is read at the start only: restart flitch to change it");
                tracing::warn!("{:?}", loaded.file.at(key, text));
            }
        }
    }

    /// Lines of the configuration are for the log alone: more people reach the board.
    fn tell(&self, answer: &Answer) {
        match answer {
            Ok(Applied { kept, .. }) if kept.is_empty() => {
                tracing::info!("the new configuration is in force")
            }
            Ok(Applied { kept, .. }) => {
                let kept: Vec<String> = kept.iter().map(ToString::to_string).collect();
                let error = format!("what runs goes on for {}", kept.join("; for "));
                tracing::warn!("the new configuration is in force, but {error}");
                self.board.reload_refused(error);
            }
            Err(Refused::Config { report, line }) => {
                tracing::error!("the new configuration is refused, the old one goes on: {report}");
                self.board.reload_refused(line.clone());
            }
            Err(Refused::Unknown { .. } | Refused::NothingBefore(_) | Refused::Ending) => {}
        }
    }
}

fn refused(error: ConfigError) -> Refused {
    Refused::Config { report: error.report(false), line: error.to_string() }
}

#[cfg(test)]
mod tests;
