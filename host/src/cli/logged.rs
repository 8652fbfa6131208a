//! What `--log` says.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Where the lines of flitch itself come from, and those of the crates that it consists of.
const OWN: &str = "flitch";

/// The lines that are wanted.
///
/// # Errors
/// What is wrong with the text. A word that is no level would be the name of a part of the program, of which all lines are
/// wanted then and of all others none: whoever writes `warning` would have no log, and not know.
pub fn filter(text: &str) -> Result<EnvFilter, String> {
    let is_name = |word: &&str| !word.is_empty() && !word.contains(['=', '[', ':']) && !word.starts_with(OWN);
    let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
    match text.split(',').map(str::trim).filter(is_name).find(|word| !is_level(word)) {
        Some(word) => Err(format!(
            "`{word}` is no level: there are off, error, warn, info, debug and trace, and `flitch::sources=debug` is one for a part"
        )),
        None => EnvFilter::builder().parse(text).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests;
