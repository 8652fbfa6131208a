//! The commands that stand in the documentation are commands.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use clap::error::ErrorKind;

use super::Cli;

/// The pages that people read, with those of the SDKs, examples and plugins.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut pages = vec![root.join("README.md")];
    for folder in ["docs", "sdk", "examples", "plugins"] {
        let entries = fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        pages.extend(entries.flat_map(|path| [path.join("README.md"), path]));
    }
    pages.retain(|page| page.is_file() && page.extension().is_some_and(|end| end == "md"));
    pages.sort();
    pages
}

/// The commands of flitch in a text: in backticks, and in blocks of a shell, each up to its pipe, redirection or comment.
fn commands(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_shell = false;
    for line in page.replace("\\\n", " ").lines() {
        match line.strip_prefix("```") {
            Some(language) => is_shell = language == "sh",
            None if is_shell => found.extend(line.split(['|', ';', '&']).map(str::to_owned)),
            None => found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned)),
        }
    }
    let ended = |text: &String| text.split(['#', '<', '>', '|']).next().unwrap_or_default().trim().to_owned();
    found.iter().map(ended).filter(|text| text.starts_with("flitch ")).collect()
}

#[test]
fn each_command_that_the_documentation_shows_is_one() {
    let mut count = 0;
    for page in pages() {
        for command in commands(&fs::read_to_string(&page).unwrap()) {
            count += 1;
            let Err(error) = Cli::try_parse_from(command.split_whitespace()) else { continue };
            // It is also named in passing, without what it is for.
            let is_part = matches!(
                error.kind(),
                ErrorKind::MissingRequiredArgument
                    | ErrorKind::DisplayHelp
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            );
            assert!(is_part, "{}: `{command}`: {error}", page.display());
        }
    }
    assert!(count > 60, "only {count} commands were found");
}
