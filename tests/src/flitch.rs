//! The daemon as a process, run as a user would.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::accounting::{Metrics, Sums};
use crate::process::{Process, Signal};
use crate::{http, ports, wait};

/// How long the daemon may take until it is ready. A debug build compiles its plugins slowly.
const START: Duration = Duration::from_secs(60);

/// A flitch with a folder, a configuration and, while it runs, a process. Ends when it is dropped.
pub struct Flitch {
    binary: PathBuf,
    folder: TempDir,
    admin: SocketAddr,
    environment: BTreeMap<String, String>,
    /// Bytes of memory that the next start may take.
    memory: Option<u64>,
    process: Option<Process>,
}

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit status.
    pub status: ExitStatus,
    /// Its stdout.
    pub stdout: String,
    /// Its stderr.
    pub stderr: String,
}

impl Flitch {
    /// A flitch that does not run yet. `binary` is the path of the built daemon (in the end-to-end tests
    /// `env!("CARGO_BIN_EXE_flitch")`). In `config`, `{dir}` stands for the folder ([`Flitch::dir`]);
    /// `data_dir` and `admin` are added where it does not set them.
    pub fn new(binary: impl AsRef<Path>, config: &str) -> Flitch {
        let folder = tempfile::Builder::new().prefix("flitch-e2e-").tempdir().expect("a folder can be made");
        let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        let binary = binary.as_ref().to_owned();
        let flitch =
            Flitch { binary, folder, admin, environment: BTreeMap::new(), memory: None, process: None };
        flitch.configure(config);
        flitch
    }

    /// The same, started and ready.
    #[track_caller]
    pub fn start(binary: impl AsRef<Path>, config: &str) -> Flitch {
        let mut flitch = Flitch::new(binary, config);
        flitch.run();
        flitch
    }

    /// Sets a variable of the environment for the next start.
    pub fn env(mut self, name: &str, value: &str) -> Flitch {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Lets the next start have no more than so many bytes of memory of its own: what it asks for beyond them is
    /// refused, which ends it.
    pub fn held_to(mut self, bytes: u64) -> Flitch {
        self.memory = Some(bytes);
        self
    }

    /// Writes another configuration; a running daemon sees it at [`Signal::Hup`].
    pub fn configure(&self, config: &str) {
        let mut text = String::new();
        let sets = |key: &str| config.lines().any(|line| line.starts_with(key));
        if !sets("data_dir:") {
            text += "data_dir: {dir}/data\n";
        }
        if !sets("admin:") {
            text += &format!("admin: {{ listen: \"{}\" }}\n", self.admin);
        }
        text += config;
        let text = text.replace("{dir}", &self.dir().to_string_lossy());
        std::fs::write(self.config_file(), text).expect("the configuration can be written");
    }

    /// The folder of this flitch: its configuration, `data/`, `flitch.log`, and whatever the test puts there.
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// A path in [`Flitch::dir`].
    pub fn at(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// The configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.at("flitch.yaml")
    }

    /// The admin listener.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Starts the daemon and waits until `/readyz` answers 200.
    #[track_caller]
    pub fn run(&mut self) {
        if let Err(error) = self.try_run() {
            panic!("{error:#}");
        }
    }

    /// [`Flitch::run`]; an error holds what the daemon said.
    pub fn try_run(&mut self) -> Result<()> {
        self.launch()?;
        let up = wait::poll(START, || self.ended() || self.ready());
        if self.ended() {
            bail!("flitch ended while it started:\n{}", self.log());
        }
        up.with_context(|| format!("flitch is not ready after {START:?}:\n{}", self.log()))
    }

    /// Starts the daemon and does not wait for anything.
    pub fn launch(&mut self) -> Result<()> {
        let mut command = self.command(&["run", "-c"]);
        command.arg(self.config_file());
        if let Some(bytes) = self.memory {
            command = limited(&command, bytes);
        }
        self.process = Some(Process::start("flitch", &command, &self.at("flitch.log"), Signal::Kill)?);
        Ok(())
    }

    /// Whether `/readyz` answers 200.
    pub fn ready(&self) -> bool {
        http::get(self.admin, "/readyz").is_ok_and(|answer| answer.status == 200)
    }

    /// Whether the process has ended, or never began.
    pub fn ended(&mut self) -> bool {
        self.process.as_mut().is_none_or(|process| process.ended().is_some())
    }

    /// The process id; panics while nothing runs.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("flitch runs").pid()
    }

    /// The most memory that the process ever held, in bytes (`VmHWM` of Linux).
    #[track_caller]
    pub fn memory_peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("flitch runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next());
        1024 * peak.and_then(|kib| kib.parse::<u64>().ok()).expect("Linux says how much it was, in KiB")
    }

    /// Sends a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("flitch runs").signal(signal);
    }

    /// SIGKILL: nothing can be tidied up.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// SIGTERM, and waits for the end.
    #[track_caller]
    pub fn terminate(&mut self, deadline: Duration) -> ExitStatus {
        self.signal(Signal::Term);
        self.wait(deadline)
    }

    /// Waits for the end.
    #[track_caller]
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let mut process = self.process.take().expect("flitch runs");
        let status = process.wait(deadline).unwrap_or_else(|error| panic!("{error:#}"));
        if !status.success() {
            // A signal says nothing by itself, and tests show the log.
            let log = std::fs::OpenOptions::new().append(true).open(self.at("flitch.log"));
            let _ = log.and_then(|mut log| writeln!(log, "ended: {status}"));
        }
        status
    }

    /// Everything that all starts so far have written to stdout and stderr.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.at("flitch.log")).unwrap_or_default()
    }

    /// `/metrics`.
    #[track_caller]
    pub fn metrics(&self) -> Metrics {
        self.try_metrics().unwrap_or_else(|error| panic!("{error:#}\n{}", self.log()))
    }

    /// [`Flitch::metrics`], where the daemon may be away.
    pub fn try_metrics(&self) -> Result<Metrics> {
        let answer = http::get(self.admin, "/metrics")?;
        if answer.status != 200 {
            bail!("/metrics answered {}: {}", answer.status, answer.text());
        }
        Metrics::parse(&answer.text()).map_err(anyhow::Error::msg)
    }

    /// `/api/status`.
    #[track_caller]
    pub fn status(&self) -> serde_json::Value {
        let answer = http::get(self.admin, "/api/status").and_then(|answer| answer.json());
        answer.unwrap_or_else(|error| panic!("/api/status: {error:#}\n{}", self.log()))
    }

    /// Waits until nothing is in flight and the sums hold; gives them.
    #[track_caller]
    pub fn settled(&self, deadline: Duration) -> Sums {
        self.sums_when("all is settled", deadline, |sums| sums.in_flight == 0 && sums.hold())
    }

    /// Waits until the sources have taken in at least `count` records and all of them are settled.
    #[track_caller]
    pub fn settled_after(&self, count: u64, deadline: Duration) -> Sums {
        let what = format!("{count} records are settled");
        self.sums_when(&what, deadline, |sums| sums.received >= count && sums.in_flight == 0 && sums.hold())
    }

    /// Waits until the sums are as they should be, and gives them. A failure shows the last ones, what ails flitch, and the log.
    #[track_caller]
    pub fn sums_when(&self, what: &str, deadline: Duration, holds: impl Fn(&Sums) -> bool) -> Sums {
        let mut last = Sums::default();
        let sums = wait::poll(deadline, || {
            last = self.try_metrics().ok()?.sums();
            holds(&last).then_some(last)
        });
        sums.unwrap_or_else(|| {
            let status = http::get(self.admin, "/api/status").map(|answer| answer.text());
            panic!("waited {deadline:?} in vain until {what}: {last}\n{status:?}\n{}", self.log())
        })
    }

    /// A command of the binary, with the environment of this flitch.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(args).current_dir(self.dir()).env_remove("RUST_LOG").env("NO_COLOR", "1");
        command.envs(&self.environment);
        command
    }

    /// Runs a command of the binary to its end.
    #[track_caller]
    pub fn cli(&self, args: &[&str], stdin: &str) -> Ended {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut input = child.stdin.take().expect("stdin is a pipe");
        let text = stdin.to_owned();
        // Beside the reading below: a child that writes before it has read all would block both.
        let writer = crate::beside(move || input.write_all(text.as_bytes()));
        let output = child.wait_with_output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let _ = writer.join();
        Ended {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The same command with a limit on its data segment, which is all memory that it may write and shares with nobody.
fn limited(command: &Command, bytes: u64) -> Command {
    let mut limited = Command::new("prlimit");
    limited.arg(format!("--data={bytes}")).arg("--").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    limited
}
