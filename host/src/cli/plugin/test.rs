//! `flitch plugin test`: a filter, held to its cases.

use std::path::{Path, PathBuf};

use flitch_model::cases::Case;
use serde_json::Map;

use super::super::verdict::{self, Format, Verdict};
use super::super::{Failure, again};
use super::workshop;
use flitch_filters::cases::{Component, Held};
use flitch_filters::{Engine, FilterSettings, Tables, Wasi};

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
    let what = format!("{plugin} or a file under {}", folder.display());
    let files =
        || -> Vec<PathBuf> { again::below(&folder).into_iter().chain([PathBuf::from(&plugin)]).collect() };
    again::at_each_change(&what, files, || once(args, &plugin, &folder, &engine))
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
    let cx = super::context(engine.clone(), Tables::default())?;
    let mut component = Component::new(&settings, &cx);
    let verdicts: Vec<Verdict> =
        cases.iter().map(|case| judge(case, folder, args.bless, &mut component)).collect();
    verdict::tell(args.format, "cases", &verdicts, Map::new())
}

fn judge(case: &Case, folder: &Path, bless: bool, component: &mut Component<'_>) -> Verdict {
    let held = Held::new(folder, case);
    let done = match bless {
        true => held.bless(component).map(|differs| if differs { "blessed" } else { "ok" }),
        false => held.run(component).map(|()| "ok"),
    };
    let done = done.and_then(|result| held.run_one_by_one(component).map(|()| result));
    Verdict::of(&case.name, done)
}
