//! What one piece of the configuration alone cannot tell: names that point nowhere, parts that nobody uses, two
//! listeners on one address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

use super::de::suggest;
use super::model::Config;
use super::report::Problem;
use super::source::SourceFile;
use crate::admin;
use crate::pipeline::PipelineSettings;
use flitch_core::buffers::{self, Ack, WhenFull};
use flitch_core::net::address::Endpoint;
use flitch_core::net::descriptors::{self, Excess};
use flitch_core::net::listen::ALL;

mod cases;
mod circles;
mod folders;

/// Where sources listen when only a port is named.
/// Most names that point nowhere which are looked at.
const MOST: usize = 1000;

/// All errors and warnings about `config`, which was read from `file`.
pub fn check(config: &Config, file: &SourceFile) -> Vec<Problem> {
    let mut checker = Checker { config, file, problems: Vec::new() };
    checker.names();
    for (name, pipeline) in &config.pipelines {
        checker.pipeline(name, pipeline);
    }
    checker.is_complete();
    checker.unused();
    checker.odd();
    checker.circles();
    checker.contradictions();
    checker.buffers();
    checker.addresses();
    checker.descriptors();
    checker.idle();
    checker.cases();
    checker.problems
}

struct Checker<'a> {
    config: &'a Config,
    file: &'a SourceFile,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn push(&mut self, path: &str, message: String, help: impl Into<Option<String>>) {
        let problem = self.file.at(path, message).help(help);
        self.problems.push(problem);
    }

    fn warn(&mut self, path: &str, message: String, help: &str) {
        let location = self.file.locate_key(path).or_else(|| self.file.locate(path));
        let problem = self.file.at_location(location, message).help(help.to_owned()).warning();
        self.problems.push(problem);
    }

    /// Names stand in metrics, file names and logs, and are parts of paths.
    fn names(&mut self) {
        let config = self.config;
        let all = [
            ("sources", config.sources.keys().collect::<Vec<_>>()),
            ("filters", config.filters.keys().collect()),
            ("outputs", config.outputs.keys().collect()),
            ("pipelines", config.pipelines.keys().collect()),
            ("tables", config.tables.keys().collect()),
        ];
        for (section, names) in all {
            for name in names {
                let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
                    let location = self.file.locate_key(&format!("{section}.{name}"));
                    let location = location.or_else(|| self.file.locate(section));
                    let message = format!("`{name}` cannot be a name");
                    let help = "a name has 1 to 64 letters, digits, `_` and `-`, without accents".to_owned();
                    self.problems.push(self.file.at_location(location, message).help(help));
                }
            }
        }
    }

    fn pipeline(&mut self, name: &str, pipeline: &PipelineSettings) {
        let config = self.config;
        let path = format!("pipelines.{name}");
        for (list, names, what) in
            [("from", &pipeline.from, "source"), ("filters", &pipeline.filters, "filter")]
        {
            let known: Vec<&str> = match what {
                "source" => config.sources.keys().map(String::as_str).collect(),
                _ => config.filters.keys().map(String::as_str).collect(),
            };
            for (number, used) in names.iter().enumerate() {
                self.reference(&format!("{path}.{list}[{number}]"), used, what, &known);
            }
        }
        let outputs: Vec<&str> = config.outputs.keys().map(String::as_str).collect();
        for (number, route) in pipeline.to.iter().enumerate() {
            self.reference(&self.route(&path, number), &route.output, "output", &outputs);
        }
        if pipeline.from.is_empty() {
            self.push(&format!("{path}.from"), format!("the pipeline `{name}` reads from no source"), None);
        }
        if pipeline.to.is_empty() {
            let help = "a pipeline without an output would drop every record: name one, `to: [NAME]`; to drop on \
                        purpose take an output of the type `blackhole`";
            let message = format!("the pipeline `{name}` has no output");
            self.push(&format!("{path}.to"), message, help.to_owned());
        }
        self.doubled(&path, pipeline);
        let mut seen = BTreeSet::new();
        for (number, source) in pipeline.from.iter().enumerate() {
            if !seen.insert(source) && self.problems.len() < MOST {
                let message = format!("the source `{source}` stands in `from` twice");
                let help = "its records would be written twice: take one away".to_owned();
                self.push(&format!("{path}.from[{number}]"), message, help);
            }
        }
    }

    /// Outputs that records go to twice, whatever is in them. Of two routes with conditions of their own only whoever wrote
    /// them knows whether both may hold.
    fn doubled(&mut self, path: &str, pipeline: &PipelineSettings) {
        let mut seen: BTreeMap<&str, BTreeSet<Option<String>>> = BTreeMap::new();
        for (number, route) in pipeline.to.iter().enumerate() {
            let when = route.when.as_ref().map(|when| serde_json::to_string(when).unwrap_or_default());
            let before = seen.entry(&route.output).or_default();
            let is_sure =
                before.contains(&when) || before.contains(&None) || when.is_none() && !before.is_empty();
            before.insert(when);
            if is_sure && self.problems.len() < MOST {
                let message = format!("the output `{}` stands in `to` twice", route.output);
                let help = "records would be written to it twice: take one away, or put both conditions into one, \
                            `when: { any: [...] }`";
                self.push(&self.route(path, number), message, help.to_owned());
            }
        }
    }

    /// The path of the name of an output in `to`, in the short form or the long one.
    fn route(&self, pipeline: &str, number: usize) -> String {
        let short = format!("{pipeline}.to[{number}]");
        let long = format!("{short}.output");
        if self.file.locate_key(&long).is_some() { long } else { short }
    }

    fn reference(&mut self, path: &str, name: &str, what: &str, known: &[&str]) {
        if known.contains(&name) || self.problems.len() >= MOST {
            return;
        }
        let help = match suggest(name, known, &format!("{what}s")) {
            Some(help) => help,
            None => format!("no {what} is named in `{what}s`: add one"),
        };
        self.push(path, format!("no {what} is named `{name}`"), help);
    }

    fn is_complete(&mut self) {
        // Whoever is managed may wait for pipelines.
        if self.config.pipelines.is_empty() && self.config.manage.opamp.is_none() {
            let help = "a pipeline takes records from sources to outputs: `pipelines: { NAME: { from: [...], to: \
                        [...] } }`";
            self.push("pipelines", "there is no pipeline, so nothing would run".to_owned(), help.to_owned());
        }
    }

    fn unused(&mut self) {
        let pipelines = || self.config.pipelines.values();
        let used: BTreeSet<(&str, &str)> = pipelines()
            .flat_map(|p| p.from.iter().map(|name| ("sources", name.as_str())))
            .chain(pipelines().flat_map(|p| p.filters.iter().map(|name| ("filters", name.as_str()))))
            .chain(pipelines().flat_map(|p| p.to.iter().map(|to| ("outputs", to.output.as_str()))))
            .collect();
        let config = self.config;
        let there = (config.sources.keys().map(|name| ("sources", "source", name)))
            .chain(config.filters.keys().map(|name| ("filters", "filter", name)))
            .chain(config.outputs.keys().map(|name| ("outputs", "output", name)));
        let unused: Vec<_> =
            there.filter(|(section, _, name)| !used.contains(&(*section, name.as_str()))).collect();
        for (section, what, name) in unused {
            let message = format!("no pipeline uses the {what} `{name}`");
            let help = match what {
                "source" => "it is not started; name it in the `from` of a pipeline",
                "filter" => "name it in the `filters` of a pipeline",
                _ => "it is not opened; name it in the `to` of a pipeline",
            };
            self.warn(&format!("{section}.{name}"), message, help);
        }
    }

    /// Settings that make sense, and are hardly what was meant.
    fn odd(&mut self) {
        for (name, source) in &self.config.sources {
            for (key, message) in source.warnings() {
                self.problems.push(self.file.at(&format!("sources.{name}.{key}"), message).warning());
            }
        }
    }

    /// Settings of one output that promise the opposite of each other.
    fn contradictions(&mut self) {
        for (name, output) in &self.config.outputs {
            let (key, value, other) = match (output.best_effort, output.buffer.when_full) {
                (true, WhenFull::Block) => ("buffer.when_full", "block", "best_effort: true"),
                (false, WhenFull::DropNewest) => ("best_effort", "false", "when_full: drop_newest"),
                _ => continue,
            };
            let path = format!("outputs.{name}.{key}");
            if self.file.locate_key(&path).is_some() {
                let key = key.rsplit('.').next().unwrap_or(key);
                let message = format!("`{key}: {value}` contradicts `{other}` of the same output");
                let help = "sources wait for an output with `when_full: block` and for none of best effort: take one of \
                            the two away"
                    .to_owned();
                self.push(&path, message, help);
            }
        }
    }

    /// Settings of buffers on disk beside one in memory, and two buffers in one folder.
    fn buffers(&mut self) {
        let config = self.config;
        let below = config.data_dir.join(buffers::FOLDER);
        let mut taken: BTreeMap<PathBuf, &str> = BTreeMap::new();
        for (name, output) in &config.outputs {
            let path = format!("outputs.{name}.buffer");
            let Some(folder) = output.buffer.folder(name, &below) else {
                let help = "a buffer on disk has it: `type: disk`".to_owned();
                if output.buffer.ack == Some(Ack::Stored) {
                    let message =
                        "`ack: stored` needs a buffer that outlives the process, and this one is in memory";
                    self.push(&format!("{path}.ack"), message.to_owned(), help.clone());
                }
                if output.buffer.path.is_some() {
                    self.push(&format!("{path}.path"), "a buffer in memory has no folder".to_owned(), help);
                }
                continue;
            };
            if let Some(other) = taken.insert(folders::place(&folder), name) {
                let message = format!("the buffer of `{other}` has the folder {} too", folder.display());
                let help = "give each buffer a `path` of its own".to_owned();
                let own = format!("{path}.path");
                let place = if self.file.locate_key(&own).is_some() { own } else { path };
                self.push(&place, message, help);
            }
        }
    }

    /// Two listeners on one address: the second one could not start.
    fn addresses(&mut self) {
        let config = self.config;
        let mut taken: Vec<(Endpoint, IpAddr, String)> = Vec::new();
        if config.admin.enabled {
            let address = Endpoint::Tcp(config.admin.listen.clone());
            taken.push((address, admin::LOOPBACK, "the admin listener".to_owned()));
        }
        for (name, source) in &config.sources {
            for (number, address) in source.listens().into_iter().enumerate() {
                let is_taken = |(other, alone, _): &&(Endpoint, IpAddr, String)| match (&address, other) {
                    (Endpoint::Tcp(own), Endpoint::Tcp(other)) => own.is_taken_by(ALL, other, *alone),
                    (own, other) => own == other,
                };
                if let Some((_, _, other)) = taken.iter().find(is_taken) {
                    let message = format!("`{name}` listens on {address}, and so does {other}");
                    let help = "give one of them another port or path".to_owned();
                    self.push(&format!("sources.{name}.listen[{number}]"), message, help);
                }
                taken.push((address, ALL, format!("the source `{name}`")));
            }
        }
    }

    fn descriptors(&mut self) {
        let Some(excess) = descriptors::excess(self.config.descriptors(), descriptors::most()) else {
            return;
        };
        let Excess { needed, most, largest: (path, of_it) } = excess;
        let message =
            format!("{needed} files and connections may be open at once, and the system allows {most}");
        let help = format!(
            "`{path}` alone may hold {of_it}: lower its `max_connections` or `max_open_files`, or raise the hard \
             limit (`LimitNOFILE=` of systemd, `--ulimit nofile=` of docker); clients that do not \
             fit wait, and files that were quiet longest are closed for others"
        );
        self.warn(&path, message, &help);
    }

    /// Settings that stand in the file and change nothing.
    fn idle(&mut self) {
        let config = self.config;
        for (name, source) in &config.sources {
            for (key, why) in source.idle() {
                self.warn_if_there(&format!("sources.{name}.{key}"), why);
            }
        }
        for (name, output) in &config.outputs {
            let path = |key: &str| format!("outputs.{name}.{key}");
            for (key, why) in output.kind.idle() {
                self.warn_if_there(&path(key), why);
            }
            if output.retry.initial > output.retry.max {
                self.warn_if_there(&path("retry"), "`initial` is more than `max`, so every pause is `max`");
            }
        }
        if config.dead_letter.max_file_bytes > config.dead_letter.max_bytes {
            self.warn_if_there(
                "dead_letter",
                "`max_file_bytes` is more than `max_bytes` lets all files have",
            );
        }
    }

    fn warn_if_there(&mut self, path: &str, message: &str) {
        if self.file.locate_key(path).is_some() {
            self.warn(path, message.to_owned(), "take it away, or set what it belongs to");
        }
    }
}
