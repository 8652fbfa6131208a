//! What goes on as it came.

use super::*;
use flitch_core::batch::template::Template;

#[tokio::test(flavor = "multi_thread")]
async fn beside_raw_values_keys_and_headers_keep_every_byte_and_an_empty_key_is_a_key() {
    topic("raw-keys", 1);
    let producer = producer();
    for key in [Some(&b"\xff\x00"[..]), Some(b"\xfe"), Some(b"text"), Some(b""), None] {
        let headers = OwnedHeaders::new().insert(Header { key: "h", value: key });
        let mut record = BaseRecord::<[u8], [u8]>::to("raw-keys").payload(b"v").headers(headers);
        record.key = key;
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(LONG).unwrap();
    let fields = Fields { key: Some("key".into()), headers: Some("headers".into()), ..Fields::default() };
    let settings = KafkaSettings { codec: Codec::Raw, fields, ..settings(&["raw-keys"], "raw-keys") };
    let source = Running::start(&settings).await;
    let (mut keys, mut headers) = (Vec::new(), Vec::new());
    while keys.len() < 5 {
        let batch = source.batch().await;
        for (template, all) in [("{key}", &mut keys), ("{headers.h}", &mut headers)] {
            let texts = batch.records.render(&Template::parse(template).unwrap());
            all.extend((0..batch.records.rows()).map(|row| texts.row(row).map(<[u8]>::to_vec)));
        }
        batch.receipt.delivered();
    }
    source.end().await;
    let came =
        [Some(b"\xff\x00".to_vec()), Some(b"\xfe".to_vec()), Some(b"text".to_vec()), Some(vec![]), None];
    assert_eq!(keys, came);
    assert_eq!(headers, came);
}
