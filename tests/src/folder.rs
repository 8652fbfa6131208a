//! Folders of servers, which are gone when the tests are, however they end.
//!
//! A server that tests share lives in a static, and statics are never dropped; a test process that is killed drops
//! nothing at all. So a shell stands beside each folder, reads from a pipe of this process, and removes the folder
//! when the pipe ends.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// Reads the ids of the processes that write to the folder `$1`. When no more can come, waits until they have ended
/// (20 seconds at most) and removes the folder.
const KEEPER: &str = r#"
while read -r pid; do pids="$pids $pid"; done
tries=0
while [ "$tries" -lt 200 ]; do
  alive=
  for pid in $pids; do kill -0 "$pid" 2>/dev/null && alive=yes; done
  [ -z "$alive" ] && rm -rf -- "$1" && exit
  tries=$((tries + 1))
  sleep 0.1
done
rm -rf -- "$1"
"#;

/// A new folder below the system's for temporary files. It is removed with its value, or when this process is gone.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    keeper: Child,
}

impl Folder {
    /// A folder whose name begins with `prefix`.
    pub fn new(prefix: &str) -> Result<Folder> {
        let path = tempfile::Builder::new().prefix(prefix).tempdir()?.keep();
        // In a session of its own: what a terminal sends to all processes of the tests (^C) must not end it.
        let keeper = Command::new("setsid")
            .args(["sh", "-c", KEEPER, "keeper"])
            .arg(&path)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start sh through setsid")?;
        Ok(Folder { path, keeper })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder is not removed before this process has ended.
    pub fn used_by(&mut self, pid: u32) -> Result<()> {
        let pipe = self.keeper.stdin.as_mut().context("the pipe is open until the folder is dropped")?;
        writeln!(pipe, "{pid}").context("the keeper of the folder is gone")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
