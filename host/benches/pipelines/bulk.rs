//! What stands for a node of Elasticsearch: it reads bulk requests and says that all is well.

use std::io::{BufRead, BufReader, Read, Write, copy, sink};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use flitch_tests::beside;

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 28\r\n\r\n{\"errors\":false,\"items\":[]}\n";

/// Listens for as long as the process runs, and answers its address.
pub fn start() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    beside(move || {
        for stream in listener.incoming().flatten() {
            beside(move || serve(stream));
        }
    });
    address
}

/// Answers requests until the client goes.
fn serve(stream: TcpStream) -> std::io::Result<()> {
    let mut requests = BufReader::with_capacity(1 << 20, stream.try_clone()?);
    let mut answers = stream;
    let (mut line, mut length) = (String::new(), 0);
    while requests.read_line(&mut line)? > 0 {
        let text = line.trim_end().to_ascii_lowercase();
        if let Some(value) = text.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if text.is_empty() {
            copy(&mut requests.by_ref().take(length), &mut sink())?;
            answers.write_all(ANSWER.as_bytes())?;
        }
        line.clear();
    }
    Ok(())
}
