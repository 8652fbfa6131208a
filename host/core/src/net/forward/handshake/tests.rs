use bytes::BytesMut;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::client::Ping;
use super::server::{check, helo, pong, shake};
use super::*;
use crate::net::forward::wire::{Cursor, Scanner, Token};
use crate::testing::pack;

const NONCE: &[u8] = b"0123456789abcdef";
const SALT: &[u8] = b"fedcba9876543210";
/// `printf %s 'salt client.example 0123456789abcdef secret' | tr -d ' ' | sha512sum`
const CLIENT: &str = "7e9f1a0b5bc39d77b6caf28087890cb511891020d4de2db812882fe41fd66fe6d1e4944a3931ec61d7a3f67dd9a19769ce9fd34a40f83d960461ac59a8b81661";
/// `printf %s 'salt flitch.example 0123456789abcdef secret' | tr -d ' ' | sha512sum`
const SERVER: &str = "81cebfc6974b2054d6c90b86a4bd03471d6321ad26e8ee900635ac3ceb800d9b698ed64b9ba99e9ca3e3c4f1b73835bdc87081cbec06a319d5dcd946436a8193";
/// `printf %s 'fedcba9876543210 ada lovelace' | tr -d ' ' | sha512sum`
const USER: &str = "43abe686ba7a6ea0ef3412f0d1fef9714c9e5c3e68b199397cd0b9dc5e48cb6679339b29be40a1ef3c4eaf3354307f56d4548624882ff9565221186ac2a9ee75";

fn settings(users: &[(&str, &str)]) -> SecuritySettings {
    SecuritySettings {
        shared_key: Secret::new("secret"),
        users: users.iter().map(|(name, password)| ((*name).to_owned(), Secret::new(*password))).collect(),
        self_hostname: Some("flitch.example".to_owned()),
    }
}

fn ping(key: &str, user: &str, password: &str) -> Vec<u8> {
    pack(&json!(["PING", "client.example", "salt", key, user, password]))
}

#[test]
fn digests_are_those_of_the_specification() {
    assert_eq!(check(&ping(CLIENT, "", ""), NONCE, b"", &settings(&[])), Ok(SERVER.to_owned()));
    let users = settings(&[("ada", "lovelace")]);
    assert_eq!(check(&ping(CLIENT, "ada", USER), NONCE, SALT, &users), Ok(SERVER.to_owned()));
}

#[test]
fn a_wrong_key_user_or_password_is_refused() {
    let users = settings(&[("ada", "lovelace"), ("bob", "builder")]);
    let key = check(&ping(SERVER, "ada", USER), NONCE, SALT, &users);
    assert_eq!(key, Err("shared_key mismatch"));
    let nobody = digest(&[SALT, b"eve", b""]);
    for (user, password) in [("bob", USER), ("eve", USER), ("eve", &nobody), ("", ""), ("ada", "")] {
        let outcome = check(&ping(CLIENT, user, password), NONCE, SALT, &users);
        assert_eq!(outcome, Err("username/password mismatch"), "{user}");
    }
    let short = check(&pack(&json!(["PING", "client.example", "salt"])), NONCE, SALT, &users);
    assert_eq!(short, Err("the answer to HELO is no PING message"));
}

#[test]
fn a_server_without_a_name_has_that_of_its_machine_and_the_reference_has_none() {
    let settings: SecuritySettings = serde_json::from_value(json!({"shared_key": "k"})).unwrap();
    assert_eq!(settings.name(), hostname());
    let schema = serde_json::to_value(schemars::schema_for!(SecuritySettings)).unwrap();
    assert_eq!(schema["properties"]["self_hostname"]["default"], Value::Null);
}

#[test]
fn a_key_or_a_password_that_is_empty_is_refused() {
    assert!(settings(&[("ada", "lovelace")]).check().is_ok());
    let error = settings(&[("ada", "lovelace"), ("bob", "")]).check().unwrap_err().to_string();
    assert!(error.contains("`security.users.bob`"), "{error}");
    let open = SecuritySettings { shared_key: Secret::new(""), ..settings(&[]) };
    assert!(open.check().unwrap_err().to_string().contains("`security.shared_key`"));
}

fn text(token: Token<'_>) -> String {
    match token {
        Token::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Plays a client that knows this key. Answers what the server says of it.
async fn client(key: &str) -> (Value, anyhow::Result<()>, BytesMut) {
    let (mut near, mut far) = duplex(4096);
    let served = crate::tasks::joined(async move {
        let mut buffer = BytesMut::new();
        let outcome = shake(&mut far, &mut buffer, &settings(&[])).await;
        (outcome, buffer)
    });
    let mut hello = BytesMut::new();
    while Scanner::new(0).advance(&hello, LIMITS).unwrap().is_none() {
        near.read_buf(&mut hello).await.unwrap();
    }
    let mut cursor = Cursor::new(&hello, 0);
    assert_eq!(cursor.token(), Ok(Token::Array(2)));
    assert_eq!(text(cursor.token().unwrap()), "HELO");
    assert_eq!(cursor.token(), Ok(Token::Map(3)));
    assert_eq!(text(cursor.token().unwrap()), "nonce");
    let Ok(Token::Bytes(nonce)) = cursor.token() else { panic!("no nonce") };
    assert_eq!(nonce.len(), 16);
    assert_eq!(text(cursor.token().unwrap()), "auth");
    let Ok(Token::Bytes(salt)) = cursor.token() else { panic!("the salt is not binary") };
    assert_eq!(salt.len(), 16);
    assert_eq!(text(cursor.token().unwrap()), "keepalive");
    let proof = digest(&[b"salt", b"client.example", nonce, key.as_bytes()]);
    near.write_all(&ping(&proof, "", "")).await.unwrap();
    near.write_all(b"behind").await.unwrap();
    let (outcome, buffer) = served.await.unwrap();
    let mut pong = Vec::new();
    near.read_to_end(&mut pong).await.unwrap();
    let mut cursor = Cursor::new(&pong, 0);
    assert_eq!(cursor.token(), Ok(Token::Array(5)));
    assert_eq!(text(cursor.token().unwrap()), "PONG");
    let Ok(Token::Boolean(ok)) = cursor.token() else { panic!("no verdict") };
    let [reason, name, proof] = [(); 3].map(|()| text(cursor.token().unwrap()));
    if ok {
        assert_eq!(proof, digest(&[b"salt", b"flitch.example", nonce, key.as_bytes()]));
    }
    (json!([ok, reason, name]), outcome.map(drop), buffer)
}

#[tokio::test]
async fn a_client_that_knows_the_key_may_send() {
    let (pong, outcome, buffer) = client("secret").await;
    assert_eq!(pong, json!([true, "", "flitch.example"]));
    outcome.unwrap();
    assert!(buffer.is_empty() || b"behind".starts_with(&buffer[..]));
}

#[tokio::test]
async fn a_client_that_does_not_is_told_why_and_refused() {
    let (pong, outcome, _) = client("guess").await;
    assert_eq!(pong, json!([false, "shared_key mismatch", ""]));
    assert_eq!(outcome.unwrap_err().to_string(), "shared_key mismatch");
}

#[test]
fn a_server_that_sends_back_what_it_was_sent_has_not_proved_that_it_knows_the_key() {
    let settings = settings(&[]);
    let ping = Ping::answer(&helo(NONCE, SALT), "edge.example", &settings).unwrap();
    let mut cursor = Cursor::new(ping.message(), 0);
    let sent: Vec<Token<'_>> = (0..5).map(|_| cursor.token().unwrap()).collect();
    let (name, proof) = (text(sent[2]), text(sent[4]));
    let reflected = pack(&json!(["PONG", true, "", name, proof]));
    let error = ping.verify(&reflected, &settings).unwrap_err().to_string();
    assert!(error.contains("calls itself `edge.example`") && error.contains("`self_hostname`"), "{error}");
    let renamed = pack(&json!(["PONG", true, "", "other.example", proof]));
    assert!(ping.verify(&renamed, &settings).is_err());
    let known = check(ping.message(), NONCE, SALT, &settings);
    assert!(known.is_ok(), "{known:?}");
    ping.verify(&pong(&known, settings.name()), &settings).unwrap();
}

#[test]
fn keys_and_passwords_are_not_shown() {
    let shown = format!("{:?}", settings(&[("ada", "lovelace")]));
    assert!(!shown.contains("secret\"") && !shown.contains("lovelace"), "{shown}");
}
