//! What a service manager is told by the protocol of `sd_notify(3)`, read from a socket as systemd reads it; and the pages
//! that a package brings.

use std::os::unix::net::UnixDatagram;

use flitch_tests::flitch::Flitch;
use flitch_tests::process::Signal;

use crate::support::*;

/// The manager's end of the socket.
struct Manager(UnixDatagram);

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
