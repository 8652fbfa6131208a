//! The machine that flitch runs on.

use std::sync::LazyLock;

/// Its name, as the kernel has it; `localhost` where it has none.
pub fn hostname() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| {
        let read = |path| std::fs::read_to_string(path).ok().filter(|name| !name.trim().is_empty());
        let name = read("/proc/sys/kernel/hostname").or_else(|| read("/etc/hostname"));
        name.map_or_else(|| "localhost".to_owned(), |name| name.trim().to_owned())
    });
    &NAME
}
