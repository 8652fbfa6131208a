//! `flitch plugin bench`: what a filter costs.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use flitch_model::cases::Case;
use serde_json::json;

use super::super::Failure;
use super::workshop;
use flitch_core::batch::Records;
use flitch_filters::cases::{load, records_of};
use flitch_filters::{Component, Engine, FilterSettings, Tables};

/// Records of the batches that are measured.
const SIZES: [usize; 4] = [1, 64, 100, 1000];
/// How long each size is measured.
const TIME: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A filter's folder, the path of a component, or the name of a stock plugin.
    #[arg(default_value = ".")]
    plugin: String,
    /// The folder of the cases, whose records and settings are taken. By default `cases` in the filter's folder, or
    /// beside the component.
    #[arg(long, value_name = "FOLDER")]
    cases: Option<PathBuf>,
    /// The case. By default the first one that has records.
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
    /// Write a JSON object.
    #[arg(long)]
    json: bool,
}

/// Measures it, and prints a table.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (plugin, beside) = workshop::find(&args.plugin)?;
    let Some(folder) = args.cases.clone().or(beside) else {
        return Err(Failure::Usage(format!(
            "no cases lie beside `{plugin}`: name their folder with `--cases`"
        )));
    };
    let cases = Case::all(&folder).map_err(Failure::Usage)?;
    let fits = |case: &&Case| args.case.as_ref().map_or(case.refused.is_none(), |name| case.name == *name);
    let case = cases.iter().find(fits).ok_or_else(|| {
        Failure::Usage(format!("there is no such case with records under {}", folder.display()))
    })?;
    let input = case.input().map_err(Failure::Usage)?;
    let lines: Vec<&str> = input.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() {
        return Err(Failure::Usage(format!("the case `{}` has no records", case.name)));
    }
    // An engine without a cache: what compiling costs is what is asked.
    let cx = super::context(Engine::new(None, &Arc::default())?, Tables::default())?;
    let origin = cx.origin(&plugin).map_err(super::wrong)?;
    let start = Instant::now();
    let component = Component::load(&cx.engine, origin).map_err(super::wrong)?;
    let compile = start.elapsed();
    let tables = case.tables().map_err(Failure::Usage)?;
    let mut filter = load(&FilterSettings::of(&plugin), &case.settings, &tables, &cx)
        .with_context(|| format!("with the settings of the case `{}`", case.name))?;
    let mut times = Vec::new();
    for size in SIZES {
        let batch = lines.iter().cycle().take(size).map(|line| line.as_bytes());
        let records = records_of(batch).map_err(|error| anyhow!(error))?;
        times.push((size, measure(&records, |records| drop(filter.run(records.clone())))));
    }
    let (size, memory) = (component.size(), filter.memory());
    let text = if args.json {
        let times: Vec<_> = times.iter().map(|(size, ns)| json!({"rows": size, "ns_per_row": ns})).collect();
        let compile = compile.as_secs_f64();
        let what = json!({"plugin": plugin, "case": case.name, "bytes": size, "compile_seconds": compile,
            "memory_bytes": memory, "batches": times});
        what.to_string() + "\n"
    } else {
        let mut text = format!(
            "plugin      {plugin}\ncase        {}\nsize        {size} bytes\ncompiled in {compile:.2?}\nmemory      {} KiB an instance\n\n\
             records of a batch   ns a record\n",
            case.name,
            memory / 1024
        );
        times.iter().for_each(|(size, ns)| text += &format!("{size:18}   {ns:11.0}\n"));
        text
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// ns for each row of the fastest of many runs: what else the machine does only makes them slower.
fn measure(records: &Arc<Records>, mut once: impl FnMut(&Arc<Records>)) -> f64 {
    let start = Instant::now();
    let mut best = Duration::MAX;
    while start.elapsed() < TIME {
        let begun = Instant::now();
        once(records);
        best = best.min(begun.elapsed());
    }
    best.as_nanos() as f64 / records.rows() as f64
}
