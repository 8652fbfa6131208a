//! Google Cloud Storage: fake-gcs-server, which keeps objects and judges preconditions, behind a front of ours. The server
//! speaks the JSON API of the service for uploads, and clients like ours its XML API (writes in parts are in no other): the
//! front translates, and asks who a client is.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use parking_lot::Mutex;

use super::s3::decompressed;
use crate::folder::Folder;
use crate::http;
use crate::http_server::{Reply, Request, Server};
use crate::process::{Process, Signal};
use crate::{cache, ports, wait};

/// A running service. It ends when it is dropped.
pub struct Gcs {
    front: Server,
    shared: Arc<Shared>,
    _process: Process,
    _folder: Folder,
}

struct Shared {
    server: SocketAddr,
    /// Whether a token is one of somebody who may write.
    knows: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// Parts of writes that have begun, by their number.
    uploads: Mutex<BTreeMap<String, BTreeMap<u32, Vec<u8>>>>,
    begun: AtomicUsize,
    refused: AtomicUsize,
}

impl Gcs {
    /// Starts a service with a bucket, which lets those write whose token `knows` knows.
    pub fn start(bucket: &str, knows: impl Fn(&str) -> bool + Send + Sync + 'static) -> Result<Gcs> {
        let binary = cache().join("fake-gcs/fake-gcs-server");
        if !binary.exists() {
            bail!("no server of Google Cloud Storage in {}: run `make servers`", binary.display());
        }
        let mut folder = Folder::new("gcs")?;
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        let mut command = Command::new(binary);
        command.args(["-scheme", "http", "-backend", "memory", "-log-level", "error", "-host", "127.0.0.1"]);
        command.args(["-port", &server.port().to_string()]);
        let log = folder.path().join("fake-gcs.log");
        let mut process = Process::start("fake-gcs-server", &command, &log, Signal::Kill)?;
        folder.used_by(process.pid())?;
        let json = format!("{{\"name\":\"{bucket}\"}}");
        let made = wait::poll(Duration::from_secs(30), || {
            let head = [("content-type", "application/json")];
            let made = http::post(server, "/storage/v1/b", &head, json.as_bytes());
            process.ended().is_some() || made.is_ok_and(|answer| answer.status == 200)
        });
        if made.is_none() || process.ended().is_some() {
            bail!("fake-gcs-server did not start: {}", process.tail());
        }
        let shared = Arc::new(Shared {
            server,
            knows: Box::new(knows),
            uploads: Mutex::default(),
            begun: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        });
        let own = shared.clone();
        let answer = move |request: &Request| own.answer(request).unwrap_or_else(|error| said(500, &error));
        let front = Server::start(&[Ipv4Addr::LOCALHOST], answer)?;
        Ok(Gcs { front, shared, _process: process, _folder: folder })
    }

    /// Its address as a setting.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.front.port())
    }

    /// How many writes in parts have begun.
    pub fn begun(&self) -> usize {
        self.shared.begun.load(Ordering::Acquire)
    }

    /// How many writes in parts have begun and not ended.
    pub fn unfinished(&self) -> usize {
        self.shared.uploads.lock().len()
    }

    /// How many objects were refused since there was one of their name.
    pub fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::Acquire)
    }

    /// The objects of a bucket by name, decompressed.
    pub fn objects(&self, bucket: &str) -> Result<BTreeMap<String, Vec<u8>>> {
        let server = self.shared.server;
        let list = http::get(server, &format!("/storage/v1/b/{bucket}/o"))?.json()?;
        let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let names = items.iter().filter_map(|item| item["name"].as_str());
        let read = |name: &str| {
            let path = format!("/download/storage/v1/b/{bucket}/o/{}?alt=media", escaped(name));
            Ok((name.to_owned(), decompressed(name, &http::get(server, &path)?.body)))
        };
        names.map(read).collect()
    }
}

impl Shared {
    fn answer(&self, request: &Request) -> Result<Reply> {
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        if !token.is_some_and(|token| (self.knows)(token)) {
            return Ok(said(401, "<Error><Code>AuthenticationRequired</Code></Error>"));
        }
        let (bucket, name) = request.path[1..].split_once('/').context("a bucket and a name")?;
        let upload = request.query("uploadId");
        let part = request.query("partNumber").and_then(|number| number.parse().ok());
        match (request.method.as_str(), upload, part) {
            ("HEAD", ..) => {
                let name = name.replace('/', "%2F");
                let found = http::get(self.server, &format!("/storage/v1/b/{bucket}/o/{name}"))?;
                let reply = said(found.status, "");
                let time = ("last-modified", "Thu, 26 Nov 2026 13:00:00 GMT".to_owned());
                Ok(Reply { headers: vec![time, ("etag", "\"e\"".to_owned())], ..reply })
            }
            ("POST", None, _) => {
                let upload = format!("u{}", self.begun.fetch_add(1, Ordering::AcqRel));
                self.uploads.lock().insert(upload.clone(), BTreeMap::new());
                let name = "InitiateMultipartUploadResult";
                Ok(said(200, &format!("<{name}><UploadId>{upload}</UploadId></{name}>")))
            }
            ("PUT", Some(upload), Some(part)) => match self.uploads.lock().get_mut(upload) {
                Some(parts) => {
                    parts.insert(part, request.body.clone());
                    Ok(Reply { headers: vec![("etag", format!("\"{part}\""))], ..said(200, "") })
                }
                None => Ok(said(404, "<Error><Code>NoSuchUpload</Code></Error>")),
            },
            ("POST", Some(upload), _) => {
                let Some(parts) = self.uploads.lock().remove(upload) else {
                    return Ok(said(404, "<Error><Code>NoSuchUpload</Code></Error>"));
                };
                let body: Vec<u8> = parts.into_values().flatten().collect();
                let status = self.upload((bucket, name), request, &body, "")?;
                let name = "CompleteMultipartUploadResult";
                Ok(said(status, &format!("<{name}><ETag>\"e\"</ETag></{name}>")))
            }
            ("DELETE", Some(upload), _) => {
                self.uploads.lock().remove(upload);
                Ok(said(204, ""))
            }
            ("PUT", None, _) => {
                let condition = match request.header("x-goog-if-generation-match") {
                    Some(generation) => format!("&ifGenerationMatch={generation}"),
                    None => String::new(),
                };
                let status = self.upload((bucket, name), request, &request.body, &condition)?;
                if status == 412 {
                    self.refused.fetch_add(1, Ordering::AcqRel);
                }
                Ok(Reply { headers: vec![("etag", "\"e\"".to_owned())], ..said(status, "") })
            }
            _ => bail!("{} {} is not of the XML API", request.method, request.path),
        }
    }

    /// Hands an object to the server, which judges the condition.
    fn upload(&self, to: (&str, &str), request: &Request, body: &[u8], condition: &str) -> Result<u16> {
        let (bucket, name) = to;
        let name = name.replace('/', "%2F");
        let path = format!("/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}{condition}");
        let kind = request.header("content-type").unwrap_or("application/octet-stream");
        Ok(http::post(self.server, &path, &[("content-type", kind)], body)?.status)
    }
}

fn said(status: u16, body: &(impl ToString + ?Sized)) -> Reply {
    Reply { status, body: body.to_string().into_bytes(), ..Reply::default() }
}

/// A name as a part of a path.
fn escaped(name: &str) -> String {
    let letter = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    name.bytes().map(letter).collect()
}
