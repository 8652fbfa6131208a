//! The commands of `flitch`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use crate::app::Signals;
use crate::config::{ConfigError, Loaded};
use flitch_core::telemetry::escape::Lines;
use flitch_core::telemetry::log;
use flitch_filters::Engine;
use flitch_registry::Registries;

mod adx;
mod again;
mod buffer;
pub(crate) mod check;
mod config;
mod context;
mod dead_letters;
mod demo;
mod filter;
mod logged;
mod plugin;
mod run;
mod test;
mod verdict;
mod version;
mod written;

/// Something failed while running.
const FAILED: u8 = 1;
/// The configuration, or the command line, is wrong (EX_USAGE of sysexits.h).
const WRONG: u8 = 64;

const EXIT_CODES: &str = "\
Exit codes:
  0   all went well
  1   something failed: on this machine, in the network, or while running
  64  the configuration or the command line is wrong; nothing was started";

/// Collects logs at the edge, runs WebAssembly filters over them, and ships them.
#[derive(Debug, Parser)]
#[command(name = "flitch", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Cli {
    /// How the log on stderr is written.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = "FLITCH_LOG_FORMAT")]
    log_format: LogFormat,
    /// What is logged: a level, or a filter such as `info,flitch::sources=debug`. By default `info`, and `warn` of
    /// `check`, `demo`, `test` and `plugin`, which also shows what the plugin logs and prints.
    #[arg(long, global = true, value_name = "FILTER", env = "FLITCH_LOG")]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

impl Cli {
    fn log_filter(&self) -> &str {
        let default = match self.command {
            Command::Check(_) | Command::Demo(_) | Command::Test(_) => "warn",
            Command::Plugin(_) => "warn,flitch::filter=debug",
            _ => "info",
        };
        self.log.as_deref().unwrap_or(default)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object per line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the pipelines of a configuration until a signal ends them.
    ///
    /// SIGTERM and SIGINT drain: sources stop, and what is on its way arrives, for at most `drain_timeout`; a second
    /// one stops at once. SIGHUP reads the configuration again; what did not change is not restarted, and a wrong
    /// configuration is refused while the old one goes on. SIGUSR1 and SIGUSR2 are let go: they mean nothing here.
    Run(run::Args),
    /// Validate a configuration and instantiate its plugins, without starting anything.
    Check(check::Args),
    /// Run the tests that stand under `tests` in a configuration: records in, and what should become of them.
    ///
    /// With the plugins, tables and conditions of the configuration, and without its sources and outputs: nothing is
    /// connected to, and nothing is written. The records also run one by one, and in batches that are cut by chance: what
    /// becomes of a record may not depend on those beside it. Exits with 1 where a test does not hold.
    Test(test::Args),
    /// Watch it work: seeded logs through WebAssembly filters into a mock Kafka, with nothing but this binary.
    Demo(demo::Args),
    /// Try a filter plugin, or look at it.
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Look at the filters of a daemon that runs, and swap them.
    #[command(subcommand)]
    Filter(filter::Command),
    /// Look at records that no stage could take further, and send them again.
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    /// Look at what waits on disk for outputs, mend it, and take it out.
    #[command(subcommand)]
    Buffer(buffer::Command),
    /// What an output to Azure Data Explorer needs there.
    #[command(subcommand)]
    Adx(adx::Command),
    /// About the configuration file.
    #[command(subcommand)]
    Config(config::Command),
    /// Print versions: flitch, its engines, and what it was built with.
    Version,
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write manual pages, one for each command.
    Man {
        /// An existing folder, into which `flitch.1`, `flitch-run.1` and so on are written.
        folder: PathBuf,
    },
}

/// The configuration file of a command.
#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        default_value = "flitch.yaml",
        env = "FLITCH_CONFIG"
    )]
    path: PathBuf,
}

/// What references of a configuration stand for; where registries are not asked, as far as the daemon has pulled it.
fn registries(loaded: &Loaded, folder: &Path, asks: bool) -> anyhow::Result<Arc<Registries>> {
    let cache = loaded.config.data_dir.join(flitch_registry::FOLDER);
    Ok(Arc::new(Registries::new(&loaded.config.plugins, folder, cache, asks)?))
}

/// The user's cache folder, if there is one.
fn cache_folder() -> Option<PathBuf> {
    let home = |name, below: &str| {
        std::env::var_os(name).filter(|p| !p.is_empty()).map(|p| PathBuf::from(p).join(below))
    };
    home("XDG_CACHE_HOME", "flitch").or_else(|| home("HOME", ".cache/flitch"))
}

/// The engine of commands that run no pipeline. It keeps compiled plugins in the user's cache folder, if there is one.
fn engine() -> anyhow::Result<Engine> {
    let health = Arc::default();
    match cache_folder().as_deref().map(|folder| Engine::new(Some(folder), &health)) {
        Some(Ok(engine)) => Ok(engine),
        Some(Err(error)) => {
            tracing::debug!("plugins are compiled anew: {error:#}");
            Engine::new(None, &health)
        }
        None => Engine::new(None, &health),
    }
}

/// Why a command failed.
#[derive(Debug)]
enum Failure {
    /// The configuration is wrong.
    Config(ConfigError),
    /// A part of the configuration cannot be put to work, and the configuration is not what is wrong.
    Away(ConfigError),
    /// The command line is wrong.
    Usage(String),
    /// Something else.
    Other(anyhow::Error),
    /// It was told already; the exit code.
    Told(u8),
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::Config(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Other(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Other(error.into())
    }
}

/// The variables of the environment that a command and those below it listen to.
fn variables(command: &clap::Command) -> BTreeSet<OsString> {
    let own = command.get_arguments().filter_map(|arg| Some(arg.get_env()?.to_owned()));
    own.chain(command.get_subcommands().flat_map(variables)).collect()
}

/// Takes those away that are empty: they count as unset, as those do that a configuration has a default for. A list of variables
/// for a service names them whether they hold anything or not.
fn unset_empty() {
    let is_empty = |name: &OsString| std::env::var_os(name).is_some_and(|value| value.is_empty());
    for name in variables(&Cli::command()).iter().filter(|name| is_empty(name)) {
        // SAFETY: this thread is the only one so far, so nobody reads the environment meanwhile.
        unsafe { std::env::remove_var(name) };
    }
}

/// Reads the command line, and does what it says; gives the exit code.
pub fn main() -> u8 {
    unset_empty();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let wrong = error.use_stderr();
            // A terminal that is gone cannot be told so.
            let _ = error.print();
            return if wrong { WRONG } else { 0 };
        }
    };
    if matches!(cli.command, Command::Run(_)) {
        Signals::let_go();
    }
    if let Err(error) = set_up_log(&cli) {
        let failure = format!("`--log {}` is no filter of log lines: {error}", cli.log_filter());
        return report(Failure::Usage(failure), LogFormat::Text);
    }
    // Whoever reads its log line by line reads its last word so too.
    let last = match (cli.log_format, &cli.command) {
        (LogFormat::Json, Command::Run(_)) => LogFormat::Json,
        _ => LogFormat::Text,
    };
    let done = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Plugin(command) => plugin::run(&command),
        Command::Filter(command) => filter::run(&command),
        Command::DeadLetters(command) => dead_letters::run(&command),
        Command::Buffer(command) => buffer::run(&command),
        Command::Adx(command) => adx::run(&command),
        Command::Config(command) => config::run(&command),
        Command::Version => version::run(),
        Command::Completions { shell } => {
            // It panics where its reader has gone.
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "flitch", &mut text);
            io::stdout().write_all(&text).map_err(Failure::from)
        }
        Command::Man { folder } => clap_mangen::generate_to(Cli::command(), &folder)
            .with_context(|| format!("cannot write to the folder {}", folder.display()))
            .map_err(Failure::from),
    };
    match done {
        Ok(()) => 0,
        Err(failure) => report(failure, last),
    }
}

/// Ends the process without what the C library does at an exit: libraries take their state apart there (OpenSSL its locks),
/// while threads that nobody could wait for, such as those of a Kafka client that was denied, are still at work in them. A
/// run that had delivered everything then died of a signal.
pub fn leave(code: u8) -> ! {
    // Whoever was to read it may be gone.
    let _ = io::stdout().flush();
    log::settle();
    // SAFETY: it takes a number and does not return.
    unsafe { libc::_exit(code.into()) }
}

fn set_up_log(cli: &Cli) -> Result<(), String> {
    let filter = logged::filter(cli.log_filter())?;
    // What runs for long does not wait for who reads its log.
    let queued = matches!(cli.command, Command::Run(_)).then(log::Sink::queued);
    let sink = queued.and_then(Result::ok).unwrap_or(log::Sink::Direct);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).log_internal_errors(false);
    match cli.log_format {
        LogFormat::Text => {
            let lines = lines.with_writer(move || sink.clone()).with_ansi(has_colors(&io::stderr()));
            lines.fmt_fields(log::Fields).init();
        }
        LogFormat::Json => {
            lines.json().flatten_event(true).with_writer(move || log::JsonLines(sink.clone())).init();
        }
    }
    Ok(())
}

/// Whether colours may be written: to a terminal whose user has not said otherwise (https://no-color.org).
fn has_colors(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|text| text.is_empty())
}

/// Tells on stderr why a command failed, as text or as a line of the log.
fn report(failure: Failure, format: LogFormat) -> u8 {
    let is_line = format == LogFormat::Json && tracing::enabled!(tracing::Level::ERROR);
    let of_config = |error: ConfigError| match is_line {
        true => error.to_string(),
        false => error.report(has_colors(&io::stderr())),
    };
    // Words of plugins, servers and files may be in it.
    let of_all_else = |text: String| match is_line {
        true => text,
        false => format!("error: {}\n", Lines(text)),
    };
    let (text, code) = match failure {
        Failure::Config(error) => (of_config(error), WRONG),
        Failure::Away(error) => (of_config(error), FAILED),
        Failure::Usage(text) => (of_all_else(text), WRONG),
        Failure::Other(error) if is_broken_pipe(&error) => return 0,
        Failure::Told(code) => return code,
        Failure::Other(error) => (of_all_else(format!("{error:#}")), FAILED),
    };
    match is_line {
        true => tracing::error!("{text}"),
        false => log::print(text.as_bytes()),
    }
    code
}

/// `flitch ... | head` ends when head does.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests;
