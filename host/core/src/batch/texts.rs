//! JSON columns that come from outside.

use arrow_array::StringArray;

use super::decode;
use super::mixed::{canonical, needs_one_line};

/// Checks that each row is one JSON text, inside `depth` objects no deeper than a record may be. What is not in the form
/// that json columns have is written again in it: a text that spans lines (outputs write a record a line), white space
/// around it (see [`super::mixed`]), `1e-07`.
pub fn check(array: StringArray, depth: usize) -> Result<StringArray, String> {
    let mut all_plain = true;
    for (row, text) in array.iter().enumerate() {
        let Some(text) = text else { continue };
        let is_plain =
            decode::check_below(text.as_bytes(), depth).map_err(|e| format!("row {row} is not JSON: {e}"))?;
        all_plain &= is_plain && !needs_one_line(text);
    }
    if all_plain {
        return Ok(array);
    }
    Ok(array.iter().map(|text| text.map(canonical)).collect())
}

#[cfg(test)]
mod tests;
