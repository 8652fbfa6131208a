use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};

use flitch_tests::http_server::{Reply, Server};

use super::*;

fn settings(more: serde_json::Value) -> AzureBlobSettings {
    let mut all = serde_json::json!({ "container": "logs" });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

#[test]
fn a_connection_string_is_taken_as_the_portal_shows_it() {
    let built = |text: &str| settings(serde_json::json!({ "connection_string": text })).builder();
    let of = |text: &str, key: AzureConfigKey| built(text).unwrap().get_config_value(&key);
    let sas = "BlobEndpoint=https://acct.blob.core.windows.net/;QueueEndpoint=https://acct.queue.core.windows.net/;\
               SharedAccessSignature=sv=2024-01-01&sig=abc%3D";
    assert_eq!(of(sas, AzureConfigKey::AccountName).as_deref(), Some("acct"));
    assert_eq!(of(sas, AzureConfigKey::Endpoint).as_deref(), Some("https://acct.blob.core.windows.net"));
    let key =
        "defaultendpointsprotocol=https;accountname=acct;accountkey=YWJj;endpointsuffix=core.windows.net";
    assert_eq!(of(key, AzureConfigKey::AccountName).as_deref(), Some("acct"));
    assert_eq!(of(key, AzureConfigKey::AccessKey).as_deref(), Some("YWJj"));
    let error =
        format!("{:#}", built("BlobEndpoint=http://127.0.0.1:10000/;SharedAccessSignature=x=y").unwrap_err());
    assert!(error.contains("`account`"), "{error}");
}

#[test]
fn the_machine_is_who_flitch_is_where_nothing_else_says_it() {
    let env = |set: &'static [&'static str]| move |name: &str| set.contains(&name).then(|| "x".to_owned());
    let own = settings(serde_json::json!({ "account": "a" }));
    assert_eq!(own.managed(env(&[])), Some(None));
    assert_eq!(own.managed(env(&["AZURE_CLIENT_ID"])), Some(Some("x".to_owned())));
    let pod = ["AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"];
    assert_eq!(own.managed(move |name| pod.contains(&name).then(|| "x".to_owned())), None);
    let machine =
        settings(serde_json::json!({ "account": "a", "auth": "managed_identity", "client_id": "c" }));
    assert_eq!(machine.managed(env(&["AZURE_CLIENT_SECRET"])), Some(Some("c".to_owned())));
    let cli = settings(serde_json::json!({ "account": "a", "auth": "azure_cli" }));
    assert_eq!(cli.managed(env(&[])), None);
}

#[tokio::test]
async fn a_token_of_the_machine_is_asked_for_once_and_again_when_it_ends() {
    let count = AtomicUsize::new(0);
    let server = Server::start(&[Ipv4Addr::LOCALHOST], move |request| {
        assert_eq!(request.query("resource"), Some("https%3A%2F%2Fstorage.azure.com"));
        let number = count.fetch_add(1, Ordering::Relaxed);
        // The first one ends at once. (When else one is replaced is a matter of what keeps it.)
        let lasts = if number == 0 { 0 } else { 3_600 };
        let body = format!(r#"{{"access_token":"t{number}","expires_in":"{lasts}"}}"#).into_bytes();
        Reply { status: 200, body, ..Reply::default() }
    })
    .unwrap();
    let endpoint = Some(format!("http://127.0.0.1:{}", server.port()));
    let auth = AuthSettings::ManagedIdentity { client_id: None, endpoint };
    let managed = Managed::new(Entra { auth, audience: STORAGE.to_owned() });
    for wanted in ["t0", "t1", "t1"] {
        let AzureCredential::BearerToken(token) = &*managed.get_credential().await.unwrap() else { panic!() };
        assert_eq!(token, wanted);
    }
}
