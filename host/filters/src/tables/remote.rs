//! A table that a server has: fetched when it is another one, and kept on disk for the time when the server is away.
//!
//! Below `data_dir/tables` lie, for each table, `NAME` as the server sent it and `NAME.json`, which says what that is: the
//! URL, by what the server knows it again, and its SHA-256. A copy that does not fit them is none.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::content::Content;
use super::settings::{TableFormat, TableSettings};
use flitch_core::backoff::next_question;
use flitch_core::clock::Clock;
use flitch_core::hex;
use flitch_core::net::fetch::{Failed, Fetch, Fetched, Validators};
use flitch_core::private;
use flitch_core::tasks;
use flitch_core::telemetry::health::Ailment;
use flitch_core::telemetry::{Metric, Shown};

/// How often a server is asked for a table of which nothing is there.
const TRIES: u32 = 4;
/// So long after the first of these requests no other one begins: whoever starts flitch is to hear why it does not.
const LONGEST: Duration = Duration::from_secs(10);

/// Where a server's table comes from, and where it is kept.
#[derive(Debug)]
pub struct Remote {
    name: String,
    fetch: Fetch,
    every: Duration,
    kept: Kept,
    state: Mutex<State>,
    /// When the server last said what is in it, once it has.
    fetched: OnceLock<Shown>,
}

#[derive(Debug)]
struct State {
    known: Validators,
    next: Instant,
    failures: u32,
    ailment: Option<Ailment>,
}

/// What the copy on disk is.
#[derive(Debug, Serialize, Deserialize)]
struct Meta {
    url: String,
    sha256: String,
    #[serde(flatten)]
    validators: Validators,
}

/// The copy on disk.
#[derive(Debug)]
struct Kept {
    folder: PathBuf,
    name: String,
    url: String,
    key: String,
    format: TableFormat,
}

impl Remote {
    /// The table of this name, kept in `folder`.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(name: &str, settings: &TableSettings, folder: &Path) -> anyhow::Result<Remote> {
        let state = State { known: Validators::default(), next: Instant::now(), failures: 0, ailment: None };
        Ok(Remote {
            name: name.to_owned(),
            fetch: settings.fetch()?,
            every: settings.every.0,
            kept: Kept {
                folder: folder.to_owned(),
                name: name.to_owned(),
                url: settings.url.clone().unwrap_or_default(),
                key: settings.key.clone(),
                format: settings.format(Path::new(""))?,
            },
            state: Mutex::new(state),
            fetched: OnceLock::new(),
        })
    }

    /// What was kept; none where nothing was, or something else.
    ///
    /// # Errors
    /// Why the copy cannot be used.
    pub fn kept(&self) -> anyhow::Result<Option<Content>> {
        let Some((content, validators)) = self.kept.read()? else { return Ok(None) };
        self.state.lock().known = validators;
        Ok(Some(content))
    }

    /// What the server has, for the first time.
    ///
    /// # Errors
    /// Why there is nothing.
    pub fn first(&self) -> anyhow::Result<Content> {
        let mut state = self.state.lock();
        let (content, validators) = match self.ask_patiently() {
            Ok(Some(new)) => new,
            Ok(None) => bail!("the server says that it has not changed, and was not asked so"),
            Err(failed) => bail!("it cannot be fetched from {}: {}", self.fetch.place(), failed.reason),
        };
        self.counted("changed");
        state.known = validators;
        state.next = Instant::now() + next_question(self.every, 0, fastrand::f64());
        Ok(content)
    }

    /// Asks the server more than once, where that may help: at the boot of a machine its network may not be up yet.
    fn ask_patiently(&self) -> Result<Option<(Content, Validators)>, Failed> {
        let (began, mut failures) = (Instant::now(), 0);
        loop {
            let failed = match self.ask(&Validators::default()) {
                Err(failed) => failed,
                asked => return asked,
            };
            self.counted("failed");
            failures += 1;
            let pause = next_question(self.every, failures, fastrand::f64());
            let pause = pause.max(failed.after.unwrap_or_default());
            if failures == TRIES || !failed.passes || began.elapsed() + pause > LONGEST {
                return Err(failed);
            }
            tracing::warn!(
                table = self.name,
                url = self.fetch.place(),
                reason = failed.reason,
                "the table cannot be fetched, and is asked for again"
            );
            let _ = crossbeam_channel::after(pause).recv();
        }
    }

    /// Counts what came of a request.
    fn counted(&self, result: &'static str) {
        Metric::TableFetches.counter(&[("table", &self.name), ("result", result)]).increment(1);
        if result != "failed" {
            let shown = || Metric::TableFetched.shown_most(&[("table", &self.name)]);
            self.fetched.get_or_init(shown).set(Clock::system().now() as f64 / 1e9);
        }
    }

    /// Tells of what is wrong from now on.
    pub fn heard_by(&self, ailment: Ailment) {
        self.state.lock().ailment = Some(ailment);
    }

    /// Asks the server where it is time for it. Answers what it has, where that is another table than `old`.
    pub fn refresh(&self, old: &Content, now: Instant) -> Option<Content> {
        // Two generations of tables may have it for a moment.
        let mut state = self.state.try_lock()?;
        if now < state.next {
            return None;
        }
        let known = state.known.clone();
        let asked = self.ask_beside(&known, Some(old));
        let (result, new, after) = match asked {
            Ok(None) => ("unchanged", None, None),
            Ok(Some((content, validators))) => {
                tracing::info!(table = self.name, rows = content.len(), "table fetched again");
                state.known = validators;
                ("changed", Some(content), None)
            }
            Err(failed) => {
                self.failed(&mut state, &failed);
                ("failed", None, failed.after)
            }
        };
        self.counted(result);
        if result != "failed" {
            if std::mem::take(&mut state.failures) > 0 {
                tracing::info!(table = self.name, "the table can be fetched again");
            }
            if let Some(ailment) = &state.ailment {
                ailment.set(None);
            }
        }
        let pause = next_question(self.every, state.failures, fastrand::f64());
        state.next = Instant::now() + pause.max(after.unwrap_or_default());
        new
    }

    /// The log hears of the first failure of several in a row; the status has the last one.
    fn failed(&self, state: &mut State, failed: &Failed) {
        state.failures = state.failures.saturating_add(1);
        let place = self.fetch.place();
        if state.failures == 1 {
            tracing::warn!(
                table = self.name,
                url = place,
                reason = failed.reason,
                "the table cannot be fetched; the rows that came last stay, and it is asked for again"
            );
        }
        if let Some(ailment) = &state.ailment {
            ailment.set(Some(format!("it cannot be fetched from {place}: {}", failed.reason)));
        }
    }

    fn ask(&self, known: &Validators) -> Result<Option<(Content, Validators)>, Failed> {
        self.ask_beside(known, None)
    }

    /// Asks the server. What it has is read, and held against what there was, before it takes the place of the copy.
    fn ask_beside(
        &self,
        known: &Validators,
        old: Option<&Content>,
    ) -> Result<Option<(Content, Validators)>, Failed> {
        let failed =
            |error: anyhow::Error| Failed { reason: format!("{error:#}"), after: None, passes: false };
        let (path, file) = self.kept.aside().map_err(failed)?;
        let asked = self.ask_into(&path, file, known, old, &failed);
        if !matches!(asked, Ok(Some(_))) {
            // What is left of it is written over the next time.
            let _ = fs::remove_file(&path);
        }
        asked
    }

    fn ask_into(
        &self,
        path: &Path,
        file: File,
        known: &Validators,
        old: Option<&Content>,
        failed: &dyn Fn(anyhow::Error) -> Failed,
    ) -> Result<Option<(Content, Validators)>, Failed> {
        let runtime = tasks::runtime_here().map_err(|error| failed(error.into()))?;
        let mut sink = Hashing { file, hash: Sha256::new() };
        let fetched = runtime.block_on(self.fetch.get(known, &mut sink, Clock::system().now()))?;
        let Fetched::Changed { validators, .. } = fetched else { return Ok(None) };
        let used = || -> anyhow::Result<Content> {
            let content = Content::read(path, &self.kept.key, self.kept.format)?;
            if let Some(lost) = old.and_then(|old| old.lost_by(&content)) {
                bail!("`{lost}`, which filters may ask for, is gone");
            }
            sink.file.sync_all()?;
            self.kept.take(path, hex::encode(&sink.hash.clone().finalize()), &validators)?;
            Ok(content)
        };
        used().map(|content| Some((content, validators.clone()))).map_err(failed)
    }
}

/// What is written to a file, with its hash.
struct Hashing {
    file: File,
    hash: Sha256,
}

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Kept {
    fn path(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}{ending}", self.name))
    }

    /// A new file beside the copy. One that was left there is written over.
    fn aside(&self) -> anyhow::Result<(PathBuf, File)> {
        private::folder(&self.folder).with_context(|| self.folder.display().to_string())?;
        let path = self.path(".new");
        let mut options = OpenOptions::new();
        let file = private::open(options.write(true).create(true).truncate(true), &path);
        Ok((path.clone(), file.with_context(|| path.display().to_string())?))
    }

    /// Makes the file at `path` the copy.
    fn take(&self, path: &Path, sha256: String, validators: &Validators) -> anyhow::Result<()> {
        let meta = Meta { url: self.url.clone(), sha256, validators: validators.clone() };
        let aside = self.path(".json.new");
        let mut options = OpenOptions::new();
        let file = private::open(options.write(true).create(true).truncate(true), &aside)?;
        serde_json::to_writer(&file, &meta)?;
        file.sync_all()?;
        // Between the two the copy does not fit what is said of it, and is none.
        fs::rename(path, self.path(""))?;
        fs::rename(&aside, self.path(".json"))?;
        Ok(())
    }

    fn read(&self) -> anyhow::Result<Option<(Content, Validators)>> {
        let meta = match fs::read(self.path(".json")) {
            Ok(text) => serde_json::from_slice::<Meta>(&text).map_err(|error| anyhow!("{error}")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => Err(error.into()),
        };
        let meta = meta.with_context(|| format!("{} cannot be read", self.path(".json").display()))?;
        if meta.url != self.url {
            return Ok(None);
        }
        let path = self.path("");
        let mut hash = Sha256::new();
        io::copy(&mut File::open(&path).with_context(|| path.display().to_string())?, &mut hash)?;
        if hex::encode(&hash.finalize()) != meta.sha256 {
            bail!("{} is not what was fetched", path.display());
        }
        Ok(Some((Content::read(&path, &self.key, self.format)?, meta.validators)))
    }
}

#[cfg(test)]
mod tests;
