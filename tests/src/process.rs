//! Child processes that never outlive the tests.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::wait;

/// A signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ends at once, nothing is written any more.
    Kill,
    /// Asks for an orderly end.
    Term,
    /// What Ctrl-C sends.
    Int,
    /// Reload (flitch), reopen logs (nginx uses USR1).
    Hup,
    /// nginx: reopen the log files.
    Usr1,
    /// nginx: begin another program.
    Usr2,
    /// nginx: finish the requests, then end.
    Quit,
    /// Freeze, as a machine that stalls.
    Stop,
    /// Go on after [`Signal::Stop`].
    Cont,
}

impl Signal {
    fn number(self) -> rustix::process::Signal {
        match self {
            Signal::Kill => rustix::process::Signal::KILL,
            Signal::Term => rustix::process::Signal::TERM,
            Signal::Int => rustix::process::Signal::INT,
            Signal::Hup => rustix::process::Signal::HUP,
            Signal::Usr1 => rustix::process::Signal::USR1,
            Signal::Usr2 => rustix::process::Signal::USR2,
            Signal::Quit => rustix::process::Signal::QUIT,
            Signal::Stop => rustix::process::Signal::STOP,
            Signal::Cont => rustix::process::Signal::CONT,
        }
    }

    /// Its name for `setpriv(1)`.
    fn name(self) -> &'static str {
        match self {
            Signal::Kill => "KILL",
            Signal::Term => "TERM",
            Signal::Int => "INT",
            Signal::Hup => "HUP",
            Signal::Usr1 => "USR1",
            Signal::Usr2 => "USR2",
            Signal::Quit => "QUIT",
            Signal::Stop => "STOP",
            Signal::Cont => "CONT",
        }
    }
}

/// A running program whose output goes to a file.
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
    at_end: Signal,
}

type Request = (Command, mpsc::SyncSender<std::io::Result<Child>>);

/// The thread that starts every child. The kernel's "signal me when my parent dies" means the parent
/// *thread*: a server shared by many tests must not hang on the thread of the test that came first.
fn starter() -> &'static mpsc::SyncSender<Request> {
    static STARTER: OnceLock<mpsc::SyncSender<Request>> = OnceLock::new();
    STARTER.get_or_init(|| {
        let (sender, requests) = mpsc::sync_channel::<Request>(1);
        crate::beside(move || {
            for (mut command, answer) in requests {
                let _ = answer.send(command.spawn());
            }
        });
        sender
    })
}

/// Starts a child that gets `signal` when this process ends, however it ends (`setpriv --pdeathsig`).
pub fn spawn(command: &Command, signal: Signal, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> Result<Child> {
    let mut wrapped = Command::new("setpriv");
    wrapped.arg("--pdeathsig").arg(signal.name()).arg("--").arg(command.get_program());
    wrapped.args(command.get_args()).stdin(stdin).stdout(stdout).stderr(stderr);
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(key, value),
            None => wrapped.env_remove(key),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    let (answer, child) = mpsc::sync_channel(1);
    starter().send((wrapped, answer)).context("the starter thread is gone")?;
    child
        .recv()
        .context("the starter thread is gone")?
        .with_context(|| format!("cannot start {:?} through setpriv", command.get_program()))
}

impl Process {
    /// Starts `command` with stdout and stderr appended to `log`. `at_end` is what it gets when the
    /// value is dropped or this process dies.
    pub fn start(name: &str, command: &Command, log: &Path, at_end: Signal) -> Result<Process> {
        let open = || std::fs::OpenOptions::new().create(true).append(true).open(log);
        let out = open().with_context(|| format!("cannot write {}", log.display()))?;
        let child = spawn(command, at_end, Stdio::null(), out.into(), open()?.into())?;
        Ok(Process { child, name: name.to_owned(), log: log.to_owned(), at_end })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal; one that has ended gets none.
    pub fn signal(&self, signal: Signal) {
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal.number());
    }

    /// The exit status, if the process has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for the end.
    pub fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        match wait::poll(deadline, || self.child.try_wait().ok().flatten()) {
            Some(status) => Ok(status),
            None => bail!("{} still runs after {deadline:?}; it said:\n{}", self.name, self.tail()),
        }
    }

    /// Everything written to stdout and stderr so far.
    pub fn output(&self) -> String {
        let mut bytes = Vec::new();
        if let Ok(mut file) = std::fs::File::open(&self.log) {
            let _ = file.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The last lines of the output, for a message about a failure.
    pub fn tail(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Ends the process at once, and waits for it.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        if self.at_end != Signal::Kill {
            self.signal(self.at_end);
            if self.wait(Duration::from_secs(10)).is_ok() {
                return;
            }
        }
        self.kill();
    }
}

/// Runs a command to its end and gives its stdout; an error holds both outputs.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let err = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} failed, {}\n{out}{err}", output.status);
    }
    Ok(out)
}
