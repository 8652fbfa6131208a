//! Which file systems are overlays, as the roots of containers are. The first write to a file of a lower layer copies it to the
//! upper one, and from then on the system says that it was made at that moment.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use parking_lot::Mutex;

/// What is mounted, for this process.
const MOUNTS: &str = "/proc/self/mountinfo";

/// Whether a device is an overlay; none is where the system does not tell.
pub(super) fn is_overlay(device: u64) -> bool {
    static KNOWN: LazyLock<Mutex<HashMap<u64, bool>>> = LazyLock::new(Mutex::default);
    *KNOWN.lock().entry(device).or_insert_with(|| {
        let mounts = std::fs::read_to_string(MOUNTS).unwrap_or_default();
        overlays(&mounts).contains(&device)
    })
}

/// The devices of overlays (proc_pid_mountinfo(5)).
fn overlays(mounts: &str) -> HashSet<u64> {
    let overlay = |line: &str| {
        let (mount, kind) = line.split_once(" - ")?;
        let (major, minor) = mount.split(' ').nth(2)?.split_once(':')?;
        let device = rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?);
        (kind.split(' ').next() == Some("overlay")).then_some(device)
    };
    mounts.lines().filter_map(overlay).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlays_are_told_from_what_is_mounted_beside_them() {
        let mounts = "\
            643 510 0:171 / / rw,relatime master:253 - overlay overlay rw,lowerdir=/a:/b,upperdir=/c,workdir=/d\n\
            644 643 0:174 / /proc rw,nosuid - proc proc rw\n\
            650 643 259:1 /overlay /var/log rw,relatime - ext4 /dev/nvme0n1p1 rw\n\
            a line of another kind\n";
        assert_eq!(overlays(mounts), HashSet::from([rustix::fs::makedev(0, 171)]));
        assert!(!is_overlay(u64::MAX));
    }
}
