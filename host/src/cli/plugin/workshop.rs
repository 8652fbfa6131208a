//! The folder that somebody writes a filter in.

use std::path::{Path, PathBuf};

use super::super::Failure;
use crate::STOCK;

/// The language that a filter is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    Rust,
    C,
    Go,
    /// JavaScript.
    Js,
    /// TypeScript.
    Ts,
    Python,
}

/// The file by which a folder is known to be of a language.
const MARKS: [(&str, Language); 6] = [
    ("Cargo.toml", Language::Rust),
    ("go.mod", Language::Go),
    ("tsconfig.json", Language::Ts),
    ("package.json", Language::Js),
    ("pyproject.toml", Language::Python),
    ("Makefile", Language::C),
];

/// A filter's folder.
#[derive(Debug)]
pub struct Workshop {
    pub folder: PathBuf,
    /// The filter's name: the folder's.
    pub name: String,
    pub language: Language,
}

impl Workshop {
    /// The folder at `path`.
    pub fn at(path: &Path) -> Result<Workshop, Failure> {
        let wrong = |why: String| Failure::Usage(format!("{}: {why}", path.display()));
        let folder = path.canonicalize().map_err(|error| wrong(error.to_string()))?;
        let Some((_, language)) = MARKS.iter().find(|(mark, _)| folder.join(mark).exists()) else {
            let marks = MARKS.map(|(mark, _)| mark).join(", ");
            return Err(wrong(format!(
                "it is no filter's folder, which has one of {marks}; `flitch plugin new NAME --lang LANG` makes one"
            )));
        };
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Workshop { name, language: *language, folder })
    }

    /// Where the component is put.
    pub fn component(&self) -> PathBuf {
        self.folder.join(&self.name).with_extension("wasm")
    }
}

/// What a command is asked for: the name of a stock plugin, a component, or a filter's folder. Answers how `plugin` names it in a
/// configuration, and where its cases are, where that is known. A folder with the name of a stock plugin is `./NAME`, as there.
pub fn find(plugin: &str) -> Result<(String, Option<PathBuf>), Failure> {
    let path = Path::new(plugin);
    if STOCK.names().all(|name| name != plugin) && path.is_dir() {
        let workshop = Workshop::at(path)?;
        let component = workshop.component();
        if !component.exists() {
            let shown = component.display();
            return Err(Failure::Usage(format!(
                "there is no {shown}: run `flitch plugin build {plugin}` first"
            )));
        }
        return Ok((component.to_string_lossy().into_owned(), Some(workshop.folder.join("cases"))));
    }
    let beside = path.parent().filter(|_| path.is_file()).map(|folder| folder.join("cases"));
    Ok((plugin.to_owned(), beside.filter(|folder| folder.is_dir())))
}
