//! The origins of a frame's records.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | how many roots |
//! | 4 | 1 where each record says which of the roots is its own, else 0 |
//! | 16 each | the roots, big endian |
//! | 8 each | the numbers of the records |
//! | 4 each | which root is that of each record, where they say so |
//!
//! Zeros follow up to the multiple of 8.

use arrow_buffer::{Buffer, ScalarBuffer};

use super::ALIGNMENT;
use crate::batch::origin::{Origins, Root};

/// Bytes before the roots, and of each root.
const HEAD: usize = 8;
const ROOT: usize = 16;

/// Appends origins; answers their bytes. The numbers are the batch's own memory.
pub fn encode(origins: &Origins, parts: &mut Vec<Buffer>) -> usize {
    let from = parts.len();
    let mut head = Vec::with_capacity(HEAD + ROOT * origins.roots().len());
    head.extend_from_slice(&(origins.roots().len() as u32).to_le_bytes());
    head.extend_from_slice(&u32::from(origins.which().is_some()).to_le_bytes());
    origins.roots().iter().for_each(|root| head.extend_from_slice(&root.to_bytes()));
    parts.push(Buffer::from_vec(head));
    parts.push(origins.numbers().inner().clone());
    if let Some(which) = origins.which() {
        parts.push(which.inner().clone());
        if which.len() % 2 == 1 {
            parts.push(Buffer::from(&[0; ALIGNMENT / 2][..]));
        }
    }
    parts[from..].iter().map(Buffer::len).sum()
}

/// The origins of `rows` records. The bytes need not be what was written.
///
/// # Errors
/// They are none.
pub fn decode(bytes: Buffer, rows: usize) -> Result<Origins, String> {
    let broken = || "its origins are shorter than they should be".to_owned();
    let number = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let (roots, has_which) = number(0).zip(number(4)).ok_or_else(broken)?;
    let roots_end = (roots as usize).checked_mul(ROOT).map(|length| HEAD + length).ok_or_else(broken)?;
    let roots = bytes.get(HEAD..roots_end).ok_or_else(broken)?.chunks_exact(ROOT);
    let roots =
        roots.map(|root| Root::from_bytes(root.try_into().expect("a chunk of that length"))).collect();
    let numbers_end = rows.checked_mul(8).map(|length| roots_end + length).ok_or_else(broken)?;
    let end = if has_which == 0 { numbers_end } else { numbers_end + 4 * rows };
    if end > bytes.len() {
        return Err(broken());
    }
    let numbers = ScalarBuffer::new(bytes.slice_with_length(roots_end, 8 * rows), 0, rows);
    let which =
        (has_which != 0).then(|| ScalarBuffer::new(bytes.slice_with_length(numbers_end, 4 * rows), 0, rows));
    Origins::of_parts(roots, which, numbers).ok_or_else(|| "its origins contradict each other".to_owned())
}
