//! Real nginx, with its access log in a folder of the test's.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{Process, Signal};
use crate::{http, ports, wait};

/// A running nginx. It ends when it is dropped.
pub struct Nginx {
    process: Process,
    address: SocketAddr,
    folder: PathBuf,
}

impl Nginx {
    /// Starts nginx over `folder`, which gets `access.log` (in the `combined` format), `error.log` and
    /// `nginx.pid`. Every path answers 200, `/missing…` answers 404.
    pub fn start(folder: &Path) -> Result<Nginx> {
        Nginx::start_with(folder, "combined", "")
    }

    /// The same with a log format of one's own: `format` is a name that `http_settings` defines.
    pub fn start_with(folder: &Path, format: &str, http_settings: &str) -> Result<Nginx> {
        let port = ports::free();
        let here = folder.display();
        // As root, nginx would drop its workers to www-data, who may not enter the test's folder.
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let config = folder.join("nginx.conf");
        std::fs::write(
            &config,
            format!(
                "daemon off;
{user}
worker_processes 1;
pid {here}/nginx.pid;
error_log {here}/error.log warn;
events {{ worker_connections 256; }}
http {{
  client_body_temp_path {here}/tmp-body;
  proxy_temp_path {here}/tmp-proxy;
  fastcgi_temp_path {here}/tmp-fastcgi;
  uwsgi_temp_path {here}/tmp-uwsgi;
  scgi_temp_path {here}/tmp-scgi;
  {http_settings}
  access_log {here}/access.log {format};
  server {{
    listen 127.0.0.1:{port};
    location / {{ return 200 'hello from nginx\\n'; }}
    location /missing {{ return 404; }}
  }}
}}
"
            ),
        )?;
        let mut nginx = Command::new("nginx");
        nginx.arg("-c").arg(&config).arg("-e").arg(folder.join("error.log"));
        let process = Process::start("nginx", &nginx, &folder.join("nginx.out"), Signal::Quit)
            .context("nginx (Debian's nginx-light) is needed: run `make setup`")?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut nginx = Nginx { process, address, folder: folder.to_owned() };
        let up = wait::poll(Duration::from_secs(20), || {
            nginx.process.ended().is_some() || std::net::TcpStream::connect(address).is_ok()
        });
        if up.is_none() || nginx.process.ended().is_some() {
            bail!("nginx did not start: {}", nginx.process.tail());
        }
        Ok(nginx)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The access log.
    pub fn access_log(&self) -> PathBuf {
        self.folder.join("access.log")
    }

    /// The file with the process id, for logrotate's `postrotate`.
    pub fn pid_file(&self) -> PathBuf {
        self.folder.join("nginx.pid")
    }

    /// One request; nginx has written its log line some moments later.
    pub fn get(&self, path: &str) -> Result<u16> {
        Ok(http::get(self.address, path)?.status)
    }

    /// Asks nginx to open its log files anew, as logrotate's `postrotate` does.
    pub fn reopen(&self) {
        self.process.signal(Signal::Usr1);
    }
}
