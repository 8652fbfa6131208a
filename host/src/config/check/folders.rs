//! Whether two paths lead to one folder.

use std::path::{Component, Path, PathBuf};

/// Where a path leads: without links and `..`, as far as there is something.
pub fn place(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut place = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                place.pop();
            }
            part => place.push(part),
        }
        // Before the next part: `..` behind a link is above where that leads.
        if let Ok(real) = place.canonicalize() {
            place = real;
        }
    }
    place
}

#[cfg(test)]
mod tests;
