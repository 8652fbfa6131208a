//! A file system that is soon full.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::process::run;
use crate::skip;

/// A file system in memory at a folder, which has it until this is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// One of so many bytes at a folder, which is made. None where the machine does not let this user mount one; the
    /// test `name` is then reported as skipped.
    pub fn mount(name: &str, folder: &Path, bytes: u64) -> Option<SmallDisk> {
        std::fs::create_dir_all(folder).expect("a folder can be made");
        match try_mount(folder, bytes) {
            Ok(()) => Some(SmallDisk { folder: folder.to_owned() }),
            Err(error) => {
                let first = format!("{error:#}");
                let reason = first.lines().last().unwrap_or_default();
                skip::skipped(name, &format!("a file system can be mounted by root alone: {reason}"));
                None
            }
        }
    }

    /// Leaves so many bytes free, by a file that takes the others.
    pub fn fill(&self, free: u64) {
        self.clear();
        let stat = rustix::fs::statvfs(&self.folder).expect("it is mounted");
        let length = (stat.f_bavail * stat.f_frsize).saturating_sub(free);
        std::fs::write(self.filler(), vec![1; length as usize]).expect("it has so much room");
    }

    /// Removes what [`SmallDisk::fill`] made.
    pub fn clear(&self) {
        let _ = std::fs::remove_file(self.filler());
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

fn try_mount(folder: &Path, bytes: u64) -> Result<()> {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", &format!("size={bytes},mode=0700"), "tmpfs"]).arg(folder);
    run(&mut mount).map(drop)
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}
