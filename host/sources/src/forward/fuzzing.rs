//! Whatever comes over a connection.

use tokio::io::AsyncWriteExt;

use super::harness::Client;

/// Sends bytes to a source, all at once and in two pieces: all that it takes is settled, and it is the same.
pub fn forward(bytes: &[u8]) {
    let split = bytes.first().map_or(0, |first| bytes.len() * *first as usize / 256);
    let whole = records(&[bytes]);
    let pieces = records(&[&bytes[..split], &bytes[split..]]);
    assert_eq!(whole, pieces);
}

/// The records that come out for these pieces.
fn records(pieces: &[&[u8]]) -> Vec<serde_json::Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut client = Client::new();
        for piece in pieces {
            // The source closes the connection where it has seen enough.
            let _ = client.stream.write_all(piece).await;
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
        }
        client.rest().await
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_of_the_corpus_holds_in_memory_of_its_size() {
        crate::memory::run_corpus("forward", super::forward);
    }
}
