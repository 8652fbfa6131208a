//! A server that keeps the requests that it gets, and answers them as it is told.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;

use parking_lot::Mutex;

use flitch_core::net::expand::Coding;
use flitch_core::tasks::joined_thread;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// The request line.
    pub line: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// Expanded, where it came compressed.
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn length(&self) -> usize {
        self.header("content-length").map_or(0, |length| length.parse().unwrap())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// What the server says next: a status, further headers, a body.
pub type Said = (&'static str, &'static str, &'static str);

/// What decides about a request, when no answer is prepared.
type Judge = Box<dyn Fn(&Request) -> Said + Send>;

pub struct State {
    /// Those that were answered by 200.
    pub taken: Vec<Request>,
    /// All but those of a probe.
    pub count: usize,
    answers: VecDeque<Said>,
    judge: Judge,
    /// Most bytes of a body.
    largest: usize,
}

pub struct Server {
    pub url: String,
    pub state: Arc<Mutex<State>>,
}

impl Server {
    /// Answers by these, one for each request, and then by 200.
    pub fn start(answers: &[Said]) -> Server {
        let server = Server::judging(|_| ("200 OK", "", "thanks"));
        server.state.lock().answers.extend(answers);
        server
    }

    /// Refuses a body of more bytes than that by what its head says of it, and hangs up.
    pub fn hanging_up(largest: usize) -> Server {
        let server = Server::start(&[]);
        server.state.lock().largest = largest;
        server
    }

    pub fn judging(judge: impl Fn(&Request) -> Said + Send + 'static) -> Server {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}/in?key=hidden", listener.local_addr().unwrap());
        let judge: Judge = Box::new(judge);
        let (taken, answers, largest) = (Vec::new(), VecDeque::new(), usize::MAX);
        let state = Arc::new(Mutex::new(State { taken, count: 0, answers, judge, largest }));
        let own = state.clone();
        // Ends with the test's process.
        let _accepting = joined_thread("server", move || {
            for stream in listener.incoming() {
                let state = own.clone();
                let _serving = joined_thread("connection", move || serve(stream.unwrap(), &state)).unwrap();
            }
        })
        .unwrap();
        Server { url, state }
    }

    pub fn taken(&self) -> Vec<Request> {
        self.state.lock().taken.clone()
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let largest = state.lock().largest;
    while let Some(request) = next(&mut reader, largest) {
        if request.length() > largest {
            let _ = stream.write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n");
            return;
        }
        let mut state = state.lock();
        let is_probe = request.line.starts_with("HEAD");
        let prepared = if is_probe { None } else { state.answers.pop_front() };
        let (status, headers, body) = prepared.unwrap_or_else(|| (state.judge)(&request));
        if !is_probe {
            state.count += 1;
            if status.starts_with('2') {
                state.taken.push(request);
            }
        }
        drop(state);
        let length = body.len();
        let body = if is_probe { "" } else { body };
        let answer = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}");
        // Whoever gave up has closed the connection.
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The next request, of a body that is too large without it.
fn next(reader: &mut impl BufRead, largest: usize) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut request = Request { line: line.trim_end().to_owned(), headers: Vec::new(), body: Vec::new() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        request.headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = request.length();
    if length > largest {
        return Some(request);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let coding = match request.header("content-encoding") {
        Some("gzip") if length > 0 => Coding::Gzip,
        Some("zstd") if length > 0 => Coding::Zstd,
        _ => {
            request.body = body;
            return Some(request);
        }
    };
    coding.decoder(body.as_slice(), 24).unwrap().read_to_end(&mut request.body).unwrap();
    Some(request)
}
