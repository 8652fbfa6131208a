use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::*;
use crate::net::http_client::{self, beginning};
use crate::tasks::joined_thread;

const LARGE: usize = 8 << 20;

/// What the server does with a request.
#[derive(Clone, Copy)]
enum Does {
    /// Hangs up once it has read the head.
    HangsUp,
    /// Refuses by the head, and hangs up.
    Refuses,
    Takes,
}

/// A server that does one of these with each connection. What it gives are the heads of all.
fn server(each: &'static [Does]) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = move || each.iter().map(|does| serve(listener.accept().unwrap().0, *does)).collect();
    (url, joined_thread("server", serve).unwrap())
}

fn serve(mut stream: TcpStream, does: Does) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let (wanted, answer) = match does {
        Does::HangsUp => (0, ""),
        Does::Refuses => (0, "413 Content Too Large"),
        Does::Takes => (length.parse().unwrap(), "200 OK"),
    };
    let mut body = vec![0; wanted];
    stream.read_exact(&mut body).unwrap();
    if !answer.is_empty() {
        // Whoever sends on may have had enough by now.
        let _ = write!(stream, "HTTP/1.1 {answer}\r\ncontent-length: 8\r\n\r\nso it is");
    }
    head
}

fn client() -> reqwest::Client {
    let (connect_timeout, timeout) = (Duration::from_secs(60), Duration::from_secs(120));
    let settings = http_client::Settings { tls: None, proxy: None, connect_timeout, timeout, keep: false };
    http_client::client(settings).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_before_it_hangs_up_is_heard_at_the_second_try_at_the_latest() {
    let (url, heads) = server(&[Does::HangsUp, Does::Refuses, Does::Refuses, Does::Takes]);
    let (client, uploads) = (client(), Uploads::new(Duration::from_secs(120)));
    let send = || uploads.send(client.post(&url), vec![b'x'; LARGE].into());
    assert!(send().await.is_err());
    assert_eq!(uploads.cut.load(Ordering::Acquire), LARGE);
    for _ in 0..2 {
        let answer = send().await.unwrap();
        assert_eq!(answer.status(), 413);
        assert_eq!(beginning(answer, 100).await, "so it is");
    }
    assert_eq!(send().await.unwrap().status(), 200);
    assert_eq!(uploads.cut.load(Ordering::Acquire), usize::MAX, "one of that size went through");
    let heads = heads.join().unwrap();
    assert!(heads.iter().all(|head| head.contains("content-length: 8388608\r\n")), "{heads:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_body_waits_for_nothing_where_a_larger_one_was_cut() {
    let (url, _heads) = server(&[Does::HangsUp, Does::Takes]);
    let (client, uploads) = (client(), Uploads::new(Duration::from_secs(120)));
    assert!(uploads.send(client.post(&url), vec![b'x'; LARGE].into()).await.is_err());
    assert_eq!(uploads.send(client.post(&url), vec![b'x'; 100].into()).await.unwrap().status(), 200);
    assert_eq!(uploads.cut.load(Ordering::Acquire), LARGE, "nothing is known of larger ones by it");
}

#[test]
fn a_request_that_waits_has_most_of_its_time_left() {
    for (timeout, pause) in [(60_000, 1_000), (2_000, 500), (100, 25)] {
        assert_eq!(Uploads::new(Duration::from_millis(timeout)).pause, Duration::from_millis(pause));
    }
}
