use super::*;

#[test]
fn what_is_wrong_is_told_with_the_name_of_the_setting() {
    let with = |change: fn(&mut OpampSettings)| {
        let mut settings = OpampSettings::of("wss://fleet.example.com/v1/opamp");
        change(&mut settings);
        settings.check().map_err(|error| format!("{error:#}"))
    };
    assert_eq!(with(|_| {}), Ok(()));
    type Change = fn(&mut OpampSettings);
    let cases: [(Change, &str); 7] = [
        (|s| s.endpoint = "fleet.example.com".to_owned(), "`endpoint`"),
        (|s| s.endpoint = "wss://me:secret@fleet".to_owned(), "belong to `auth`"),
        (
            |s| {
                s.endpoint = "ws://fleet".to_owned();
                s.tls = Some(ClientTls::default());
            },
            "`tls` is for",
        ),
        (|s| s.auth = Some(AuthSettings::default()), "`auth` takes"),
        (|s| s.heartbeat = Span(Duration::from_millis(1)), "`heartbeat`"),
        (|s| s.heartbeat = Span(Duration::from_secs(u64::MAX)), "more than 24h"),
        (|s| s.max_bytes = Bytes(1 << 30), "`max_bytes`"),
    ];
    for (change, wanted) in cases {
        let said = with(change).unwrap_err();
        assert!(said.contains(wanted), "{said}");
    }
}
