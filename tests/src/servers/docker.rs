//! A real Docker daemon in a folder of its own, without a network bridge, and containers of a tiny image.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::folder::Folder;
use crate::process::{Process, Signal, run};
use crate::{skip, wait};
use anyhow::{Context, Result, bail};

/// The image that [`Docker`] holds: Debian's static busybox and nothing else.
pub const IMAGE: &str = "flitch/busybox:1";

/// A running dockerd.
pub struct Docker {
    // Before the folder, so that the daemon ends before its files go.
    daemon: Process,
    folder: Folder,
}

impl Docker {
    /// The daemon that tests share, started at the first call. None where the machine cannot run one; the
    /// test `name` is then reported as skipped.
    pub fn shared(name: &str) -> Option<&'static Docker> {
        static SHARED: OnceLock<Result<Docker, String>> = OnceLock::new();
        if let Err(reason) = allowed() {
            skip::skipped(name, &reason);
            return None;
        }
        match SHARED.get_or_init(|| Docker::start().map_err(|error| format!("{error:#}"))) {
            Ok(docker) => Some(docker),
            Err(error) => panic!("dockerd does not start: {error}"),
        }
    }

    fn start() -> Result<Docker> {
        let mut folder = Folder::new("flitch-docker-")?;
        let at = |name: &str| folder.path().join(name);
        let mut dockerd = Command::new("dockerd");
        dockerd
            .args(["--storage-driver=vfs", "--iptables=false", "--ip6tables=false", "--bridge=none"])
            .args(["--ip-forward=false", "--ip-masq=false", "--shutdown-timeout=3"])
            .arg("--data-root")
            .arg(at("data"))
            .arg("--exec-root")
            .arg(at("exec"))
            .arg("-p")
            .arg(at("docker.pid"))
            .arg("-H")
            .arg(format!("unix://{}", at("docker.sock").display()));
        // SIGTERM, also when the tests are killed: dockerd then ends its containers and containerd.
        let daemon = Process::start("dockerd", &dockerd, &at("dockerd.log"), Signal::Term)
            .context("dockerd (Debian's docker.io) is needed: run `make setup`")?;
        folder.used_by(daemon.pid())?;
        let mut docker = Docker { daemon, folder };
        let up = wait::poll(Duration::from_secs(60), || {
            docker.daemon.ended().is_some() || docker.docker(&["version"]).is_ok()
        });
        if up.is_none() || docker.daemon.ended().is_some() {
            bail!("{}", docker.daemon.tail());
        }
        docker.import()?;
        Ok(docker)
    }

    fn import(&self) -> Result<()> {
        let root = self.folder.path().join("image");
        std::fs::create_dir_all(root.join("bin"))?;
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().map(Path::new).find(|p| p.exists());
        let busybox = busybox.context("busybox (Debian's busybox-static) is needed: run `make setup`")?;
        std::fs::copy(busybox, root.join("bin/busybox"))?;
        for tool in ["sh", "echo", "printf", "seq", "cat", "sleep", "yes", "head", "tr", "true", "false"] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(tool))?;
        }
        let archive = self.folder.path().join("image.tar");
        run(Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&archive).arg("."))?;
        self.docker(&["import", &archive.to_string_lossy(), IMAGE])?;
        Ok(())
    }

    /// Runs `docker` with these arguments against this daemon; gives its stdout.
    pub fn docker(&self, args: &[&str]) -> Result<String> {
        run(Command::new("docker").arg("-H").arg(self.host()).args(args))
    }

    /// `docker run --rm --network=none ARGS IMAGE sh -c SCRIPT`; waits for its end, gives its stdout.
    pub fn run(&self, args: &[&str], script: &str) -> Result<String> {
        let mut all = vec!["run", "--rm", "--network=none"];
        all.extend(args);
        all.extend([IMAGE, "sh", "-c", script]);
        self.docker(&all)
    }

    /// The daemon's address, as `docker -H` takes it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("docker.sock").display())
    }

    /// A folder that lasts as long as the daemon, for unix sockets that containers' logs go to.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

/// Whether this machine may run containers: root, with the capability to mount and to make namespaces.
fn allowed() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("dockerd wants root".into());
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    if effective & CAP_SYS_ADMIN == 0 {
        return Err("dockerd wants the capability CAP_SYS_ADMIN, which this machine withholds".into());
    }
    Ok(())
}
