//! `flitch filter diff`: how a filter and its shadow agree.

use std::fmt::Write;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::super::Failure;
use super::{Daemon, short, table, text};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The filter's name in the configuration.
    name: String,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = Format::Text, conflicts_with = "json")]
    format: Format,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Tables for people.
    Text,
    /// JSON, as the listener answers it.
    Json,
}

/// Asks for the report, and answers it as it is to be written.
pub fn run(args: &Args) -> Result<String, Failure> {
    let (status, told) = args.daemon.ask(Method::GET, &["api", "filters", &args.name, "diff"], None)?;
    if status == StatusCode::NOT_FOUND {
        return Err(Failure::Usage(text(&told["reason"])));
    }
    if args.daemon.json || args.format == Format::Json {
        return Ok(format!("{told}\n"));
    }
    let reports = told["pipelines"].as_object().into_iter().flatten();
    let pages: Vec<String> = reports.map(|(pipeline, report)| page(&told, pipeline, report)).collect();
    Ok(pages.join("\n"))
}

/// The report of one pipeline.
fn page(filter: &Value, pipeline: &str, report: &Value) -> String {
    let mut out = format!(
        "{} in {pipeline}: {} ({}) and beside it {} ({}), since {}\n",
        text(&filter["filter"]),
        text(&filter["plugin"]),
        short(&filter["sha256"]),
        text(&report["plugin"]),
        short(&report["sha256"]),
        text(&report["since"]),
    );
    let number = |name: &str| report[name].as_u64().unwrap_or(0);
    let (records, same, skipped) = (number("records"), number("same"), number("skipped"));
    // Nothing here can fail: it is written to a text.
    let _ = writeln!(
        out,
        "{records} records compared (a part of {}), {} the same; {skipped} skipped, since it was behind\n",
        report["rate"],
        part(same, records)
    );
    let outcomes = report["outcomes"].as_object().into_iter().flatten().flat_map(|(old, by)| {
        by.as_object()
            .into_iter()
            .flatten()
            .map(move |(new, records)| [old.clone(), new.clone(), records.to_string()])
    });
    table(["old", "new", "records"], outcomes.collect(), &mut out);
    let fields: Vec<[String; 6]> = report["fields"].as_object().into_iter().flatten().map(field).collect();
    if !fields.is_empty() {
        out.push('\n');
        table(["field", "same", "different", "only old", "only new", "kinds"], fields, &mut out);
    }
    if number("other_fields") > 0 {
        let _ = writeln!(out, "and {} values of other fields", number("other_fields"));
    }
    out.push('\n');
    let side = |name: &str| {
        let side = &report[name];
        let faults = side["faults"].as_object().into_iter().flatten();
        let faults: Vec<String> = faults.map(|(kind, count)| format!("{kind} {count}")).collect();
        let faults = if faults.is_empty() { "none".to_owned() } else { faults.join(", ") };
        [name.to_owned(), format!("{:.0}", side["ns_per_record"].as_f64().unwrap_or(0.0)), faults]
    };
    table(["", "ns a record", "faults"], vec![side("old"), side("new")], &mut out);
    let examples: Vec<[String; 3]> =
        report["examples"].as_array().into_iter().flatten().map(example).collect();
    if !examples.is_empty() {
        out.push('\n');
        table(["example of", "old", "new"], examples, &mut out);
    } else if same < records {
        out.push_str(
            "\nto see values: `shadow: { examples: 10 }`; whoever reaches the admin listener sees them too\n",
        );
    }
    out
}

fn field((name, field): (&String, &Value)) -> [String; 6] {
    let kinds = field["kinds"].as_object().into_iter().flatten();
    let kinds: Vec<String> = kinds.map(|(kinds, count)| format!("{kinds} {count}")).collect();
    let count = |name: &str| field[name].to_string();
    let name = text(&Value::from(name.as_str()));
    [name, count("same"), count("different"), count("only_old"), count("only_new"), kinds.join(", ")]
}

fn example(example: &Value) -> [String; 3] {
    let value = |side: &str| match &example[side] {
        Value::String(_) => text(&example[side]),
        _ => "-".to_owned(),
    };
    let of = if example["field"].is_string() { text(&example["field"]) } else { "the record".to_owned() };
    [of, value("old"), value("new")]
}

/// A part of a whole, as a number and in percent.
fn part(part: u64, whole: u64) -> String {
    let percent = if whole == 0 { 100.0 } else { part as f64 * 100.0 / whole as f64 };
    // Rounded down: what is not all of it is not called so.
    format!("{part} ({:.2} %)", (percent * 100.0).floor() / 100.0)
}
