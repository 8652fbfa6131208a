use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::app::Command;
use flitch_core::net::address::Endpoint;
use flitch_core::testing::{closed, silent_clients};

fn ask(hosts: &Hosts, method: &str, path: &str, host: Option<&str>) -> Response<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(host) = host {
        request = request.header("Host", host);
    }
    answer(&request.body(()).unwrap(), &StatusBoard::default(), hosts)
}

fn status(hosts: &Hosts, host: &str) -> u16 {
    ask(hosts, "GET", "/healthz", Some(host)).status().as_u16()
}

#[test]
fn the_listener_answers_to_its_own_names_and_to_no_other() {
    let hosts = Hosts::new(Ipv4Addr::LOCALHOST.into(), ["flitch.logging.svc"]);
    let machine = flitch_core::machine::hostname();
    let ours =
        ["localhost", "LocalHost:9598", "localhost.", "127.0.0.1:9598", "127.8.8.8", "[::1]:9598", "[::1]"];
    for host in ours.into_iter().chain(["flitch.logging.svc:80", "Flitch.Logging.Svc", machine]) {
        assert_eq!(status(&hosts, host), 200, "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:9598",
        "localhost.evil.example",
        "203.0.113.9",
        "a@localhost",
        "",
        "x y",
    ] {
        assert_eq!(status(&hosts, host), 421, "{host}");
    }
}

#[test]
fn a_listener_on_all_addresses_answers_to_each_of_them() {
    let hosts = Hosts::new(Ipv4Addr::UNSPECIFIED.into(), []);
    assert_eq!(status(&hosts, "203.0.113.9:9598"), 200);
    assert_eq!(status(&hosts, "[2001:db8::1]:9598"), 200);
    assert_eq!(status(&hosts, "evil.example"), 421);
    let hosts = Hosts::new(Ipv4Addr::new(10, 0, 0, 5).into(), []);
    assert_eq!((status(&hosts, "10.0.0.5"), status(&hosts, "10.0.0.6")), (200, 421));
}

#[test]
fn a_request_says_in_one_way_only_for_whom_it_is() {
    let hosts = Hosts::new(Ipv4Addr::LOCALHOST.into(), []);
    assert_eq!(ask(&hosts, "GET", "http://evil.example/metrics", Some("localhost")).status(), 421);
    assert_eq!(ask(&hosts, "GET", "http://localhost/healthz", Some("evil.example")).status(), 421);
    assert_eq!(ask(&hosts, "GET", "/healthz", None).status(), 421);
    let old = Request::builder().version(hyper::Version::HTTP_10).uri("/healthz").body(()).unwrap();
    assert_eq!(answer(&old, &StatusBoard::default(), &hosts).status(), 200);
}

#[test]
fn what_is_not_there_is_told_from_what_is() {
    let hosts = Hosts::new(Ipv4Addr::LOCALHOST.into(), []);
    let status = |method, path| ask(&hosts, method, path, Some("localhost")).status().as_u16();
    assert_eq!(
        (status("GET", "/"), status("GET", "/api/status"), status("HEAD", "/metrics")),
        (404, 200, 200)
    );
    let refused = ask(&hosts, "POST", "/metrics", Some("localhost"));
    assert_eq!((refused.status().as_u16(), refused.headers()[ALLOW].to_str().unwrap()), (405, "GET, HEAD"));
    assert_eq!(status("GET", "/readyz"), 503);
    assert_eq!((status("GET", "/api/filters/f/diff"), status("POST", "/api/filters/f/diff")), (404, 405));
}

#[tokio::test]
async fn silent_clients_keep_out_nobody() {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into();
    let settings = AdminSettings { listen, max_connections: 4, ..AdminSettings::default() };
    let stop = CancellationToken::new();
    let (address, serving) = start(&settings, Arc::default(), Control::new().0, stop.clone()).await.unwrap();
    let clients = silent_clients(&Endpoint::Tcp(address.into()), 8).await;
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    stop.cancel();
    serving.await.unwrap();
    for client in clients {
        closed(client).await;
    }
    let again = AdminSettings { listen: address.into(), ..settings };
    start(&again, Arc::default(), Control::new().0, stop).await.expect("the address is free");
}

#[test]
fn a_swap_is_asked_for_by_post_and_by_no_web_page() {
    let hosts = Hosts::new(Ipv4Addr::LOCALHOST.into(), []);
    let asked = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let request = Request::builder().method(method).uri(path).header("Host", "localhost");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        filters::asked(&request.body(()).unwrap(), &hosts)
            .map(|asked| asked.map_err(|filters::Refusal(status, _)| status.as_u16()))
    };
    let name = || "my mark".to_owned();
    assert_eq!(asked("POST", "/api/filters/my%20mark/swap", &[]), Some(Ok(Command::Swap(name()))));
    assert_eq!(asked("POST", "/api/filters/my%20mark/rollback", &[]), Some(Ok(Command::Rollback(name()))));
    assert_eq!(asked("POST", "/api/filters/my%20mark/throw", &[]), None);
    assert_eq!(asked("GET", "/api/filters/mark/swap", &[]), Some(Err(405)));
    assert_eq!(asked("POST", "/api/filters/mark/swap", &[("Origin", "http://localhost")]), Some(Err(403)));
    assert_eq!(asked("POST", "/api/filters/mark/swap", &[("Host", "evil.example")]), Some(Err(421)));
    assert_eq!(asked("POST", "/api/filters/history", &[]), None);
}
