use std::net::Ipv4Addr;
use std::time::Duration;

use flitch_core::net::http_client::{Settings, client};
use flitch_core::secret::Secret;
use flitch_tests::http_server::{Reply, Request, Server};

use super::*;

#[test]
fn each_end_of_a_cluster_follows_from_the_other() {
    let text = |cluster: &str, ingest: Option<&str>| {
        let (engine, management) = ends(cluster, ingest, &[]).unwrap();
        [engine, management].map(|url| url.as_str().trim_end_matches('/').to_owned())
    };
    let (engine, management) =
        ("https://logs.westeurope.kusto.windows.net", "https://ingest-logs.westeurope.kusto.windows.net");
    assert_eq!(text(engine, None), [engine, management]);
    assert_eq!(text(&format!("{management}/"), None), [engine, management]);
    assert_eq!(text("http://127.0.0.1:80", None), ["http://127.0.0.1"; 2]);
    let private = "https://ingest-private.kusto.windows.net";
    assert_eq!(text(engine, Some(private)), [engine, private]);
}

#[test]
fn a_host_that_is_not_kustos_is_refused_unless_it_is_named() {
    let error = ends("https://logs.example.org", None, &[]).unwrap_err().to_string();
    assert!(error.contains("`cluster`") && error.contains("trusted_hosts"), "{error}");
    assert!(ends("https://logs.example.org", None, &[".example.org".to_owned()]).is_ok());
    assert!(ends("https://a:b@logs.kusto.windows.net", None, &[]).is_err());
    assert!(ends("logs", None, &[]).is_err());
    let error = ends("http://127.0.0.1", Some("https://evil.example"), &[]).unwrap_err().to_string();
    assert!(error.contains("`ingest`"), "{error}");
}

#[tokio::test]
async fn who_gives_out_tokens_and_is_asked_too_often_denies_nothing() {
    for (status, kind) in
        [(429, "busy"), (503, "busy"), (500, "unreachable"), (400, "denied"), (401, "denied")]
    {
        let answer = move |request: &Request| match request.method.as_str() {
            "POST" => Reply { status, body: b"{}".to_vec(), ..Reply::default() },
            _ => Reply { status: 404, ..Reply::default() },
        };
        let server = Server::start(&[Ipv4Addr::LOCALHOST], answer).unwrap();
        let authority = format!("http://127.0.0.1:{}", server.port());
        let url = Url::parse(&authority).unwrap();
        let long = Duration::from_secs(60);
        let settings =
            move || Settings { tls: None, proxy: None, connect_timeout: long, timeout: long, keep: true };
        let http = Renewed::new(None, move |_| client(settings())).unwrap();
        let (tenant_id, client_id) = ("contoso".to_owned(), "app".to_owned());
        let auth =
            AuthSettings::ClientSecret { tenant_id, client_id, client_secret: Secret::new("s"), authority };
        let service = Service::new(http, Uploads::new(long), (url.clone(), url), auth, Vec::new());
        assert_eq!(service.token().await.err().map(|error| error.kind()), Some(kind), "{status}");
    }
}
