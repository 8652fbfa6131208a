use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};

use flitch_tests::http_server::{Reply, Request, Server};
use parking_lot::Mutex as Lock;

use super::*;

fn container(variables: &[(&str, &str)]) -> anyhow::Result<Option<Container>> {
    Container::of(|name| {
        let set = variables.iter().find(|(set, _)| *set == name);
        set.map(|(_, value)| (*value).to_owned())
    })
}

/// Gives out credentials that end then, and keeps what it was asked.
fn agent(end: &'static str) -> (Server, Arc<Lock<Vec<Request>>>) {
    let asked = Arc::new(Lock::new(Vec::new()));
    let (kept, count) = (asked.clone(), AtomicUsize::new(0));
    let server = Server::start(&[Ipv4Addr::LOCALHOST], move |request| {
        kept.lock().push(request.clone());
        let number = count.fetch_add(1, Ordering::Relaxed);
        let body = format!(
            r#"{{"AccessKeyId":"AK{number}","SecretAccessKey":"sk","Token":"st","Expiration":"{end}"}}"#
        );
        Reply { status: 200, body: body.into_bytes(), ..Reply::default() }
    });
    (server.unwrap(), asked)
}

#[tokio::test]
async fn credentials_are_fetched_with_and_without_a_token_and_again_before_their_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "of a file\n").unwrap();
    let file = file.to_string_lossy().into_owned();
    let cases: [(&[(&str, &str)], _); 3] = [
        (&[], None),
        (&[("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc")], Some("Basic abc")),
        (&[("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &file)], Some("of a file")),
    ];
    for (more, token) in cases {
        let (server, asked) = agent("2000-01-01T00:00:00Z");
        let url = format!("http://127.0.0.1:{}/creds", server.port());
        let variables = [&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str())], more].concat();
        let it = container(&variables).unwrap().unwrap();
        assert_eq!(it.get_credential().await.unwrap().key_id, "AK0");
        assert_eq!(it.get_credential().await.unwrap().key_id, "AK1", "the first ones have ended");
        let asked = asked.lock();
        assert_eq!((asked[0].path.as_str(), asked[0].header("authorization")), ("/creds", token));
    }
    let (server, _) = agent("2200-01-01T00:00:00Z");
    let url = format!("http://localhost:{}/", server.port());
    let it = container(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url)]).unwrap().unwrap();
    for _ in 0..3 {
        let credential = it.get_credential().await.unwrap();
        assert_eq!((credential.key_id.as_str(), credential.token.as_deref()), ("AK0", Some("st")));
    }
}

#[tokio::test]
async fn what_goes_wrong_is_told_and_a_token_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "ge\nheim").unwrap();
    let (server, asked) = agent("soon");
    let url = format!("http://127.0.0.1:{}/creds", server.port());
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str());
    let file = file.to_string_lossy().into_owned();
    let it = container(&[full, ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &file)]).unwrap().unwrap();
    let error = it.get_credential().await.unwrap_err().to_string();
    assert!(error.contains("token") && !error.contains("heim"), "{error}");
    assert_eq!(asked.lock().len(), 0);
    let error = container(&[full]).unwrap().unwrap().get_credential().await.unwrap_err().to_string();
    assert!(error.contains("Expiration") && error.contains(&url), "{error}");
}

#[test]
fn credentials_come_over_tls_or_from_beside_the_machine() {
    let url = |name, value| container(&[(name, value)]).map(|it| it.map(|it| it.url.to_string()));
    let full = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    for good in [
        "https://example.com/",
        "http://169.254.170.23/v1",
        "http://[fd00:ec2::23]/v1",
        "http://localhost:1/",
    ] {
        assert_eq!(url(full, good).unwrap().as_deref(), Some(good));
    }
    for bad in ["http://example.com/", "http://10.0.0.1/", "ftp://localhost/", "creds"] {
        assert!(format!("{:#}", url(full, bad).unwrap_err()).contains(full), "{bad}");
    }
    let relative = url("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/creds").unwrap();
    assert_eq!(relative.as_deref(), Some("http://169.254.170.2/v2/creds"));
    assert!(container(&[]).unwrap().is_none());
}
