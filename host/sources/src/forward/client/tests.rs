use std::os::unix::net::UnixStream;

use bytes::BytesMut;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::forward::entries::{self, Head};
use crate::forward::handshake::shake;
use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::decode_lossless_line;
use flitch_core::batch::encode::ndjson_lossless;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::dead_letter::pack::{self, Members, Unfit};
use flitch_core::secret::Secret;

fn settings(key: &str, users: &[(&str, &str)]) -> SecuritySettings {
    SecuritySettings {
        shared_key: Secret::new(key),
        users: users.iter().map(|(name, password)| ((*name).to_owned(), Secret::new(*password))).collect(),
        self_hostname: "flitch.example".to_owned(),
    }
}

/// What becomes of the handshake between a client and a server of these settings: what the client says of it, and by
/// which name the server knows it.
async fn between(client: SecuritySettings, server: SecuritySettings) -> (io::Result<()>, Option<Vec<u8>>) {
    let (near, far) = UnixStream::pair().unwrap();
    let shaking = tokio::task::spawn_blocking(move || Client::new(near).shake(&client));
    far.set_nonblocking(true).unwrap();
    let mut far = tokio::net::UnixStream::from_std(far).unwrap();
    let name = shake(&mut far, &mut BytesMut::new(), &server).await;
    drop(far);
    (shaking.await.unwrap(), name.ok())
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
    use crate::forward::handshake::{helo, pong};
    use crate::forward::harness::pack;
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
    far.write_all(&[ack("one"), ack("two")].concat()).unwrap();
    let mut client = Client::new(near);
    assert_eq!([client.answered().unwrap(), client.answered().unwrap()], ["one", "two"]);
}

#[test]
fn the_time_of_an_entry_is_that_of_its_event_or_now() {
    let read = |ns: i64| {
        let mut out = Vec::new();
        begin_entry(ns, &mut out);
        let mut cursor = Cursor::new(&out, 1);
        let time = match entries::head(&mut cursor).unwrap() {
            Head::Event(time, None) => time,
            other => panic!("{other:?}"),
        };
        assert_eq!(cursor.at(), out.len());
        time
    };
    let last = (i64::from(GROUP_END) - 1) * NANOS + 999_999_999;
    for ns in [NANOS, 1_700_000_000_123_456_789, last] {
        assert_eq!(read(ns), Some(ns));
    }
    for ns in [0, NANOS - 1, -1, -5 * NANOS, last + 1, i64::MAX, i64::MIN] {
        assert_eq!(read(ns), None, "{ns}");
    }
}

/// A record as its text in a letter, and the record that a forward source makes of the letter.
fn there_and_back(line: &str) -> Result<(Value, Value), Unfit> {
    let text = |builder: &mut Builder| -> Value {
        let records = builder.finish(InvalidUtf8::Bytes, &Constants::new()).records;
        serde_json::from_slice(ndjson_lossless(&records).row(0)).unwrap()
    };
    let mut builder = Builder::new();
    decode_lossless_line(&mut builder, line.as_bytes()).unwrap();
    let records = builder.finish(InvalidUtf8::Bytes, &Constants::new()).records;
    let letter = String::from_utf8(ndjson_lossless(&records).row(0).to_vec()).unwrap();
    let mut packed = Vec::new();
    pack::map(&serde_json::from_str::<Members<'_>>(&letter).unwrap(), RECORD_DEPTH, &mut packed)?;
    let mut cursor = Cursor::new(&packed, 0);
    builder.begin_record();
    entries::record(&mut cursor, &mut builder).unwrap();
    builder.end_record();
    assert_eq!(cursor.at(), packed.len());
    Ok((serde_json::from_str(&letter).unwrap(), text(&mut builder)))
}

#[test]
fn bytes_numbers_and_names_that_look_like_bytes_stay_what_they_are() {
    let line = r#"{"b":{"$bytes":"/wA="},"l":[{"$bytes":"/w=="},null,true,-0.0,1e300],"$$bytes":1,"o":{"$$$bytes":"x"},
        "u":18446744073709551615,"i":-9223372036854775808,"f":0.1,"t":"a\u0000\"é","n":null,"e":{},"@tag":"a.b"}"#;
    let (letter, again) = there_and_back(&line.replace('\n', "")).unwrap();
    assert_eq!(again, letter);
    assert_eq!(letter["u"], 18_446_744_073_709_551_615_u64);
}

#[test]
fn what_messagepack_cannot_hold_is_unfit() {
    let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let (letter, again) = there_and_back(&format!("{{\"a\":{}}}", deep(RECORD_DEPTH))).unwrap();
    assert_eq!(again, letter);
    let deep = deep(RECORD_DEPTH);
    for value in ["123456789012345678901234567890", "0.1234567890123456789", "1e999", r#""\ud800""#, &deep] {
        assert_eq!(there_and_back(&format!("{{\"a\":[{value}]}}")), Err(Unfit), "{value}");
    }
}

/// Any JSON that a letter may hold.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        Just(json!({"$bytes": "/wAB"})),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("([a.]|[$]{2}bytes|é){1,2}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_record_of_a_letter_is_the_same_to_a_forward_source(members in prop::collection::btree_map("[a-f.]{1,3}", any_json(), 0..6)) {
        let line = Value::Object(members.into_iter().collect()).to_string();
        let (letter, again) = there_and_back(&line).unwrap();
        prop_assert_eq!(again, letter);
    }
}
