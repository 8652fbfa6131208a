//! Sources that read what flitch itself writes, so that each record makes another one for ever.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Checker;
use flitch_core::batch::template::Template;
use flitch_core::dead_letter;

impl Checker<'_> {
    /// Warns of sources whose records come back to them through the files of outputs, or which read the data folder.
    pub(super) fn circles(&mut self) {
        let config = self.config;
        let used: BTreeSet<&String> = config.pipelines.values().flat_map(|pipeline| &pipeline.from).collect();
        let letters = absolute(&config.data_dir).join(dead_letter::FOLDER).join("letters-00000001.ndjson");
        for name in used {
            let Some(source) = config.sources.get(name) else { continue };
            let include = format!("sources.{name}.include");
            if source.reads(&letters) {
                let message = format!("`{name}` reads what flitch keeps in its own `data_dir`");
                self.warn(&include, message, "leave the folder out by `exclude`, or put it elsewhere");
            }
            if let Some((output, path)) = self.comes_back(name) {
                let message = format!(
                    "`{name}` reads what the output `{output}` writes of it ({path}): its records never end"
                );
                self.warn(
                    &include,
                    message,
                    "leave the files of the output out by `exclude`, or write them elsewhere",
                );
            }
        }
    }

    /// The output through which records of a source come back to it, with the path of its files.
    fn comes_back(&self, name: &str) -> Option<(String, String)> {
        let config = self.config;
        let (mut reached, mut next) = (BTreeSet::from([name]), vec![name]);
        while let Some(at) = next.pop() {
            let from_here =
                config.pipelines.values().filter(|pipeline| pipeline.from.iter().any(|from| from == at));
            for to in from_here.flat_map(|pipeline| &pipeline.to) {
                let Some(path) = config.outputs.get(&to.output).and_then(|output| output.kind.writes())
                else {
                    continue;
                };
                let file = absolute(Path::new(&one_of(path)));
                let readers = config
                    .sources
                    .iter()
                    .filter(|(_, source)| source.reads(&file))
                    .map(|(name, _)| name.as_str());
                for reader in readers {
                    if reader == name {
                        return Some((to.output.clone(), path.to_string()));
                    }
                    if reached.insert(reader) {
                        next.push(reader);
                    }
                }
            }
        }
        None
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A path that a template may come to: each value in it is an `x`.
fn one_of(template: &Template) -> String {
    let (text, mut path) = (template.to_string(), String::new());
    let mut rest = text.as_str();
    while let Some((before, value)) = rest.split_once('{') {
        path.push_str(before);
        path.push('x');
        rest = value.split_once('}').map_or("", |(_, behind)| behind);
    }
    path + rest
}
