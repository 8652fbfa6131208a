use super::*;

const KEY: &str =
    "Endpoint=sb://clicks.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=c2VjcmV0=";

fn by_string(text: &str) -> anyhow::Result<Derived> {
    let secret = Secret::new(text);
    let connection_string = Some(&secret);
    derive(Wanted { connection_string, namespace: None, auth: None, endpoint: None, tls: None })
}

#[test]
fn a_connection_string_says_all_there_is_to_know() {
    let derived = by_string(&format!("{KEY};EntityPath=hits")).unwrap();
    assert_eq!(derived.brokers, ["clicks.servicebus.windows.net:9093"]);
    assert_eq!(derived.hub.as_deref(), Some("hits"));
    assert_eq!(derived.tls, Some(TlsSettings::default()));
    let sasl = derived.sasl.unwrap();
    assert_eq!((sasl.mechanism, sasl.username.as_deref()), (Mechanism::Plain, Some("$ConnectionString")));
    assert_eq!(sasl.password.unwrap().expose(), format!("{KEY};EntityPath=hits"));
    assert_eq!(by_string(KEY).unwrap().hub, None);
}

#[test]
fn the_emulator_speaks_without_tls_on_a_port_of_its_own() {
    let text = "Endpoint=sb://localhost;SharedAccessKeyName=k;SharedAccessKey=x;UseDevelopmentEmulator=true;";
    let derived = by_string(text).unwrap();
    assert_eq!((derived.brokers[0].as_str(), derived.tls), ("localhost:9092", None));
}

#[test]
fn a_namespace_goes_with_tokens_for_its_host() {
    let auth = AuthSettings::AzureCli {};
    let wanted = |namespace| Wanted {
        connection_string: None,
        namespace: Some(namespace),
        auth: Some(&auth),
        endpoint: None,
        tls: None,
    };
    for (namespace, host) in [
        ("clicks", "clicks.servicebus.windows.net"),
        ("c.servicebus.usgovcloudapi.net", "c.servicebus.usgovcloudapi.net"),
    ] {
        let derived = derive(wanted(namespace)).unwrap();
        assert_eq!(derived.brokers, [format!("{host}:9093")]);
        let Some(Tokens::Entra(entra)) = derived.preset.tokens else { panic!("no tokens") };
        assert_eq!(entra.audience, format!("https://{host}"));
    }
    let derived = derive(Wanted { endpoint: Some("10.0.0.4:9093"), ..wanted("clicks") }).unwrap();
    assert_eq!(derived.brokers, ["10.0.0.4:9093"]);
}

#[test]
fn what_is_missing_or_contradicts_is_told_and_no_key_is_shown() {
    let told = |error: anyhow::Error, words: &str| {
        let text = format!("{error:#}");
        assert!(text.contains(words) && !text.contains("c2VjcmV0"), "{text}");
    };
    told(by_string("c2VjcmV0").unwrap_err(), "`connection_string` is none");
    told(by_string("SharedAccessKey=c2VjcmV0").unwrap_err(), "has no Endpoint");
    told(by_string("Endpoint=sb://c.servicebus.windows.net/").unwrap_err(), "has no SharedAccessKey");
    let signature = "Endpoint=sb://c.servicebus.windows.net/;SharedAccessSignature=c2VjcmV0";
    told(by_string(signature).unwrap_err(), "signature");
    let (secret, auth) = (Secret::new(KEY), AuthSettings::AzureCli {});
    let none = Wanted { connection_string: None, namespace: None, auth: None, endpoint: None, tls: None };
    told(derive(none).unwrap_err(), "`connection_string` is missing");
    told(derive(Wanted { namespace: Some("c"), ..none }).unwrap_err(), "`auth` is missing");
    let both = Wanted { connection_string: Some(&secret), ..none };
    told(derive(Wanted { namespace: Some("c"), ..both }).unwrap_err(), "`namespace`");
    told(derive(Wanted { auth: Some(&auth), ..both }).unwrap_err(), "`auth`");
    told(derive(Wanted { endpoint: Some("nowhere"), ..both }).unwrap_err(), "`endpoint`");
    // What a portal shows beside the name.
    for namespace in
        ["https://c.servicebus.windows.net", "sb://c.servicebus.windows.net/", "c:9093", "my c", ""]
    {
        let wanted = Wanted { namespace: Some(namespace), auth: Some(&auth), ..none };
        told(derive(wanted).unwrap_err(), "`namespace`: `");
    }
    told(
        by_string(&format!("{KEY};EntityPath=my hub")).unwrap_err(),
        "`connection_string`: there can be no hub `my hub`",
    );
}
