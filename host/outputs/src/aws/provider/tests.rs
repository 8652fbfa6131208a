use std::net::Ipv4Addr;

use flitch_tests::http_server::{Reply, Server};
use parking_lot::Mutex as Lock;

use super::*;
use crate::object::classify;

/// The credentials of `it`, which the folder's file describes.
fn profiled(folder: &tempfile::TempDir, text: &str, sts: Option<String>) -> Profiled {
    let config = folder.path().join("config");
    std::fs::write(&config, text).unwrap();
    let files = Files::of(|name| (name == "AWS_CONFIG_FILE").then(|| config.to_string_lossy().into_owned()));
    Profiled::new("it", files, "eu-central-1".to_owned(), sts).unwrap()
}

#[tokio::test]
async fn keys_that_somebody_changes_in_the_file_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let text = |key: &str| format!("[profile it]\naws_access_key_id = {key}\naws_secret_access_key = s\n");
    let it = profiled(&folder, &text("one"), None);
    assert_eq!(it.get_credential().await.unwrap().key_id, "one");
    std::fs::write(folder.path().join("config"), text("another")).unwrap();
    assert_eq!(it.get_credential().await.unwrap().key_id, "another");
    std::fs::write(folder.path().join("config"), "[profile other]\n").unwrap();
    let error = it.get_credential().await.unwrap_err();
    assert!(error.to_string().contains("no profile `it`"), "{error}");
}

#[tokio::test]
async fn a_program_is_asked_once_for_as_long_as_what_it_printed_lasts() {
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    let script = folder.path().join("tool");
    let print = |end: &str| {
        let json = format!(
            r#"{{"Version":1,"AccessKeyId":"AK","SecretAccessKey":"sk","SessionToken":"st","Expiration":"{end}"}}"#
        );
        std::fs::write(&script, format!("echo x >> {}\necho '{json}'\n", count.display())).unwrap();
    };
    let asked = || std::fs::read_to_string(&count).unwrap_or_default().lines().count();
    let line = format!("[profile it]\ncredential_process = sh '{}'\n", script.display());
    let it = profiled(&folder, &line, None);
    print("2000-01-01T00:00:00Z");
    for n in 1..3 {
        let credential = it.get_credential().await.unwrap();
        assert_eq!((credential.key_id.as_str(), credential.token.as_deref()), ("AK", Some("st")));
        assert_eq!(asked(), n);
    }
    print("2200-01-01T00:00:00+00:00");
    for _ in 0..3 {
        it.get_credential().await.unwrap();
        assert_eq!(asked(), 3);
    }
}

#[tokio::test]
async fn a_program_that_fails_says_why_and_nothing_of_what_it_printed_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for (line, said) in [
        ("echo secret; echo locked >&2; exit 4", "exit status: 4: locked"),
        ("echo secret", "prints something else than credentials"),
        (r#"echo '{"Version":2,"AccessKeyId":"secret","SecretAccessKey":"s"}'"#, "prints version 2"),
    ] {
        let it = profiled(&folder, &format!("[profile it]\ncredential_process = {line}\n"), None);
        let error = it.get_credential().await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(said) && !text.contains("secret"), "{text}");
        assert!(matches!(error, object_store::Error::Unauthenticated { .. }));
    }
}

const ROLE: &str = "[profile it]
role_arn = arn:aws:iam::1:role/up load
source_profile = keys
external_id = e
[profile keys]
aws_access_key_id = AKIA
aws_secret_access_key = hush
";

#[tokio::test]
async fn a_role_is_taken_by_a_signed_request_and_its_credentials_are_used() {
    let folder = tempfile::tempdir().unwrap();
    let asked = std::sync::Arc::new(Lock::new(Vec::new()));
    let kept = asked.clone();
    let server = Server::start(&[Ipv4Addr::LOCALHOST], move |request| {
        let signature = request.header("authorization").unwrap_or_default().to_owned();
        kept.lock().push((signature, String::from_utf8_lossy(&request.body).into_owned()));
        let body = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId>\
                    <SecretAccessKey>sk</SecretAccessKey><SessionToken>st</SessionToken>\
                    <Expiration>2200-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>\
                    </AssumeRoleResponse>";
        Reply { status: 200, body: body.as_bytes().to_vec(), ..Reply::default() }
    })
    .unwrap();
    let it = profiled(&folder, ROLE, Some(format!("http://127.0.0.1:{}", server.port())));
    for _ in 0..2 {
        let credential = it.get_credential().await.unwrap();
        assert_eq!((credential.key_id.as_str(), credential.token.as_deref()), ("ASIA", Some("st")));
    }
    let asked = asked.lock();
    let [(signature, body)] = &asked[..] else { panic!("{asked:?}") };
    assert!(
        signature.contains("Credential=AKIA/") && signature.contains("/eu-central-1/sts/"),
        "{signature}"
    );
    assert!(signature.contains("content-type"), "{signature}");
    let wanted = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fup%20load\
                  &RoleSessionName=flitch&ExternalId=e";
    assert_eq!(body, wanted);
}

#[tokio::test]
async fn who_gives_out_roles_and_is_asked_too_often_denies_nothing() {
    for (status, code) in [(400, "Throttling"), (400, "ThrottlingException"), (429, ""), (503, "")] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&[Ipv4Addr::LOCALHOST], move |_| {
            let headers = vec![("retry-after", "7".to_owned())];
            Reply { status, headers, body: format!("<Code>{code}</Code>").into_bytes() }
        })
        .unwrap();
        let it = profiled(&folder, ROLE, Some(format!("http://127.0.0.1:{}", server.port())));
        let found = async { it.get_credential().await.map_err(|error| classify(&error)) };
        let error = pause::heeding(found).await.map(drop).unwrap_err();
        assert_eq!((error.kind(), error.after()), ("busy", Some(Duration::from_secs(7))), "{status} {code}");
    }
}

#[tokio::test]
async fn a_role_that_may_not_be_taken_is_told_by_the_code_and_one_that_nobody_gives_waits() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&[Ipv4Addr::LOCALHOST], |_| {
        let body = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>";
        Reply { status: 403, body: body.as_bytes().to_vec(), ..Reply::default() }
    })
    .unwrap();
    let it = profiled(&folder, ROLE, Some(format!("http://127.0.0.1:{}", server.port())));
    let error = it.get_credential().await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("403 Forbidden: AccessDenied: not you") && !text.contains("hush"), "{text}");
    let nobody = format!("http://127.0.0.1:{}", flitch_tests::ports::free());
    let it = profiled(&folder, ROLE, Some(nobody));
    let error = it.get_credential().await.unwrap_err();
    assert!(matches!(error, object_store::Error::Generic { .. }), "{error}");
}
