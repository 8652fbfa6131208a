//! What a service manager is told by the protocol of `sd_notify(3)`, read from a socket as systemd reads it; and the pages
//! that a package brings.

use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use flitch_tests::flitch::Flitch;
use flitch_tests::http_server::{Reply, Server};
use flitch_tests::process::Signal;

use crate::support::*;

/// The manager's end of the socket.
struct Manager(UnixDatagram);

/// The exit code of a flitch that cannot start, and what it said.
#[track_caller]
fn refused(flitch: &mut Flitch) -> (Option<i32>, String) {
    flitch.launch().unwrap();
    (flitch.wait(DEADLINE).code(), flitch.log())
}

impl Manager {
    /// The messages until one holds `line`, that one too.
    #[track_caller]
    fn until(&self, line: &str) -> Vec<String> {
        let mut messages = Vec::new();
        let mut bytes = [0; 4096];
        loop {
            let length = self.0.recv(&mut bytes).unwrap_or_else(|error| panic!("{error}; {messages:?}"));
            messages.push(String::from_utf8(bytes[..length].to_vec()).unwrap());
            if messages.last().unwrap().lines().any(|said| said == line) {
                return messages;
            }
        }
    }
}

fn watched(config: &str) -> (Flitch, Manager) {
    let flitch = Flitch::new(FLITCH, config);
    let path = flitch.at("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let flitch = flitch.env("NOTIFY_SOCKET", &path.to_string_lossy()).env("WATCHDOG_USEC", "200000");
    (flitch, Manager(manager))
}

#[test]
fn a_service_manager_hears_of_the_start_of_reloads_of_each_beat_and_of_the_drain() {
    let config = pipeline(&file_source("app.log"), &[], "out: { type: blackhole }");
    let (mut flitch, manager) = watched(&format!("drain_timeout: 40s\n{config}"));
    flitch.launch().unwrap();
    let start = manager.until("READY=1");
    assert!(start.last().unwrap().contains("STATUS=running 1 pipeline\n"), "{start:?}");
    assert!(!start.concat().contains("STOPPING"), "{start:?}");
    manager.until("WATCHDOG=1");

    flitch.signal(Signal::Hup);
    let reload = manager.until("RELOADING=1");
    assert!(reload.last().unwrap().contains("MONOTONIC_USEC="), "{reload:?}");
    manager.until("READY=1");

    flitch.configure("sources: { in: { type: fiel } }");
    flitch.signal(Signal::Hup);
    manager.until("RELOADING=1");
    let refused = manager.until("READY=1");
    let status = "STATUS=running 1 pipeline; a new configuration was refused, see the log\n";
    assert!(refused.last().unwrap().contains(status), "{refused:?}");

    flitch.signal(Signal::Term);
    let end = manager.until("STOPPING=1");
    assert!(end.last().unwrap().contains("EXTEND_TIMEOUT_USEC=55000000\n"), "{end:?}");
    assert!(flitch.wait(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn what_may_pass_by_itself_ends_with_another_code_than_a_wrong_configuration() {
    // A manager starts it again after 1, and after 64 it does not.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let away = Server::start(&[Ipv4Addr::LOCALHOST], |_| Reply { status: 429, ..Reply::default() }).unwrap();
    let away = away.port();
    let with = |source: &str, more: &str| {
        let from = pipeline(source, &[], "out: { type: blackhole }");
        format!("{from}{more}")
    };
    let idle = "{ type: generator, format: nginx, count: 1 }";
    let listens = |listen: &str| with(&format!("{{ type: forward, listen: \"{listen}\" }}"), "");
    let enrich = pipeline(
        idle,
        &[("team", "{ plugin: enrich, settings: { table: teams, field: app, want: [team] } }".to_owned())],
        "out: { type: blackhole }",
    );
    let table = |table: &str| format!("{enrich}tables: {{ teams: {table} }}\n");
    let pulled = pipeline(
        idle,
        &[("mark", format!("{{ plugin: \"oci://127.0.0.1:{away}/team/mark:1\" }}"))],
        "out: { type: blackhole }",
    );
    for (config, says) in [
        (listens(&format!("127.0.0.1:{port}")), "sources.in"),
        (listens("192.0.2.1:24224"), "sources.in"),
        (listens("nowhere.invalid:24224"), "sources.in"),
        (format!("admin: {{ listen: \"127.0.0.1:{port}\" }}\n{}", with(idle, "")), "admin.listen"),
        (format!("data_dir: /proc/flitch\n{}", with(idle, "")), "data_dir"),
        (table(&format!("{{ url: \"http://127.0.0.1:{away}/teams.csv\" }}")), "cannot be fetched"),
        (format!("{pulled}plugins: {{ plain_http: [\"127.0.0.1:{away}\"] }}\n"), "it is asked for again"),
    ] {
        let mut flitch = Flitch::new(FLITCH, &config);
        let (code, said) = refused(&mut flitch);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(says) && said.contains("nothing is wrong with the configuration"), "{said}");
        let checked = flitch.cli(&["check"], "");
        assert!(checked.status.success(), "{}", checked.stderr);
    }

    let mut locked = Flitch::new(FLITCH, &with(idle, ""));
    std::fs::create_dir(locked.at("data")).unwrap();
    let lock = std::fs::File::create(locked.at("data/lock")).unwrap();
    lock.lock().unwrap();
    let (code, said) = refused(&mut locked);
    assert!(code == Some(1) && said.contains("another flitch"), "{said}");

    let broken = "{ plugin: ./broken.wasm }".to_owned();
    let settings = "{ plugin: set, settings: { sett: { a: 1 } } }".to_owned();
    let filter = |text: &String| pipeline(idle, &[("f", text.clone())], "out: { type: blackhole }");
    for config in [
        with("{ type: generator, format: nginx, cuont: 1 }", ""),
        listens("127.0.0.1:x"),
        table("{ path: nowhere.csv }"),
        filter(&broken),
        filter(&settings),
        filter(&"{ plugin: ./nowhere.wasm }".to_owned()),
    ] {
        let mut flitch = Flitch::new(FLITCH, &config);
        std::fs::write(flitch.at("broken.wasm"), "no plugin").unwrap();
        let (code, said) = refused(&mut flitch);
        assert_eq!(code, Some(64), "{said}");
        assert_eq!(flitch.cli(&["check"], "").status.code(), Some(64), "{said}");
    }
}

#[test]
fn a_service_manager_may_listen_where_no_folder_is() {
    let config = pipeline(&file_source("app.log"), &[], "out: { type: blackhole }");
    let mut flitch = Flitch::new(FLITCH, &config);
    let name = format!("flitch-e2e-{}", flitch.dir().file_name().unwrap().to_string_lossy());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    flitch = flitch.env("NOTIFY_SOCKET", &format!("@{name}"));
    flitch.launch().unwrap();
    let start = Manager(socket).until("READY=1");
    assert!(start.last().unwrap().contains("STATUS=running 1 pipeline\n"), "{start:?}");
    flitch.signal(Signal::Term);
    assert!(flitch.wait(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let flitch = Flitch::new(FLITCH, "");
    let folder = flitch.at("man");
    std::fs::create_dir(&folder).unwrap();
    let ended = flitch.cli(&["man", &folder.to_string_lossy()], "");
    assert!(ended.status.success(), "{}", ended.stderr);
    for (page, says) in [
        ("flitch.1", "flitch\\-run(1)"),
        ("flitch-run.1", "drain_timeout"),
        ("flitch-plugin-test.1", "cases"),
    ] {
        let text =
            std::fs::read_to_string(folder.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(says), "{page}: {text}");
    }
}
