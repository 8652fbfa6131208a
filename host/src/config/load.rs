use std::path::Path;

use super::check;
use super::interpolate::Outside;
use super::model::Config;
use super::report::{ConfigError, Problem};
use super::source::{self, SourceFile};

/// A configuration that was read and found right, with its file, so that what goes wrong later has a place too.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// What is worth a word.
    pub warnings: Vec<Problem>,
    /// The file.
    pub file: SourceFile,
}

impl Loaded {
    /// An error that came up when a part was put to work; `path` is the part's place: `outputs.events`,
    /// `filters.parse.plugin`. Secrets are taken out of the text.
    pub fn error(&self, path: &str, error: &anyhow::Error) -> Problem {
        let text = format!("{error:#}");
        // Texts of the parts name the key that they mean: `acks` other than `all` needs ..., or, of a plugin,
        // settings.preset: ...
        let quoted = text
            .strip_prefix('`')
            .and_then(|rest| rest.split_once('`'))
            .map(|(key, _)| format!("{path}.{key}"));
        let filter = path.strip_suffix(".settings").unwrap_or(path);
        let setting = text.split_whitespace().find(|word| word.starts_with("settings."));
        let setting = setting.map(|key| format!("{filter}.{}", key.trim_end_matches(':')));
        let deeper = |path: Option<String>| {
            path.and_then(|path| self.file.locate_key(&path).and(self.file.locate(&path)))
        };
        let location = deeper(quoted).or_else(|| deeper(setting)).or_else(|| self.file.locate(path));
        self.file.at_location(location, format!("{path}: {text}"))
    }
}

/// Reads and checks a configuration file.
///
/// # Errors
/// All that is wrong with it.
pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| source::unreadable(path, &error))?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let variable = |name: &str| std::env::var(name).ok();
    parse(&path.display().to_string(), &text, &Outside { variable: &variable, folder })
}

/// Reads and checks a configuration; `name` is how reports call the file.
///
/// # Errors
/// All that is wrong with it.
pub fn parse(name: &str, text: &str, outside: &Outside<'_>) -> Result<Loaded, ConfigError> {
    let mut file = SourceFile::parse(name, text, outside)?;
    let config: Config = file.read()?;
    let mut problems = check::check(&config, &file);
    problems.extend(file.out_of_range());
    problems.sort_by_key(|problem| problem.location);
    let (warnings, errors): (Vec<_>, Vec<_>) = problems.into_iter().partition(|p| p.is_warning);
    match errors.is_empty() {
        true => Ok(Loaded { config, warnings, file }),
        false => Err(ConfigError { problems: errors }),
    }
}
