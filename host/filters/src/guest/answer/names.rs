//! The names of columns and fields in an answer.

use crate::guest::voice::cut;
use flitch_core::batch::path;

/// Most bytes of a path.
const MAX_NAME: usize = 16 << 10;

/// Whether a path may name a field: no longer and no deeper than it may be, and one that can be read back, so that each
/// backslash begins `\.`, `\\` or the `\uXXXX` of a lone surrogate. Answers how deep it is: 1 for a field of the record.
pub fn check_name(name: &str) -> Result<usize, String> {
    if name.len() > MAX_NAME {
        return Err(format!(
            "the path `{}…` has {} bytes; {MAX_NAME} are the most",
            cut(name, 100),
            name.len()
        ));
    }
    let depth = path::split(name).count();
    if depth > path::MAX_DEPTH {
        return Err(format!(
            "the path `{}…` has {depth} names; {} are the most",
            cut(name, 100),
            path::MAX_DEPTH
        ));
    }
    if !path::is_escaped(name) {
        return Err(format!(
            "the path `{}` has a backslash that escapes nothing: write `\\\\`",
            cut(name, 100)
        ));
    }
    Ok(depth)
}
