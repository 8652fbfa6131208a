//! What is remembered, as bytes: the number of the format, a hash of the names of the key's fields, and then each key, 32
//! bytes, with the time of the record that was kept, 8 bytes, the longest known first.

use crate::seen::{Key, Seen};
use flitch_sdk::{Result, bail};
use sha2::{Digest, Sha256};

const FORMAT: u8 = 1;
const HEAD: usize = 1 + size_of::<Key>();
const ENTRY: usize = size_of::<Key>() + size_of::<i64>();

/// What is remembered of the fields of `key`.
pub fn write(key: &[String], seen: &Seen) -> Vec<u8> {
    let mut saved = Vec::with_capacity(HEAD + seen.len() * ENTRY);
    saved.push(FORMAT);
    saved.extend_from_slice(&of_names(key));
    for (key, time) in seen.iter() {
        saved.extend_from_slice(key);
        saved.extend_from_slice(&time.to_le_bytes());
    }
    saved
}

/// Adds what was saved.
pub fn read(saved: &[u8], key: &[String], seen: &mut Seen) -> Result<()> {
    let Some((&FORMAT, rest)) = saved.split_first() else { bail!("its format is not known") };
    let Some((names, entries)) = rest.split_first_chunk::<32>() else { bail!("it is cut off") };
    if *names != of_names(key) {
        bail!("it is about other fields than those of settings.key");
    }
    let (entries, rest) = entries.as_chunks::<ENTRY>();
    if !rest.is_empty() {
        bail!("it is cut off");
    }
    for entry in entries {
        let (key, time) = entry.split_at(size_of::<Key>());
        let (Ok(key), Ok(time)) = (key.try_into(), time.try_into()) else { bail!("it is cut off") };
        seen.keep(key, i64::from_le_bytes(time));
    }
    Ok(())
}

/// A hash of the names of fields.
fn of_names(names: &[String]) -> Key {
    let mut hash = Sha256::new();
    for name in names {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests;
