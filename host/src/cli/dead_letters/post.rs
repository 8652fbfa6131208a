//! Posts NDJSON to an HTTP source.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::{Duration, Instant};

use anyhow::bail;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::connect::{Server, TlsArgs};
use flitch_core::dead_letter::replay::Sink;
use flitch_core::net::address::Endpoint;
use flitch_core::secret::Secret;
use flitch_core::telemetry::escape::Escaped;
use flitch_sources::http::{HttpCodec, HttpSettings};

/// How long a source that asks to wait is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// An HTTP source.
pub struct Post {
    server: Server,
    path: String,
    /// The value of the header `Authorization`.
    authorization: Option<Secret>,
}

impl Post {
    /// The one at a URL.
    ///
    /// # Errors
    /// It is no URL of HTTP, or a file for TLS cannot be read.
    pub fn to_url(url: &str, tls: &TlsArgs) -> anyhow::Result<Post> {
        let (rest, tls, port) = match url.split_once("://") {
            Some(("http", rest)) => (rest, None, 80),
            Some(("https", rest)) => (rest, Some(tls.client(None)?), 443),
            _ => bail!("it is neither a URL of HTTP nor the name of a source"),
        };
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (credentials, host) = match host.rsplit_once('@') {
            Some((credentials, host)) => (Some(credentials), host),
            None => (None, host),
        };
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let address = if has_port { host.to_owned() } else { format!("{host}:{port}") };
        let path = if path.is_empty() { "/" } else { path }.to_owned();
        Ok(Post { server: Server::at(&address, tls)?, path, authorization: credentials.map(basic) })
    }

    /// One of the configuration, with its TLS and the credentials that it takes.
    ///
    /// # Errors
    /// It would not read the records as they are, or its certificate cannot be read.
    pub fn to_source(settings: &HttpSettings, tls: &TlsArgs) -> anyhow::Result<Post> {
        if settings.codec == HttpCodec::Lines {
            bail!("it reads lines of text (`codec: lines`), and the records are JSON");
        }
        let tls = settings.tls.as_ref().map(|own| tls.client(Some(&own.cert))).transpose()?;
        let authorization = settings.auth.as_ref().and_then(|auth| {
            let bearer = auth.bearer.first().map(|token| Secret::new(format!("Bearer {}", token.expose())));
            let user = auth.basic.first_key_value();
            bearer.or_else(|| user.map(|(user, password)| basic(&format!("{user}:{}", password.expose()))))
        });
        Ok(Post {
            server: Server::behind(&Endpoint::Tcp(settings.listen.clone()), tls)?,
            path: "/".to_owned(),
            authorization,
        })
    }

    /// Posts records. Answers the status where the source takes them, or asks to wait.
    fn post(&self, records: &[u8]) -> io::Result<u16> {
        let mut stream = self.server.connect().map_err(|error| self.server.failed(&error))?;
        let authorization = self.authorization.as_ref();
        let authorization = authorization.map(|value| format!("Authorization: {}\r\n", value.expose()));
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n{}Connection: close\r\n\r\n",
            self.path,
            self.server,
            records.len(),
            authorization.unwrap_or_default()
        );
        // A source that refuses by the head alone closes before it has read the rest; its answer says why.
        let sent = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(records))
            .and_then(|()| stream.flush());
        let mut answer = BufReader::new(stream);
        let mut status = String::new();
        let read = answer.read_line(&mut status);
        if status.is_empty() {
            // What was read says more than that writing failed: TLS tells there why it ended.
            let none = || io::Error::new(io::ErrorKind::UnexpectedEof, "no answer");
            return Err(self.server.failed(&read.err().or(sent.err()).unwrap_or_else(none)));
        }
        let code = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        if let Some(code @ (200..300 | 429 | 503)) = code {
            return Ok(code);
        }
        let mut rest = String::new();
        // What the source says about it is worth a word, but its absence is not.
        let _ = answer.read_to_string(&mut rest);
        let body = rest.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let why = format!("{} answered {}: {}", self.server, Escaped(status.trim()), Escaped(body.trim()));
        Err(io::Error::other(why))
    }
}

#[expect(clippy::disallowed_methods, reason = "a source that is full does not say when it has room again")]
fn pause() {
    std::thread::sleep(PAUSE);
}

fn basic(credentials: &str) -> Secret {
    Secret::new(format!("Basic {}", STANDARD.encode(credentials)))
}

impl Sink for Post {
    fn send(&mut self, records: &[u8]) -> io::Result<()> {
        let begin = Instant::now();
        loop {
            match self.post(records)? {
                200..300 => return Ok(()),
                code if begin.elapsed() > PATIENCE => {
                    let why = format!("{} has no room for so many records ({code})", self.server);
                    return Err(io::Error::other(why));
                }
                _ => pause(),
            }
        }
    }
}
