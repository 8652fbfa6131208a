//! Speaks with one registry (OCI distribution-spec 1.1). What comes is bounded while it comes, and nothing is taken that has
//! another digest or size than what was asked for.
//!
//! By hand, and not `oci-client`: that reads answers of any size into memory, sends the password along wherever an upload is
//! redirected to, panics over a `Location` that is no URL, and brings 36 crates.

mod challenge;
mod logins;
pub(crate) mod redirect;
mod referrers;
mod write;

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

pub use logins::Logins;

use crate::Error;
use crate::digest::Digest;
use crate::manifest::{self, Descriptor, MANIFEST};
use crate::settings::PluginsSettings;
use challenge::Challenge;
use flitch_core::net::confided;
use flitch_core::net::http_client::{self, beginning};
use logins::Login;

/// Longest time for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest time for one request, from its begin to the end of its answer, however much is said meanwhile.
const WHOLE: Duration = Duration::from_secs(600);
/// Most redirects of one request.
const REDIRECTS: usize = 3;
/// Bytes of an answer that are passed on as the reason.
const REASON: usize = 300;
/// Most bytes of an answer that holds a token.
const TOKEN: u64 = 64 << 10;
/// Manifests that are asked for: those of a plugin, and others so that what is there can be told.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";
/// The header with the digest of a manifest.
const DIGEST: &str = "docker-content-digest";
/// How Docker's registry is called, and where it is.
const HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// A manifest as it was sent.
#[derive(Debug)]
pub struct Sent {
    /// Its text.
    pub bytes: Vec<u8>,
    /// What the registry says that it is.
    pub media_type: Option<String>,
}

/// Speaks with one registry, for as long as one thing takes.
pub struct Client<'a> {
    host: String,
    base: Url,
    http: reqwest::Client,
    timeout: Duration,
    logins: &'a Logins,
    /// What `Authorization` says, by repository and action.
    known: Mutex<BTreeMap<(String, Action), HeaderValue>>,
}

/// What a request does to a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Action {
    Pull,
    Push,
}

impl<'a> Client<'a> {
    /// One for the registry at `host`. Nothing is connected to.
    ///
    /// # Errors
    /// Its TLS cannot be used.
    pub fn new(host: &str, settings: &PluginsSettings, logins: &'a Logins) -> Result<Client<'a>, Error> {
        let failed = |error: anyhow::Error| Error::Failed(format!("{host} cannot be spoken with: {error:#}"));
        let is_plain = settings.plain_http.iter().any(|plain| plain == host);
        let at = if host == HUB.0 { HUB.1 } else { host };
        let scheme = if is_plain { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{at}/")).map_err(|error| failed(error.into()))?;
        let tls = settings.tls.get(host).cloned().unwrap_or_default();
        let tls = if is_plain { None } else { Some(tls.config().map_err(failed)?) };
        let http = http_client::client_by_environment(http_client::Settings {
            tls,
            proxy: None,
            connect_timeout: CONNECT,
            timeout: WHOLE,
            keep: true,
        });
        Ok(Client {
            host: host.to_owned(),
            base,
            http: http.map_err(failed)?,
            timeout: settings.timeout.0,
            logins,
            known: Mutex::default(),
        })
    }

    /// The manifest that `reference`, a tag or a digest, stands for.
    ///
    /// # Errors
    /// There is none, it is too large, or it could not be had.
    pub async fn manifest(&self, repository: &str, reference: &str) -> Result<Sent, Error> {
        let url = self.url(repository, &format!("manifests/{reference}"))?;
        let what = format!("{repository}:{reference}");
        let answer = self.get(repository, url, MANIFESTS, &what).await?;
        let media_type = text_of(answer.headers(), CONTENT_TYPE.as_str());
        Ok(Sent { bytes: self.read(answer, manifest::MOST, "a manifest").await?, media_type })
    }

    /// The digest that a tag stands for; none where there is no such tag. A registry that does not say it by itself is asked for
    /// the manifest.
    ///
    /// # Errors
    /// It could not be asked.
    pub async fn tag(&self, repository: &str, tag: &str) -> Result<Option<Digest>, Error> {
        let url = self.url(repository, &format!("manifests/{tag}"))?;
        let ask = |http: &reqwest::Client| http.head(url.clone()).header(ACCEPT, MANIFESTS);
        let answer = self.ask(repository, Action::Pull, &ask).await?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status
                if status.is_success()
                    || status.is_redirection()
                    || status == StatusCode::METHOD_NOT_ALLOWED =>
            {
                let told = text_of(answer.headers(), DIGEST).and_then(|text| text.parse().ok());
                if told.is_some() && status.is_success() {
                    return Ok(told);
                }
                match self.manifest(repository, tag).await {
                    Ok(sent) => Ok(Some(Digest::of(&sent.bytes))),
                    Err(Error::Missing(_)) => Ok(None),
                    Err(error) => Err(error),
                }
            }
            _ => Err(self.refused(answer, &format!("{repository}:{tag}")).await),
        }
    }

    /// Writes the content that a descriptor leads to.
    ///
    /// # Errors
    /// It is other content, or could not be had; what was written by then is nothing.
    pub async fn blob(
        &self,
        repository: &str,
        of: &Descriptor,
        to: &mut (dyn Write + Send),
    ) -> Result<(), Error> {
        let url = self.url(repository, &format!("blobs/{}", of.digest))?;
        let mut answer = self.get(repository, url, "*/*", &of.digest.to_string()).await?;
        let lies = |what: String| {
            Error::Refused(format!(
                "{} has other content for {} than its manifest says: {what}",
                self.host, of.digest
            ))
        };
        let (mut bytes, mut hash) = (0, Sha256::new());
        while let Some(piece) = self.piece(&mut answer).await? {
            bytes += piece.len() as u64;
            if bytes > of.size {
                return Err(lies(format!("more than {} bytes", of.size)));
            }
            hash.update(&piece);
            to.write_all(&piece).map_err(|error| Error::Failed(format!("it cannot be kept: {error}")))?;
        }
        if bytes != of.size {
            return Err(lies(format!("{bytes} bytes in place of {}", of.size)));
        }
        let digest = Digest::finish(hash);
        if digest != of.digest { Err(lies(format!("its digest is {digest}"))) } else { Ok(()) }
    }

    fn url(&self, repository: &str, rest: &str) -> Result<Url, Error> {
        let url = self.base.join(&format!("v2/{repository}/{rest}"));
        url.map_err(|error| Error::Failed(format!("{}: {error}", self.host)))
    }

    /// Gets what is at `url`, or where its registry says that it is.
    async fn get(&self, repository: &str, url: Url, accept: &str, what: &str) -> Result<Response, Error> {
        let mut at = url;
        let mut is_own = true;
        for _ in 0..=REDIRECTS {
            let ask = |http: &reqwest::Client| http.get(at.clone()).header(ACCEPT, accept);
            let answer = match is_own {
                true => self.ask(repository, Action::Pull, &ask).await?,
                false => self.sent(ask(&self.http)).await?,
            };
            if answer.status().is_success() {
                return Ok(answer);
            }
            if !answer.status().is_redirection() {
                return Err(self.refused(answer, what).await);
            }
            let next = redirect::target(&at, answer.headers())
                .map_err(|why| Error::Refused(format!("{} redirects {why}", self.host)))?;
            is_own = redirect::is_same_server(&self.base, &next);
            at = next;
        }
        Err(Error::Refused(format!("{} redirects more than {REDIRECTS} times", self.host)))
    }

    /// Asks, and where the registry wants to know who asks, asks again and says so.
    async fn ask(
        &self,
        repository: &str,
        action: Action,
        make: &(dyn Fn(&reqwest::Client) -> RequestBuilder + Sync),
    ) -> Result<Response, Error> {
        let key = (repository.to_owned(), action);
        let known = self.known.lock().get(&key).cloned();
        let request = |header: Option<HeaderValue>| match header {
            Some(header) => make(&self.http).header(AUTHORIZATION, header),
            None => make(&self.http),
        };
        let answer = self.sent(request(known)).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let Some(header) = self.login(answer.headers(), repository, action).await? else { return Ok(answer) };
        self.known.lock().insert(key, header.clone());
        self.sent(request(Some(header))).await
    }

    /// What `Authorization` is to say, as the registry wants it; none where nothing is known of who asks.
    async fn login(
        &self,
        head: &HeaderMap,
        repository: &str,
        action: Action,
    ) -> Result<Option<HeaderValue>, Error> {
        let login = self.logins.of(&self.host, repository)?;
        let texts = head.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        for challenge in texts.flat_map(Challenge::all) {
            let text = match (challenge.scheme.as_str(), &login) {
                ("bearer", Login::Bearer(token)) => format!("Bearer {}", token.expose()),
                ("bearer", login) => {
                    format!("Bearer {}", self.token(&challenge, login, repository, action).await?)
                }
                ("basic", Login::Basic { .. }) => login.basic().unwrap_or_default(),
                _ => continue,
            };
            let mut header = HeaderValue::from_str(&text)
                .map_err(|_| Error::Failed(format!("the credentials for {} make no header", self.host)))?;
            header.set_sensitive(true);
            return Ok(Some(header));
        }
        Ok(None)
    }

    /// A token, from whom the registry names (Docker's token authentication).
    async fn token(
        &self,
        challenge: &Challenge,
        login: &Login,
        repository: &str,
        action: Action,
    ) -> Result<String, Error> {
        let refused = |why: String| Error::Refused(format!("{} sends for a token {why}", self.host));
        let realm = challenge.get("realm").ok_or_else(|| refused("and does not say where".to_owned()))?;
        let mut url = redirect::allowed(&self.base, realm).map_err(refused)?;
        let actions = if action == Action::Pull { "pull" } else { "pull,push" };
        let scope = challenge
            .get("scope")
            .map_or_else(|| format!("repository:{repository}:{actions}"), str::to_owned);
        let mut about = vec![("scope", scope)];
        about.extend(challenge.get("service").map(|service| ("service", service.to_owned())));
        let request = match login {
            Login::Identity(token) => {
                about.extend([
                    ("grant_type", "refresh_token".to_owned()),
                    ("refresh_token", token.expose().to_owned()),
                    ("client_id", "flitch".to_owned()),
                ]);
                let mut form = url.clone();
                form.query_pairs_mut().clear().extend_pairs(&about);
                let form = form.query().unwrap_or_default().to_owned();
                self.http
                    .post(url.clone())
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(form)
            }
            login => {
                url.query_pairs_mut().extend_pairs(&about);
                let request = self.http.get(url.clone());
                match login.basic() {
                    Some(basic) => request.header(AUTHORIZATION, basic),
                    None => request,
                }
            }
        };
        let answer = self.sent(request).await?;
        if !answer.status().is_success() {
            let who = url.host_str().unwrap_or_default().to_owned();
            return Err(Error::Failed(format!(
                "{who} gives no token for {repository}: {}",
                self.said(answer).await
            )));
        }
        let text = self.read(answer, TOKEN, "a token").await?;
        token_in(&text).ok_or_else(|| refused("that is in no answer".to_owned()))
    }

    async fn sent(&self, request: RequestBuilder) -> Result<Response, Error> {
        match timeout(self.timeout, confided::send(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.unreachable(&http_client::reason(&error))),
            Err(_) => Err(self.unreachable("no answer in time")),
        }
    }

    /// The next piece of an answer.
    async fn piece(&self, answer: &mut Response) -> Result<Option<bytes::Bytes>, Error> {
        match timeout(self.timeout, answer.chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => Err(self.unreachable(&http_client::reason(&error))),
            Err(_) => Err(self.unreachable("it stopped in the middle of an answer")),
        }
    }

    async fn read(&self, mut answer: Response, most: u64, what: &str) -> Result<Vec<u8>, Error> {
        let mut text = Vec::new();
        while let Some(piece) = self.piece(&mut answer).await? {
            if (text.len() + piece.len()) as u64 > most {
                return Err(Error::Refused(format!("{} sends {what} of more than {most} bytes", self.host)));
            }
            text.extend_from_slice(&piece);
        }
        Ok(text)
    }

    fn unreachable(&self, why: &str) -> Error {
        let hint = match self.base.scheme() {
            "https" if why.contains("InvalidContentType") || why.contains("corrupt message") => {
                "; if it speaks without TLS, add it to `plugins: { plain_http: […] }`"
            }
            _ => "",
        };
        Error::Failed(format!("{} cannot be reached: {why}{hint}", self.host))
    }

    /// What an answer that is no success means.
    async fn refused(&self, answer: Response, what: &str) -> Error {
        let (status, host) = (answer.status(), &self.host);
        let said = self.said(answer).await;
        match status {
            StatusCode::NOT_FOUND => Error::Missing(format!("{host} has no {what}")),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::Failed(format!(
                "{host} does not let flitch have {what}: {said}; credentials are in `plugins: {{ credentials: {{ {host}: … }} }}` or Docker's config.json"
            )),
            status if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                Error::Refused(format!("{host} refuses to give {what}: {said}"))
            }
            _ => Error::Failed(format!("{host} cannot give {what}: {said}")),
        }
    }

    async fn said(&self, answer: Response) -> String {
        let status = answer.status();
        let said = timeout(self.timeout, beginning(answer, REASON)).await.unwrap_or_default();
        match said.trim() {
            "" => status.to_string(),
            said => format!("{status}: {said}"),
        }
    }
}

/// The token of an answer, which has it under one of two names. One that is empty is none.
fn token_in(text: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Token {
        token: Option<String>,
        access_token: Option<String>,
    }
    let Token { token, access_token } = serde_json::from_slice(text).ok()?;
    [token, access_token].into_iter().flatten().find(|token| !token.is_empty())
}

fn text_of(head: &HeaderMap, name: &str) -> Option<String> {
    let text = head.get(name)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or(text).trim().to_owned())
}

/// Whether a manifest came as what a signature's can be.
pub fn is_manifest(sent: &Sent) -> bool {
    sent.media_type.as_deref().is_none_or(|kind| kind == MANIFEST)
}

#[cfg(test)]
pub mod tests;
