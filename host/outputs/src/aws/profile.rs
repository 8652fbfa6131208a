//! Profiles of the files that AWS's tools share, `~/.aws/config` and `~/.aws/credentials`.
//!
//! Facts: *Configuration and credential file settings* and *Shared config and credentials files: format* of the AWS SDKs and
//! Tools Reference Guide.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;

use flitch_core::file_stamp::FileStamp;

/// Most bytes of a file.
const MOST: u64 = 1 << 20;

/// What a profile says, by key; in lower case, as AWS's tools read them.
pub(super) type Values = BTreeMap<String, String>;

/// Where the files are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Files {
    config: Option<PathBuf>,
    credentials: Option<PathBuf>,
}

impl Files {
    /// Those that the environment names, else those below the folder of the user.
    pub fn of(env: impl Fn(&str) -> Option<String>) -> Files {
        let file = |variable: &str, name: &str| {
            let named = env(variable).map(PathBuf::from);
            named.or_else(|| Some(Path::new(&env("HOME")?).join(".aws").join(name)))
        };
        Files {
            config: file("AWS_CONFIG_FILE", "config"),
            credentials: file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        }
    }

    /// By what a change of them shows.
    pub fn stamps(&self) -> [Option<FileStamp>; 2] {
        [&self.config, &self.credentials].map(|file| FileStamp::of(file.as_ref()?))
    }

    /// All profiles. Of a key that stands in both files that of the credentials counts. That a file is not there is no error.
    ///
    /// # Errors
    /// A file cannot be read; the text names it and shows nothing of it.
    pub fn profiles(&self) -> anyhow::Result<BTreeMap<String, Values>> {
        let mut all = BTreeMap::<String, Values>::new();
        for (file, is_config) in [(&self.config, true), (&self.credentials, false)] {
            let Some(file) = file else { continue };
            let text = match read(file) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                text => text.with_context(|| file.display().to_string())?,
            };
            for (name, values) in sections(&text, is_config) {
                all.entry(name).or_default().extend(values);
            }
        }
        Ok(all)
    }
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    flitch_core::named_file::open(file)?.take(MOST).read_to_string(&mut text)?;
    Ok(text)
}

/// The profiles of a text: `[profile NAME]` and `[default]` of a configuration, `[NAME]` of credentials.
fn sections(text: &str, is_config: bool) -> Vec<(String, Values)> {
    let mut all: Vec<(String, Values)> = Vec::new();
    let mut is_profile = false;
    for line in text.trim_start_matches('\u{feff}').lines() {
        if let Some(head) = line.strip_prefix('[') {
            let head = head.split(']').next().unwrap_or_default().trim();
            let name = match (is_config, head.split_once([' ', '\t'])) {
                (true, Some(("profile", name))) => Some(name.trim().trim_matches(['"', '\''])),
                (true, _) => Some(head).filter(|name| *name == "default"),
                (false, _) => Some(head),
            };
            is_profile = name.is_some();
            all.extend(name.map(|name| (name.to_owned(), Values::new())));
            continue;
        }
        // What is indented belongs to a key that has keys of its own, of which we know none.
        let is_value = is_profile && !line.starts_with([' ', '\t', '#', ';']);
        let Some((key, value)) = line.split_once('=').filter(|_| is_value) else { continue };
        let value = [" #", " ;", "\t#", "\t;"]
            .iter()
            .fold(value, |value, comment| value.split_once(comment).map_or(value, |(value, _)| value));
        if let Some((_, values)) = all.last_mut() {
            values.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    all
}

/// Where the credentials of a profile come from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum From {
    /// They stand there.
    Keys(Values),
    /// A program prints them.
    Process(String),
    /// A role, which another profile may take.
    Role(Role, Box<From>),
    /// A role, which a token in a file may take.
    WebIdentity {
        /// The role.
        role: Role,
        /// The file.
        token_file: String,
    },
    /// `Environment`, `Ec2InstanceMetadata` or `EcsContainer`.
    Elsewhere(String),
}

/// A role that is taken.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Role {
    pub arn: String,
    /// What the session is called.
    pub session: String,
    pub external_id: Option<String>,
    /// Seconds.
    pub duration: Option<String>,
}

/// Where the credentials of this profile come from; none where it says nothing of any.
///
/// # Errors
/// There is no such profile, it leads in a circle, or wants what flitch cannot do. The text shows no value that is secret.
pub(super) fn from(profiles: &BTreeMap<String, Values>, name: &str) -> anyhow::Result<Option<From>> {
    follow(profiles, name, &mut Vec::new())
}

fn follow(
    profiles: &BTreeMap<String, Values>,
    name: &str,
    way: &mut Vec<String>,
) -> anyhow::Result<Option<From>> {
    let values = profiles.get(name).with_context(|| {
        format!("no profile `{name}` in the files of AWS (~/.aws/config, ~/.aws/credentials)")
    })?;
    let get = |key: &str| values.get(key).filter(|value| !value.is_empty());
    let is_first = !way.iter().any(|other| other == name);
    way.push(name.to_owned());
    // A profile whose role is taken with its own keys names itself; one to which others lead back has keys, or nothing.
    if let Some(arn) = get("role_arn").filter(|_| is_first) {
        anyhow::ensure!(
            get("mfa_serial").is_none(),
            "profile `{name}`: `mfa_serial` asks for a code that a daemon does not have"
        );
        let role = Role {
            arn: arn.clone(),
            session: get("role_session_name").cloned().unwrap_or_else(|| "flitch".to_owned()),
            external_id: get("external_id").cloned(),
            duration: get("duration_seconds").cloned(),
        };
        if let Some(token_file) = get("web_identity_token_file") {
            return Ok(Some(From::WebIdentity { role, token_file: token_file.clone() }));
        }
        let base = match (get("source_profile"), get("credential_source")) {
            (Some(source), None) => follow(profiles, source, way)?
                .with_context(|| format!("profile `{source}` has no credentials for the role of `{name}`"))?,
            (None, Some(source)) => From::Elsewhere(source.clone()),
            _ => anyhow::bail!(
                "profile `{name}`: `role_arn` goes with one of `source_profile`, `credential_source` and \
                 `web_identity_token_file`"
            ),
        };
        return Ok(Some(From::Role(role, Box::new(base))));
    }
    match (get("aws_access_key_id"), get("aws_secret_access_key")) {
        (Some(_), Some(_)) => return Ok(Some(From::Keys(values.clone()))),
        (None, None) => {}
        _ => anyhow::bail!("profile `{name}`: `aws_access_key_id` and `aws_secret_access_key` go together"),
    }
    if let Some(process) = get("credential_process") {
        return Ok(Some(From::Process(process.clone())));
    }
    anyhow::ensure!(
        get("sso_session").is_none() && get("sso_start_url").is_none(),
        "profile `{name}` is one of IAM Identity Center (SSO), whose logins end with the day: use a role, or \
         `credential_process`, as `aws configure export-credentials --profile {name} --format process`"
    );
    Ok(None)
}

#[cfg(test)]
mod tests;
