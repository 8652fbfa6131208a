//! A small HTTP/1.1 server for fakes: a thread for each connection, which is kept, and a handler for all.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use parking_lot::Mutex;

use crate::beside;

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// The path, without what stands behind it.
    pub path: String,
    /// What stands behind the question mark.
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, with any chunked coding removed.
    pub body: Vec<u8>,
    /// Where it came in.
    pub host: Ipv4Addr,
}

impl Request {
    /// The first header of that name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A value of the query, as it stands there.
    pub fn query(&self, name: &str) -> Option<&str> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The status code; 0 closes the connection without an answer.
    pub status: u16,
    /// More headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body, which a `HEAD` does not get.
    pub body: Vec<u8>,
}

type Handler = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// A server on loopback. It ends when it is dropped.
pub struct Server {
    port: u16,
    over: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts a server at one port of each of these addresses.
    pub fn start(
        hosts: &[Ipv4Addr],
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Result<Server> {
        let first = hosts.first().context("a server has an address")?;
        let listener = TcpListener::bind((*first, 0))?;
        let port = listener.local_addr()?.port();
        let mut listeners = vec![listener];
        for host in &hosts[1..] {
            listeners.push(TcpListener::bind((*host, port))?);
        }
        let handler: Handler = Arc::new(handler);
        let (over, open) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let threads = listeners
            .into_iter()
            .map(|listener| {
                let (handler, over, open) = (handler.clone(), over.clone(), Arc::clone(&open));
                beside(move || accept(&listener, &handler, &over, &open))
            })
            .collect();
        Ok(Server { port, over, open, threads })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn accept(
    listener: &TcpListener,
    handler: &Handler,
    over: &Arc<AtomicBool>,
    open: &Arc<Mutex<Vec<TcpStream>>>,
) {
    let mut threads = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        if over.load(Ordering::Acquire) {
            break;
        }
        let Ok(kept) = stream.try_clone() else { continue };
        let end = Ends(stream.try_clone());
        open.lock().push(kept);
        let handler = handler.clone();
        threads.push(beside(move || {
            let _end = end;
            // A client that goes away in the middle is the client's affair.
            let _ = serve(stream, &handler);
        }));
    }
    open.lock().iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    threads.into_iter().for_each(|thread| drop(thread.join()));
}

/// Hangs up when it is dropped, by a panic too: what is kept of the connection would hold it open, and its client would wait
/// for an answer that nobody writes.
struct Ends(io::Result<TcpStream>);

impl Drop for Ends {
    fn drop(&mut self) {
        if let Ok(stream) = &self.0 {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn serve(stream: TcpStream, handler: &Handler) -> Result<()> {
    stream.set_nodelay(true)?;
    let SocketAddr::V4(address) = stream.local_addr()? else { return Ok(()) };
    let mut to = stream.try_clone()?;
    let mut from = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut parts = line.split(' ');
        let (method, target) = (parts.next().unwrap_or_default(), parts.next().context("a target")?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            host: *address.ip(),
        };
        loop {
            let mut line = String::new();
            from.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        if request.header("expect").is_some() {
            to.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if request.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
            loop {
                let mut size = String::new();
                from.read_line(&mut size)?;
                let size = usize::from_str_radix(size.trim(), 16)?;
                let mut piece = vec![0; size + 2];
                from.read_exact(&mut piece)?;
                if size == 0 {
                    break;
                }
                request.body.extend_from_slice(&piece[..size]);
            }
        } else if let Some(length) = request.header("content-length") {
            request.body = vec![0; length.parse()?];
            from.read_exact(&mut request.body)?;
        }
        let reply = handler(&request);
        if reply.status == 0 {
            let _ = to.shutdown(Shutdown::Both);
            return Ok(());
        }
        let mut head = format!("HTTP/1.1 {} .\r\nContent-Length: {}\r\n", reply.status, reply.body.len());
        for (name, value) in &reply.headers {
            head += &format!("{name}: {value}\r\n");
        }
        to.write_all((head + "\r\n").as_bytes())?;
        // The answer to a HEAD ends with its head, whatever its length says (RFC 9110, 9.3.2). A body would be taken for the
        // next answer by a client that keeps the connection.
        if request.method != "HEAD" {
            to.write_all(&reply.body)?;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        self.open.lock().iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        // A connection wakes each of those that accept.
        for host in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)] {
            drop(TcpStream::connect((host, self.port)));
        }
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}
