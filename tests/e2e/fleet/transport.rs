//! By HTTP, by TLS, with tokens; and servers that want to be left alone.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flitch_tests::flitch::Flitch;
use flitch_tests::servers::opamp::Opamp;
use flitch_tests::tls::Authority;
use flitch_tests::wait::{eventually, poll};

use super::{copying, own, told};
use crate::support::*;

fn flitch_with(endpoint: &str, more: &str) -> Flitch {
    let flitch = Flitch::new(FLITCH, &own(endpoint, more));
    std::fs::create_dir(flitch.at("in")).unwrap();
    std::fs::create_dir(flitch.at("out")).unwrap();
    flitch
}

#[test]
fn a_server_over_http_that_asks_for_all_with_every_answer_is_not_spun_with() {
    let server = Opamp::start(&[]).unwrap();
    server.does("/nosy?on=1", "").unwrap();
    let mut flitch = flitch_with(&server.endpoint("http"), "");
    flitch.run();
    eventually("the agent is known", DEADLINE, || server.agent());
    server.offers("one", &copying(&flitch, "first")).unwrap();
    told(&server, "one", "APPLIED");
    append(&flitch.at("in/a.log"), 0..100);
    super::all_arrive(&flitch, &["first"], 0..100);
    // Each heartbeat is a question, and a server could have thousands of them in this time.
    eventually("time goes by", DEADLINE, || {
        server.agent().filter(|agent| agent["messages"].as_u64() > Some(8))
    });
    let agent = server.agent().unwrap();
    assert!(agent["full"].as_u64() < Some(6), "{agent}");
    assert!(flitch.terminate(DEADLINE).success());
    assert_eq!(server.agent().unwrap()["farewells"], 1);
}

#[test]
fn a_server_with_tls_wants_a_certificate_and_a_token_by_both_ways() {
    let authority = Authority::new("fleet").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (server, client) = (authority.server().unwrap(), authority.client("edge-1").unwrap());
    for (name, text) in [
        ("ca.pem", authority.pem()),
        ("server.pem", server.certificate),
        ("server.key", server.key),
        ("client.pem", client.certificate),
        ("client.key", client.key),
    ] {
        std::fs::write(at(name), text).unwrap();
    }
    let text = |path: &Path| path.display().to_string();
    let (cert, key, ca) = (text(&at("server.pem")), text(&at("server.key")), text(&at("ca.pem")));
    let server =
        Opamp::start(&["-cert", &cert, "-key", &key, "-client-ca", &ca, "-bearer", "let-me-in"]).unwrap();
    let tls = format!(
        ", tls: {{ ca: \"{ca}\", cert: \"{}\", key: \"{}\" }}",
        text(&at("client.pem")),
        text(&at("client.key"))
    );
    for scheme in ["wss", "https"] {
        let seen: Vec<_> = server.agents().iter().map(|agent| agent["uid"].clone()).collect();
        let mut flitch =
            flitch_with(&server.endpoint(scheme), &format!("{tls}, auth: {{ bearer: let-me-in }}"));
        flitch.run();
        let agent = eventually("the agent is known", DEADLINE, || {
            server.agents().into_iter().find(|agent| !seen.contains(&agent["uid"]))
        });
        let shown = agent["effective"][""].as_str().unwrap();
        assert!(shown.contains("auth:") && !shown.contains("let-me-in"), "{shown}");
        assert!(flitch.terminate(DEADLINE).success());
    }
    for more in
        [format!("{tls}, auth: {{ bearer: wrong-token }}"), ", auth: { bearer: let-me-in }".to_owned()]
    {
        let mut flitch = flitch_with(&server.endpoint("wss"), &more);
        flitch.run();
        eventually("it says that it is refused", DEADLINE, || {
            flitch.log().contains("the server that manages flitch cannot be reached")
        });
        assert!(flitch.status()["ailments"]["manager opamp"].is_string(), "{}", flitch.status());
        assert!(!flitch.log().contains("wrong-token"));
    }
    assert_eq!(server.agents().len(), 2);
}

#[test]
fn a_server_that_wants_to_be_left_alone_is_left_alone() {
    let server = Opamp::start(&[]).unwrap();
    for scheme in ["ws", "http"] {
        server.does("/refuse?status=503&after=3600", "").unwrap();
        let mut flitch = flitch_with(&server.endpoint(scheme), "");
        flitch.run();
        eventually("it has come", DEADLINE, || server.asked() > 0);
        let again = poll(Duration::from_secs(4), || server.asked() > 1);
        assert!(again.is_none(), "{scheme}: it has come {} times", server.asked());
    }
}

#[test]
fn another_connection_that_the_server_offers_is_kept_once_it_has_worked_and_else_the_old_one_stays() {
    let authority = Authority::new("fleet").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (identity, client) = (authority.server().unwrap(), authority.client("edge-1").unwrap());
    for (name, text) in [
        ("ca.pem", authority.pem()),
        ("server.pem", identity.certificate),
        ("server.key", identity.key),
        ("client.pem", client.certificate),
        ("client.key", client.key),
    ] {
        std::fs::write(at(name), text).unwrap();
    }
    let mut first = Opamp::start(&[]).unwrap();
    let (cert, key, ca) = (at("server.pem"), at("server.key"), at("ca.pem"));
    let mut second =
        Opamp::start(&["-cert", &cert, "-key", &key, "-client-ca", &ca, "-bearer", "let-me-in"]).unwrap();
    let mut flitch = flitch_with(&first.endpoint("ws"), ", accept_connection: true");
    flitch.run();
    eventually("the agent is known", DEADLINE, || first.agent());
    let refused = |server: &Opamp, hash: &str, words: &str| {
        let agent = eventually(&format!("{hash} is refused"), DEADLINE, || {
            let is_told = |agent: &serde_json::Value| {
                agent["connection_hash"] == hash
                    && agent["connection_status"] == "FAILED"
                    && agent["connected"] == true
            };
            server.agent().filter(is_told)
        });
        assert!(agent["connection_error"].as_str().unwrap().contains(words), "{agent}");
    };
    // A server that does not let it in, one that is not there, and one that is not allowed.
    let to = second.endpoint("wss");
    first.does(&format!("/connection?hash=stranger&ca={ca}"), &to).unwrap();
    refused(&first, "stranger", "was not reached");
    let dead = format!("ws://127.0.0.1:{}/v1/opamp", flitch_tests::ports::free());
    first.does("/connection?hash=dead", &dead).unwrap();
    refused(&first, "dead", "was not reached");
    first.does("/connection?hash=far", "ws://fleet.example.com/v1/opamp").unwrap();
    refused(&first, "far", "manage.allow.hosts");
    let (own, own_key) = (at("client.pem"), at("client.key"));
    let good = format!("/connection?hash=good&token=let-me-in&ca={ca}&cert={own}&key={own_key}");
    first.does(&good, &to).unwrap();
    let come = || {
        eventually("it has come to the other", DEADLINE, || {
            second.agent().filter(|agent| agent["connected"] == true && agent["connection_hash"] == "good")
        })
    };
    assert_eq!(come()["connection_status"], "APPLIED");
    second.offers("one", &copying(&flitch, "first")).unwrap();
    told(&second, "one", "APPLIED");
    // After a restart it is there at once, and what does not work there changes nothing either.
    assert!(flitch.terminate(DEADLINE).success());
    flitch.run();
    eventually("it has come to the other again", DEADLINE, || {
        second.agent().filter(|agent| agent["farewells"] == 1 && agent["connected"] == true)
    });
    second.does("/connection?hash=plain", &first.endpoint("ws")).unwrap();
    refused(&second, "plain", "without TLS");
    // When it is lost the first one counts, until that is lost as well and the other one is back.
    second.kill();
    refused(&first, "good", "is lost");
    let health = eventually("the health says so", DEADLINE, || {
        first.agent()?["components"]["manage.opamp"].as_str().map(str::to_owned)
    });
    assert!(health.contains("is lost"), "{health}");
    assert!(flitch.status()["ailments"]["manager connection"].is_string(), "{}", flitch.status());
    first.kill();
    second.restart().unwrap();
    eventually("it is with the other again", DEADLINE, || {
        let is_well = |agent: &serde_json::Value| {
            agent["connection_status"] == "APPLIED" && agent["components"]["manage.opamp"].is_null()
        };
        second.agent().filter(is_well)
    });
    log_says(&flitch, "is lost");
    assert_eq!(flitch.log().matches("is lost").count(), 1, "{}", flitch.log());
}

/// A proxy that connects whoever asks (`CONNECT`), and counts them.
fn proxy() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (port, asked) = (listener.local_addr().unwrap().port(), Arc::<AtomicUsize>::default());
    let count = asked.clone();
    drop(flitch_tests::beside(move || {
        for mut client in listener.incoming().flatten() {
            let count = count.clone();
            drop(flitch_tests::beside(move || {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|read| read == 1) {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let Some(to) = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()) else {
                    return;
                };
                count.fetch_add(1, Ordering::AcqRel);
                let Ok(server) = TcpStream::connect(to) else { return };
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
                let (mut from, mut back) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let mut server = server;
                let up = flitch_tests::beside(move || {
                    drop(std::io::copy(&mut from, &mut server));
                    drop(server.shutdown(Shutdown::Write));
                });
                drop(std::io::copy(&mut back, &mut client));
                drop(client.shutdown(Shutdown::Write));
                drop(up.join());
            }));
        }
    }));
    (port, asked)
}

#[test]
fn a_server_is_reached_by_the_proxy_that_the_environment_names_by_both_ways() {
    let authority = Authority::new("fleet").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = authority.write(&folder.path().join("ca.pem")).unwrap();
    let identity = authority.server().unwrap().write(folder.path(), "server").unwrap();
    let at = |path: &Path| path.display().to_string();
    for scheme in ["wss", "https"] {
        let server =
            Opamp::start(&["-cert", &at(&identity.certificate), "-key", &at(&identity.key)]).unwrap();
        let tls = format!(", tls: {{ ca: \"{}\" }}", at(&ca));
        let (port, asked) = proxy();
        let proxied = format!("http://127.0.0.1:{port}");
        let mut flitch = flitch_with(&server.endpoint(scheme), &tls).env("HTTPS_PROXY", &proxied);
        flitch.run();
        eventually("the agent is known", DEADLINE, || server.agent());
        assert!(asked.load(Ordering::Acquire) > 0, "{scheme} goes by the proxy");
        server.offers("one", &copying(&flitch, "first")).unwrap();
        told(&server, "one", "APPLIED");
        assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
        // But for those that the environment leaves out.
        let before = asked.load(Ordering::Acquire);
        let mut flitch = flitch.env("NO_PROXY", "127.0.0.1,localhost");
        flitch.run();
        told(&server, "one", "APPLIED");
        eventually("it is there again", DEADLINE, || {
            server.agent().filter(|agent| agent["connected"] == true || scheme == "https")
        });
        assert_eq!(asked.load(Ordering::Acquire), before, "{scheme} goes by none");
    }
}
