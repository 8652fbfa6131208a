//! Where a machine is told who it is: by the metadata service of Azure's virtual machines, by the agent of Azure Arc on any
//! other, by App Service, Functions and Container Apps.
//!
//! Facts: Microsoft's *How to use managed identities* (2018-02-01), *Authenticate against Azure resources with Azure
//! Arc-enabled servers* (2020-06-01), *App Service: REST endpoint reference* (2019-08-01).

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::encoded;
use crate::secret::Secret;

/// Where the agent of Azure Arc puts the keys by which it believes that one may read its files.
const KEYS: &str = "/var/opt/azcmagent/tokens";
/// Most bytes of such a key.
const MOST: u64 = 4096;

/// Who tells.
#[derive(Debug, PartialEq)]
pub(super) enum Teller {
    /// The metadata service at this address.
    Metadata(String),
    /// The agent of Azure Arc, and the folder of its keys.
    Arc { endpoint: String, keys: PathBuf },
    /// App Service and what is like it.
    App { endpoint: String, header: Secret },
}

/// A question.
pub(super) struct Question {
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
}

impl Teller {
    /// The one at `endpoint`, where that is set, else the one that the environment names.
    pub fn of(endpoint: Option<&str>, env: impl Fn(&str) -> Option<String>) -> Teller {
        match (endpoint, env("IDENTITY_ENDPOINT"), env("IDENTITY_HEADER"), env("IMDS_ENDPOINT")) {
            (None, Some(endpoint), Some(header), _) => Teller::App { endpoint, header: Secret::new(header) },
            (None, Some(endpoint), None, Some(_)) => Teller::Arc { endpoint, keys: KEYS.into() },
            (endpoint, ..) => Teller::Metadata(endpoint.unwrap_or("http://169.254.169.254").to_owned()),
        }
    }

    /// What it is asked for a token.
    pub fn question(&self, audience: &str, client_id: Option<&str>) -> Question {
        let (url, version, header) = match self {
            Teller::Metadata(endpoint) => {
                let url = format!("{}/metadata/identity/oauth2/token", endpoint.trim_end_matches('/'));
                (url, "2018-02-01", ("Metadata", "true".to_owned()))
            }
            Teller::Arc { endpoint, .. } => (endpoint.clone(), "2020-06-01", ("Metadata", "true".to_owned())),
            Teller::App { endpoint, header } => {
                (endpoint.clone(), "2019-08-01", ("X-IDENTITY-HEADER", header.expose().to_owned()))
            }
        };
        let mut query = vec![("api-version", version.to_owned()), ("resource", audience.to_owned())];
        query.extend(client_id.map(|id| ("client_id", id.to_owned())));
        Question { url: format!("{url}?{}", encoded(&query)), headers: vec![header] }
    }

    /// What the agent of Azure Arc wants to be shown after its answer 401, which names a file in `WWW-Authenticate`.
    ///
    /// # Errors
    /// It names none of its own, or that cannot be read.
    pub fn proof(&self, asked: &str) -> anyhow::Result<Option<String>> {
        let Teller::Arc { keys, .. } = self else { return Ok(None) };
        let file = asked.split_once("realm=").map(|(_, file)| file.trim().trim_matches('"'));
        let file = Path::new(file.context("the agent of Azure Arc names no key")?);
        // Whoever answers in its place must not have other files read out to it.
        let is_own = file.parent() == Some(keys) && file.extension().is_some_and(|end| end == "key");
        let named = || format!("the key of the agent of Azure Arc, {}", file.display());
        anyhow::ensure!(is_own, "{}, is not in {}", named(), keys.display());
        let length = std::fs::metadata(file).with_context(named)?.len();
        anyhow::ensure!(length <= MOST, "{} has more than {MOST} bytes", named());
        let key = crate::named_file::read_text(file)
            .with_context(|| format!("{}: flitch's user must be in the group `himds`", named()))?;
        Ok(Some(format!("Basic {}", key.trim())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_who_tells_a_machine_who_it_is() {
        let of = |names: &'static [(&str, &str)], endpoint| {
            let env =
                |name: &str| names.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
            Teller::of(endpoint, env)
        };
        let metadata = |url: &str| Teller::Metadata(url.to_owned());
        let arc = &[
            ("IDENTITY_ENDPOINT", "http://localhost:40342/token"),
            ("IMDS_ENDPOINT", "http://localhost:40342"),
        ];
        assert_eq!(of(&[], None), metadata("http://169.254.169.254"));
        assert_eq!(of(arc, Some("http://127.0.0.1:1")), metadata("http://127.0.0.1:1"));
        let endpoint = "http://localhost:40342/token".to_owned();
        assert_eq!(of(arc, None), Teller::Arc { endpoint, keys: KEYS.into() });
        let app = of(&[("IDENTITY_ENDPOINT", "http://a/token"), ("IDENTITY_HEADER", "h")], None);
        let question = app.question("https://kusto.kusto.windows.net", Some("mine"));
        let url = "http://a/token?api-version=2019-08-01&resource=https%3A%2F%2Fkusto.kusto.windows.net&client_id=mine";
        assert_eq!(
            (question.url.as_str(), &question.headers),
            (url, &vec![("X-IDENTITY-HEADER", "h".to_owned())])
        );
    }

    #[test]
    fn the_agent_of_azure_arc_is_shown_its_own_keys_and_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("tokens");
        std::fs::create_dir(&keys).unwrap();
        std::fs::write(keys.join("1.key"), "abc\n").unwrap();
        std::fs::write(folder.path().join("2.key"), "secret").unwrap();
        std::fs::write(keys.join("3.txt"), "secret").unwrap();
        std::fs::write(keys.join("4.key"), "x".repeat(5000)).unwrap();
        let arc = Teller::Arc { endpoint: "http://localhost".to_owned(), keys: keys.clone() };
        let proof = |file: &Path| arc.proof(&format!("Basic realm={}", file.display()));
        assert_eq!(proof(&keys.join("1.key")).unwrap().as_deref(), Some("Basic abc"));
        for bad in
            [folder.path().join("2.key"), keys.join("3.txt"), keys.join("4.key"), keys.join("../2.key")]
        {
            assert!(proof(&bad).is_err(), "{}", bad.display());
        }
        assert!(arc.proof("Basic").is_err());
        assert_eq!(Teller::Metadata("http://a".to_owned()).proof("Basic realm=/etc/passwd").unwrap(), None);
    }
}
