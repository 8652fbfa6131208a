use std::os::unix::net::UnixStream;

use bytes::BytesMut;
use serde_json::json;

use super::*;
use crate::net::forward::handshake::digest;
use crate::net::forward::handshake::server::{helo, pong, shake};
use crate::net::forward::write::ack;
use crate::secret::Secret;
use crate::tasks::{blocking, joined};
use crate::testing::pack;

fn settings(key: &str, users: &[(&str, &str)]) -> SecuritySettings {
    SecuritySettings {
        shared_key: Secret::new(key),
        users: users.iter().map(|(name, password)| ((*name).to_owned(), Secret::new(*password))).collect(),
        self_hostname: Some("flitch.example".to_owned()),
    }
}

/// What becomes of the handshake between a client and a server of these settings: what the client says of it, and by
/// which name the server knows it.
async fn between(client: SecuritySettings, server: SecuritySettings) -> (io::Result<()>, Option<Vec<u8>>) {
    let (near, far) = UnixStream::pair().unwrap();
    let shaking = joined(blocking(move || Client::new(near).shake(&client)));
    far.set_nonblocking(true).unwrap();
    let mut far = tokio::net::UnixStream::from_std(far).unwrap();
    let name = shake(&mut far, &mut BytesMut::new(), &server).await;
    drop(far);
    (shaking.await.unwrap().unwrap(), name.ok())
}

#[tokio::test]
async fn a_client_with_the_key_and_the_password_of_the_server_is_let_in() {
    for users in [&[][..], &[("ada", "lovelace"), ("bob", "builder")]] {
        let (said, name) = between(settings("secret", users), settings("secret", users)).await;
        said.unwrap();
        assert_eq!(name.unwrap(), HOSTNAME.as_bytes());
    }
}

#[tokio::test]
async fn a_client_says_why_it_is_not_let_in() {
    let (said, name) = between(settings("guess", &[]), settings("secret", &[])).await;
    assert_eq!(said.unwrap_err().to_string(), "it refuses the handshake: shared_key mismatch");
    assert!(name.is_none());
    let server = settings("secret", &[("ada", "lovelace")]);
    for users in [&[][..], &[("ada", "byron")]] {
        let (said, _) = between(settings("secret", users), server.clone()).await;
        assert_eq!(said.unwrap_err().to_string(), "it refuses the handshake: username/password mismatch");
    }
}

/// What a server that says these values makes of a client.
fn heard(said: &[u8], ask: impl Fn(&mut Client<UnixStream>) -> io::Result<()>) -> String {
    let (near, mut far) = UnixStream::pair().unwrap();
    far.write_all(said).unwrap();
    far.shutdown(std::net::Shutdown::Write).unwrap();
    ask(&mut Client::new(near)).unwrap_err().to_string()
}

#[test]
fn a_server_that_speaks_otherwise_is_named() {
    let shake = |client: &mut Client<UnixStream>| client.shake(&settings("secret", &[]));
    assert_eq!(heard(b"", shake), "it closed the connection");
    assert_eq!(heard(b"HTTP/1.1 400\r\n", shake), "it does not begin with a HELO");
    let hello = helo(b"0123456789abcdef", b"");
    let liar = [hello.clone(), pong(&Ok(digest(&[b"guess"])), "liar")].concat();
    assert_eq!(heard(&liar, shake), "it does not know the shared key itself");
    let strange = [hello.clone(), pack(&json!(["PONG", true]))].concat();
    assert_eq!(heard(&strange, shake), "it answers the PING with something else than a PONG");
    let answered = |client: &mut Client<UnixStream>| client.answered().map(drop);
    assert_eq!(heard(&hello, answered), "it asks for a shared key (`security`)");
    assert_eq!(heard(&pack(&json!({"ok": 1})), answered), "it answers something else than the id of a chunk");
    let (near, mut far) = UnixStream::pair().unwrap();
    let beside = pack(&json!({"a": {"ack": "none"}, "ack": "three", "z": [1]}));
    far.write_all(&[ack("one"), ack("two"), beside].concat()).unwrap();
    let mut client = Client::new(near);
    assert_eq!([(); 3].map(|()| client.answered().unwrap()), ["one", "two", "three"]);
}
