//! `flitch plugin lock`: digests, written into a configuration.

use std::io::Write;

use anyhow::Context;

use super::super::{Failure, written};
use super::registry::{RegistryArgs, references};
use crate::config::edit::Editor;
use flitch_core::telemetry::escape::Escaped;
use flitch_registry::{Error, Place, Reference, Registries};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also replace digests that tags have moved away from.
    #[arg(long)]
    update: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Writes them, and prints a line about each plugin.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (opened, _) = args.registry.open_config()?;
    let loaded = opened.loaded.as_ref().context("no configuration")?;
    let text = std::fs::read_to_string(&opened.path)?;
    let mut stdout = std::io::stdout();
    let (mut edits, mut failed) = (Vec::new(), 0);
    for (place, reference) in references(loaded, &opened.folder) {
        let filter = place.split('.').nth(1).and_then(|name| loaded.config.filters.get(name));
        if filter.is_some_and(|filter| filter.update.is_some()) && !place.contains(".shadow.") {
            writeln!(stdout, "{place}: {reference} is asked for anew by itself (`update`)")?;
            continue;
        }
        if matches!(reference.place, Place::Package { .. }) {
            writeln!(stdout, "{place}: {reference} is what the server sends that manages flitch")?;
            continue;
        }
        match locked(&opened.registries, &reference, args.update) {
            Ok(None) => writeln!(stdout, "{place}: {reference} stays")?,
            Ok(Some(digest)) => {
                let location = loaded.file.locate(&place);
                let written = location.and_then(|at| Some((at, text.get(at.start..at.end)?)));
                let plugin = match place.contains(".shadow.") {
                    true => {
                        filter.and_then(|filter| filter.shadow.as_ref()).map(|shadow| shadow.plugin.as_str())
                    }
                    false => filter.map(|filter| filter.plugin.as_str()),
                };
                let own = plugin.map(|plugin| plugin.split('@').next().unwrap_or(plugin)).unwrap_or_default();
                match written {
                    // What comes from outside the file stands there otherwise.
                    Some((at, raw)) if Some(raw.trim_matches(['"', '\''])) == plugin => {
                        writeln!(stdout, "{place}: {own}@{digest}")?;
                        edits.push((at, format!("\"{own}@{digest}\"")));
                    }
                    _ => {
                        failed += 1;
                        writeln!(
                            stdout,
                            "{place}: it does not stand in {} as it is; write {own}@{digest} yourself",
                            opened.path.display()
                        )?;
                    }
                }
            }
            Err(error) => {
                failed += 1;
                writeln!(stdout, "{place}: {}", Escaped(&error))?;
            }
        }
    }
    if !edits.is_empty() {
        edits.sort_by_key(|(at, _)| at.start);
        edits.dedup_by_key(|(at, _)| at.start);
        let mut editor = Editor::new(&text);
        edits.into_iter().for_each(|(at, with)| editor.replace(at.start, at.end, with));
        written::replace(&opened.path, editor.done().as_bytes())?;
    }
    match failed {
        0 => Ok(()),
        failed => Err(anyhow::anyhow!("{failed} of the plugins could not be locked").into()),
    }
}

/// The digest to be written; none where it stands there already. What may not run is not pinned.
fn locked(
    registries: &Registries,
    reference: &Reference,
    updates: bool,
) -> Result<Option<flitch_registry::Digest>, Error> {
    let now = registries.resolve(reference)?;
    match &reference.digest {
        Some(wanted) if *wanted == now => return Ok(None),
        Some(_) if !updates => return Err(reference.moved(&now)),
        _ => {}
    }
    registries.load(&reference.pinned(now.clone()))?;
    Ok(Some(now))
}
