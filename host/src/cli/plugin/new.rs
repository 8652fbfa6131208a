//! `flitch plugin new`: a folder that somebody can begin a filter in.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::super::Failure;
use super::workshop::Language;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to make; its name becomes the filter's.
    folder: PathBuf,
    /// The language to write the filter in.
    #[arg(long, value_enum)]
    lang: Language,
}

/// The name that stands in the templates.
const NAME: &str = "my-filter";

/// Makes the folder.
pub fn run(args: &Args) -> Result<(), Failure> {
    let name = args.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !is_name(&name) {
        return Err(Failure::Usage(format!(
            "`{name}` cannot be a filter's name everywhere: take small letters, digits and `-`, a letter first"
        )));
    }
    if args.folder.exists() {
        return Err(Failure::Usage(format!("{} exists already", args.folder.display())));
    }
    let (language, template) = match args.lang {
        Language::Rust => ("rust", "template"),
        Language::C => ("c", "template"),
        Language::Go => ("go", "template"),
        Language::Js => ("js", "template"),
        Language::Ts => ("js", "template-ts"),
        Language::Python => ("python", "template"),
    };
    let files = flitch_stock::SDKS.iter().find(|(sdk, _)| *sdk == language).map(|(_, files)| *files);
    let prefix = format!("{template}/");
    for (path, content) in files.unwrap_or_default() {
        let (to, content) = match path.strip_prefix(&prefix) {
            Some(own) => (args.folder.join(own.replace(NAME, &name)), named(content, &name)),
            None if path.starts_with("template") => continue,
            None => (args.folder.join("sdk").join(path), content.to_vec()),
        };
        write(&to, &content).with_context(|| to.display().to_string())?;
    }
    let shown = args.folder.display();
    let next =
        format!("{shown} is there. Next:\n  flitch plugin build {shown}\n  flitch plugin test {shown}\n");
    Ok(std::io::stdout().write_all(next.as_bytes())?)
}

/// Whether a name is good for a crate, a Go module, a package of npm and PyPI alike.
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !name.ends_with('-')
}

/// A file of the template with the filter's name, and with the SDK where it lies now.
fn named(content: &[u8], name: &str) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(content) else { return content.to_vec() };
    let text = text.replace(NAME, name).replace(&NAME.replace('-', "_"), &name.replace('-', "_"));
    // How the template of each language names the folder above it, where the SDK lies in a checkout.
    let ways = [
        ("path = \"..\"", "path = \"sdk\""),
        ("SDK ?= ..", "SDK ?= sdk"),
        ("sdk = \"..\"", "sdk = \"sdk\""),
        ("=> ..", "=> ./sdk"),
        ("file:..", "file:sdk"),
    ];
    ways.iter().fold(text, |text, (above, beside)| text.replace(above, beside)).into_bytes()
}

fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, content)
}

#[cfg(test)]
mod tests;
