//! `flitch plugin test`: a filter, held to its cases.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flitch_model::cases::Case;
use serde_json::Map;

use super::super::Failure;
use super::super::verdict::{self, Format, Verdict};
use super::workshop;
use crate::STOCK;
use flitch_core::telemetry::escape::Lines;
use flitch_filters::cases::Component;
use flitch_filters::swap::Watch;
use flitch_filters::{Engine, FilterContext, FilterSettings, Wasi};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A filter's folder, the path of a component, or the name of a stock plugin.
    #[arg(default_value = ".")]
    plugin: String,
    /// The folder of the cases. By default `cases` in the filter's folder, or beside the component.
    #[arg(long, value_name = "FOLDER")]
    cases: Option<PathBuf>,
    /// Only the cases whose name has this in it.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Write what becomes of the records as what should.
    #[arg(long)]
    bless: bool,
    /// Go on, and test again whenever the component or a case changes.
    #[arg(long, conflicts_with = "bless")]
    watch: bool,
    /// Give the plugin nothing of WASI, as `wasi: none` does.
    #[arg(long)]
    no_wasi: bool,
    /// How the results are written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Runs the cases, and fails where one does not hold.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (plugin, beside) = workshop::find(&args.plugin)?;
    let Some(folder) = args.cases.clone().or(beside) else {
        return Err(Failure::Usage(format!(
            "no cases lie beside `{plugin}`: name their folder with `--cases`"
        )));
    };
    let engine = super::super::engine()?;
    if !args.watch {
        return once(args, &plugin, &folder, &engine);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut watch = Watch::new();
    loop {
        let tried = once(args, &plugin, &folder, &engine);
        let mut stdout = std::io::stdout().lock();
        if let Err(Failure::Usage(text)) = &tried {
            writeln!(stdout, "{}", Lines(text))?;
        }
        writeln!(stdout, "\nwaiting for {plugin} or a file under {} to change", folder.display())?;
        drop(stdout);
        watch.follow(std::iter::once(PathBuf::from(&plugin)).chain(files(&folder)));
        runtime.block_on(watch.changed());
    }
}

fn once(args: &Args, plugin: &str, folder: &Path, engine: &Engine) -> Result<(), Failure> {
    let cases = Case::all(folder).map_err(Failure::Usage)?;
    let only = args.only.as_deref().unwrap_or("");
    let cases: Vec<Case> = cases.into_iter().filter(|case| case.name.contains(only)).collect();
    if cases.is_empty() {
        return Err(Failure::Usage(format!("there are no cases under {}", folder.display())));
    }
    let mut settings = FilterSettings::of(plugin);
    if args.no_wasi {
        settings.wasi = Wasi::None;
    }
    let cx = FilterContext {
        engine: engine.clone(),
        stock: STOCK,
        registries: super::registry::of_user()?,
        tables: Arc::default(),
        dead_letters: None,
        folder: PathBuf::from("."),
        silent: false,
    };
    let mut component = Component::new(&settings, &cx);
    let verdicts: Vec<Verdict> = cases.iter().map(|case| judge(case, args.bless, &mut component)).collect();
    verdict::tell(args.format, "cases", &verdicts, Map::new())
}

fn judge(case: &Case, bless: bool, component: &mut Component<'_>) -> Verdict {
    let done = match bless {
        true => case.bless(component).map(|differs| if differs { "blessed" } else { "ok" }),
        false => case.run(component).map(|()| "ok"),
    };
    let done = done.and_then(|result| case.run_one_by_one(component).map(|()| result));
    Verdict::of(&case.name, done)
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
