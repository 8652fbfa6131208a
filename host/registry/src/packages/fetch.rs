//! Having what a server offers from where it says that it is.

use std::time::Duration;

use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::time::timeout;

use super::Version;
use crate::Error;
use crate::client::redirect;
use crate::digest::Digest;
use crate::reference::is_package;
use crate::registries::Registries;
use crate::signature;
use flitch_core::hex;
use flitch_core::net::confided;
use flitch_core::net::http_client::{self, beginning, reason};

/// Longest time for a connection, and for a download from its begin to its end.
const CONNECT: Duration = Duration::from_secs(10);
const WHOLE: Duration = Duration::from_secs(600);
/// Most redirects.
const REDIRECTS: usize = 3;
/// Bytes of an answer that are passed on as the reason.
const REASON: usize = 300;
/// Headers that follow from the request.
const OURS: [HeaderName; 4] = [HOST, ACCEPT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING];

/// A package as a server offers it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Its name.
    pub name: String,
    /// What the server calls this version.
    pub version: String,
    /// By what the server knows it.
    pub hash: Vec<u8>,
    /// Where its content is.
    pub url: String,
    /// Headers of the request for that.
    pub headers: Vec<(String, String)>,
    /// SHA-256 of its content.
    pub content: Vec<u8>,
    /// What signs the content; empty where nothing does.
    pub signature: Vec<u8>,
}

/// A package that was fetched, is what was offered, and may run.
#[derive(Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its name.
    pub name: String,
    /// What is known of it.
    pub version: Version,
    /// The component.
    pub content: Vec<u8>,
}

impl std::fmt::Debug for Fetched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fetched({} {}, {} bytes)", self.name, self.version.version, self.content.len())
    }
}

impl Registries {
    /// Fetches what is offered, from where `may` allows it, and holds it to its hash and its signature. Nothing is kept.
    ///
    /// # Errors
    /// It cannot be had, or may not run.
    pub async fn fetch(
        &self,
        offer: &Offer,
        may: &(dyn Fn(&str) -> Result<(), String> + Sync),
    ) -> Result<Fetched, Error> {
        let refused = |why: String| Err(Error::Refused(why));
        if !is_package(&offer.name) {
            return refused(
                "its name is none that `package:NAME` can have: 1 to 64 letters, digits, `_`, `-` and `.`"
                    .to_owned(),
            );
        }
        if offer.content.len() != 32 {
            return refused("it comes without the SHA-256 of its content".to_owned());
        }
        let signature = match String::from_utf8(offer.signature.clone()) {
            Ok(text) if text.trim().is_empty() => None,
            Ok(text) if text.len() as u64 <= signature::MOST => Some(text),
            Ok(_) => return refused("its signature is too large".to_owned()),
            Err(_) => return refused("its signature is no sigstore bundle".to_owned()),
        };
        let content = match timeout(WHOLE, self.download(offer, may)).await {
            Ok(content) => content?,
            Err(_) => return Err(Error::Failed(format!("it was not here within {} s", WHOLE.as_secs()))),
        };
        let digest = Digest::of(&content);
        let wanted = hex::encode(&offer.content);
        if digest.hex() != wanted {
            return refused(format!("its content is {digest}, and sha256:{wanted} was offered"));
        }
        let signed_by = self.believe_file(&Registries::named(&offer.name), &content, signature.as_deref())?;
        let version = Version {
            version: offer.version.clone(),
            hash: offer.hash.clone(),
            content: digest,
            bytes: content.len() as u64,
            signature,
            signed_by: signed_by.map(|key| key.to_string()),
        };
        Ok(Fetched { name: offer.name.clone(), version, content })
    }

    async fn download(
        &self,
        offer: &Offer,
        may: &(dyn Fn(&str) -> Result<(), String> + Sync),
    ) -> Result<Vec<u8>, Error> {
        let mut at =
            Url::parse(&offer.url).map_err(|_| Error::Refused("it comes without a URL".to_owned()))?;
        let mut head = head(&offer.headers)?;
        for _ in 0..=REDIRECTS {
            may(at.as_str()).map_err(Error::Refused)?;
            let client = self.downloads_from(&at)?;
            let sent = confided::send(client.get(at.clone()).headers(head.clone()));
            let answer = self.within(sent).await?;
            if answer.status() == StatusCode::OK {
                return self.content(answer).await;
            }
            if !answer.status().is_redirection() {
                let status = answer.status();
                let said = beginning(answer, REASON).await;
                let said = if said.trim().is_empty() { String::new() } else { format!(": {}", said.trim()) };
                return Err(Error::Failed(format!("{} answers {status}{said}", place(&at))));
            }
            let next = redirect::target(&at, answer.headers());
            let next = next.map_err(|why| Error::Refused(format!("{} redirects {why}", place(&at))))?;
            // What was meant for one server is not told another.
            if !redirect::is_same_server(&at, &next) {
                head = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
            }
            at = next;
        }
        Err(Error::Refused(format!("{} redirects more than {REDIRECTS} times", place(&at))))
    }

    /// A client for the server of a URL, with the TLS that `plugins` has for it.
    fn downloads_from(&self, url: &Url) -> Result<Client, Error> {
        let host = url.host_str().unwrap_or_default();
        let names =
            [url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")), host.to_owned()];
        let is_plain = match url.scheme() {
            "https" => false,
            "http" if self.settings.plain_http.iter().any(|plain| names.contains(plain)) => true,
            "http" => {
                return Err(Error::Refused(format!(
                    "{} is without TLS, and not among `plugins.plain_http`",
                    place(url)
                )));
            }
            other => return Err(Error::Refused(format!("`{other}://` is not spoken"))),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::Refused("a user stands in its URL; that belongs to its headers".to_owned()));
        }
        let tls = names.iter().find_map(|name| self.settings.tls.get(name)).cloned().unwrap_or_default();
        let cannot =
            |error: anyhow::Error| Error::Failed(format!("{} cannot be spoken with: {error:#}", place(url)));
        let tls = if is_plain { None } else { Some(tls.config().map_err(cannot)?) };
        let settings =
            http_client::Settings { tls, proxy: None, connect_timeout: CONNECT, timeout: WHOLE, keep: false };
        http_client::client_by_environment(settings).map_err(cannot)
    }

    async fn content(&self, mut answer: Response) -> Result<Vec<u8>, Error> {
        let most = self.settings.max_bytes;
        let too_large = || Error::Refused(format!("it has more than {most} (`plugins.max_bytes`)"));
        if answer.content_length().is_some_and(|bytes| bytes > most.0) {
            return Err(too_large());
        }
        let mut content = Vec::new();
        while let Some(piece) = self.within(answer.chunk()).await? {
            if (content.len() + piece.len()) as u64 > most.0 {
                return Err(too_large());
            }
            content.extend_from_slice(&piece);
        }
        Ok(content)
    }

    async fn within<T>(&self, work: impl Future<Output = reqwest::Result<T>>) -> Result<T, Error> {
        match timeout(self.settings.timeout.0, work).await {
            Ok(done) => {
                done.map_err(|error| Error::Failed(format!("it cannot be downloaded: {}", reason(&error))))
            }
            Err(_) => Err(Error::Failed("it cannot be downloaded: no answer in time".to_owned())),
        }
    }
}

fn head(headers: &[(String, String)]) -> Result<HeaderMap, Error> {
    let mut head = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
    for (name, text) in headers {
        let header = name.parse::<HeaderName>().ok().zip(HeaderValue::from_str(text).ok());
        let Some((key, mut value)) = header.filter(|(key, _)| !OURS.contains(key)) else {
            return Err(Error::Refused(format!("its header `{name}` is none that a request can be given")));
        };
        value.set_sensitive(true);
        head.append(key, value);
    }
    Ok(head)
}

/// A URL as it may be shown: what stands behind a `?` may be a key.
fn place(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), url.authority().rsplit('@').next().unwrap_or_default(), url.path())
}
