use super::*;
use crate::wire::{Header, Headers, OpampConnectionSettings, ProxyConnectionSettings, TlsConnectionSettings};

fn connections(folder: &Path, own: &str) -> Connections {
    let own = OpampSettings { accept_connection: true, ..OpampSettings::of(own) };
    let may = |url: &str| if url.contains("allowed") { Ok(()) } else { Err(format!("`{url}`: not allowed")) };
    Connections::new(&own, folder, Arc::new(may))
}

fn offer(endpoint: &str, more: OpampConnectionSettings) -> ConnectionSettingsOffers {
    let opamp = OpampConnectionSettings { destination_endpoint: endpoint.to_owned(), ..more };
    ConnectionSettingsOffers { hash: vec![1], opamp: Some(opamp) }
}

#[test]
fn what_is_offered_takes_the_place_of_the_own_where_it_says_something_and_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let connections = connections(folder.path(), "wss://fleet.example.com/v1");
    let headers = Headers { headers: vec![Header { key: "X-Site".to_owned(), value: "berlin".to_owned() }] };
    let more = OpampConnectionSettings {
        headers: Some(headers),
        heartbeat_interval_seconds: 7,
        ..OpampConnectionSettings::default()
    };
    let connection = Connection::offered(offer("wss://allowed/v1", more)).unwrap();
    let settings = connections.settings(&connection).unwrap();
    assert_eq!((settings.endpoint.as_str(), settings.heartbeat.0.as_secs()), ("wss://allowed/v1", 7));
    assert_eq!(settings.request_headers["X-Site"].expose(), "berlin");
    assert_eq!(connections.kept_before(), None, "it was not kept yet");
    connections.keep(&connection).unwrap();
    assert_eq!(connections.kept_before(), Some(connection.clone()));
    assert!(!format!("{connection:?}").contains("berlin"));
    let own = OpampSettings { accept_connection: false, ..connections.own().clone() };
    let taken_from = Connections::new(&own, folder.path(), connections.may.clone());
    assert_eq!(taken_from.kept_before(), None, "the machine takes none any more");
    std::fs::write(folder.path().join(FILE), "{\"hash\":[1").unwrap();
    assert_eq!(connections.kept_before(), None, "one that is cut off is none");
}

#[test]
fn what_leads_elsewhere_out_of_tls_or_through_a_proxy_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let connections = connections(folder.path(), "wss://fleet.example.com/v1");
    let nothing = OpampConnectionSettings::default;
    let unseen =
        Some(TlsConnectionSettings { insecure_skip_verify: true, ..TlsConnectionSettings::default() });
    let cases = [
        (offer("wss://elsewhere/v1", nothing()), "not allowed"),
        (offer("ws://allowed/v1", nothing()), "without TLS"),
        (offer("ftp://allowed/v1", nothing()), "endpoint"),
        (
            offer("", OpampConnectionSettings { proxy: Some(ProxyConnectionSettings {}), ..nothing() }),
            "no proxy",
        ),
        (offer("", OpampConnectionSettings { tls: unseen, ..nothing() }), "believes no server unseen"),
        (
            offer("", OpampConnectionSettings { heartbeat_interval_seconds: u64::MAX, ..nothing() }),
            "more than 24h",
        ),
        (ConnectionSettingsOffers { hash: vec![1], opamp: None }, "nothing of it"),
        (ConnectionSettingsOffers { hash: Vec::new(), ..offer("", nothing()) }, "without a hash"),
    ];
    for (offer, words) in cases {
        let refused = Connection::offered(offer).and_then(|connection| connections.settings(&connection));
        let error = format!("{:#}", refused.unwrap_err());
        assert!(error.contains(words), "{words}: {error}");
    }
}
