use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use flitch_tests::http_server::{Reply, Request, Server};
use parking_lot::Mutex;

use super::*;
use crate::{PluginsSettings, TrustSettings};

const FILE: &[u8] = include_bytes!("../../fixtures/file");
const BUNDLE: &str = include_str!("../../fixtures/file.bundle.json");
const OWN: &str = include_str!("../../fixtures/cosign.pub");
const OTHER: &str = include_str!("../../fixtures/other.pub");

/// A server of files, and a folder of packages.
struct Bench {
    server: Server,
    folder: tempfile::TempDir,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Bench {
    fn new() -> Bench {
        let asked = Arc::<Mutex<Vec<Request>>>::default();
        let requests = asked.clone();
        let handler = move |request: &Request| {
            requests.lock().push(request.clone());
            let body = match request.path.as_str() {
                "/file" => FILE.to_vec(),
                "/other" => b"\0asm of somebody else".to_vec(),
                "/large" => vec![0; 5000],
                "/elsewhere" => {
                    let port =
                        request.header("host").and_then(|host| host.split(':').nth(1)).unwrap_or_default();
                    let to = format!("http://localhost:{port}/file");
                    return Reply { status: 302, headers: vec![("Location", to)], ..Reply::default() };
                }
                _ => return Reply { status: 404, ..Reply::default() },
            };
            Reply { status: 200, body, ..Reply::default() }
        };
        let server = Server::start(&[Ipv4Addr::LOCALHOST], handler).unwrap();
        Bench { server, folder: tempfile::tempdir().unwrap(), asked }
    }

    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.server.port())
    }

    fn settings(&self, key: &str) -> PluginsSettings {
        PluginsSettings {
            trust: vec![TrustSettings { key: key.to_owned(), only: None }],
            plain_http: vec![self.host(), "localhost".to_owned()],
            max_bytes: Bytes(4096),
            cache: crate::CacheSettings { max_bytes: Bytes(4096) },
            ..PluginsSettings::default()
        }
    }

    fn registries(&self, settings: &PluginsSettings) -> Registries {
        Registries::new(settings, Path::new("."), self.folder.path().to_owned(), true).unwrap()
    }

    fn offer(&self, path: &str, content: &[u8]) -> Offer {
        let digits = Digest::of(content).hex().to_owned();
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        Offer {
            name: "mark".to_owned(),
            version: "1.2".to_owned(),
            hash: vec![1],
            url: format!("http://{}{path}", self.host()),
            headers: vec![("x-token".to_owned(), "hush".to_owned())],
            content: (0..64).step_by(2).map(byte).collect(),
            signature: BUNDLE.into(),
        }
    }
}

async fn fetch(registries: &Registries, offer: &Offer) -> Result<Fetched, Error> {
    registries
        .fetch(offer, &|url| if url.contains("127.0.0.1") { Ok(()) } else { Err(format!("{url}, no")) })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_offered_is_fetched_with_its_headers_kept_and_believed_whenever_it_is_loaded() {
    let bench = Bench::new();
    let registries = bench.registries(&bench.settings(OWN));
    let fetched = fetch(&registries, &bench.offer("/file", FILE)).await.unwrap();
    assert_eq!((fetched.content.as_slice(), fetched.version.hash.as_slice()), (FILE, &[1][..]));
    assert_eq!(bench.asked.lock()[0].header("x-token"), Some("hush"));
    let reference = Reference::parse("package:mark", Path::new("")).unwrap();
    assert!(matches!(registries.load(&reference), Err(Error::NotHere(_))));
    registries.packages().unwrap().put(&fetched).unwrap();
    let plugin = registries.load(&reference).unwrap();
    assert_eq!(plugin.component, FILE);
    assert!(plugin.reference.to_string().starts_with("package:mark:1.2@sha256:"), "{}", plugin.reference);
    assert!(plugin.signed_by.is_some());
    // By somebody else's terms it may not run.
    let error = bench.registries(&bench.settings(OTHER)).load(&reference).unwrap_err().to_string();
    assert!(error.contains("package:mark may not run: its signature is by none of the keys"), "{error}");
    let content = bench.folder.path().join(format!("packages/{}.wasm", Digest::of(FILE).hex()));
    fs::write(&content, b"\0asm, changed").unwrap();
    let error = registries.load(&reference).unwrap_err().to_string();
    assert!(error.contains("is not what came from the server any more"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_what_was_offered_or_may_not_be_here_is_refused_with_the_reason() {
    let bench = Bench::new();
    let own = bench.settings(OWN);
    let good = || bench.offer("/file", FILE);
    let cases = [
        (bench.offer("/other", FILE), &own, "was offered"),
        (bench.offer("/other", b"\0asm of somebody else"), &own, "its signature is by none of the keys"),
        (Offer { signature: Vec::new(), ..good() }, &own, "it has no signature"),
        (Offer { signature: b"{}".to_vec(), ..good() }, &own, "its signature is no bundle"),
        (good(), &bench.settings(OTHER), "by none of the keys"),
        (bench.offer("/large", FILE), &own, "more than 4KiB"),
        (bench.offer("/nowhere", FILE), &own, "answers 404"),
        (bench.offer("/elsewhere", FILE), &own, "which is no place outside of this network"),
        (Offer { url: "https://example.com/x".to_owned(), ..good() }, &own, "https://example.com/x, no"),
        (Offer { url: "file:///etc/127.0.0.1".to_owned(), ..good() }, &own, "`file://` is not spoken"),
        (good(), &PluginsSettings { plain_http: Vec::new(), ..own.clone() }, "without TLS"),
        (Offer { name: "../mark".to_owned(), ..good() }, &own, "its name"),
        (Offer { content: vec![1], ..good() }, &own, "without the SHA-256"),
        (Offer { headers: vec![("host".to_owned(), "x".to_owned())], ..good() }, &own, "its header `host`"),
    ];
    for (offer, settings, words) in cases {
        let error = fetch(&bench.registries(settings), &offer).await.unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
    let unsigned = PluginsSettings { require_signature: Some(false), ..own };
    let offer = Offer { signature: Vec::new(), ..good() };
    assert_eq!(fetch(&bench.registries(&unsigned), &offer).await.unwrap().version.signed_by, None);
}

#[test]
fn what_was_before_is_there_again_and_nothing_else_is_left() {
    let bench = Bench::new();
    let packages = bench.registries(&bench.settings(OWN)).packages().unwrap();
    let version = |number: u8, content: &[u8]| Fetched {
        name: "mark".to_owned(),
        version: Version {
            version: number.to_string(),
            hash: vec![number],
            content: Digest::of(content),
            bytes: content.len() as u64,
            signature: None,
            signed_by: None,
        },
        content: content.to_vec(),
    };
    let files = || fs::read_dir(bench.folder.path().join("packages")).unwrap().count();
    packages.put(&version(1, b"one")).unwrap();
    packages.put(&version(2, b"two")).unwrap();
    packages.put(&version(3, b"three")).unwrap();
    assert_eq!(files(), 3, "its file, and the contents of now and before");
    packages.go_back("mark", "worse").unwrap();
    let package = packages.get("mark").unwrap();
    assert_eq!((package.now.hash.as_slice(), package.before), (&[2][..], None));
    assert_eq!(package.refused, Some(Refusal { hash: vec![3], reason: "worse".to_owned() }));
    packages.put(&version(4, b"two")).unwrap();
    let package = packages.get("mark").unwrap();
    assert_eq!((package.now.hash.as_slice(), package.before, package.refused), (&[4][..], None, None));
    let error = packages.put(&version(5, &[0; 4096])).unwrap_err().to_string();
    assert!(error.contains("there is room for 4KiB"), "{error}");
    packages.remove("mark").unwrap();
    assert_eq!((files(), packages.all()), (0, Vec::new()));
}
