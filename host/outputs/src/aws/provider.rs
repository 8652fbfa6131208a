//! The credentials of a profile: found anew when its files change, and before what a program or a role gave out ends.
//!
//! Facts: *Process credential provider* of the AWS SDKs and Tools Reference Guide (version 1 of its output); *AssumeRole* of
//! the AWS Security Token Service API Reference (2011-06-15).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Method, StatusCode, Url};
use serde::Deserialize;

use super::profile::{self, Files, From, Role, Values};
use super::{Credentials, Found, credentials_of, domain, environment, sign};
use crate::object::{default_timeout, http, pause};
use flitch_core::clock::Clock;
use flitch_core::file_stamp::FileStamp;
use flitch_core::net::confided;
use flitch_core::net::helper;
use flitch_core::net::http_client::{beginning, is_of_the_moment, reason, retry_after};
use flitch_core::net::lent::Lent;
use flitch_core::tasks;

/// Longest time for a program to print credentials.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most bytes of an answer that is read.
const MOST: usize = 64 << 10;
/// What a form leaves as it is (RFC 3986, section 2.3).
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Who gives out roles cannot be reached, or gives out none for the moment.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Away(String);

/// Credentials, and when they end.
type Ending = (Arc<AwsCredential>, Option<SystemTime>);
type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The credentials of a profile.
pub(super) struct Profiled {
    name: String,
    files: Files,
    region: String,
    /// Where roles are taken, if not at the region's own address.
    sts: Option<String>,
    client: Client,
    /// Those that were found last, and what the files were like then.
    lent: Lent<(Arc<AwsCredential>, [Option<FileStamp>; 2])>,
}

impl fmt::Debug for Profiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiled").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a program prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

impl Profiled {
    /// # Errors
    /// There is no TLS to ask over.
    pub fn new(name: &str, files: Files, region: String, sts: Option<String>) -> anyhow::Result<Profiled> {
        let client = http(default_timeout().0, None)?.get();
        Ok(Profiled { name: name.to_owned(), files, region, sts, client, lent: Lent::default() })
    }

    async fn get(&self) -> anyhow::Result<Arc<AwsCredential>> {
        let stamps = self.files.stamps();
        let find = async {
            let profiles = self.files.profiles()?;
            let from = profile::from(&profiles, &self.name)?;
            let from = from.with_context(|| format!("profile `{}` has no credentials", self.name))?;
            let (credential, end) = self.lend(from).await?;
            anyhow::Ok(((credential, stamps), end))
        };
        let serves = |(_, of): &(_, [Option<FileStamp>; 2])| *of == stamps;
        let what = format!("the credentials of profile `{}`", self.name);
        Ok(self.lent.get_if(&what, serves, find).await?.0)
    }

    fn lend(&self, from: From) -> Answer<'_, anyhow::Result<Ending>> {
        Box::pin(async move {
            match from {
                From::Keys(values) => Ok((Arc::new(keys(&values)), None)),
                From::Process(line) => tasks::blocking(move || printed(&line, PATIENCE)).await?,
                From::Role(role, base) => {
                    let (base, _) = self.lend(*base).await?;
                    self.assume(&role, &base).await
                }
                From::WebIdentity { .. } => anyhow::bail!("a role by a token is taken in another way"),
                From::Elsewhere(source) => {
                    let found = match source.as_str() {
                        "Environment" | "Ec2InstanceMetadata" => {
                            Found { region: None, credentials: Credentials::Environment }
                        }
                        "EcsContainer" => {
                            Found { region: None, credentials: Credentials::of_machine(environment)? }
                        }
                        _ => anyhow::bail!(
                            "`credential_source` is `Environment`, `EcsContainer` or `Ec2InstanceMetadata`"
                        ),
                    };
                    let provider = credentials_of(&found, &self.region)?;
                    Ok((provider.get_credential().await?, None))
                }
            }
        })
    }

    /// Takes a role, as `base` may.
    async fn assume(&self, role: &Role, base: &AwsCredential) -> anyhow::Result<Ending> {
        let own = || format!("https://sts.{}.{}", self.region, domain(&self.region));
        let url = self.sts.clone().unwrap_or_else(own);
        let url = Url::parse(&url).with_context(|| format!("AWS_ENDPOINT_URL_STS: `{url}`"))?;
        let mut form = vec![
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", &role.arn),
            ("RoleSessionName", &role.session),
        ];
        form.extend(role.external_id.as_deref().map(|id| ("ExternalId", id)));
        form.extend(role.duration.as_deref().map(|seconds| ("DurationSeconds", seconds)));
        let pair = |(name, value): &(&str, &str)| format!("{name}={}", utf8_percent_encode(value, FORM));
        let body = bytes::Bytes::from(form.iter().map(pair).collect::<Vec<_>>().join("&"));
        let mut headers = HeaderMap::new();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        headers.insert(CONTENT_TYPE, form);
        let to = (&Method::POST, &url);
        sign(base, ("sts", &self.region), to, &mut headers, &body).map_err(anyhow::Error::msg)?;
        let answer = confided::send(self.client.post(url.clone()).headers(headers).body(body)).await;
        let answer = answer.map_err(|error| Away(format!("{url}: {}", reason(&error))))?;
        let status = answer.status();
        let after = retry_after(answer.headers(), Clock::system().now());
        let text = beginning(answer, MOST).await;
        let part = |name: &str| {
            let rest = text.split_once(&format!("<{name}>"))?.1;
            Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
        };
        if !status.is_success() {
            let (code, why) = (part("Code").unwrap_or_default(), part("Message").unwrap_or_default());
            let said = format!("the role {} cannot be taken: {status}: {code}: {why}", role.arn);
            // Who asks too often is told so by 400.
            let is_busy = status == StatusCode::TOO_MANY_REQUESTS || code.starts_with("Throttl");
            anyhow::ensure!(is_busy || is_of_the_moment(status), said);
            pause::note(after);
            return Err(Away(said).into());
        }
        let wanted = |name: &str| part(name).with_context(|| format!("the answer of {url} has no {name}"));
        let end: jiff::Timestamp = wanted("Expiration")?.parse().context("Expiration")?;
        let credential = AwsCredential {
            key_id: wanted("AccessKeyId")?,
            secret_key: wanted("SecretAccessKey")?,
            token: Some(wanted("SessionToken")?),
        };
        Ok((Arc::new(credential), Some(end.into())))
    }
}

fn keys(values: &Values) -> AwsCredential {
    let get = |key: &str| values.get(key).filter(|value| !value.is_empty()).cloned();
    AwsCredential {
        key_id: get("aws_access_key_id").unwrap_or_default(),
        secret_key: get("aws_secret_access_key").unwrap_or_default(),
        token: get("aws_session_token"),
    }
}

/// What a program prints, a line for the shell. Blocks.
fn printed(line: &str, patience: Duration) -> anyhow::Result<Ending> {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    let text = helper::ask("`credential_process`", command, patience)?;
    let printed: Printed = serde_json::from_slice(&text)
        .ok()
        .context("`credential_process` prints something else than credentials (version 1)")?;
    anyhow::ensure!(
        printed.version == 1,
        "`credential_process` prints version {}, and not 1",
        printed.version
    );
    let end = printed.expiration.map(|end| end.parse::<jiff::Timestamp>()).transpose();
    let end = end.context("the Expiration that `credential_process` prints is no time")?;
    let credential = AwsCredential {
        key_id: printed.access_key_id,
        secret_key: printed.secret_access_key,
        token: printed.session_token,
    };
    Ok((Arc::new(credential), end.map(SystemTime::from)))
}

impl CredentialProvider for Profiled {
    type Credential = AwsCredential;

    fn get_credential<'p, 'a>(&'p self) -> Answer<'a, object_store::Result<Arc<AwsCredential>>>
    where
        'p: 'a,
        Self: 'a,
    {
        Box::pin(async move {
            self.get().await.map_err(|error| {
                let is_away = error.is::<Away>();
                let source = format!("profile `{}`: {error:#}", self.name).into();
                match is_away {
                    true => object_store::Error::Generic { store: "profile", source },
                    false => object_store::Error::Unauthenticated { path: String::new(), source },
                }
            })
        })
    }
}

#[cfg(test)]
mod tests;
