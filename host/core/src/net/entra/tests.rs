use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

const AUDIENCE: &str = "https://clicks.servicebus.windows.net";

/// Answers one request with this JSON, and gives what it was sent.
fn giver(status: &str, answer: &str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    );
    let taken = crate::tasks::joined_thread("giver", move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut text, mut piece) = (String::new(), [0; 4096]);
        loop {
            let read = stream.read(&mut piece).unwrap();
            text += std::str::from_utf8(&piece[..read]).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
            let wanted = head.lines().find_map(|line| {
                line.to_lowercase().strip_prefix("content-length: ").map(|n| n.parse::<usize>().unwrap())
            });
            if text.contains("\r\n\r\n") && body.len() >= wanted.unwrap_or(0) {
                break;
            }
        }
        stream.write_all(answer.as_bytes()).unwrap();
        text
    });
    (url, taken.unwrap())
}

fn entra(auth: AuthSettings) -> Entra {
    Entra { auth, audience: AUDIENCE.to_owned() }
}

fn secret(authority: String) -> AuthSettings {
    let (tenant_id, client_id) = ("contoso".to_owned(), "app".to_owned());
    AuthSettings::ClientSecret { tenant_id, client_id, client_secret: Secret::new("s&cret"), authority }
}

#[test]
fn an_application_shows_its_secret_and_has_a_token_for_its_audience() {
    let (url, taken) = giver("200 OK", r#"{"token_type":"Bearer","expires_in":3599,"access_token":"abc"}"#);
    let token = entra(secret(url)).token().unwrap();
    let asked = taken.join().unwrap();
    assert!(asked.starts_with("POST /contoso/oauth2/v2.0/token HTTP/1.1\r\n"), "{asked}");
    let body = asked.split_once("\r\n\r\n").unwrap().1;
    let scope = "https%3A%2F%2Fclicks.servicebus.windows.net%2F.default";
    assert_eq!(
        body,
        format!("grant_type=client_credentials&client_id=app&scope={scope}&client_secret=s%26cret")
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    assert_eq!(token.token, "abc");
    assert!((now + 3_500_000..=now + 3_599_000).contains(&token.ends), "{}", token.ends);
}

#[test]
fn a_token_that_is_said_to_last_for_ever_ends_at_a_time_that_a_clock_can_have() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    for lasts in [u64::MAX, 1 << 60, 100_000_000_000_000_000] {
        let (url, taken) = giver("200 OK", &format!(r#"{{"expires_in":"{lasts}","access_token":"abc"}}"#));
        let token = entra(secret(url)).token().unwrap();
        taken.join().unwrap();
        assert!(token.ends > now && token.end() > SystemTime::now(), "{lasts}: {}", token.ends);
        assert!(token.ends.checked_mul(1000).is_some(), "librdkafka counts it in microseconds");
    }
}

#[test]
fn the_identity_of_a_machine_is_asked_for_at_its_metadata_service() {
    let (url, taken) = giver("200 OK", r#"{"expires_in":"86399","access_token":"abc"}"#);
    let auth = AuthSettings::ManagedIdentity { client_id: Some("mine".to_owned()), endpoint: Some(url) };
    assert_eq!(entra(auth).token().unwrap().token, "abc");
    let asked = taken.join().unwrap();
    let path = "/metadata/identity/oauth2/token?api-version=2018-02-01&\
                resource=https%3A%2F%2Fclicks.servicebus.windows.net&client_id=mine";
    assert!(asked.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{asked}");
    assert!(asked.to_lowercase().contains("\r\nmetadata: true\r\n"), "{asked}");
}

#[test]
fn the_identity_of_a_pod_is_what_stands_in_its_file_at_that_moment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "asser.ti.on\n").unwrap();
    let (url, taken) = giver("200 OK", r#"{"expires_in":3599,"access_token":"abc"}"#);
    let auth = AuthSettings::WorkloadIdentity {
        tenant_id: Some("contoso".to_owned()),
        client_id: Some("app".to_owned()),
        token_file: Some(file),
        authority: Some(url),
    };
    assert_eq!(entra(auth).token().unwrap().token, "abc");
    let asked = taken.join().unwrap();
    assert!(asked.contains("client_assertion=asser.ti.on"), "{asked}");
    assert!(asked.contains("client-assertion-type%3Ajwt-bearer"), "{asked}");
}

#[test]
fn a_refusal_is_told_in_the_words_of_who_refuses_and_shows_no_secret() {
    let answer = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret.\r\nTrace: 1"}"#;
    let (url, taken) = giver("401 Unauthorized", answer);
    let error = format!("{:#}", entra(secret(url)).token().err().unwrap());
    taken.join().unwrap();
    assert!(error.ends_with("401 Unauthorized: AADSTS7000215: Invalid client secret."), "{error}");
    assert!(!error.contains("s&cret"), "{error}");
}

#[test]
fn who_is_asked_too_often_says_for_how_long_and_is_told_from_who_refuses() {
    for (status, is_busy, passes) in [
        ("429 Too Many Requests", true, true),
        ("503 Service Unavailable", true, true),
        ("500 Internal Server Error\r\nRetry-After: 7", true, true),
        ("500 Internal Server Error", false, true),
        ("408 Request Timeout", false, true),
        ("400 Bad Request", false, false),
        ("401 Unauthorized\r\nRetry-After: 7", false, false),
    ] {
        for answer in ["{\"error\":\"no\"}", "<html>"] {
            let (url, taken) = giver(status, answer);
            let error = entra(secret(url)).token().err().unwrap();
            taken.join().unwrap();
            let refusal = error.downcast_ref::<Refusal>().unwrap();
            assert_eq!((refusal.is_busy(), refusal.passes()), (is_busy, passes), "{status}");
            let after = status.contains("Retry").then_some(Duration::from_secs(7));
            assert_eq!(refusal.after, after, "{status}");
        }
    }
}

#[test]
fn a_metadata_service_that_is_updated_may_answer_the_next_time_and_an_application_stays_unknown() {
    for status in ["404 Not Found", "410 Gone"] {
        let machine = |url| AuthSettings::ManagedIdentity { client_id: None, endpoint: Some(url) };
        for (auth, passes) in [(machine as fn(String) -> AuthSettings, true), (secret, false)] {
            let (url, taken) = giver(status, "{\"error\":\"no\"}");
            let error = entra(auth(url)).token().err().unwrap();
            taken.join().unwrap();
            let refusal = error.downcast_ref::<Refusal>().unwrap();
            assert_eq!((refusal.is_busy(), refusal.passes()), (false, passes), "{status}");
        }
    }
}

#[test]
fn whoever_is_logged_in_has_the_token_that_az_prints() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let az = folder.path().join("az");
    let wanted = "account get-access-token --output json --resource https://clicks.servicebus.windows.net";
    let print = |json: &str| {
        let text = format!("#!/bin/sh\n[ \"$*\" = \"{wanted}\" ] || exit 2\necho '{json}'\n");
        std::fs::write(&az, text).unwrap();
        std::fs::set_permissions(&az, PermissionsExt::from_mode(0o700)).unwrap();
        entra(AuthSettings::AzureCli {}).of_command(&az.to_string_lossy())
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let json = format!(
        r#"{{"accessToken":"abc","expiresOn":"2026-11-26 16:00:00.000000","expires_on":{},"tokenType":"Bearer"}}"#,
        now + 3_600
    );
    let (token, seconds) = print(&json).unwrap();
    assert_eq!(token, "abc");
    assert!((3_500..=3_600).contains(&seconds.unwrap()), "{seconds:?}");
    assert_eq!(print(r#"{"accessToken":"abc"}"#).unwrap().1, None);
    let error = format!("{:#}", print(r#"{"accessTok":"secret"}"#).unwrap_err());
    assert_eq!(error, "`az` prints something else than a token");
}
