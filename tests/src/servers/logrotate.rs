//! Debian's logrotate, with settings and state of the test's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::process::run;

/// How a log is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// The file is renamed, a new one created, and the writer told to open its log anew.
    Create,
    /// The file is copied and then truncated; the writer notices nothing. What is written between the
    /// two is lost to every reader, by the manner's nature.
    CopyTruncate,
}

/// logrotate for one log file.
pub struct Logrotate {
    settings: PathBuf,
    state: PathBuf,
}

impl Logrotate {
    /// Keeps `logrotate.conf` and `logrotate.state` in `folder`. `pid_file` names the process that gets
    /// USR1 after a rotation by [`Manner::Create`].
    pub fn new(folder: &Path, log: &Path, manner: Manner, pid_file: Option<&Path>) -> Result<Logrotate> {
        let settings = folder.join("logrotate.conf");
        let how = match manner {
            Manner::Create => "create",
            Manner::CopyTruncate => "copytruncate",
        };
        let after = pid_file.filter(|_| manner == Manner::Create).map_or_else(String::new, |file| {
            format!("  postrotate\n    kill -s USR1 $(cat {})\n  endscript\n", file.display())
        });
        // `su` lets logrotate work in a folder that others may write to, such as one below /tmp.
        let su = if rustix::process::geteuid().is_root() { "su root root" } else { "" };
        let text = format!(
            "{} {{\n  {su}\n  rotate 20\n  size 1\n  nocompress\n  missingok\n  {how}\n{after}}}\n",
            log.display()
        );
        std::fs::write(&settings, text)?;
        Ok(Logrotate { settings, state: folder.join("logrotate.state") })
    }

    /// Rotates now, whatever the size.
    pub fn rotate(&self) -> Result<()> {
        run(Command::new("logrotate").arg("--force").arg("--state").arg(&self.state).arg(&self.settings))?;
        Ok(())
    }
}
