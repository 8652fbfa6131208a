//! From a file to a configuration that was found right.

use std::path::Path;

use rustix::fs::Access;

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
    /// Whether each source and output can be put to work, as far as its settings alone tell: what `check` and `run`
    /// both ask before anything is started. Files that the settings name are read; nothing is connected to.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn check_parts(&self) -> Result<(), ConfigError> {
        let sources =
            self.config.sources.iter().map(|(name, source)| (format!("sources.{name}"), source.check()));
        let data_dir = &self.config.data_dir;
        let outputs = self.config.outputs.iter();
        let outputs = outputs.map(|(name, output)| (format!("outputs.{name}"), output.check(name, data_dir)));
        let wrong = sources.chain(outputs).filter_map(|(path, checked)| Some((path, checked.err()?)));
        let mut problems: Vec<Problem> = wrong.map(|(path, error)| self.error(&path, &error)).collect();
        problems.extend(self.data_dir());
        problems.sort_by_key(|problem| problem.location);
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
    }

    fn data_dir(&self) -> Option<Problem> {
        let folder = &self.config.data_dir;
        let there = std::fs::metadata(folder).ok().filter(|there| !there.is_dir())?;
        let kind = if there.is_file() { "a file" } else { "no folder" };
        let problem = self.file.at("data_dir", format!("`data_dir`: {} is {kind}", folder.display()));
        Some(problem.help("name a folder; it is made if it is not there".to_owned()))
    }

    /// A word about a data folder that this user could not keep anything in.
    pub fn unwritable(&self) -> Option<Problem> {
        let folder = std::path::absolute(&self.config.data_dir).ok()?;
        // What is not there is made in the folder above.
        let there = folder.ancestors().find(|path| path.exists())?;
        let wanted = Access::WRITE_OK | Access::EXEC_OK;
        rustix::fs::access(there, wanted).err()?;
        let message = format!("`data_dir`: this user may not write to {}", there.display());
        let help =
            "flitch keeps positions and dead letters there: run it as a user who may, or name another folder";
        Some(self.file.at("data_dir", message).help(help.to_owned()).warning())
    }

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
