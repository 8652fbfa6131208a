//! Tests of pipelines: names that point nowhere, and tests that could not fail or not run.

use super::Checker;
use crate::config::cases::{Given, TestSettings};
use crate::pipeline::PipelineSettings;

impl<'a> Checker<'a> {
    /// What is wrong with the tests.
    pub(super) fn cases(&mut self) {
        let config = self.config;
        for (name, test) in &config.tests {
            let path = format!("tests.{name}");
            if let Some((name, pipeline)) = self.tested(&path, test) {
                self.source(&path, test, name, pipeline);
                self.ends(&path, test, name, pipeline);
            }
            if test.r#in.is_empty() {
                let help = "write one at least: `in: [\"a line\"]`, or `in: [{ message: a line }]`";
                self.push(&format!("{path}.in"), "the test has no records".to_owned(), help.to_owned());
            }
            if test.out.is_empty() && test.dead_letters.is_empty() && test.dropped.is_none() {
                let help = "say what should become of its records: `out: { OUTPUT: [{ FIELD: VALUE }] }`, `dead_letters` or \
                            `dropped`; into `out: { OUTPUT: [] }` `flitch test --bless` writes what comes out";
                self.push(&path, "the test expects nothing".to_owned(), help.to_owned());
            }
        }
    }

    /// The pipeline that a test is about.
    fn tested(&mut self, path: &str, test: &TestSettings) -> Option<(&'a str, &'a PipelineSettings)> {
        let pipelines = &self.config.pipelines;
        let known: Vec<&str> = pipelines.keys().map(String::as_str).collect();
        match (&test.pipeline, &known[..]) {
            (Some(name), _) => {
                self.reference(&format!("{path}.pipeline"), name, "pipeline", &known);
                pipelines.get_key_value(name).map(|(name, pipeline)| (name.as_str(), pipeline))
            }
            (None, [one]) => Some((one, &pipelines[*one])),
            (None, all) => {
                let help = format!("name the pipeline that it tests: there are {}", all.join(", "));
                self.push(path, "the test has no `pipeline`".to_owned(), help);
                None
            }
        }
    }

    /// The source whose records they are, and whether it reads them.
    fn source(&mut self, path: &str, test: &TestSettings, name: &str, pipeline: &PipelineSettings) {
        let from: Vec<&str> = pipeline.from.iter().map(String::as_str).collect();
        if let Some(source) = test.source.as_deref().filter(|source| !from.contains(source)) {
            let help = format!("`{name}` reads from {}", from.join(", "));
            let message = format!("the pipeline `{name}` does not read from `{source}`");
            return self.push(&format!("{path}.source"), message, help);
        }
        let Some(source) = test.source_of(pipeline).and_then(|name| self.config.sources.get(name)) else {
            return;
        };
        let is_text = |given: &Given| matches!(given, Given::Text(_));
        let Some(text) = test.r#in.iter().position(is_text) else { return };
        let path = format!("{path}.in[{text}]");
        if !source.reads_text() {
            let message = format!("no text is a record of a source of type `{}`", source.type_name());
            self.push(&path, message, "write the fields of the record: `{ message: ... }`".to_owned());
        } else if !test.r#in.iter().all(is_text) {
            let help = "write all records of a test as texts, or all as maps of fields".to_owned();
            self.push(&path, "texts and maps of fields stand in one test".to_owned(), help);
        }
    }

    /// The outputs, filters and sources at which its records should end.
    fn ends(&mut self, path: &str, test: &TestSettings, name: &str, pipeline: &PipelineSettings) {
        let outputs: Vec<&str> = pipeline.to.iter().map(|to| to.output.as_str()).collect();
        for output in test.out.keys().filter(|output| !outputs.contains(&output.as_str())) {
            let location = self.file.locate_key(&format!("{path}.out.{output}"));
            let problem = self.file.at_location(location, format!("`{name}` does not lead to `{output}`"));
            let help = format!("it leads to {}", outputs.join(", "));
            self.problems.push(problem.help(help));
        }
        let source = test.source_of(pipeline);
        for (number, letter) in test.dead_letters.iter().enumerate() {
            let Some(by) = letter.by.as_deref() else { continue };
            if !pipeline.filters.iter().any(|filter| filter == by) && source != Some(by) {
                let all: Vec<&str> =
                    source.into_iter().chain(pipeline.filters.iter().map(String::as_str)).collect();
                let help = format!("records of this test meet {}", all.join(", "));
                let message = format!("no source or filter of `{name}` is named `{by}`");
                self.push(&format!("{path}.dead_letters[{number}].by"), message, help);
            }
        }
    }
}
