use std::path::PathBuf;

use serde_json::Value;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;

use super::*;
use crate::batch::Batch;
use crate::buffers::MemoryBuffer;
use crate::sources::forward::ForwardSettings;
use crate::sources::testing;

/// A connection under test.
struct Client {
    stream: DuplexStream,
    buffer: Arc<MemoryBuffer>,
    hub: Arc<Hub>,
    serving: JoinHandle<()>,
    gone: mpsc::Receiver<std::convert::Infallible>,
    folder: tempfile::TempDir,
}

fn connect() -> Client {
    connect_with(ForwardSettings::default())
}

fn connect_with(settings: ForwardSettings) -> Client {
    let (cx, buffer, folder) = testing::context("docker");
    let (hub, resends) = Hub::new(settings, cx);
    tokio::spawn(hub.clone().run_resends(resends));
    let (stream, served) = tokio::io::duplex(1 << 20);
    let (alive, gone) = mpsc::channel(1);
    let serving = tokio::spawn(serve_owned(hub.clone(), served, alive));
    Client { stream, buffer, hub, serving, gone, folder }
}

async fn serve_owned(hub: Arc<Hub>, stream: DuplexStream, alive: Alive) {
    serve(hub, stream, BytesMut::new(), "test", alive).await;
}

impl Client {
    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// What arrives next, settled as delivered, as JSON objects.
    async fn next(&mut self) -> Vec<Value> {
        let batch = self.buffer.pop().await.expect("the buffer is open");
        let records = json(&batch);
        batch.receipt.delivered();
        records
    }

    /// Everything that arrives until the connection and all receipts are gone.
    async fn rest(mut self) -> Vec<Value> {
        self.stream.shutdown().await.unwrap();
        let mut records = Vec::new();
        let buffer = self.buffer.clone();
        loop {
            tokio::select! {
                biased;
                batch = buffer.pop() => {
                    let batch = batch.expect("the buffer is open");
                    records.extend(json(&batch));
                    batch.receipt.delivered();
                }
                none = self.gone.recv() => {
                    assert!(none.is_none());
                    break;
                }
            }
        }
        assert_eq!(self.hub.cx.intake.ledger().read().in_flight(), 0);
        self.serving.await.unwrap();
        records
    }

    async fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    fn dead_letters(&self) -> String {
        let folder = self.folder.path().join("dead");
        let files = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path());
        files.filter(|f| f.is_file()).map(|f| std::fs::read_to_string(f).unwrap()).collect()
    }
}

fn json(batch: &Batch) -> Vec<Value> {
    let encoded = batch.records.ndjson();
    (0..batch.records.rows()).map(|row| serde_json::from_slice(encoded.row(row)).unwrap()).collect()
}

fn testdata(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/sources/forward/testdata").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Sends a recording, split as it arrived where that was noted, and answers the records.
async fn replay(name: &str) -> Vec<Value> {
    let bytes = testdata(&format!("{name}.conn0.bin"));
    let reads = String::from_utf8(testdata(&format!("{name}.conn0.reads.jsonl"))).unwrap();
    let mut client = connect();
    for line in reads.lines() {
        let read: Value = serde_json::from_str(line).unwrap();
        let from = read["off"].as_u64().unwrap() as usize;
        client.send(&bytes[from..from + read["len"].as_u64().unwrap() as usize]).await;
        tokio::task::yield_now().await;
    }
    client.rest().await
}

fn logs(records: &[Value]) -> Vec<&str> {
    records.iter().map(|r| r["log"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn docker_lines_arrive_with_container_tag_and_time() {
    let records = replay("01-plain").await;
    assert_eq!(records.len(), 7, "{records:#?}");
    let of = |source: &str| -> Vec<_> {
        records.iter().filter(|r| r["source"] == source).map(|r| r["log"].as_str().unwrap()).collect()
    };
    assert_eq!(
        of("stdout"),
        ["hello from stdout", "no newline at end", "utf8: ü€", "bad: \u{fffd}\u{fffd}", "", "last"]
    );
    assert_eq!(of("stderr"), ["to stderr"]);
    for record in &records {
        assert_eq!(record["container_name"], "/web-1");
        let id = record["container_id"].as_str().unwrap();
        assert_eq!(record["@tag"], id[..12]);
        assert!(record["@timestamp"].as_str().unwrap().starts_with("2026-11-20T"), "{record}");
        assert_eq!(record.as_object().unwrap().len(), 6, "{record}");
    }
}
