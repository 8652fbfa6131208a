//! The commands of `flitch`.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::config::ConfigError;

mod check;
mod config;
mod run;
mod version;

/// Something failed while running.
const FAILED: u8 = 1;
/// The configuration, or the command line, is wrong (EX_USAGE of sysexits.h).
const WRONG: u8 = 64;

const EXIT_CODES: &str = "\
Exit codes:
  0   all went well
  1   something failed while running
  64  the configuration or the command line is wrong; nothing was started";

/// Collects logs at the edge, runs WebAssembly filters over them, and ships them.
#[derive(Debug, Parser)]
#[command(name = "flitch", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Cli {
    /// How the log on stderr is written.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = "FLITCH_LOG_FORMAT")]
    log_format: LogFormat,
    /// What is logged: a level, or a filter such as `info,flitch::sources=debug`.
    #[arg(long, global = true, default_value = "info", env = "FLITCH_LOG")]
    log: String,
    #[command(subcommand)]
    command: Command,
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
    /// Run until a signal ends it.
    Run(run::Args),
    /// Validate a configuration and instantiate its plugins, without starting anything.
    Check(check::Args),
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

/// Why a command failed.
#[derive(Debug)]
enum Failure {
    /// The configuration is wrong.
    Config(ConfigError),
    /// The command line is wrong.
    Usage(String),
    /// Something else.
    Other(anyhow::Error),
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

/// Reads the command line, and does what it says.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let wrong = error.use_stderr();
            // A terminal that is gone cannot be told so.
            let _ = error.print();
            return ExitCode::from(if wrong { WRONG } else { 0 });
        }
    };
    if let Err(error) = set_up_log(&cli) {
        return report(Failure::Usage(format!("`--log {}` is no filter of log lines: {error}", cli.log)));
    }
    let done = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Config(command) => config::run(&command),
        Command::Version => version::run(),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "flitch", &mut io::stdout());
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(failure),
    }
}

fn set_up_log(cli: &Cli) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::builder().parse(&cli.log)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match cli.log_format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Tells on stderr why a command failed.
fn report(failure: Failure) -> ExitCode {
    let mut stderr = io::stderr();
    let colors = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (text, code) = match failure {
        Failure::Config(error) => (error.report(colors), WRONG),
        Failure::Usage(text) => (format!("error: {text}\n"), WRONG),
        Failure::Other(error) if is_broken_pipe(&error) => return ExitCode::SUCCESS,
        Failure::Other(error) => (format!("error: {error:#}\n"), FAILED),
    };
    let _ = stderr.write_all(text.as_bytes());
    ExitCode::from(code)
}

/// `flitch ... | head` ends when head does.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
