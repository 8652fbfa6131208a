//! `flitch plugin`: one filter by itself.

use std::path::PathBuf;
use std::sync::Arc;

use super::Failure;
use crate::STOCK;
use flitch_filters::{Engine, FilterContext, Tables};

mod args;
mod bench;
mod build;
mod guide;
mod inspect;
mod lock;
mod new;
mod pipe;
mod precompile;
mod pull;
mod push;
mod record;
mod registry;
mod sign_check;
mod test;
mod verify;
mod workshop;

pub use registry::references;

/// Of `flitch plugin`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a folder for a new filter, which builds at once.
    New(new::Args),
    /// Build the filter of a folder with the compiler of its language.
    Build(build::Args),
    /// Hold a filter to its cases: records in, and what should become of them.
    ///
    /// Each folder under `cases` is one. The records of a case also run one by one: what becomes of a record may not
    /// depend on those beside it.
    Test(test::Args),
    /// Run NDJSON, or lines of text, from stdin through a filter to stdout.
    ///
    /// Records that it rejects, and lines that are no JSON objects, go to stderr with the reason, and the command
    /// then exits with 1.
    Run(pipe::Args),
    /// Record what goes through a filter of a running daemon, as a case for `test`.
    ///
    /// A sample of the records that come to the filter, and what it made of each, with its settings; what is secret in
    /// those is hidden. The daemon writes the case below its `data_dir`, and this command takes it from there: it must run
    /// on the daemon's machine, as a user who may read that folder.
    Record(record::Args),
    /// Measure a filter: time for each record in batches of several sizes, memory, compiling.
    Bench(bench::Args),
    /// Show what a plugin is: where it comes from, what it imports, which fields it reads; of a stock plugin also what it
    /// does, and its settings.
    Inspect(args::PluginArgs),
    /// Compile plugins for other machines of this architecture, for images.
    ///
    /// A flitch of the same version whose environment names the folder as `FLITCH_COMPILED` compiles none of them, provided
    /// that nobody but root and its own user may write there. It serves amd64 from x86-64-v3 on, and every arm64.
    Precompile(precompile::Args),
    /// Bring a plugin to a registry or an OCI layout, so that configurations can name it.
    ///
    /// Prints the reference with the digest, to be signed (`cosign sign`) and to stand under `plugin`.
    Push(push::Args),
    /// Pull plugins of registries: those of a configuration into its `data_dir`, or one to a file or an OCI layout.
    ///
    /// Each is held to its digest and to the signatures that the configuration asks for. A tag without a digest is asked for
    /// anew; a daemon on the same `data_dir` takes what is new as any new version.
    Pull(pull::Args),
    /// Hold plugins of registries to their digests, tags and signatures; those of a configuration where none is named.
    ///
    /// The registry is asked. Exits with 1 where one may not run, or its tag has moved away from its digest.
    Verify(verify::Args),
    /// Tell whose signatures a plugin of a registry has, or whether a file was signed.
    ///
    /// Exits with 1 where none of the signatures is by one of the keys.
    SignCheck(sign_check::Args),
    /// Write into a configuration which digests its tags stand for now.
    ///
    /// What is pinned already stays, but with `--update`. Filters with `update` are left as they are. Exits with 1 where a
    /// plugin may not run, or a tag has moved away.
    Lock(lock::Args),
}

/// Does what is asked for.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::New(args) => new::run(args),
        Command::Build(args) => build::run(args),
        Command::Test(args) => test::run(args),
        Command::Run(args) => pipe::run(args),
        Command::Record(args) => record::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Precompile(args) => precompile::run(args),
        Command::Push(args) => push::run(args),
        Command::Pull(args) => pull::run(args),
        Command::Verify(args) => verify::run(args),
        Command::SignCheck(args) => sign_check::run(args),
        Command::Lock(args) => lock::run(args),
    }
}

/// What a plugin is loaded with that is named on the command line.
fn context(engine: Engine, tables: Tables) -> Result<FilterContext, Failure> {
    Ok(FilterContext {
        engine,
        stock: STOCK,
        registries: registry::of_user()?,
        tables: Arc::new(tables),
        dead_letters: None,
        folder: PathBuf::from("."),
        silent: false,
    })
}

fn wrong(error: anyhow::Error) -> Failure {
    Failure::Usage(format!("{error:#}"))
}
