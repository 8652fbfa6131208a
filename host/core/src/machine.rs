//! The machine that flitch runs on.

use std::sync::LazyLock;

/// Its name, as the kernel has it; `localhost` where it has none.
pub fn hostname() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| {
        let name = rustix::system::uname().nodename().to_string_lossy().trim().to_owned();
        if name.is_empty() { "localhost".to_owned() } else { name }
    });
    &NAME
}
