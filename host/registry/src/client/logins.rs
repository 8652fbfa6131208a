//! Who flitch is to a registry: as the configuration says, or Docker's `config.json`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use crate::Error;
use flitch_core::net::helper;
use flitch_core::net::http_head::AuthSettings;
use flitch_core::secret::Secret;

/// How Docker calls its own registry in `config.json`, and its host there.
const HUB: (&str, &str, &str) = ("docker.io", "https://index.docker.io/v1/", "index.docker.io");
/// Longest time for a credential helper.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where credentials are looked for.
#[derive(Clone, Debug, Default)]
pub struct Logins {
    own: BTreeMap<String, AuthSettings>,
    docker: Option<PathBuf>,
}

/// Who flitch is.
#[derive(Debug)]
pub enum Login {
    /// Nobody in particular.
    Nobody,
    /// A user.
    Basic { username: String, password: Secret },
    /// Whoever has this token.
    Bearer(Secret),
    /// Whoever gets tokens for this one (OAuth 2.0, `refresh_token`).
    Identity(Secret),
}

impl Login {
    /// The value of `Authorization: Basic`, of a user.
    pub fn basic(&self) -> Option<String> {
        let Login::Basic { username, password } = self else { return None };
        Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{}", password.expose()))))
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct DockerConfig {
    auths: Option<BTreeMap<String, Option<DockerAuth>>>,
    cred_helpers: Option<BTreeMap<String, Option<String>>>,
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct DockerAuth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

impl Logins {
    /// Those of the configuration, and of Docker's file: at this path, or where Docker looks for it.
    pub fn new(own: &BTreeMap<String, AuthSettings>, docker: Option<PathBuf>) -> Logins {
        Logins { own: own.clone(), docker }
    }

    /// Who flitch is to the registry at `host` where it asks for this repository. The files are read now: credentials are
    /// renewed there. Blocks.
    ///
    /// # Errors
    /// What is there cannot be read.
    pub fn of(&self, host: &str, repository: &str) -> Result<Login, Error> {
        if let Some(auth) = self.own.get(host) {
            return Ok(match (&auth.bearer, &auth.username, &auth.password) {
                (Some(token), ..) => Login::Bearer(token.clone()),
                (None, Some(username), Some(password)) => {
                    Login::Basic { username: username.clone(), password: password.clone() }
                }
                _ => Login::Nobody,
            });
        }
        let (path, is_named) = match (&self.docker, docker_config()) {
            (Some(path), _) => (path.clone(), true),
            (None, Some(path)) => (path, false),
            (None, None) => return Ok(Login::Nobody),
        };
        let failed = |why: String| Error::Failed(format!("the credentials in {}: {why}", path.display()));
        let text = match flitch_core::named_file::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_named => return Ok(Login::Nobody),
            Err(error) => return Err(failed(error.to_string())),
        };
        // What a parser says of such a text may quote it.
        let config = DockerConfig::read(&text)
            .map_err(|error| failed(format!("line {} is no JSON of Docker's", error.line())))?;
        config.of(host, repository).map_err(failed)
    }
}

impl DockerConfig {
    /// A file without anything in it, as `docker logout` and mounts may leave it, knows nobody.
    fn read(text: &[u8]) -> serde_json::Result<DockerConfig> {
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(DockerConfig::default());
        }
        Ok(serde_json::from_slice::<Option<DockerConfig>>(text)?.unwrap_or_default())
    }

    /// Of the entries that are for this repository, or for all of its registry, the nearest counts (containers-auth.json(5)).
    fn of(&self, host: &str, repository: &str) -> Result<Login, String> {
        let server = if host == HUB.0 { HUB.1 } else { host };
        let helpers = self.cred_helpers.as_ref();
        if let Some(Some(helper)) = helpers.and_then(|helpers| helpers.get(host)) {
            return helped(helper, server);
        }
        let auths = self.auths.iter().flatten().filter_map(|(name, auth)| Some((name, auth.as_ref()?)));
        let mut near: Vec<_> = auths
            .filter_map(|(name, auth)| Some((nearness(name, host, repository)?, name == server, auth)))
            .collect();
        near.sort_by_key(|(nearness, is_server, _)| Reverse((*nearness, *is_server)));
        for (.., auth) in near {
            match auth.login()? {
                Login::Nobody => {}
                login => return Ok(login),
            }
        }
        match &self.creds_store {
            Some(helper) => helped(helper, server),
            None => Ok(Login::Nobody),
        }
    }
}

/// How near what an entry is for comes to a repository: the length of the path that both have; none where it is for others.
/// What has a scheme, or the path of the protocol, is the address of a whole registry, as Docker writes it.
fn nearness(name: &str, host: &str, repository: &str) -> Option<usize> {
    let bare = name.trim_start_matches("https://").trim_start_matches("http://");
    let (of, path) = bare.split_once('/').unwrap_or((bare, ""));
    let of = if host == HUB.0 && of == HUB.2 { host } else { of };
    let path = path.trim_end_matches('/');
    let is_whole = bare.len() < name.len() || matches!(path, "" | "v1" | "v2");
    if of != host {
        return None;
    }
    if is_whole {
        return Some(0);
    }
    let rest = repository.strip_prefix(path)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(path.len())
}

impl DockerAuth {
    fn login(&self) -> Result<Login, String> {
        let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = set(&self.registrytoken) {
            return Ok(Login::Bearer(Secret::new(token)));
        }
        if let Some(token) = set(&self.identitytoken) {
            return Ok(Login::Identity(Secret::new(token)));
        }
        if let (Some(username), Some(password)) = (set(&self.username), set(&self.password)) {
            return Ok(Login::Basic { username, password: Secret::new(password) });
        }
        let Some(auth) = set(&self.auth) else { return Ok(Login::Nobody) };
        let pair = BASE64_STANDARD.decode(auth.trim()).ok().and_then(|pair| String::from_utf8(pair).ok());
        let pair = pair.as_deref().map(|pair| pair.trim_end_matches('\0'));
        match pair.and_then(|pair| pair.split_once(':')) {
            Some((username, password)) => {
                Ok(Login::Basic { username: username.to_owned(), password: Secret::new(password) })
            }
            None => Err("an `auth` is no user and password in base64".to_owned()),
        }
    }
}

/// What a credential helper of Docker says: it is given the server's name, and answers in JSON.
fn helped(helper: &str, server: &str) -> Result<Login, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if helper.is_empty() || !helper.chars().all(fits) {
        return Err(format!("`{helper}` is no name of a credential helper"));
    }
    let program = format!("docker-credential-{helper}");
    let mut command = Command::new("sh");
    command.args(["-c", "printf %s \"$1\" | \"$0\" get", &program, server]);
    let answer = match helper::ask(&program, command, PATIENCE) {
        Ok(answer) => answer,
        // It has none for this registry, and says so on stdout.
        Err(_) if is_there(&program) => return Ok(Login::Nobody),
        Err(error) => return Err(format!("{error:#}")),
    };
    let helped: Helped =
        serde_json::from_slice(&answer).map_err(|_| format!("{program} answers no credentials"))?;
    Ok(match helped.username.as_str() {
        "<token>" => Login::Identity(Secret::new(helped.secret)),
        _ => Login::Basic { username: helped.username, password: Secret::new(helped.secret) },
    })
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn docker_config() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("DOCKER_CONFIG").or_else(|| set("HOME").map(|home| home.join(".docker")))?;
    Some(folder.join("config.json"))
}

#[cfg(test)]
mod tests;
