use proptest::prelude::*;

use super::*;
use crate::value::Scalar;

fn written(value: Value<'_>) -> String {
    let mut out = Vec::new();
    write(value, &mut out);
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn a_value_keeps_its_kind_among_others() {
    let far = i64::MAX;
    for value in [
        Value::Text(b"2026-01-01T00:00:00Z"),
        Value::Text(b"5"),
        Value::Text(b"  \"x\""),
        Value::Bytes(b"5"),
        Value::Bytes(b"a\xff\"\\\n\x01\xc3"),
        Value::Bytes("\u{fffd}ä".as_bytes()),
        Value::Int(5),
        Value::Int(i64::MIN),
        Value::Float(5.0),
        Value::Float(-0.0),
        Value::Float(1e300),
        Value::Boolean(true),
        Value::Timestamp(0),
        Value::Timestamp(far),
        Value::Timestamp(i64::MIN),
        Value::Json(b"[1]"),
        Value::Json(b"null"),
    ] {
        let text = written(value);
        assert_eq!(Scalar::of(&text), Scalar::of_value(value), "{text:?}");
        let json: serde_json::Value = match serde_json::from_slice(&plain(text.as_bytes())) {
            Ok(json) => json,
            Err(error) => panic!("{text:?} is not JSON: {error}"),
        };
        let mut alone = Vec::new();
        value.write_json(&mut alone);
        let alone = String::from_utf8_lossy(&alone);
        assert_eq!(json, serde_json::from_str::<serde_json::Value>(&alone).expect("JSON"), "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let text = written(Value::Bytes(&bytes));
        prop_assert_eq!(Scalar::of(&text), Scalar::Bytes(Cow::Owned(bytes)));
    }
}
