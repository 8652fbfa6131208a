//! A server of the forward protocol that keeps what it is sent.

use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use flitch_core::net::expand::Coding;
use flitch_core::net::forward::handshake::SecuritySettings;
use flitch_core::net::forward::handshake::server::{check, helo, pong};
use flitch_core::net::forward::wire::{Cursor, Limits, Scanner, Token, skip};
use flitch_core::net::forward::write::ack;
use flitch_core::tasks::joined_thread;
use flitch_core::testing::json_of_msgpack;

const ANY: Limits = Limits { bytes: usize::MAX, depth: 1000 };

/// How the server behaves.
#[derive(Clone, Default)]
pub struct Manner {
    /// The connection of the first so many chunks ends, once they are there, without an answer.
    pub lost: usize,
    /// No chunk is answered at all.
    pub mute: bool,
    /// Each connection ends after one answer.
    pub closes: bool,
    pub security: Option<SecuritySettings>,
}

/// An event as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub tag: String,
    /// Seconds and nanoseconds.
    pub time: (u32, u32),
    pub metadata: Value,
    pub record: Value,
}

/// What has come.
#[derive(Default)]
pub struct Taken {
    pub events: Vec<Event>,
    /// The ids of chunks, those that were not answered too.
    pub ids: Vec<String>,
    pub connections: usize,
}

pub struct Server {
    pub port: u16,
    pub taken: Arc<Mutex<Taken>>,
}

impl Server {
    pub fn start(manner: Manner) -> Server {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = Arc::<Mutex<Taken>>::default();
        let own = taken.clone();
        // Ends with the test's process.
        let _accepting = joined_thread("server", move || {
            for stream in listener.incoming() {
                let (taken, manner) = (own.clone(), manner.clone());
                taken.lock().connections += 1;
                let _serving =
                    joined_thread("connection", move || serve(stream.unwrap(), &taken, &manner)).unwrap();
            }
        })
        .unwrap();
        Server { port, taken }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn events(&self) -> Vec<Event> {
        self.taken.lock().events.clone()
    }

    pub fn ids(&self) -> Vec<String> {
        self.taken.lock().ids.clone()
    }

    /// The records as NDJSON has them, where none has a time.
    pub fn lines(taken: &Mutex<Taken>) -> Vec<Vec<u8>> {
        let line = |event: &Event| {
            let mut record = event.record.clone();
            record["@tag"] = event.tag.clone().into();
            format!("{record}\n").into_bytes()
        };
        taken.lock().events.iter().map(line).collect()
    }
}

/// The next value of a stream; none at its end.
fn next(stream: &mut impl Read, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut scanner = Scanner::new(0);
    loop {
        if let Some(end) = scanner.advance(buffer, ANY).unwrap() {
            let rest = buffer.split_off(end);
            return Some(std::mem::replace(buffer, rest));
        }
        let mut more = [0; 1 << 14];
        match stream.read(&mut more) {
            Ok(0) | Err(_) => return None,
            Ok(length) => buffer.extend_from_slice(&more[..length]),
        }
    }
}

fn serve(mut stream: TcpStream, taken: &Mutex<Taken>, manner: &Manner) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut buffer = Vec::new();
    if let Some(security) = &manner.security {
        let (nonce, salt) = (b"0123456789abcdef", b"fedcba9876543210");
        stream.write_all(&helo(nonce, salt)).unwrap();
        let Some(ping) = next(&mut reader, &mut buffer) else { return };
        let outcome = check(&ping, nonce, salt, security);
        stream.write_all(&pong(&outcome, security.name())).unwrap();
        if outcome.is_err() {
            return;
        }
    }
    while let Some(message) = next(&mut reader, &mut buffer) {
        let (events, id) = parse(&message);
        let mut taken = taken.lock();
        taken.ids.extend(id.clone());
        if id.is_some() && taken.ids.len() <= manner.lost {
            stream.shutdown(Shutdown::Both).unwrap();
            return;
        }
        taken.events.extend(events);
        drop(taken);
        if let Some(id) = id.filter(|_| !manner.mute) {
            // Whoever gave up has closed the connection.
            let _ = stream.write_all(&ack(&id));
        }
        if manner.closes {
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
    }
}

/// The events of a message, and the id of its chunk.
fn parse(message: &[u8]) -> (Vec<Event>, Option<String>) {
    let mut cursor = Cursor::new(message, 0);
    assert_eq!(cursor.token(), Ok(Token::Array(3)));
    let Ok(Token::Text(tag)) = cursor.token() else { panic!("no tag") };
    let Ok(Token::Bytes(entries)) = cursor.token() else { panic!("no entries") };
    let options = json_of_msgpack(cursor.value(ANY).unwrap());
    let coding = match options["compressed"].as_str() {
        Some("gzip") => Some(Coding::Gzip),
        Some("zstd") => Some(Coding::Zstd),
        None => None,
        other => panic!("{other:?}"),
    };
    let mut plain = Vec::new();
    match coding {
        Some(coding) => {
            coding.decoder(entries, 24).unwrap().read_to_end(&mut plain).unwrap();
        }
        None => plain.extend_from_slice(entries),
    }
    let mut events = Vec::new();
    let mut at = 0;
    while at < plain.len() {
        let end = skip(&plain, at, ANY).unwrap();
        events.push(event(&plain[at..end], String::from_utf8(tag.to_vec()).unwrap()));
        at = end;
    }
    assert_eq!(options["size"], events.len());
    (events, options["chunk"].as_str().map(str::to_owned))
}

fn event(entry: &[u8], tag: String) -> Event {
    let mut cursor = Cursor::new(entry, 0);
    assert_eq!(cursor.token(), Ok(Token::Array(2)));
    let (time, metadata) = match cursor.event_time() {
        Some(time) => (time, json!({})),
        None => {
            assert_eq!(cursor.token(), Ok(Token::Array(2)));
            let time = cursor.event_time().expect("an EventTime");
            (time, json_of_msgpack(cursor.value(ANY).unwrap()))
        }
    };
    let record = json_of_msgpack(cursor.value(ANY).unwrap());
    assert!(record.is_object());
    Event { tag, time, metadata, record }
}
