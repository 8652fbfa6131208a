//! Azurite, Microsoft's emulator of Azure's storage.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::s3::decompressed;
use crate::folder::Folder;
use crate::process::{Process, Signal, run};
use crate::{cache, http, ports, wait};

/// The account that Azurite knows.
pub const ACCOUNT: &str = "devstoreaccount1";
/// Its key, which Microsoft has published.
pub const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Makes a container that everybody may read: its arguments are port, account, key and name.
const MAKE_CONTAINER: &str = r#"
import base64, email.utils, hashlib, hmac, http.client, sys
port, account, key, name = sys.argv[1:]
path = f"/{account}/{name}"
headers = {"x-ms-blob-public-access": "container", "x-ms-date": email.utils.formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
named = "".join(f"{n}:{headers[n]}\n" for n in sorted(headers))
text = "PUT\n" + "\n" * 11 + named + f"/{account}{path}\nrestype:container"
digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
headers["Authorization"] = f"SharedKey {account}:{base64.b64encode(digest).decode()}"
headers["Content-Length"] = "0"
connection = http.client.HTTPConnection("127.0.0.1", int(port))
connection.request("PUT", path + "?restype=container", headers=headers)
answer = connection.getresponse()
if answer.status != 201:
    sys.exit(f"{answer.status} {answer.read().decode()}")
"#;

/// Makes a container and a queue, and prints an address with a signature for each: its arguments are the ports of blobs and
/// queues, account, key and name.
const SIGN: &str = r#"
import base64, email.utils, hashlib, hmac, http.client, sys, urllib.parse
blobs, queues, account, key, name = sys.argv[1:]
version, end = "2021-12-02", "2099-01-01T00:00:00Z"
sign = lambda text: base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()
rights, services, kinds = "rwdlacup", "bq", "sco"
text = "\n".join([account, rights, services, kinds, "", end, "", "https,http", version, "", ""])
sas = urllib.parse.urlencode({"sv": version, "ss": services, "srt": kinds, "sp": rights, "se": end, "spr": "https,http", "sig": sign(text)})
for port, kind in ((blobs, "restype=container&"), (queues, "")):
    connection = http.client.HTTPConnection("127.0.0.1", int(port))
    connection.request("PUT", f"/{account}/{name}?{kind}{sas}", headers={"x-ms-version": version, "Content-Length": "0"})
    answer = connection.getresponse()
    if answer.status not in (201, 204):
        sys.exit(f"{answer.status} {answer.read().decode()}")
    print(f"http://127.0.0.1:{port}/{account}/{name}?{sas}")
"#;

/// Prints a shared access signature of a container, which may create and write: its arguments are account, key, name and
/// when it ends.
const SIGN_CONTAINER: &str = r#"
import base64, hashlib, hmac, sys, urllib.parse
account, key, name, end = sys.argv[1:]
fields = {"sp": "cw", "se": end, "sv": "2021-12-02", "sr": "c"}
text = "\n".join(["cw", "", end, f"/blob/{account}/{name}", "", "", "", "2021-12-02", "c"] + [""] * 7)
fields["sig"] = base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()
print(urllib.parse.urlencode(fields))
"#;

/// A running Azurite. It ends when it is dropped.
pub struct Azurite {
    _process: Process,
    port: u16,
    queues: Option<(Process, u16)>,
    _folder: Folder,
}

impl Azurite {
    /// Starts Azurite, which keeps all in memory, with a container.
    pub fn start(container: &str) -> Result<Azurite> {
        let mut folder = Folder::new("azurite")?;
        let (process, port) = part("blob", &mut folder)?;
        run(Command::new("python3").args([
            "-c",
            MAKE_CONTAINER,
            &port.to_string(),
            ACCOUNT,
            KEY,
            container,
        ]))?;
        Ok(Azurite { _process: process, port, queues: None, _folder: folder })
    }

    /// The same with queues, and without a container.
    pub fn with_queues() -> Result<Azurite> {
        let mut folder = Folder::new("azurite")?;
        let (process, port) = part("blob", &mut folder)?;
        let queues = Some(part("queue", &mut folder)?);
        Ok(Azurite { _process: process, port, queues, _folder: folder })
    }

    /// Makes a container and a queue of this name. Answers their addresses, each with a signature.
    pub fn signed(&self, name: &str) -> Result<(String, String)> {
        let (_, queues) = self.queues.as_ref().context("it was started without queues")?;
        let mut command = Command::new("python3");
        command.args(["-c", SIGN, &self.port.to_string(), &queues.to_string(), ACCOUNT, KEY, name]);
        let printed = run(&mut command)?;
        let (container, queue) = printed.trim().split_once('\n').context("two addresses")?;
        Ok((container.to_owned(), queue.to_owned()))
    }

    /// The address of the account, as a setting.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/{ACCOUNT}", self.port)
    }

    /// A shared access signature with which a container may be written to, until `end` (`2030-01-01T00:00:00Z`).
    pub fn sas(&self, container: &str, end: &str) -> Result<String> {
        let signed = run(Command::new("python3").args(["-c", SIGN_CONTAINER, ACCOUNT, KEY, container, end]))?;
        Ok(signed.trim().to_owned())
    }

    /// The blobs of a container by name, decompressed. There are few.
    pub fn blobs(&self, container: &str) -> Result<BTreeMap<String, Vec<u8>>> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let get = |path: String| -> Result<Vec<u8>> {
            let answer = http::get(address, &format!("/{ACCOUNT}/{container}{path}"))?;
            ensure!(answer.status == 200, "{path}: {}", answer.status);
            Ok(answer.body)
        };
        let listed = String::from_utf8(get("?restype=container&comp=list".to_owned())?)?;
        let names = listed.split("<Name>").skip(1).filter_map(|rest| Some(rest.split_once("</Name>")?.0));
        names.map(|name| Ok((name.to_owned(), decompressed(name, &get(format!("/{name}"))?)))).collect()
    }
}

/// Starts one of its servers, `blob` or `queue`, which keeps all in memory.
fn part(kind: &str, folder: &mut Folder) -> Result<(Process, u16)> {
    let program = cache().join(format!("azurite/node_modules/.bin/azurite-{kind}"));
    if !program.exists() {
        bail!("no Azurite in {}: run `make servers`", program.display());
    }
    let port = ports::free();
    let mut command = Command::new(program);
    command.args(["--silent", "--disableTelemetry", "--inMemoryPersistence", "--skipApiVersionCheck"]);
    command.args([&format!("--{kind}Host"), "127.0.0.1", &format!("--{kind}Port"), &port.to_string()]);
    command.current_dir(folder.path());
    let log = folder.path().join(format!("azurite-{kind}.log"));
    let mut process = Process::start("azurite", &command, &log, Signal::Kill).context("Azurite")?;
    folder.used_by(process.pid())?;
    let up = wait::poll(Duration::from_secs(60), || {
        process.ended().is_some() || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    if up.is_none() || process.ended().is_some() {
        bail!("Azurite did not start: {}", process.tail());
    }
    Ok((process, port))
}
