//! What is remembered, as bytes: the number of the format, the names of the key's fields, and then each key with the time at
//! which its budget is full again, the longest known first. A text has its length in front, 4 bytes.

use crate::budgets::Budgets;
use flitch_sdk::{Result, bail};

const FORMAT: u8 = 1;

/// What is remembered of the fields of `key`.
pub fn write(key: &[String], budgets: &Budgets) -> Vec<u8> {
    let bytes: usize = budgets.iter().map(|(key, _)| key.len() + 12).sum();
    let mut saved = Vec::with_capacity(bytes + 1024);
    saved.push(FORMAT);
    write_text(&names(key), &mut saved);
    for (key, full) in budgets.iter() {
        write_text(key, &mut saved);
        saved.extend_from_slice(&full.to_le_bytes());
    }
    saved
}

/// Adds what was saved.
pub fn read(saved: &[u8], key: &[String], budgets: &mut Budgets) -> Result<()> {
    let Some((&FORMAT, rest)) = saved.split_first() else { bail!("its format is not known") };
    let Some((of, mut entries)) = read_text(rest) else { bail!("it is cut off") };
    if of != names(key) {
        bail!("it is about other fields than those of settings.key");
    }
    while !entries.is_empty() {
        let Some((key, rest)) = read_text(entries) else { bail!("it is cut off") };
        let Some((full, rest)) = rest.split_first_chunk() else { bail!("it is cut off") };
        budgets.keep(key, i64::from_le_bytes(*full));
        entries = rest;
    }
    Ok(())
}

fn names(key: &[String]) -> String {
    key.join("\n")
}

fn write_text(text: &str, saved: &mut Vec<u8>) {
    saved.extend_from_slice(&(text.len() as u32).to_le_bytes());
    saved.extend_from_slice(text.as_bytes());
}

/// The text at the head, and what follows it.
fn read_text(saved: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = saved.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((std::str::from_utf8(text).ok()?, rest))
}
