//! NDJSON on stdout or stderr.

use std::io::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Output, WriteError, Written};
use crate::batch::Records;
use crate::batch::encode::Encoding;

/// Which stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error, where the log is too.
    Stderr,
}

/// Writes each record as a line of JSON to stdout.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StdoutSettings {
    /// `stdout` or `stderr`.
    pub stream: Stream,
}

/// See [`StdoutSettings`].
pub struct Stdout {
    stream: Arc<Mutex<dyn Write + Send>>,
    encoding: Encoding,
}

/// Opens the output.
pub fn open(settings: &StdoutSettings, encoding: &Encoding) -> Stdout {
    match settings.stream {
        Stream::Stdout => to(io::stdout(), encoding),
        Stream::Stderr => to(io::stderr(), encoding),
    }
}

/// Writes to any stream.
fn to(stream: impl Write + Send + 'static, encoding: &Encoding) -> Stdout {
    Stdout { stream: Arc::new(Mutex::new(stream)), encoding: encoding.clone() }
}

impl Output for Stdout {
    fn write<'a>(&'a self, records: &'a Arc<Records>) -> Answer<'a, Written> {
        let text = records.ndjson_with(&self.encoding);
        let stream = self.stream.clone();
        Box::pin(async move {
            let bytes = text.text.len() as u64;
            // A pipe that nobody reads blocks: not on a thread that others need.
            let write = tokio::task::spawn_blocking(move || {
                let mut stream = stream.lock();
                stream.write_all(&text.text).and_then(|()| stream.flush())
            });
            let failed = |reason: String| WriteError::Unreachable { reason };
            write.await.map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()))?;
            Ok(Written { bytes, ..Written::default() })
        })
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract::{self, Subject};
    use super::*;

    /// What a stream has taken.
    #[derive(Clone, Default)]
    struct Taken(Arc<Mutex<Vec<u8>>>);

    impl Write for Taken {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Streams take what they like.
            let most = bytes.len().min(7);
            self.0.lock().extend_from_slice(&bytes[..most]);
            Ok(most)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn it_keeps_the_contract_of_outputs() {
        contract::check(|| async {
            let taken = Taken::default();
            let output = to(taken.clone(), &Encoding::default());
            let read = move || contract::lines(&taken.0.lock());
            Subject { output: Arc::new(output), newline: true, read: Some(Box::new(read)) }
        })
        .await;
    }
}
