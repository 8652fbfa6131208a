//! The credentials that a container is given: by ECS, by EKS Pod Identity, or by an agent beside it.
//!
//! Facts: *Container credential provider* of the AWS SDKs and Tools Reference Guide.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Url};
use serde::Deserialize;

use crate::object::{direct, http};
use flitch_core::named_file;
use flitch_core::net::confided;
use flitch_core::net::http_client::{beginning, reason};
use flitch_core::net::lent::Lent;
use flitch_core::tasks;

/// Where ECS gives them out.
const ECS: &str = "http://169.254.170.2";
/// Where they may be fetched without TLS, beside the machine itself: ECS, and EKS in both kinds of network.
const PLAIN: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
/// Longest time for a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of an answer, or of a token, that are read.
const MOST: usize = 64 << 10;

type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What gives credentials out to the container.
pub(super) struct Container {
    url: Url,
    token: Token,
    client: Client,
    lent: Lent<Arc<AwsCredential>>,
}

/// What shows that it is this container that asks.
enum Token {
    None,
    /// It may be another one the next time.
    File(String),
    Text(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<String>,
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

impl Container {
    /// What the environment names, if it names one.
    ///
    /// # Errors
    /// What it names is no address that credentials may be fetched from, or there is no TLS to ask over.
    pub fn of(env: impl Fn(&str) -> Option<String>) -> anyhow::Result<Option<Container>> {
        let (name, text) = match (
            env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
            env("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        ) {
            (Some(path), _) => ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", format!("{ECS}{path}")),
            (None, Some(url)) => ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url),
            (None, None) => return Ok(None),
        };
        let url = Url::parse(&text).with_context(|| format!("{name} is no address: `{text}`"))?;
        anyhow::ensure!(
            url.scheme() == "https" || may_be_plain(&url),
            "{name} must begin with `https://`, or lead to this machine, to ECS or to EKS: `{text}`"
        );
        let of_file = env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(Token::File);
        let of_text = || env("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Token::Text);
        let token = of_file.or_else(of_text).unwrap_or(Token::None);
        let client = if may_be_plain(&url) { direct(PATIENCE)? } else { http(PATIENCE, None)?.get() };
        Ok(Some(Container { url, token, client, lent: Lent::default() }))
    }

    async fn fetch(&self) -> anyhow::Result<(Arc<AwsCredential>, Option<SystemTime>)> {
        let mut request = self.client.get(self.url.clone());
        if let Some(token) = self.token().await? {
            let mut value = HeaderValue::from_str(&token)
                .ok()
                .context("the token of the container has a sign that none can have")?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let answer = confided::send(request).await.map_err(|error| anyhow::anyhow!("{}", reason(&error)))?;
        let status = answer.status();
        let text = beginning(answer, MOST).await;
        anyhow::ensure!(status.is_success(), "{status}: {}", text.chars().take(200).collect::<String>());
        let given: Given = serde_json::from_str(&text).ok().context("the answer has no credentials")?;
        let end = given.expiration.map(|end| end.parse::<jiff::Timestamp>()).transpose();
        let end = end.context("the Expiration of the answer is no time")?;
        let credential = AwsCredential {
            key_id: given.access_key_id,
            secret_key: given.secret_access_key,
            token: given.token.filter(|token| !token.is_empty()),
        };
        Ok((Arc::new(credential), end.map(SystemTime::from)))
    }

    async fn token(&self) -> anyhow::Result<Option<String>> {
        let path = match &self.token {
            Token::None => return Ok(None),
            Token::Text(text) => return Ok(Some(text.clone())),
            Token::File(path) => path.clone(),
        };
        let read = move || -> anyhow::Result<String> {
            let mut text = String::new();
            let file = named_file::open(path.as_ref()).with_context(|| path.clone())?;
            std::io::Read::read_to_string(&mut std::io::Read::take(file, MOST as u64), &mut text)
                .with_context(|| path.clone())?;
            Ok(text.trim().to_owned())
        };
        Ok(Some(tasks::aside(read).await??))
    }
}

fn may_be_plain(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_own = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    url.scheme() == "http" && (is_own || PLAIN.contains(&host))
}

impl CredentialProvider for Container {
    type Credential = AwsCredential;

    fn get_credential<'p, 'a>(&'p self) -> Answer<'a, object_store::Result<Arc<AwsCredential>>>
    where
        'p: 'a,
        Self: 'a,
    {
        Box::pin(async move {
            let what = format!("the credentials of the container, from {},", self.url);
            self.lent.get(&what, self.fetch()).await.map_err(|error| {
                let source = format!("credentials of the container, from {}: {error:#}", self.url).into();
                object_store::Error::Generic { store: "container", source }
            })
        })
    }
}

#[cfg(test)]
mod tests;
