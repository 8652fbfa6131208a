//! What is remembered, as bytes: the number of the format, the names of the key's fields, and then each key with the time at
//! which its budget is full again and its latest one, the longest known first. A text has its length in front, 4 bytes.

use crate::budgets::Budgets;
use flitch_sdk::{Result, bail};

const FORMAT: u8 = 2;
/// The format that knew no latest times.
const WITHOUT_LATEST: u8 = 1;

/// What is remembered of the fields of `key`.
pub fn write(key: &[String], budgets: &Budgets) -> Vec<u8> {
    let bytes: usize = budgets.iter().map(|(key, _)| key.len() + 20).sum();
    let mut saved = Vec::with_capacity(bytes + 1024);
    saved.push(FORMAT);
    write_text(&names(key), &mut saved);
    for (key, budget) in budgets.iter() {
        write_text(key, &mut saved);
        saved.extend_from_slice(&budget.full.to_le_bytes());
        saved.extend_from_slice(&budget.latest.to_le_bytes());
    }
    saved
}

/// Adds what was saved.
pub fn read(saved: &[u8], key: &[String], budgets: &mut Budgets) -> Result<()> {
    let Some((&format @ (FORMAT | WITHOUT_LATEST), rest)) = saved.split_first() else {
        bail!("its format is not known")
    };
    let Some((of, mut entries)) = read_text(rest) else { bail!("it is cut off") };
    if of != names(key) {
        bail!("it is about other fields than those of settings.key");
    }
    while !entries.is_empty() {
        let Some((key, rest)) = read_text(entries) else { bail!("it is cut off") };
        let Some((full, mut rest)) = read_time(rest) else { bail!("it is cut off") };
        let mut latest = None;
        if format == FORMAT {
            let Some((time, behind)) = read_time(rest) else { bail!("it is cut off") };
            (latest, rest) = (Some(time), behind);
        }
        budgets.keep(key, full, latest);
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

/// The time at the head, and what follows it.
fn read_time(saved: &[u8]) -> Option<(i64, &[u8])> {
    let (time, rest) = saved.split_first_chunk()?;
    Some((i64::from_le_bytes(*time), rest))
}

#[cfg(test)]
mod tests;
