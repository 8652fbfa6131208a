use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use flitch_tests::tls::Authority;

use super::*;
use crate::setting::Wrong;

fn key_of(error: &anyhow::Error) -> Option<&str> {
    error.downcast_ref::<Wrong>().map(Wrong::key)
}

#[tokio::test(start_paused = true)]
async fn what_is_made_of_files_is_made_anew_when_they_have_changed_and_fit() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Authority::new("first").unwrap().write(&folder.path().join("ca.pem")).unwrap();
    let settings = ClientTls { ca: Some(ca.clone()), ..ClientTls::default() };
    let made = AtomicUsize::new(0);
    let renewed = Renewed::new(Some(settings), move |config| {
        assert!(config.is_some());
        Ok(Arc::new(made.fetch_add(1, Relaxed)))
    })
    .unwrap();
    tokio::time::advance(LOOK).await;
    assert_eq!(*renewed.get(), 0);
    fs::write(&ca, "half of a file").unwrap();
    assert_eq!(*renewed.get(), 0, "it has looked a moment ago");
    tokio::time::advance(LOOK).await;
    assert_eq!(*renewed.get(), 0, "what cannot be read leaves all as it was");
    Authority::new("second").unwrap().write(&ca).unwrap();
    tokio::time::advance(LOOK).await;
    assert_eq!(*renewed.get(), 1);
    tokio::time::advance(LOOK).await;
    assert_eq!(*renewed.get(), 1);
}

#[test]
fn a_wrong_file_is_told_by_the_setting_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("authority").unwrap();
    let ca = authority.write(&folder.path().join("ca.pem")).unwrap();
    let one = authority.client("one").unwrap().write(folder.path(), "one").unwrap();
    let good =
        ClientTls { ca: Some(ca.clone()), cert: Some(one.certificate.clone()), key: Some(one.key.clone()) };
    good.config().unwrap();
    let nothing = Some(folder.path().join("nothing"));
    for (wrong, key) in [
        (ClientTls { ca: nothing.clone(), ..good.clone() }, "tls.ca"),
        (ClientTls { ca: Some(one.key.clone()), ..good.clone() }, "tls.ca"),
        (ClientTls { cert: nothing.clone(), ..good.clone() }, "tls.cert"),
        (ClientTls { key: Some(ca), ..good.clone() }, "tls.cert"),
        (ClientTls { key: None, ..good }, "tls"),
    ] {
        assert_eq!(key_of(&wrong.config().unwrap_err()), Some(key), "{wrong:?}");
    }
}
