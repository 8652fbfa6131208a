use std::os::fd::AsRawFd;

use bytes::Bytes;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::UnixStream;

use super::*;
use crate::net::connections::Connections;

const HEADER: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(75);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Empty SETTINGS of HTTP/2: length 0, type 4, no flags, stream 0 (RFC 9113, sections 4.1 and 6.5).
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// A served connection: the client's end, the stop, and when it ended.
struct Served<S = DuplexStream> {
    client: S,
    stop: CancellationToken,
    connections: Connections,
    ended: tokio::task::JoinHandle<Duration>,
}

async fn served() -> Served {
    let (client, server) = duplex(1 << 16);
    served_over(client, server, None).await
}

async fn served_over<S>(client: S, server: S, socket: Option<RawFd>) -> Served<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connections = Connections::new("test", 1);
    let stop = CancellationToken::new();
    let activity = Arc::new(Activity::new(connections.slot().await));
    let patience = Patience { header: HEADER, idle: IDLE };
    let terms = Terms { patience, streams: 3, stop: stop.clone(), is_late: false, socket };
    let ended = crate::tasks::joined(async move {
        let begun = Instant::now();
        let answer = |request: Request<Incoming>| async move {
            match request.uri().path() {
                "/soon" => tokio::time::sleep(HALF / 2).await,
                "/slow" => tokio::time::sleep(Duration::from_secs(600)).await,
                _ => {}
            }
            Response::new(Full::new(Bytes::from_static(b"answer")))
        };
        activity.serve(server, terms, answer).await;
        begun.elapsed()
    });
    Served { client, stop, connections, ended }
}

/// Reads what has come up to the end of an answer.
async fn answer(client: &mut DuplexStream) -> String {
    let mut text = String::new();
    while !text.ends_with("answer") {
        text.push(client.read_u8().await.expect("an answer") as char);
    }
    text
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http_2_hears_how_many_requests_it_may_have_under_way() {
    let Served { mut client, .. } = served().await;
    client.write_all(&[PREFACE, SETTINGS].concat()).await.unwrap();
    let mut head = [0; 9];
    client.read_exact(&mut head).await.unwrap();
    let mut settings = vec![0; usize::from(head[2])];
    client.read_exact(&mut settings).await.unwrap();
    // SETTINGS_MAX_CONCURRENT_STREAMS is setting 3 (RFC 9113, section 6.5.2).
    let most = settings.chunks(6).find(|setting| setting[..2] == [0, 3]).map(|setting| setting[2..].to_vec());
    assert_eq!((head[3], most), (4, Some(vec![0, 0, 0, 3])));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_finish_its_first_header_is_let_go() {
    let half = &REQUEST[..REQUEST.len() - 2];
    let idle_session = [PREFACE, SETTINGS].concat();
    for said in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n", b"GET", half, &idle_session] {
        let Served { mut client, ended, .. } = served().await;
        client.write_all(said).await.unwrap();
        let lasted = ended.await.unwrap();
        assert!((HEADER..=HEADER + PARTING).contains(&lasted), "{said:?}: {lasted:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_that_comes_a_byte_at_a_time_has_no_more_time_than_another() {
    let Served { mut client, ended, .. } = served().await;
    let drip = async {
        for byte in REQUEST.iter().cycle() {
            if client.write_all(&[*byte | 0x20]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let (lasted, ()) = tokio::join!(ended, drip);
    let lasted = lasted.unwrap();
    assert!((HEADER..=HEADER + PARTING).contains(&lasted), "{lasted:?}");
}

#[tokio::test(start_paused = true)]
async fn time_in_which_the_process_stood_still_is_not_held_against_a_client() {
    let Served { mut client, ended, .. } = served().await;
    tokio::task::yield_now().await;
    tokio::time::advance(10 * HEADER).await;
    tokio::task::yield_now().await;
    client.write_all(REQUEST).await.unwrap();
    answer(&mut client).await;
    let lasted = ended.await.unwrap();
    let expected = 10 * HEADER + IDLE;
    assert!((expected..=expected + PARTING).contains(&lasted), "{lasted:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_for_the_next_request_and_no_longer_than_that() {
    let Served { mut client, ended, .. } = served().await;
    client.write_all(REQUEST).await.unwrap();
    answer(&mut client).await;
    tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
    client.write_all(REQUEST).await.unwrap();
    answer(&mut client).await;
    let lasted = ended.await.unwrap();
    let expected = IDLE * 2 - Duration::from_secs(1);
    assert!((expected..=expected + PARTING).contains(&lasted), "{lasted:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_may_take_as_long_as_its_answer_needs() {
    let Served { mut client, connections, ended, .. } = served().await;
    client.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let other = tokio::time::timeout(Duration::from_secs(300), connections.slot()).await;
    assert!(other.is_err(), "what is under way is not cut off for another client");
    answer(&mut client).await;
    drop(client);
    assert_eq!(ended.await.unwrap(), Duration::from_secs(600));
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_makes_room_for_another_client() {
    let Served { mut client, connections, ended, .. } = served().await;
    client.write_all(b"P").await.unwrap();
    let slot = connections.slot().await;
    assert!(ended.await.unwrap() < HEADER);
    drop(slot);
    assert_eq!(client.read(&mut [0; 64]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stopping_server_finishes_what_is_under_way_and_waits_for_nobody_else() {
    let Served { mut client, stop, ended, .. } = served().await;
    client.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.cancel();
    answer(&mut client).await;
    let lasted = ended.await.unwrap();
    assert!(
        (Duration::from_secs(600)..=Duration::from_secs(600) + 2 * PARTING).contains(&lasted),
        "{lasted:?}"
    );

    let Served { mut client, stop, ended, .. } = served().await;
    client.write_all(b"P").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.cancel();
    assert!(ended.await.unwrap() <= Duration::from_secs(1) + 2 * PARTING);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_still_sends_can_read_its_answer() {
    let (mut client, server) = duplex(64);
    let mut server = Lingering::new(server);
    server.write_all(b"413").await.unwrap();
    let sending = async move {
        client.write_all(&[b'x'; 10_000]).await.expect("it is read to its end");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "413");
    };
    let ((), shut) = tokio::join!(sending, server.shutdown());
    shut.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_for_ever_is_read_no_further_than_a_while() {
    let (mut client, server) = duplex(64);
    let endless = crate::tasks::joined(async move {
        while client.write_all(&[b'x'; 10]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let mut server = Lingering::new(server);
    let begun = Instant::now();
    server.shutdown().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    drop(server);
    endless.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_no_more_is_answered_if_that_is_soon() {
    let once = b"GET / HTTP/1.0\r\n\r\n";
    let soon = b"GET /soon HTTP/1.1\r\nHost: x\r\n\r\n";
    let slow = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";
    for (request, is_answered) in [(&once[..], true), (REQUEST, true), (soon, true), (slow, false)] {
        let (client, server) = UnixStream::pair().unwrap();
        let socket = server.as_raw_fd();
        let Served { mut client, ended, .. } = served_over(client, server, Some(socket)).await;
        client.write_all(request).await.unwrap();
        client.shutdown().await.unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!(text.ends_with("answer"), is_answered, "{text}");
        let lasted = ended.await.unwrap();
        assert!(lasted <= 2 * HALF + STALL, "{lasted:?}");
    }
}
