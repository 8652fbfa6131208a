//! A server that manages agents: opamp-go's, and what a test has it do. Its source is in tests/opamp-server.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::folder::Folder;
use crate::process::{Process, Signal};
use crate::{cache, http, ports, wait};

/// A running server. It ends when it is dropped.
pub struct Opamp {
    process: Option<Process>,
    folder: Folder,
    listen: SocketAddr,
    control: SocketAddr,
    arguments: Vec<String>,
}

impl Opamp {
    /// Starts a server with these arguments more: `-bearer TOKEN`, `-cert FILE`, `-key FILE`, `-client-ca FILE`.
    pub fn start(arguments: &[&str]) -> Result<Opamp> {
        let at = || SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        let arguments = arguments.iter().map(|text| (*text).to_owned()).collect();
        let mut server =
            Opamp { process: None, folder: Folder::new("opamp")?, listen: at(), control: at(), arguments };
        server.restart()?;
        Ok(server)
    }

    /// Starts it again at the same place; it knows nobody then.
    pub fn restart(&mut self) -> Result<()> {
        let binary = cache().join("opamp-server/opamp-server");
        if !binary.exists() {
            bail!("no server of OpAMP in {}: run `make servers`", binary.display());
        }
        let mut command = Command::new(binary);
        command.args(["-listen", &self.listen.to_string(), "-control", &self.control.to_string()]);
        command.args(&self.arguments);
        let log = self.folder.path().join("opamp.log");
        let mut process = Process::start("opamp-server", &command, &log, Signal::Kill)?;
        self.folder.used_by(process.pid())?;
        let up = wait::poll(Duration::from_secs(30), || {
            process.ended().is_some()
                || [self.listen, self.control].iter().all(|at| TcpStream::connect(at).is_ok())
        });
        if up.is_none() || process.ended().is_some() {
            bail!("the server of OpAMP did not start: {}", process.tail());
        }
        self.process = Some(process);
        Ok(())
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Where agents come: `SCHEME://127.0.0.1:PORT/v1/opamp`.
    pub fn endpoint(&self, scheme: &str) -> String {
        format!("{scheme}://{}/v1/opamp", self.listen)
    }

    /// What is known of all agents; none while the server is away.
    pub fn agents(&self) -> Vec<Value> {
        let answer = http::get(self.control, "/agents").and_then(|answer| answer.json());
        answer.ok().and_then(|agents| agents.as_array().cloned()).unwrap_or_default()
    }

    /// The one agent that there is.
    pub fn agent(&self) -> Option<Value> {
        self.agents().pop()
    }

    /// Offers a configuration to all agents that are there, under this hash.
    pub fn offers(&self, hash: &str, text: &str) -> Result<()> {
        self.does(&format!("/config?hash={hash}"), text)
    }

    /// Has it do what a path of its control says.
    pub fn does(&self, path: &str, body: &str) -> Result<()> {
        let answer =
            http::post(self.control, path, &[], body.as_bytes()).context("the control of the server")?;
        ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.text());
        Ok(())
    }

    /// How often agents have come to it.
    pub fn asked(&self) -> u64 {
        let answer = http::get(self.control, "/asked").and_then(|answer| answer.json());
        answer.ok().and_then(|asked| asked.as_u64()).unwrap_or(0)
    }
}
