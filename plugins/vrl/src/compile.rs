//! From the text of a program to the program, or to what is wrong with it.

use crate::functions;
use flitch_sdk::{Result, err, host};
use vrl::compiler::Program;
use vrl::diagnostic::{Diagnostic, DiagnosticList};

/// Compiles a program. What the language warns of goes to the log.
///
/// # Errors
/// What is wrong, with line and column, each with the language's own words.
pub fn compile(source: &str) -> Result<Program> {
    match vrl::compiler::compile(source, &functions::all()) {
        Ok(compiled) => {
            if !compiled.warnings.is_empty() {
                host::warn(&one_line(source, &compiled.warnings));
            }
            Ok(compiled.program)
        }
        Err(diagnostics) => Err(err!("settings.source: {}", one_line(source, &diagnostics))),
    }
}

/// Each problem with its place, in one line.
fn one_line(source: &str, diagnostics: &DiagnosticList) -> String {
    let all: Vec<String> = diagnostics.iter().map(|one| told(source, one)).collect();
    all.join("; ")
}

fn told(source: &str, diagnostic: &Diagnostic) -> String {
    let label = diagnostic.labels.iter().find(|label| label.primary).or(diagnostic.labels.first());
    let mut text = String::new();
    if let Some(label) = label {
        let (line, column) = place(source, label.span.start());
        text.push_str(&format!("{line}:{column}: "));
    }
    let severity = if diagnostic.is_problem() { "error" } else { "warning" };
    text.push_str(&format!("{severity}[E{:03}]: {}", diagnostic.code, diagnostic.message));
    let labels: Vec<&str> = diagnostic
        .labels
        .iter()
        .map(|label| label.message.as_str())
        .filter(|text| !text.is_empty())
        .collect();
    if !labels.is_empty() {
        text.push_str(&format!(" ({})", labels.join(", ")));
    }
    text
}

/// Line and column of a byte, from 1.
fn place(source: &str, byte: usize) -> (usize, usize) {
    let before = source.get(..byte).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let begin = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before[begin..].chars().count() + 1)
}
