//! Azure's storage by shared access signatures: blobs, messages of queues and rows of tables.
//!
//! Facts: Microsoft's *Put Blob*, *Put Block*, *Put Message*, *Insert Entity* and *Get Entity* (REST, version 2021-12-02).

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, Url};
use serde_json::Value;
use serde_json::value::RawValue;

use super::said::{self, Trouble};
use crate::WriteError;
use crate::staging::Object;
use flitch_core::blocking;
use flitch_core::net::confided;
use flitch_core::net::words;

/// The version of the protocol.
const VERSION: &str = "2021-12-02";
/// What goes in one request; what is larger goes in blocks.
const BLOCK: u64 = 8 << 20;

/// The address of something below `root`, with its signature.
fn below(root: &Url, name: &str) -> Url {
    let mut url = root.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push(name);
    }
    url
}

fn with(url: &Url, pairs: &[(&str, &str)]) -> Url {
    let mut url = url.clone();
    url.query_pairs_mut().extend_pairs(pairs);
    url
}

async fn send(request: RequestBuilder, url: &Url) -> Result<String, Trouble> {
    let whom = url.host_str().unwrap_or_default();
    said::text(whom, confided::send(request.header("x-ms-version", VERSION)).await).await
}

/// Writes an object as a blob of this name. Answers its address, with the signature.
pub(super) async fn put_blob(
    http: &Client,
    container: &Url,
    name: &str,
    object: &Object,
) -> Result<Url, Trouble> {
    let url = below(container, name);
    if object.length <= BLOCK {
        let bytes = read(object, 0, object.length).await?;
        let request = http.put(url.clone()).header("x-ms-blob-type", "BlockBlob").body(bytes);
        send(request, &url).await?;
        return Ok(url);
    }
    let mut list = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
    for number in 0..object.length.div_ceil(BLOCK) {
        let from = number * BLOCK;
        let bytes = read(object, from, BLOCK.min(object.length - from)).await?;
        let id = STANDARD.encode(format!("{number:08}"));
        let block = with(&url, &[("comp", "block"), ("blockid", &id)]);
        send(http.put(block).body(bytes), &url).await?;
        list += &format!("<Latest>{id}</Latest>");
    }
    list += "</BlockList>";
    let whole = with(&url, &[("comp", "blocklist")]);
    send(http.put(whole).header(CONTENT_TYPE, "application/xml").body(list), &url).await?;
    Ok(url)
}

/// Bytes of an object.
pub(super) async fn read(object: &Object, from: u64, length: u64) -> Result<Vec<u8>, Trouble> {
    let path = object.path.clone();
    let bytes = blocking::io(move || {
        let mut bytes = vec![0; length as usize];
        std::fs::File::open(&path)?.read_exact_at(&mut bytes, from)?;
        Ok(bytes)
    });
    bytes.await.map_err(|error| {
        let reason = format!("{}: {error}", object.path.display());
        Trouble::Failed(WriteError::Unreachable { reason })
    })
}

/// Puts a message at the end of a queue.
pub(super) async fn put_message(http: &Client, queue: &Url, message: &Value) -> Result<(), Trouble> {
    let url = below(queue, "messages");
    let text = STANDARD.encode(message.to_string());
    let body = format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
    send(http.post(url.clone()).header(CONTENT_TYPE, "application/xml").body(body), &url).await.map(drop)
}

/// Puts a row into a table. One that is there is left.
pub(super) async fn put_row(http: &Client, table: &Url, row: &Value) -> Result<(), Trouble> {
    let body = row.to_string();
    let request = http
        .post(table.clone())
        .header(ACCEPT, "application/json;odata=nometadata")
        .header(CONTENT_TYPE, "application/json")
        .header(CONTENT_LENGTH, body.len())
        .header("DataServiceVersion", "3.0;")
        .body(body);
    match send(request, table).await {
        Err(Trouble::Said(said)) if said.status == 409 => Ok(()),
        answer => answer.map(drop),
    }
}

/// The texts of the row whose both keys are `id`.
pub(super) async fn row(http: &Client, table: &Url, id: &str) -> Result<BTreeMap<String, String>, Trouble> {
    let mut url = table.clone();
    url.set_path(&format!("{}(PartitionKey='{id}',RowKey='{id}')", table.path().trim_end_matches('/')));
    let request = http.get(url.clone()).header(ACCEPT, "application/json;odata=nometadata");
    let text = send(request.header("DataServiceVersion", "3.0;"), &url).await?;
    let row: BTreeMap<String, &RawValue> =
        serde_json::from_str(&text).map_err(|_| super::service::strange(&url, "a row"))?;
    Ok(row.into_iter().filter_map(|(name, value)| Some((name, words::of(value)?))).collect())
}
