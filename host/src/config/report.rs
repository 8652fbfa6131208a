//! What is wrong with a configuration, shown with the lines of the file.

use std::fmt;
use std::sync::Arc;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity, SourceCode,
};

use super::tree::Location;
use flitch_core::telemetry::escape::Lines;

/// Most problems of one file that are told; of the others it is told how many they are.
pub const MOST_TOLD: usize = 40;
/// Most bytes of the lines that are shown with a problem: what has longer ones was written by a machine.
const MOST_LINES: usize = 4096;
/// Most bytes of what is said of a problem.
const LONGEST: usize = 4096;

/// One thing that is wrong, or worth a warning. Its texts may come from a plugin: they are escaped where they are shown.
#[derive(Clone)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Where, if it has a place in the file.
    pub location: Option<Location>,
    /// Whether flitch runs all the same.
    pub is_warning: bool,
    /// The file, without the secrets in it.
    file: Arc<NamedSource<String>>,
}

impl Problem {
    /// A problem at a place of `file`, whose text holds no secrets.
    pub(super) fn new(
        file: &Arc<NamedSource<String>>,
        location: Option<Location>,
        message: String,
    ) -> Problem {
        Problem { message: cut(message), help: None, location, is_warning: false, file: file.clone() }
    }

    /// The same with what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<Option<String>>) -> Problem {
        self.help = help.into().map(cut);
        self
    }

    /// The same as a warning.
    #[must_use]
    pub fn warning(mut self) -> Problem {
        self.is_warning = true;
        self
    }

    /// Whether the lines that would be shown with it are for people: the one before it, its own, and the one behind it.
    fn has_short_lines(&self) -> bool {
        let (Some(location), text) = (self.location, self.file.inner().as_bytes()) else { return true };
        let start = location.start.min(text.len());
        let end = location.end.clamp(start, text.len());
        let two_lines = || {
            let mut ends = 0;
            move |byte: &&u8| {
                ends += usize::from(**byte == b'\n');
                ends < 2
            }
        };
        let before = text[..start].iter().rev().take_while(two_lines()).take(MOST_LINES).count();
        let behind = text[end..].iter().take_while(two_lines()).take(MOST_LINES).count();
        before + (end - start) + behind < MOST_LINES
    }

    /// Line and column, both from 1; the column in characters.
    pub fn line_and_column(&self) -> Option<(usize, usize)> {
        let before = self.file.inner().get(..self.location?.start)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Some((before.matches('\n').count() + 1, before[line_start..].chars().count() + 1))
    }
}

/// A text that is no longer than it may be.
fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Lines(&self.message).fmt(f)
    }
}

/// As one line: file, line, column, message, help.
impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file.name())?;
        if let Some((line, column)) = self.line_and_column() {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {self}")?;
        match &self.help {
            Some(help) => write!(f, " ({})", Lines(help)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn severity(&self) -> Option<Severity> {
        Some(if self.is_warning { Severity::Warning } else { Severity::Error })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(Lines(help)) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.location.map(|_| &*self.file as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let location = self.location?;
        let length = location.end.saturating_sub(location.start).max(1);
        let label = LabeledSpan::new(Some("here".to_owned()), location.start, length);
        Some(Box::new(std::iter::once(label)))
    }
}

/// All that is wrong with a configuration.
#[derive(Clone)]
pub struct ConfigError {
    /// Never empty; in the order of the file.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// The problems as a report for people, with the lines of the file; `colors` for a terminal.
    pub fn report(&self, colors: bool) -> String {
        let mut text = render(&self.problems, colors);
        let count = match self.problems.len() {
            1 => "1 error".to_owned(),
            // The reader ends with as many.
            MOST_TOLD => format!("{MOST_TOLD} errors, and perhaps more"),
            many => format!("{many} errors"),
        };
        let name = self.problems.first().map_or("", |problem| problem.file.name());
        text.push_str(&format!("{name}: {count}\n"));
        text
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> ConfigError {
        ConfigError { problems: vec![problem] }
    }
}

/// Problems as a report for people.
pub fn render(problems: &[Problem], colors: bool) -> String {
    let theme = if colors { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(100).with_links(false);
    let mut out = String::new();
    for problem in problems.iter().take(MOST_TOLD) {
        if !problem.has_short_lines() || handler.render_report(&mut out, problem).is_err() {
            out.push_str(&format!("{problem:?}\n"));
        }
        out.push('\n');
    }
    if let Some(others) = others(problems) {
        out.push_str(&format!("{others}\n\n"));
    }
    out
}

/// How many there are beside those that are told.
fn others(problems: &[Problem]) -> Option<String> {
    problems.len().checked_sub(MOST_TOLD).filter(|more| *more > 0).map(|more| format!("and {more} more"))
}

/// One line for each problem: for logs.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, problem) in self.problems.iter().take(MOST_TOLD).enumerate() {
            let newline = if place == 0 { "" } else { "\n" };
            write!(f, "{newline}{problem:?}")?;
        }
        match others(&self.problems) {
            Some(others) => write!(f, "\n{others}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests;
