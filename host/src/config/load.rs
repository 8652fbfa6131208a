//! From a file to a configuration that was found right.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::Access;
use serde_json::Value;

use super::check;
use super::interpolate::Outside;
use super::mask;
use super::model::{Config, left_buffer, left_object};
use super::report::{ConfigError, Problem};
use super::source::{self, SourceFile};
use flitch_core::machine;
use flitch_core::setting::Wrong;
use flitch_core::units::Bytes;
use flitch_filters::{FilterSettings, LoadError, Refused, ShadowError};

/// Of the environment: where the admin listener is, whatever the file says of it. For those who start flitch with configurations
/// of somebody else, and ask it how it is.
pub const ADMIN_LISTEN: &str = "FLITCH_ADMIN_LISTEN";
/// Most bytes of a configuration.
const LARGEST: u64 = 16 << 20;
/// What stands for a secret.
const HIDDEN: &str = "***";

/// A configuration that was read and found right, with its file, so that what goes wrong later has a place too.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// What is worth a word.
    pub warnings: Vec<Problem>,
    /// The file.
    pub file: SourceFile,
}

impl Loaded {
    /// Whether each source, filter, output and table can be put to work, as far as its settings alone tell: what `check` and `run`
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
        let tables = self.config.tables.iter().map(|(name, table)| (format!("tables.{name}"), table.check()));
        let filters =
            self.config.filters.iter().map(|(name, filter)| (format!("filters.{name}"), filter.check()));
        let plugins = std::iter::once(("plugins".to_owned(), self.config.plugins.check()));
        let all = sources.chain(outputs).chain(tables).chain(filters).chain(plugins);
        let wrong = all.filter_map(|(path, checked)| Some((path, checked.err()?)));
        let mut problems: Vec<Problem> = wrong.map(|(path, error)| self.error(&path, &error)).collect();
        let managed = self.config.manage.opamp.as_ref().and_then(|opamp| opamp.check().err());
        problems.extend(managed.map(|error| self.error("manage.opamp", &error)));
        problems.extend(self.packages());
        problems.extend(self.data_dir());
        problems.sort_by_key(|problem| problem.location);
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
    }

    /// Packages of a server that are named and not taken, or taken from anybody.
    fn packages(&self) -> Vec<Problem> {
        let takes = self.config.manage.opamp.as_ref().is_some_and(|opamp| opamp.accept_packages);
        let plugins = &self.config.plugins;
        if takes && plugins.trust.is_empty() && plugins.require_signature.is_none() {
            let message =
                "`manage.opamp.accept_packages` needs a key in `plugins.trust`, by which packages are signed"
                    .to_owned();
            let help = "add `plugins: { trust: [{ key: cosign.pub }] }`; `require_signature: false` takes whatever the server sends";
            return vec![self.file.at("manage.opamp.accept_packages", message).help(help.to_owned())];
        }
        if takes {
            return Vec::new();
        }
        let names = |(name, filter): (&String, &FilterSettings)| {
            let mut references = filter.references();
            references.any(|plugin| plugin.starts_with("package:")).then(|| {
                let message = format!("filters.{name}: packages are not taken here");
                let help = "`package:NAME` is what a server sends that manages flitch: `manage: { opamp: { accept_packages: true } }`";
                self.file.at(&format!("filters.{name}"), message).help(help.to_owned())
            })
        };
        self.config.filters.iter().filter_map(names).collect()
    }

    fn data_dir(&self) -> Option<Problem> {
        let folder = &self.config.data_dir;
        if folder.as_os_str().is_empty() {
            let help = "name a folder, or leave `data_dir` out";
            return Some(self.file.at("data_dir", "`data_dir` is empty").help(help.to_owned()));
        }
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

    /// Warnings about buffers on disk, and objects, that wait for outputs which are not in use any more, and about states of
    /// filters that are not.
    pub fn left_records(&self) -> Vec<Problem> {
        let warning =
            |text: String, help: &str| self.file.at("outputs", text).help(help.to_owned()).warning();
        let buffers = self.config.left_buffers().into_iter().map(|folder| {
            let help = "give the output its name again, or empty the folder: `flitch buffer drain`";
            warning(left_buffer(&folder), help)
        });
        let objects = self.config.left_objects().into_iter().map(|folder| {
            warning(left_object(&folder), "give the output its name again: it writes them at its start")
        });
        let states = self.config.left_states().into_iter().map(|file| {
            let text =
                format!("{} is what a filter remembered, and no pipeline has that filter", file.display());
            let help = "it finds it again if it comes back under its name; else remove the file".to_owned();
            self.file.at("filters", text).help(help).warning()
        });
        buffers.chain(objects).chain(states).collect()
    }

    /// Settings of a filter without what is secret in them: what comes from outside the file, and what stands under the
    /// key of a secret.
    pub fn hidden(&self, settings: &Value) -> Value {
        match settings {
            Value::String(text) => self.file.hide(text).into(),
            Value::Array(items) => items.iter().map(|item| self.hidden(item)).collect(),
            Value::Object(members) => {
                let member = |(key, value): (&String, &Value)| {
                    let value = if mask::is_secret(key) { HIDDEN.into() } else { self.hidden(value) };
                    (key.clone(), value)
                };
                Value::Object(members.iter().map(member).collect())
            }
            other => other.clone(),
        }
    }

    /// An error that came up when a part was put to work; `path` is the part's place: `outputs.events`,
    /// `filters.parse.plugin`. Secrets are taken out of the text.
    pub fn error(&self, path: &str, error: &anyhow::Error) -> Problem {
        match path.strip_prefix("filters.").filter(|name| self.config.filters.contains_key(*name)) {
            Some(name) => self.filter_error(name, error),
            None => self.about(path, path, error),
        }
    }

    /// An error that came up when the filter of this name was loaded: about its settings, or else about its plugin.
    pub fn filter_error(&self, name: &str, error: &anyhow::Error) -> Problem {
        let (filter, error) = match own(error).downcast_ref::<ShadowError>() {
            Some(ShadowError(error)) => (format!("filters.{name}.shadow"), error),
            None => (format!("filters.{name}"), error),
        };
        let part = if own(error).is::<Refused>() { "settings" } else { "plugin" };
        self.about(&filter, &format!("{filter}.{part}"), error)
    }

    /// A problem with `path`, at the setting below `part` that the error is about, where it says so.
    fn about(&self, part: &str, path: &str, error: &anyhow::Error) -> Problem {
        let error = own(error);
        let key = error.downcast_ref::<Wrong>().map(Wrong::key);
        let key = key.or_else(|| error.downcast_ref::<Refused>().map(Refused::key));
        let key = key.map(|key| format!("{part}.{key}"));
        let location = self.file.locate(key.as_deref().unwrap_or(path));
        self.file.at_location(location, format!("{path}: {error:#}"))
    }
}

/// What went wrong with a filter, without its name.
fn own(error: &anyhow::Error) -> &anyhow::Error {
    error.downcast_ref::<LoadError>().map_or(error, |failed| &failed.error)
}

/// The same, of the filter or of the shadow beside it.
fn innermost(error: &anyhow::Error) -> &anyhow::Error {
    let error = own(error);
    error.downcast_ref::<ShadowError>().map_or(error, |ShadowError(error)| error)
}

/// Why a registry does not give the plugin of a filter, where that is what went wrong.
pub fn of_registry(error: &anyhow::Error) -> Option<&flitch_registry::Error> {
    innermost(error).downcast_ref()
}

/// Whether a part went wrong for what the machine lacks for a while: threads, memory, descriptors.
pub fn lacks(error: &anyhow::Error) -> bool {
    machine::lacks(innermost(error))
}

/// Reads and checks a configuration file.
///
/// # Errors
/// All that is wrong with it.
pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
    let text = read(path).map_err(|error| source::unreadable(path, &error))?;
    let text = String::from_utf8(text).map_err(|error| source::undecodable(path, &error))?;
    load_text(path, &text)
}

/// The same for a file that has been read before.
///
/// # Errors
/// All that is wrong with it. A pipe cannot be read again: nobody writes to it any more, and who reads it waits for them.
pub fn load_again(path: &Path) -> Result<Loaded, ConfigError> {
    if std::fs::metadata(path).is_ok_and(|it| it.file_type().is_fifo()) {
        let error = io::Error::new(io::ErrorKind::Unsupported, "it is a pipe, which has no more to read");
        return Err(source::unreadable(path, &error).into());
    }
    load(path)
}

/// The bytes of a file, which may be a pipe, as far as a configuration goes: what is named by mistake (a device, a log) may
/// have no end.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if File::open(path)?.take(LARGEST + 1).read_to_end(&mut text)? as u64 > LARGEST {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {}", Bytes(LARGEST)),
        ));
    }
    Ok(text)
}

/// The same, where `path` has this text.
///
/// # Errors
/// All that is wrong with it.
pub fn load_text(path: &Path, text: &str) -> Result<Loaded, ConfigError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let variable = |name: &str| std::env::var_os(name);
    parse(&path.display().to_string(), text, &Outside { variable: &variable, folder })
}

/// Reads and checks a configuration; `name` is how reports call the file.
///
/// # Errors
/// All that is wrong with it.
pub fn parse(name: &str, text: &str, outside: &Outside<'_>) -> Result<Loaded, ConfigError> {
    let mut file = SourceFile::parse(name, text, outside)?;
    let mut config: Config = file.read()?;
    if let Some(text) = (outside.variable)(ADMIN_LISTEN).filter(|text| !text.is_empty()) {
        config.admin.enabled = true;
        config.admin.listen = text.to_string_lossy().parse().map_err(|why: String| {
            ConfigError::from(file.at_location(None, format!("the variable `{ADMIN_LISTEN}`: {why}")))
        })?;
    }
    let mut problems = check::check(&config, &file);
    problems.extend(file.out_of_range());
    problems.sort_by_key(|problem| problem.location);
    let (warnings, errors): (Vec<_>, Vec<_>) = problems.into_iter().partition(|p| p.is_warning);
    match errors.is_empty() {
        true => Ok(Loaded { config, warnings, file }),
        false => Err(ConfigError { problems: errors }),
    }
}
