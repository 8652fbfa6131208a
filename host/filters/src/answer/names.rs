//! The names of columns in an answer.

use super::SetColumn;
use crate::columns;
use crate::voice::cut;
use flitch_core::batch::{Kind, REST, TAG, TIMESTAMP, path};

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

pub fn check_reserved(column: &SetColumn) -> Result<(), String> {
    let name = column.field.name();
    match (&**name, column.kind) {
        (TIMESTAMP, Kind::Timestamp) | (TAG, Kind::Text) | (REST, Kind::Json) => Ok(()),
        (TIMESTAMP, _) => Err(format!("`{TIMESTAMP}` must be a timestamp")),
        (TAG, _) => Err(format!("`{TAG}` must be text")),
        (REST, _) => Err(format!("`{REST}` must be a JSON object")),
        _ if [TIMESTAMP, TAG, REST].iter().any(|outer| path::is_below(name, outer)) => {
            Err(format!("`{}` lies below a name of the host's", cut(name, 100)))
        }
        _ => Ok(()),
    }
}

/// No name stands twice, and no row has a value at a path and below it.
pub fn check_names(set: &[SetColumn]) -> Result<(), String> {
    let mut sorted: Vec<&SetColumn> = set.iter().collect();
    sorted.sort_unstable_by(|a, b| a.field.name().cmp(b.field.name()));
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0].field.name() == pair[1].field.name()) {
        return Err(format!("column `{}` stands twice", cut(pair[0].field.name(), 100)));
    }
    for (place, outer) in sorted.iter().enumerate() {
        // Those that begin with the path stand right behind it; some of them are only longer names (`ab`, `a-`).
        let outer_name = outer.field.name();
        let near = sorted[place + 1..].iter().take_while(|c| c.field.name().starts_with(&**outer_name));
        for inner in near.filter(|c| path::is_below(c.field.name(), outer_name)) {
            let both = &columns::present(&outer.array) & &columns::present(&inner.array);
            if both.count_set_bits() > 0 {
                return Err(format!(
                    "a row has a value at `{}` and at `{}` below it",
                    cut(outer_name, 100),
                    cut(inner.field.name(), 100)
                ));
            }
        }
    }
    Ok(())
}
