//! Tokens of Microsoft Entra ID (once Azure Active Directory): as an application, as the identity of the machine or of the
//! pod, or as whoever is logged in.
//!
//! The flows are those of Microsoft's identity platform: a client secret, or an assertion that a certificate has signed or
//! Kubernetes has written (`oauth2/v2.0/token`), who tells a machine who it is, and the command `az`. They are written here
//! since the library for them, azure_identity, brings some eighteen crates and a second way to speak HTTP, and has the
//! address of the metadata service built in.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::machine::{Question, Teller};
use super::confided;
use super::helper;
use super::http_client::{Settings, beginning, client, is_of_the_moment, reason, retry_after};
use super::tls::client::{Trust, config};
use super::words;
use crate::clock::Clock;
use crate::named_file;
use crate::secret::Secret;
use crate::setting::wrong;
use crate::tasks;

mod certificate;
mod machine;

/// Longest time for a token to come.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest time that a token is believed to last. They last for a day, about.
pub const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
/// Most bytes of an answer, of which a token takes some two thousand.
const MOST: usize = 64 << 10;
/// What a form leaves as it is (RFC 3986, section 2.3).
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What an assertion is called in a form (RFC 7523).
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How flitch proves to Microsoft Entra ID who it is.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "EntraAuth", tag = "type")]
pub enum AuthSettings {
    /// An application with a secret.
    ClientSecret {
        /// The tenant: its id, or a domain of it.
        tenant_id: String,
        /// The application's id.
        client_id: String,
        /// Its secret.
        client_secret: Secret,
        /// Who gives out tokens; another in sovereign clouds (`https://login.microsoftonline.us`).
        #[serde(default = "authority")]
        authority: String,
    },
    /// An application with a certificate.
    ClientCertificate {
        /// The tenant: its id, or a domain of it.
        tenant_id: String,
        /// The application's id.
        client_id: String,
        /// A file in PEM with the certificate and its key, one of RSA. It is read for each token.
        certificate: PathBuf,
        /// Who gives out tokens; another in sovereign clouds (`https://login.microsoftonline.us`).
        #[serde(default = "authority")]
        authority: String,
    },
    /// The identity that the machine has from Azure: a virtual machine, one with the agent of Azure Arc, App Service.
    ManagedIdentity {
        /// The id of one that was assigned to it by a user; not set, the machine's own.
        #[serde(default)]
        client_id: Option<String>,
        /// The metadata service. Not set, what `IDENTITY_ENDPOINT` of the environment names (with `IMDS_ENDPOINT` the agent
        /// of Azure Arc, with `IDENTITY_HEADER` App Service), or that of virtual machines, `http://169.254.169.254`.
        #[serde(default)]
        endpoint: Option<String>,
    },
    /// The identity of a pod, by a token that Kubernetes writes to a file.
    WorkloadIdentity {
        /// The tenant; not set, `AZURE_TENANT_ID` of the environment.
        #[serde(default)]
        tenant_id: Option<String>,
        /// The application's id; not set, `AZURE_CLIENT_ID`.
        #[serde(default)]
        client_id: Option<String>,
        /// The file, which is read for each token; not set, `AZURE_FEDERATED_TOKEN_FILE`.
        #[serde(default)]
        token_file: Option<PathBuf>,
        /// Who gives out tokens; not set, `AZURE_AUTHORITY_HOST`, or that of the public cloud.
        #[serde(default)]
        authority: Option<String>,
    },
    /// Whoever is logged in by `az login`, for tries by hand.
    AzureCli {},
}

fn authority() -> String {
    "https://login.microsoftonline.com".to_owned()
}

/// Gets tokens for one audience.
#[derive(Clone, Debug, PartialEq)]
pub struct Entra {
    /// Who asks.
    pub auth: AuthSettings,
    /// Whom the tokens are for: `https://NAMESPACE.servicebus.windows.net`.
    pub audience: String,
}

/// A token, and what is known of it.
#[derive(Clone)]
pub struct Token {
    /// What is shown.
    pub token: String,
    /// Whose it is; `flitch` where it does not say.
    pub owner: String,
    /// When it ends, in milliseconds since 1970.
    pub ends: i64,
}

impl Token {
    /// When it ends.
    pub fn end(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.ends.max(0).unsigned_abs())
    }
}

/// Why there is no token, from who gives them out.
#[derive(Debug, thiserror::Error)]
#[error("{whom} answers {status}{why}")]
pub struct Refusal {
    /// What it answers by.
    pub status: StatusCode,
    /// How long it asks to wait.
    pub after: Option<Duration>,
    /// Whether it is who tells a machine who it is.
    is_of_machine: bool,
    whom: String,
    why: String,
}

impl Refusal {
    /// Whether it may give one the next time, with nobody doing anything. While the metadata service is updated it answers 404,
    /// and 410 for some 70 seconds (Microsoft, "How to use managed identities on a virtual machine to acquire a token").
    pub fn passes(&self) -> bool {
        let is_updated = matches!(self.status, StatusCode::NOT_FOUND | StatusCode::GONE);
        self.is_busy() || is_of_the_moment(self.status) || self.is_of_machine && is_updated
    }

    /// Whether it wants to be asked later.
    pub fn is_busy(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS
            || is_of_the_moment(self.status)
                && (self.after.is_some() || self.status == StatusCode::SERVICE_UNAVAILABLE)
    }
}

/// What is read of a JWT (RFC 7519, section 4.1).
#[derive(Default, Deserialize)]
pub struct Claims {
    /// Whose it is.
    #[serde(default, rename = "sub")]
    pub subject: Option<String>,
    /// Seconds since 1970.
    #[serde(default, rename = "exp")]
    pub end: Option<f64>,
}

/// What a token says, if it is a JWT.
pub fn claims(token: &str) -> Claims {
    let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    payload.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
}

/// What is read of an answer. Numbers are texts where the metadata service answers.
#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    #[serde(default)]
    expires_in: serde_json::Value,
    /// In the place of the above, seconds since 1970.
    #[serde(default)]
    expires_on: serde_json::Value,
    #[serde(default, deserialize_with = "words::some")]
    error: Option<String>,
    #[serde(default, deserialize_with = "words::some")]
    error_description: Option<String>,
}

/// What `az` prints.
#[derive(Deserialize)]
struct Printed {
    #[serde(rename = "accessToken")]
    access_token: String,
    /// Seconds since 1970; of old ones alone it is missing.
    expires_on: Option<u64>,
}

/// A request for a token.
enum Ask {
    /// A form to this URL.
    Post(String, Vec<(&'static str, String)>),
    /// This question to who tells the machine who it is.
    Get(Teller, Question),
}

impl AuthSettings {
    /// Whether what the settings name can be what they say.
    ///
    /// # Errors
    /// A key and what is wrong with it.
    pub fn check(&self) -> anyhow::Result<()> {
        let (key, url) = match self {
            AuthSettings::ClientSecret { authority, .. }
            | AuthSettings::ClientCertificate { authority, .. } => ("auth.authority", authority),
            AuthSettings::ManagedIdentity { endpoint: Some(endpoint), .. } => ("auth.endpoint", endpoint),
            AuthSettings::WorkloadIdentity { authority: Some(authority), .. } => {
                ("auth.authority", authority)
            }
            AuthSettings::ManagedIdentity { .. }
            | AuthSettings::WorkloadIdentity { .. }
            | AuthSettings::AzureCli {} => return Ok(()),
        };
        let is_url = url.starts_with("https://") || url.starts_with("http://");
        anyhow::ensure!(is_url, wrong!("{key}", ": `{url}` is no URL: write https://HOST"));
        Ok(())
    }
}

impl Entra {
    /// A token that is new. Blocks for as long as its giver takes; not for threads of a runtime that others wait for.
    ///
    /// # Errors
    /// Why there is none, without what is secret.
    pub fn token(&self) -> anyhow::Result<Token> {
        let (token, expires_in) = if let AuthSettings::AzureCli {} = self.auth {
            self.of_command("az")?
        } else {
            let runtime = tasks::runtime_here()?;
            runtime.block_on(self.ask())?
        };
        let claims = claims(&token);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let after = |lasts: Duration| (now + lasts.min(LONGEST)).as_millis() as i64;
        let end = expires_in.map(|seconds| after(Duration::from_secs(seconds)));
        let end = end.or(claims.end.map(|seconds| ((seconds * 1_000.0) as i64).min(after(LONGEST))));
        let ends = end.context("the token does not say when it ends")?;
        let owner = claims.subject.unwrap_or_else(|| "flitch".to_owned());
        Ok(Token { token, owner, ends })
    }

    async fn ask(&self) -> anyhow::Result<(String, Option<u64>)> {
        let ask = self.request()?;
        let url = match &ask {
            Ask::Post(url, _) => url,
            Ask::Get(_, question) => &question.url,
        };
        let tls = url.starts_with("https:").then(|| config(Trust::System, None)).transpose()?;
        let settings =
            Settings { tls, proxy: None, connect_timeout: PATIENCE / 2, timeout: PATIENCE, keep: false };
        let client = client(settings)?;
        let unreachable = |error: reqwest::Error| {
            let asked = url.split('?').next().unwrap_or_default();
            anyhow::anyhow!("{asked}: {}", reason(&error))
        };
        let answer = match &ask {
            Ask::Get(teller, question) => {
                let get = || {
                    question
                        .headers
                        .iter()
                        .fold(client.get(url), |get, (name, value)| get.header(*name, value))
                };
                let answer = confided::send(get()).await.map_err(unreachable)?;
                let proof = match answer.headers().get("WWW-Authenticate").filter(|_| answer.status() == 401)
                {
                    Some(asked) => teller.proof(asked.to_str().unwrap_or_default())?,
                    None => None,
                };
                match proof {
                    Some(proof) => {
                        let get = get().header("Authorization", proof);
                        confided::send(get).await.map_err(unreachable)?
                    }
                    None => answer,
                }
            }
            Ask::Post(url, form) => {
                let post = client.post(url).header("Content-Type", "application/x-www-form-urlencoded");
                confided::send(post.body(encoded(form))).await.map_err(unreachable)?
            }
        };
        let status = answer.status();
        let after = retry_after(answer.headers(), Clock::system().now());
        let is_of_machine = matches!(ask, Ask::Get(..));
        let refusal = |why| Refusal { status, after, is_of_machine, whom: url.clone(), why };
        let text = beginning(answer, MOST).await;
        let answer = serde_json::from_str::<Answer>(&text).map_err(|_| refusal(" and no JSON".to_owned()))?;
        let Answer { access_token: Some(token), expires_in, expires_on, .. } = answer else {
            let why = answer.error_description.or(answer.error).unwrap_or_default();
            let why = why.lines().next().unwrap_or_default();
            return Err(refusal(format!(": {why}")).into());
        };
        let number = |value: &serde_json::Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let of_end = || Some(number(&expires_on)?.saturating_sub(now));
        Ok((token, number(&expires_in).or_else(of_end)))
    }

    fn request(&self) -> anyhow::Result<Ask> {
        let token_url = |authority: &str, tenant: &str| {
            format!("{}/{tenant}/oauth2/v2.0/token", authority.trim_end_matches('/'))
        };
        let form = |client: &str| {
            vec![
                ("grant_type", "client_credentials".to_owned()),
                ("client_id", client.to_owned()),
                ("scope", format!("{}/.default", self.audience)),
            ]
        };
        let of = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Ok(match &self.auth {
            AuthSettings::ClientSecret { tenant_id, client_id, client_secret, authority } => {
                let mut form = form(client_id);
                form.push(("client_secret", client_secret.expose().to_owned()));
                Ask::Post(token_url(authority, tenant_id), form)
            }
            AuthSettings::ClientCertificate { tenant_id, client_id, certificate, authority } => {
                let url = token_url(authority, tenant_id);
                let mut form = form(client_id);
                form.push(("client_assertion_type", ASSERTION.to_owned()));
                form.push(("client_assertion", certificate::assertion(certificate, client_id, &url)?));
                Ask::Post(url, form)
            }
            AuthSettings::ManagedIdentity { client_id, endpoint } => {
                let teller = Teller::of(endpoint.as_deref(), of);
                let question = teller.question(&self.audience, client_id.as_deref());
                Ask::Get(teller, question)
            }
            AuthSettings::WorkloadIdentity { tenant_id, client_id, token_file, authority } => {
                let wanted = |value: &Option<String>, key: &str, name: &str| {
                    let found = value.clone().or_else(|| of(name));
                    found.with_context(|| format!("neither `auth.{key}` nor {name} is set"))
                };
                let file = token_file.clone().or_else(|| of("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from));
                let file = file.context("neither `auth.token_file` nor AZURE_FEDERATED_TOKEN_FILE is set")?;
                let assertion = named_file::read_text(&file).with_context(|| file.display().to_string())?;
                let mut form = form(&wanted(client_id, "client_id", "AZURE_CLIENT_ID")?);
                form.push(("client_assertion_type", ASSERTION.to_owned()));
                form.push(("client_assertion", assertion.trim().to_owned()));
                let tenant = wanted(tenant_id, "tenant_id", "AZURE_TENANT_ID")?;
                let giver = authority.clone().or_else(|| of("AZURE_AUTHORITY_HOST"));
                Ask::Post(token_url(&giver.unwrap_or_else(self::authority), &tenant), form)
            }
            AuthSettings::AzureCli {} => anyhow::bail!("`az` is a command, and asked as one"),
        })
    }

    /// The token that `az`, at this path, prints, and how many seconds it lasts.
    fn of_command(&self, az: &str) -> anyhow::Result<(String, Option<u64>)> {
        let mut command = Command::new(az);
        command.args(["account", "get-access-token", "--output", "json", "--resource", &self.audience]);
        let printed = helper::ask("`az account get-access-token`", command, PATIENCE)?;
        let Printed { access_token, expires_on } =
            serde_json::from_slice(&printed).ok().context("`az` prints something else than a token")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Ok((access_token, expires_on.map(|end| end.saturating_sub(now))))
    }
}

/// Names and values as `application/x-www-form-urlencoded` has them.
fn encoded(pairs: &[(&'static str, String)]) -> String {
    let pair = |(name, value): &(&str, String)| format!("{name}={}", utf8_percent_encode(value, FORM));
    pairs.iter().map(pair).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests;
