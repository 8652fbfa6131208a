//! A registry of the tests' own.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use flitch_tests::http_server::{Reply, Request, Server};
use parking_lot::Mutex;

use crate::Error;
use crate::digest::Digest;
use crate::manifest::{MANIFEST, Manifest};
use crate::reference::Reference;
use crate::registries::Registries;
use crate::settings::PluginsSettings;
use flitch_core::units::Bytes;

pub const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// A registry that has one plugin, and whose answers can be changed.
pub struct Bench {
    server: Server,
    pub lies: Arc<Mutex<BTreeMap<String, Reply>>>,
    pub asked: Arc<Mutex<Vec<Request>>>,
    pub folder: tempfile::TempDir,
}

pub fn ok(kind: &str, body: &[u8]) -> Reply {
    Reply { status: 200, headers: vec![("Content-Type", kind.to_owned())], body: body.to_vec() }
}

pub fn manifest() -> Vec<u8> {
    Manifest::of_component(b"{}", COMPONENT).text()
}

pub fn digest() -> Digest {
    Digest::of(&manifest())
}

pub fn redirect(to: &str) -> Reply {
    Reply { status: 307, headers: vec![("Location", to.to_owned())], body: Vec::new() }
}

impl Bench {
    pub fn new() -> Bench {
        let (lies, asked) =
            (Arc::<Mutex<BTreeMap<String, Reply>>>::default(), Arc::<Mutex<Vec<Request>>>::default());
        let (told, heard) = (lies.clone(), asked.clone());
        let server = Server::start(&[Ipv4Addr::LOCALHOST], move |request| {
            heard.lock().push(request.clone());
            if let Some(reply) = told.lock().get(&request.path) {
                return reply.clone();
            }
            let name = request.path.rsplit('/').next().unwrap_or_default();
            let component = Digest::of(COMPONENT).to_string();
            match request.path.contains("/manifests/") {
                true if name == "1" || name == digest().to_string() => {
                    let mut reply = ok(MANIFEST, &manifest());
                    reply.headers.push(("Docker-Content-Digest", digest().to_string()));
                    reply
                }
                false if name == component => ok("application/octet-stream", COMPONENT),
                _ => Reply { status: 404, ..Reply::default() },
            }
        });
        Bench { server: server.unwrap(), lies, asked, folder: tempfile::tempdir().unwrap() }
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.server.port())
    }

    pub fn settings(&self) -> PluginsSettings {
        PluginsSettings {
            plain_http: vec![self.host()],
            docker_config: Some("config.json".into()),
            max_bytes: Bytes(1000),
            ..PluginsSettings::default()
        }
    }

    pub fn registries_of(&self, settings: &PluginsSettings, asks: bool) -> Registries {
        std::fs::write(self.folder.path().join("config.json"), "{}").unwrap();
        let cache = self.folder.path().join("registry");
        Registries::new(settings, self.folder.path(), cache, asks).unwrap()
    }

    pub fn registries(&self) -> Registries {
        self.registries_of(&self.settings(), true)
    }

    pub fn reference(&self, rest: &str) -> Reference {
        Reference::parse(&format!("oci://{}/team/parse{rest}", self.host()), Path::new("")).unwrap()
    }

    pub fn lie(&self, path: &str, reply: Reply) {
        self.lies.lock().insert(format!("/v2/team/parse/{path}"), reply);
    }

    pub fn load(&self, rest: &str) -> Result<Digest, Error> {
        self.registries().load(&self.reference(rest)).map(|plugin| plugin.digest().clone())
    }
}
