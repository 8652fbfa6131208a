//! Registries of plugins: Debian's docker-registry, which has TLS and passwords and no referrers, and one of ours around
//! Google's (`tests/registry`), which has referrers and tokens.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::folder::Folder;
use crate::process::{Process, Signal};
use crate::tls::IdentityFiles;
use crate::{cache, ports, wait};

/// The user that registries know which want to know who asks.
pub const USER: &str = "user";
/// The user's password.
pub const PASSWORD: &str = "secret";
/// The same, by bcrypt, as docker-registry wants it.
const HTPASSWD: &str = "user:$2b$04$CBy6yO0unvXa8AJ1QJ5Bk.UmBRLHRkZDRjFBZeEjVbErMk/C2x1g6\n";

/// A running registry. It ends when it is dropped.
pub struct Registry {
    address: SocketAddr,
    process: Process,
    _folder: Folder,
}

impl Registry {
    /// Debian's, which speaks TLS as `identity` and knows one user.
    pub fn debian(identity: &IdentityFiles) -> Result<Registry> {
        let mut folder = Folder::new("registry")?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("htpasswd"), HTPASSWD)?;
        let settings = serde_json::json!({
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": true}},
            "storage": {"filesystem": {"rootdirectory": at("data")}},
            "auth": {"htpasswd": {"realm": "tests", "path": at("htpasswd")}},
            "http": {
                "addr": address.to_string(),
                "secret": "tests",
                "tls": {"certificate": identity.certificate, "key": identity.key},
            },
        });
        std::fs::write(at("config.yml"), settings.to_string())?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(at("config.yml"));
        let log = at("registry.log");
        let process = Process::start("docker-registry", &command, &log, Signal::Kill)?;
        folder.used_by(process.pid())?;
        Registry { address, process, _folder: folder }.ready()
    }

    /// Google's with referrers, or without; it wants tokens where `asks` is set.
    pub fn go(referrers: bool, asks: bool) -> Result<Registry> {
        let binary = cache().join("registry/registry");
        if !binary.exists() {
            bail!("no registry in {}: run `make servers`", binary.display());
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        let mut folder = Folder::new("registry")?;
        let mut command = Command::new(binary);
        command.args(["-listen", &address.to_string()]).arg(format!("-referrers={referrers}"));
        if asks {
            command.args(["-user", USER, "-password", PASSWORD]);
        }
        let log = folder.path().join("registry.log");
        let process = Process::start("registry", &command, &log, Signal::Kill)?;
        folder.used_by(process.pid())?;
        Registry { address, process, _folder: folder }.ready()
    }

    fn ready(mut self) -> Result<Registry> {
        let up = wait::poll(Duration::from_secs(30), || {
            self.process.ended().is_some() || std::net::TcpStream::connect(self.address).is_ok()
        });
        if up.is_none() || self.process.ended().is_some() {
            bail!("the registry did not start: {}", self.process.tail());
        }
        Ok(self)
    }

    /// Its host, as references name it.
    pub fn host(&self) -> String {
        self.address.to_string()
    }
}

/// What a client of registries, `crane` or `oras`, prints.
pub fn client(name: &str, args: &[&str]) -> Result<Vec<u8>> {
    let binary = cache().join("registry-clients").join(name);
    if !binary.exists() {
        bail!("no {name} in {}: run `make servers`", binary.display());
    }
    let ran = Command::new(binary).args(args).output().context(name.to_owned())?;
    if !ran.status.success() {
        bail!("{name} {args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    }
    Ok(ran.stdout)
}

/// Sigstore's signer, with a key pair in a folder: `cosign.key` and `cosign.pub`.
#[derive(Debug)]
pub struct Cosign<'a>(pub &'a Path);

impl Cosign<'_> {
    /// Makes a key pair.
    pub fn generate(&self) -> Result<()> {
        self.run(&["generate-key-pair"])?;
        self.run(&["signing-config", "create", "--out", "empty.json"])
    }

    /// Signs a plugin at `reference` (`host/repository@sha256:…`) of a registry without TLS: by a bundle, or in the older form.
    pub fn sign(&self, reference: &str, is_bundle: bool) -> Result<()> {
        let form: &[&str] = match is_bundle {
            true => &["--signing-config", "empty.json"],
            false => &["--use-signing-config=false", "--new-bundle-format=false", "--tlog-upload=false"],
        };
        let common = ["sign", "--key", "cosign.key", "--yes", "--allow-http-registry"];
        self.run(&[&common, form, &[reference]].concat())
    }

    /// Signs a file, and answers the bundle.
    pub fn sign_file(&self, path: &Path) -> Result<String> {
        let (file, bundle) = (path.to_string_lossy(), self.0.join("file.bundle.json"));
        let to = bundle.to_string_lossy();
        let args =
            ["sign-blob", "--key", "cosign.key", "--yes", "--signing-config", "empty.json", "--bundle", &to];
        self.run(&[&args[..], &[&file]].concat())?;
        Ok(std::fs::read_to_string(bundle)?)
    }

    fn run(&self, args: &[&str]) -> Result<()> {
        let binary = cache().join("cosign/cosign");
        if !binary.exists() {
            bail!("no cosign in {}: run `make servers`", binary.display());
        }
        let mut command = Command::new(binary);
        command.args(args).current_dir(self.0).env("COSIGN_PASSWORD", PASSWORD);
        // What it fetches in vain, and would fetch again.
        command.env("TUF_ROOT", self.0.join("tuf"));
        let ran = command.output().context("cosign")?;
        if !ran.status.success() {
            bail!("cosign {args:?}: {}", String::from_utf8_lossy(&ran.stderr));
        }
        Ok(())
    }
}
