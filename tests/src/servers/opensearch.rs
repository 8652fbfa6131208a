//! A real OpenSearch of one node, without the security plugin, in a folder of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::process::{Process, Signal, run};
use crate::{cache, http, ports, wait};

/// Who runs it where the tests are root, whom it refuses: `nobody`.
const NOBODY: &str = "65534";
const START: Duration = Duration::from_secs(120);

/// A running OpenSearch. It ends when it is dropped.
pub struct OpenSearch {
    process: Option<Process>,
    port: u16,
    transport: u16,
    settings: Vec<String>,
    folder: Folder,
}

impl OpenSearch {
    /// The node that tests share, started at the first call. Use indices of your own.
    pub fn shared() -> &'static OpenSearch {
        static SHARED: OnceLock<OpenSearch> = OnceLock::new();
        SHARED.get_or_init(|| OpenSearch::start(&[]).expect("OpenSearch starts"))
    }

    /// Starts a node with these settings, `key=value` each.
    pub fn start(settings: &[&str]) -> Result<OpenSearch> {
        let from = cache().join("opensearch/opensearch");
        if !from.is_dir() {
            bail!("no OpenSearch in {}: run `make servers`", from.display());
        }
        let folder = Folder::new("flitch-opensearch-")?;
        run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(&from).arg(folder.path().join("node")))?;
        if is_root() {
            run(Command::new("chown").args(["-R", &format!("{NOBODY}:{NOBODY}")]).arg(folder.path()))?;
        }
        let settings = settings.iter().map(|setting| format!("-E{setting}")).collect();
        let mut node =
            OpenSearch { process: None, port: ports::free(), transport: ports::free(), settings, folder };
        node.restart()?;
        Ok(node)
    }

    /// Starts it again, with the documents that it has.
    pub fn restart(&mut self) -> Result<()> {
        let home = self.folder.path().join("node");
        // The last that stands before the program: what is asked for at the death of a parent is forgotten where the user
        // changes.
        let mut command = Command::new("setpriv");
        if is_root() {
            command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "setpriv"]);
        }
        command.args(["--pdeathsig", "KILL"]).arg(home.join("bin/opensearch")).args(&self.settings).args([
            "-Ediscovery.type=single-node",
            "-Enetwork.host=127.0.0.1",
            "-Ecluster.routing.allocation.disk.threshold_enabled=false",
            &format!("-Ehttp.port={}", self.port),
            &format!("-Etransport.port={}", self.transport),
        ]);
        command.env("OPENSEARCH_JAVA_HOME", java()?).env("OPENSEARCH_JAVA_OPTS", "-Xms512m -Xmx512m");
        command.current_dir(&home);
        let log = self.folder.path().join("opensearch.log");
        let mut process = Process::start("opensearch", &command, &log, Signal::Kill).context("OpenSearch")?;
        self.folder.used_by(process.pid())?;
        let up = wait::poll(START, || {
            let ready = http::get(self.address(), "/_cluster/health?wait_for_status=yellow&timeout=1s");
            process.ended().is_some() || ready.is_ok_and(|answer| answer.status == 200)
        });
        if up.is_none() || process.ended().is_some() {
            bail!("OpenSearch did not start: {}", process.tail());
        }
        self.process = Some(process);
        Ok(())
    }

    /// Kills it; the documents that it has acknowledged stay.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Where it listens, without TLS and without asking who is there.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The same as a setting.
    pub fn node(&self) -> String {
        format!("http://{}", self.address())
    }

    /// A request with a body of JSON; an error where the answer is none of status 2xx.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let headers = [("Content-Type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = http::request(method, self.address(), path, &headers, body.as_bytes())?;
        ensure!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.text());
        answer.json()
    }

    /// How many documents an index, or all that fit a pattern, have.
    pub fn count(&self, index: &str) -> Result<u64> {
        self.ask("POST", &format!("/{index}/_refresh"), &Value::Null)?;
        let answer = self.ask("GET", &format!("/{index}/_count"), &Value::Null)?;
        answer["count"].as_u64().context("a count is a number")
    }

    /// The documents of an index, 10,000 at most, each with its `_id`, its `_index` and its `_source`.
    pub fn documents(&self, index: &str) -> Result<Vec<Value>> {
        self.ask("POST", &format!("/{index}/_refresh"), &Value::Null)?;
        let found = self.ask("POST", &format!("/{index}/_search"), &json!({ "size": 10_000 }))?;
        Ok(found["hits"]["hits"].as_array().cloned().unwrap_or_default())
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Where Java is installed.
fn java() -> Result<PathBuf> {
    let found = run(Command::new("sh").args(["-c", "readlink -f \"$(command -v java)\""]))?;
    let bin = PathBuf::from(found.trim());
    bin.ancestors().nth(2).map(PathBuf::from).context("Java is needed: run `make setup`")
}
