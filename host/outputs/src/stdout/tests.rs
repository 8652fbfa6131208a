use super::super::contract::{self, Found, Specimen, Subject, WriteBatch};
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

/// Fails once after some bytes.
struct Failing(Taken, usize);

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let most = bytes.len().min(self.1);
        if most == 0 {
            self.1 = usize::MAX;
            return Err(io::Error::other("full"));
        }
        self.1 -= most;
        self.0.0.lock().extend_from_slice(&bytes[..most]);
        Ok(most)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Specimen for StdoutSettings {
    async fn subject(_: usize, cx: &OutputContext) -> Subject {
        let taken = Taken::default();
        let output = to(taken.clone(), &cx.encoder);
        let read = move || Found::Stream(taken.0.lock().clone());
        let (by_field, cut) = (None, None);
        Subject { output: Arc::new(output), read: Some(Box::new(read)), by_field, cut }
    }
}

#[tokio::test]
async fn a_line_that_a_failed_write_left_is_ended_before_the_next() {
    let taken = Taken::default();
    let output = to(Failing(taken.clone(), 9), &contract::context().encoder);
    let records = contract::numbered(0, 2);
    assert!(matches!(output.write_batch(&records).await, Err(WriteError::Unreachable { .. })));
    output.write_batch(&records).await.unwrap();
    output.write_batch(&records).await.unwrap();
    let text = &records.ndjson().text;
    let expected = [&text[..9], b"\n", text, text].concat();
    assert_eq!(String::from_utf8_lossy(&taken.0.lock()), String::from_utf8_lossy(&expected));
}

#[tokio::test]
async fn a_pipe_whose_reader_has_gone_is_the_operators() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = to(writer, &contract::context().encoder);
    let error = output.write_batch(&contract::numbered(0, 2)).await.unwrap_err();
    assert!(matches!(&error, WriteError::Denied { reason } if reason.contains("nobody reads")), "{error}");
}

#[tokio::test]
async fn a_stream_that_somebody_made_non_blocking_is_waited_for() {
    use std::io::Read;
    let (mut reader, writer) = std::io::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    rustix::fs::fcntl_setfl(&writer, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    let output = to(Inherited(writer), &contract::context().encoder);
    // More than a pipe holds.
    let records = contract::numbered(0, 20_000);
    let length = records.ndjson().text.len();
    let read = flitch_core::tasks::joined_thread("test", move || {
        let mut text = vec![0; length];
        reader.read_exact(&mut text).unwrap();
        text
    });
    assert_eq!(output.write_batch(&records).await.unwrap().bytes as usize, length);
    assert_eq!(read.unwrap().join().unwrap(), &records.ndjson().text[..]);
}
