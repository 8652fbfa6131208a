//! Records on stdout or stderr.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Output, OutputContext, OutputKind, Parcel, WriteError, Written};
use flitch_core::batch::Encoded;
use flitch_core::batch::encode::Encoder;
use flitch_core::tasks;

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

/// Writes records to stdout: a line of JSON each, or as `encoding` says.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StdoutSettings {
    /// `stdout` or `stderr`.
    pub stream: Stream,
}

/// See [`StdoutSettings`].
pub struct Stdout {
    pen: Arc<Mutex<Pen<dyn Write + Send>>>,
    encoder: Encoder,
}

/// Writes to a stream, and knows where it was left.
struct Pen<W: ?Sized> {
    /// What stands before the first record, until it does.
    header: Option<Bytes>,
    /// The last write failed in the middle of a line.
    half: bool,
    stream: W,
}

/// One of the streams that the process was started with, without a buffer: what counts as delivered has left it.
struct Inherited<F>(F);

impl OutputKind for StdoutSettings {
    fn open(&self, cx: &OutputContext) -> anyhow::Result<Arc<dyn Output>> {
        Ok(Arc::new(match self.stream {
            Stream::Stdout => to(Inherited(io::stdout()), &cx.encoder),
            Stream::Stderr => to(Inherited(io::stderr()), &cx.encoder),
        }))
    }

    fn descriptors(&self) -> u64 {
        0
    }
}

/// Writes to any stream.
fn to(stream: impl Write + Send + 'static, encoder: &Encoder) -> Stdout {
    let pen = Pen { header: encoder.header(), half: false, stream };
    Stdout { pen: Arc::new(Mutex::new(pen)), encoder: encoder.clone() }
}

impl<W: Write + ?Sized> Pen<W> {
    /// Writes records; where they are lines, what is left of one that another call did not finish is ended first.
    fn records(&mut self, encoded: &Encoded) -> io::Result<()> {
        if encoded.text.is_empty() {
            return Ok(());
        }
        if self.half && encoded.frame > 0 {
            self.all(b"\n")?;
        }
        if let Some(header) = self.header.clone() {
            self.all(&header)?;
            self.header = None;
        }
        self.all(&encoded.text)?;
        self.stream.flush()
    }

    fn all(&mut self, mut text: &[u8]) -> io::Result<()> {
        while !text.is_empty() {
            match self.stream.write(text) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => {
                    self.half = text[bytes - 1] != b'\n';
                    text = &text[bytes..];
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<F: AsFd> Write for Inherited<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::io::write(&self.0, bytes) {
                // Whoever shares the stream has set it so.
                Err(Errno::AGAIN) => {
                    let mut room = [PollFd::new(&self.0, PollFlags::OUT)];
                    poll(&mut room, None)?;
                }
                other => return Ok(other?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn classify(error: &io::Error) -> WriteError {
    match error.kind() {
        io::ErrorKind::BrokenPipe => {
            let reason =
                format!("{error}: nobody reads the stream any more; start flitch again with a reader");
            WriteError::Denied { reason }
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            WriteError::Busy { after: None, reason: error.to_string() }
        }
        _ => WriteError::Unreachable { reason: error.to_string() },
    }
}

impl Output for Stdout {
    fn write<'a>(&'a self, parcel: &'a Parcel) -> Answer<'a, Written> {
        let text = self.encoder.encode(parcel.batch());
        let pen = self.pen.clone();
        Box::pin(async move {
            let written = Written { bytes: text.text.len() as u64, ..Written::of(&text) };
            // A pipe that nobody reads blocks: not on a thread that others need.
            let write = tasks::blocking(move || pen.lock().records(&text));
            let wrote = write.await.map_err(|e| WriteError::Unreachable { reason: e.to_string() })?;
            wrote.map_err(|e| classify(&e))?;
            Ok(written)
        })
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
mod tests;
