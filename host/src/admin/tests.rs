use std::net::Ipv4Addr;

use super::*;

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
}
