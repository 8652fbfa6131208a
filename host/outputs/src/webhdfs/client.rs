//! The operations of WebHDFS that files are written by
//! (<https://hadoop.apache.org/docs/r3.4.1/hadoop-project-dist/hadoop-hdfs/WebHDFS.html>).

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use tokio_util::io::ReaderStream;

use super::fault::{Fault, fault};
use crate::nodes::{Node, Nodes};
use crate::staging::Object;
use flitch_core::clock::Clock;
use flitch_core::net::confided;
use flitch_core::net::http_client::{beginning, reason, retry_after};
use flitch_core::net::tls::Renewed;
use flitch_core::secret::Secret;
use flitch_core::setting::wrong;

/// Most of an answer that is read.
const ANSWER: usize = 64 << 10;
/// Bytes of a file that are read at once.
const PIECE: usize = 256 << 10;
/// Bytes that are written within the time of a request; for more there is more time.
const TIMED: u64 = 8 << 20;

/// What is not written otherwise in a path, or in the value of a parameter.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/').remove(b'=');

/// Who asks.
pub(super) enum Credentials {
    Nobody,
    /// `user.name`.
    User(String),
    Basic(String, Secret),
    Bearer(Secret),
    /// `delegation`.
    Delegation(Secret),
}

/// A client of all NameNodes, or gateways, of an output.
pub(super) struct Client {
    nodes: Nodes,
    urls: Vec<Url>,
    credentials: Credentials,
    http: Renewed<reqwest::Client>,
    timeout: Duration,
}

#[derive(Deserialize)]
struct Truth {
    boolean: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    file_status: FileStatus,
}

#[derive(Deserialize)]
struct FileStatus {
    length: u64,
    #[serde(rename = "type")]
    kind: String,
}

impl Client {
    /// # Errors
    /// The text names the key that is wrong.
    pub fn new(
        output: &str,
        nodes: Vec<Node>,
        credentials: Credentials,
        http: Renewed<reqwest::Client>,
        timeout: Duration,
    ) -> anyhow::Result<Client> {
        let mut urls = Vec::new();
        for node in &nodes {
            let url = Url::parse(&node.name).ok().filter(|url| {
                matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.username().is_empty()
            });
            ensure!(
                url.is_some(),
                wrong!("endpoints", " must be addresses as `http://namenode:9870`: `{}`", node.name)
            );
            urls.extend(url);
        }
        Ok(Client { nodes: Nodes::new(output, nodes), urls, credentials, http, timeout })
    }

    /// How long a file is; none where there is none.
    pub async fn length(&self, path: &str) -> Result<Option<u64>, Fault> {
        let answer = match self.ask(Method::GET, path, "GETFILESTATUS", &[]).await {
            Err(Fault::Missing) => return Ok(None),
            answer => answer?,
        };
        let status: Status = json(answer).await?;
        match status.file_status.kind.as_str() {
            "FILE" => Ok(Some(status.file_status.length)),
            _ => Err(Fault::Path(format!("{path} is there, and is no file"))),
        }
    }

    /// Makes a file of an object.
    pub async fn create(
        &self,
        path: &str,
        object: &Object,
        wishes: &BTreeMap<&'static str, String>,
        overwrite: bool,
    ) -> Result<(), Fault> {
        let mut more = vec![("overwrite", if overwrite { "true" } else { "false" })];
        more.extend(wishes.iter().map(|(name, value)| (*name, value.as_str())));
        let answer = self.ask(Method::PUT, path, "CREATE", &more).await?;
        self.follow(Method::PUT, answer, Some(object)).await
    }

    /// Makes an empty file.
    pub async fn create_empty(&self, path: &str) -> Result<(), Fault> {
        let answer = self.ask(Method::PUT, path, "CREATE", &[("overwrite", "true")]).await?;
        self.follow(Method::PUT, answer, None).await
    }

    /// Puts an object behind what is in a file.
    pub async fn append(&self, path: &str, object: &Object) -> Result<(), Fault> {
        let answer = self.ask(Method::POST, path, "APPEND", &[]).await?;
        self.follow(Method::POST, answer, Some(object)).await
    }

    /// Gives a file another name; false where there is one of that name.
    pub async fn rename(&self, from: &str, to: &str) -> Result<bool, Fault> {
        let answer = self.ask(Method::PUT, from, "RENAME", &[("destination", to)]).await?;
        Ok(json::<Truth>(answer).await?.boolean)
    }

    /// Cuts a file; false where that is still under way.
    pub async fn truncate(&self, path: &str, length: u64) -> Result<bool, Fault> {
        let answer = self.ask(Method::POST, path, "TRUNCATE", &[("newlength", &length.to_string())]).await?;
        Ok(json::<Truth>(answer).await?.boolean)
    }

    /// Removes a file, if it is there.
    pub async fn delete(&self, path: &str) -> Result<(), Fault> {
        match self.ask(Method::DELETE, path, "DELETE", &[("recursive", "false")]).await {
            Ok(answer) => json::<Truth>(answer).await.map(drop),
            Err(Fault::Missing) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// Asks the active server for something.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        op: &str,
        more: &[(&str, &str)],
    ) -> Result<Response, Fault> {
        let mut tried = Vec::new();
        let mut last = Fault::Failed("there is no server".to_owned());
        while let Some(turn) = self.nodes.pick(&tried) {
            let place = turn.place();
            match self.ask_one(place, method.clone(), path, op, more).await {
                Err(fault) if fault.is_of_server() => {
                    turn.failed(&fault.to_string(), None);
                    tried.push(place);
                    last = fault;
                }
                answer => {
                    turn.succeeded();
                    return answer;
                }
            }
        }
        Err(last)
    }

    async fn ask_one(
        &self,
        place: usize,
        method: Method,
        path: &str,
        op: &str,
        more: &[(&str, &str)],
    ) -> Result<Response, Fault> {
        let encoded = |text: &str| utf8_percent_encode(text, PATH).to_string();
        let base = self.urls[place].as_str().trim_end_matches('/');
        let mut url = format!("{base}/webhdfs/v1{}?op={op}", encoded(path));
        let own = match &self.credentials {
            Credentials::User(user) => Some(("user.name", user.as_str())),
            Credentials::Delegation(token) => Some(("delegation", token.expose())),
            _ => None,
        };
        for (name, value) in more.iter().copied().chain(own) {
            url.push_str(&format!("&{name}={}", encoded(value)));
        }
        let request = self.signed(self.http.get().request(method, url)).header(CONTENT_LENGTH, 0);
        let answer = confided::send(request).await.map_err(|error| Fault::Away(reason(&error)))?;
        match answer.status() {
            status if status.is_success() || status == StatusCode::TEMPORARY_REDIRECT => Ok(answer),
            _ => Err(refused(answer).await),
        }
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.credentials {
            Credentials::Basic(user, password) => request.basic_auth(user, Some(password.expose())),
            Credentials::Bearer(token) => request.bearer_auth(token.expose()),
            _ => request,
        }
    }

    /// Sends an object, or nothing, where an answer has said.
    async fn follow(&self, method: Method, answer: Response, object: Option<&Object>) -> Result<(), Fault> {
        let asked = answer.url().clone();
        let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let location = location.and_then(|location| asked.join(location).ok());
        let Some(location) = location.filter(|_| answer.status() == StatusCode::TEMPORARY_REDIRECT) else {
            return Err(Fault::Failed(format!(
                "{}: it says not where the data goes",
                answer.status().as_u16()
            )));
        };
        if asked.scheme() == "https" && location.scheme() != "https" {
            let to = location.host_str().unwrap_or_default();
            return Err(Fault::Denied(format!("it sends the data to {to} without TLS")));
        }
        beginning(answer, ANSWER).await;
        let mut request = self.http.get().request(method, location.clone());
        if location.origin() == asked.origin() {
            request = self.signed(request);
        }
        request = request.header(CONTENT_TYPE, "application/octet-stream");
        request = match object {
            None => request.header(CONTENT_LENGTH, 0),
            Some(object) => {
                let file = tokio::fs::File::open(&object.path).await.map_err(Fault::disk)?;
                let times = u32::try_from(1 + object.length / TIMED).unwrap_or(u32::MAX);
                request
                    .timeout(self.timeout.saturating_mul(times))
                    .header(CONTENT_LENGTH, object.length)
                    .body(Body::wrap_stream(ReaderStream::with_capacity(file, PIECE)))
            }
        };
        let answer = confided::send(request).await.map_err(|error| Fault::Failed(reason(&error)))?;
        match answer.status() {
            status if status.is_success() => {
                beginning(answer, ANSWER).await;
                Ok(())
            }
            _ => Err(refused(answer).await),
        }
    }
}

/// What an answer means that is no success.
async fn refused(answer: Response) -> Fault {
    let status = answer.status().as_u16();
    let after = retry_after(answer.headers(), Clock::system().now());
    fault(status, after, &beginning(answer, ANSWER).await)
}

async fn json<T: for<'a> Deserialize<'a>>(answer: Response) -> Result<T, Fault> {
    let text = beginning(answer, ANSWER).await;
    serde_json::from_str(&text)
        .map_err(|error| Fault::Failed(format!("its answer is none of WebHDFS: {error}")))
}
