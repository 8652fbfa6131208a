//! `flitch plugin inspect`: what a plugin is.

use std::io::Write;
use std::time::Instant;

use super::super::Failure;
use super::args::PluginArgs;
use super::{guide, wrong};
use crate::STOCK;
use flitch_core::telemetry::escape::Escaped;
use flitch_filters::{Component, Wanted};

/// Shows it on stdout.
pub fn run(args: &PluginArgs) -> Result<(), Failure> {
    let cx = args.context(super::super::engine()?)?;
    let start = Instant::now();
    let plugin = args.plugin()?;
    let origin = cx.origin(&plugin).map_err(wrong)?;
    let component = Component::load(&cx.engine, origin).map_err(wrong)?;
    let loading = start.elapsed();
    // What a component says of itself may be anything.
    let shown = |name: String| Escaped(name).to_string();
    let list = |names: Vec<String>| match names.is_empty() {
        true => "nothing".to_owned(),
        false => names.into_iter().map(shown).collect::<Vec<_>>().join("\n            "),
    };
    let mut text = format!(
        "name        {}\nfrom        {}\nsize        {} bytes\nsha256      {}\nexports     {}\nimports     {}\nloaded in   {loading:.1?}\n",
        component.name(),
        component.origin(),
        component.size(),
        component.sha256(),
        list(component.exports()),
        list(component.imports()),
    );
    match args.load(&cx)? {
        Ok(alone) => {
            let reads = match alone.wanted() {
                Some(Wanted::All) => "every field".to_owned(),
                Some(Wanted::Only(names)) if names.is_empty() => "no field".to_owned(),
                Some(Wanted::Only(names)) => {
                    let mut names: Vec<String> = names.into_iter().map(shown).collect();
                    names.sort();
                    names.join(", ")
                }
                None => "unknown".to_owned(),
            };
            text += &format!("memory      {} KiB when idle\nreads       {reads}\n", alone.memory() / 1024);
        }
        Err(error) => {
            text +=
                &format!("reads       unknown with these settings: {}\n", Escaped(format_args!("{error:#}")))
        }
    }
    if let Some(readme) = STOCK.readme(&plugin) {
        text += &format!("\n{}", guide::of(readme));
    }
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
