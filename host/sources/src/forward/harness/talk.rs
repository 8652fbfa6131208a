//! What clients of the tests say and hear: recordings, and MessagePack from JSON.

use std::path::PathBuf;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

use super::{Client, connect, json, open};
use flitch_core::batch::Batch;

impl Client {
    /// One more connection to the same source.
    pub fn another(&self) -> DuplexStream {
        open(&self.hub, self.alive.as_ref().unwrap()).0
    }

    /// A connection of another client to the same source.
    pub fn of_another_host(&self) -> DuplexStream {
        connect(&self.hub, self.alive.as_ref().unwrap(), "another host").0
    }

    /// Replaces the connection by a new one to the same source. Answers the end of the old one.
    pub fn reconnect(&mut self) -> JoinHandle<()> {
        let (stream, serving) = open(&self.hub, self.alive.as_ref().unwrap());
        self.stream = stream;
        std::mem::replace(&mut self.serving, serving)
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next batch, unsettled.
    pub async fn batch(&self) -> Batch {
        self.buffer.lease().await.expect("the buffer is open")
    }

    /// The next batch's records, settled as delivered.
    pub async fn next(&self) -> Vec<Value> {
        let batch = self.batch().await;
        let records = json(&batch.records);
        batch.receipt.delivered();
        records
    }

    /// Bytes that the source answers.
    pub async fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    /// All that the source still answers until it closes the connection.
    pub async fn read_all(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    /// The text of all dead letters.
    pub fn dead_letters(&self) -> String {
        let mut text = String::new();
        let mut folders = vec![self.folder.path().join("dead")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    text += &std::fs::read_to_string(path).unwrap();
                }
            }
        }
        text
    }
}

/// A file of `testdata`.
pub fn testdata(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/forward/testdata").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The names of all recordings of clients.
pub fn recordings() -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/forward/testdata");
    let names = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|n| n.ends_with("conn0.bin") || n.ends_with("client.bin")).collect();
    names.sort();
    assert_eq!(names.len(), 16);
    names
}

/// A PackedForward message of these entries, already in MessagePack.
pub fn packed(tag: &str, entries: &[u8], options: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    rmp::encode::write_array_len(&mut out, 3).unwrap();
    rmp::encode::write_str(&mut out, tag).unwrap();
    rmp::encode::write_bin(&mut out, entries).unwrap();
    out.extend(flitch_core::testing::pack(options));
    out
}
