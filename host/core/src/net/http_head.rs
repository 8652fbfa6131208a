//! The headers with which flitch speaks to servers of HTTP, as settings have them: who it is, and what else a server wants.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::Secret;
use crate::setting::wrong;

/// How flitch proves who it is: by a token, or as a user.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "HttpCredentials")]
pub struct AuthSettings {
    /// The token of `Authorization: Bearer` (RFC 6750).
    pub bearer: Option<Secret>,
    /// The user of `Authorization: Basic` (RFC 7617).
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
}

impl AuthSettings {
    /// The value of `Authorization`, and the key of what is secret in it.
    fn header(&self) -> anyhow::Result<(&'static str, String)> {
        match (&self.bearer, &self.username, &self.password) {
            (Some(token), None, None) => Ok(("bearer", format!("Bearer {}", token.expose()))),
            (None, Some(username), Some(password)) => {
                ensure!(!username.contains(':'), wrong!("auth.username", " has a colon in it"));
                let pair = format!("{username}:{}", password.expose());
                Ok(("password", format!("Basic {}", BASE64_STANDARD.encode(pair))))
            }
            _ => anyhow::bail!(wrong!("auth", " takes `bearer`, or `username` and `password`")),
        }
    }
}

/// Adds `auth` and the headers of `request_headers` to those of a request, of which those of the names `ours` follow from
/// it and are refused.
///
/// # Errors
/// What makes no header; the text names the setting.
pub fn add(
    head: &mut HeaderMap,
    auth: Option<&AuthSettings>,
    request_headers: &BTreeMap<String, Secret>,
    ours: &[HeaderName],
) -> anyhow::Result<()> {
    if let Some(auth) = auth {
        let (key, text) = auth.header()?;
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| wrong!("auth.{key}", " has a character that no header may have"))?;
        value.set_sensitive(true);
        head.insert(AUTHORIZATION, value);
    }
    for (text, secret) in request_headers {
        let name: HeaderName =
            text.parse().map_err(|_| wrong!("request_headers.{text}", ": this is no name of a header"))?;
        ensure!(
            !ours.contains(&name),
            wrong!("request_headers.{text}", ": this header follows from the request")
        );
        ensure!(
            name != AUTHORIZATION || auth.is_none(),
            wrong!("request_headers.{text}", ": `auth` sets this header too")
        );
        let mut value = HeaderValue::from_str(secret.expose())
            .map_err(|_| wrong!("request_headers.{text}", " has a character that no header may have"))?;
        value.set_sensitive(true);
        head.insert(name, value);
    }
    Ok(())
}

/// The proxy of a setting `proxy`.
///
/// # Errors
/// What is wrong with it, without the password that it may have.
pub fn proxy(proxy: Option<&Secret>) -> anyhow::Result<Option<Url>> {
    let Some(text) = proxy else { return Ok(None) };
    let url = Url::parse(text.expose()).ok();
    let url = url.filter(|url| url.scheme() == "http" && url.has_host() && url.path() == "/");
    url.map(Some).context(wrong!("proxy", " is no address such as `http://proxy.example.com:3128`"))
}

/// A URL that stands under `url`, and has all that requests need and nothing that belongs elsewhere.
///
/// # Errors
/// What is wrong with it.
pub fn url(text: &str) -> anyhow::Result<Url> {
    let url = Url::parse(text).map_err(|_| wrong!("url", ": `{text}` is no URL"))?;
    ensure!(
        matches!(url.scheme(), "http" | "https") && url.has_host(),
        wrong!("url", ": `{text}` does not begin with `http://` or `https://` and a host")
    );
    ensure!(
        url.username().is_empty() && url.password().is_none(),
        wrong!("url", ": a user and a password belong to `auth`")
    );
    ensure!(url.fragment().is_none(), wrong!("url", ": `{text}` has a `#`, which no server is sent"));
    Ok(url)
}
