//! How much memory zstd frames ask for, which their heads say.
//!
//! Source: RFC 8878, sections 3.1.1 and 3.1.2.

const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
/// The first byte of the magic of a frame to be skipped differs in its lower half.
const SKIPPED: [u8; 3] = [0x2a, 0x4d, 0x18];

/// The largest window, in bytes, that any of the frames in `packed` asks for; `most` where one asks for more, or where
/// they cannot be read.
pub fn window(packed: &[u8], most: usize) -> usize {
    let mut rest = packed;
    let mut largest = 0;
    while !rest.is_empty() && largest < most {
        let Some(size) = frame(&mut rest) else { return most };
        largest = largest.max(usize::try_from(size).unwrap_or(usize::MAX));
    }
    largest.min(most)
}

/// Passes over one frame. Answers its window, in bytes; none where it is no frame.
fn frame(rest: &mut &[u8]) -> Option<u64> {
    let magic = take(rest, 4)?;
    if magic[1..] == SKIPPED && magic[0] >> 4 == 5 {
        let size = number(rest, 4)?;
        take(rest, usize::try_from(size).ok()?)?;
        return Some(0);
    }
    if magic != MAGIC {
        return None;
    }
    let descriptor = take(rest, 1)?[0];
    let is_single = descriptor & 0x20 != 0;
    let window = if is_single { 0 } else { described(take(rest, 1)?[0]) };
    take(rest, [0, 1, 2, 4][usize::from(descriptor & 3)])?;
    let size = match descriptor >> 6 {
        0 if is_single => number(rest, 1)?,
        0 => 0,
        1 => number(rest, 2)? + 256,
        2 => number(rest, 4)?,
        _ => number(rest, 8)?,
    };
    loop {
        let block = number(rest, 3)?;
        let is_run = block >> 1 & 3 == 1;
        take(rest, if is_run { 1 } else { (block >> 3) as usize })?;
        if block & 1 == 1 {
            break;
        }
    }
    if descriptor & 4 != 0 {
        take(rest, 4)?;
    }
    Some(if is_single { size } else { window })
}

/// The window that a window descriptor stands for.
fn described(descriptor: u8) -> u64 {
    let base = 1_u64 << (10 + (descriptor >> 3));
    base + base / 8 * u64::from(descriptor & 7)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn number(rest: &mut &[u8], length: usize) -> Option<u64> {
    Some(take(rest, length)?.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::window;

    const MOST: usize = 1 << 24;

    fn packed(level: i32, bytes: &[u8], is_known: bool) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), level).unwrap();
        encoder.include_checksum(true).unwrap();
        if is_known {
            encoder.set_pledged_src_size(Some(bytes.len() as u64)).unwrap();
        }
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn the_window_of_the_largest_frame_is_known_before_anything_is_expanded() {
        let text: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let small = packed(3, &text[..1000], true);
        let large = packed(3, &text, false);
        assert_eq!(window(&small, MOST), 1000);
        assert_eq!(window(&large, MOST), 2 << 20);
        assert_eq!(window(&packed(19, &text, false), MOST), 8 << 20);
        let skipped = b"\x50\x2a\x4d\x18\x02\0\0\0ab";
        assert_eq!(window(&[&small, &skipped[..], &large, &small].concat(), MOST), 2 << 20);
    }

    #[test]
    fn what_cannot_be_read_may_ask_for_all() {
        let frame = packed(3, b"text", true);
        assert_eq!(window(&frame[..frame.len() - 1], MOST), MOST);
        assert_eq!(window(b"gzip", MOST), MOST);
        assert_eq!(window(&packed(22, &vec![7; 1 << 20], false), MOST), MOST);
        assert_eq!(window(b"", MOST), 0);
    }
}
