use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn open(bytes: &[u8]) -> Content {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Content::Gzip(Box::new(Gunzip::new(file).unwrap()))
}

fn read(content: &mut Content, offset: u64, len: usize) -> Vec<u8> {
    let mut buffer = vec![0; len];
    let read = content.read_at(&mut buffer, offset, offset).unwrap();
    buffer.truncate(read);
    buffer
}

#[test]
fn members_are_one_content_that_can_be_read_anywhere() {
    let text: Vec<u8> = (0..3_000_000u32).map(|n| (n / 7 % 251) as u8).collect();
    let mut bytes = gzip(&text[..1_000_000]);
    bytes.extend(gzip(&text[1_000_000..]));
    let mut content = open(&bytes);
    for (offset, len) in
        [(0, 100), (100, 999_950), (2_500_000, 10), (50, 100), (2_999_990, 100), (4_000_000, 9)]
    {
        let end = (offset + len).min(text.len());
        let want = text.get(offset..end).unwrap_or_default();
        assert!(read(&mut content, offset as u64, len) == want, "{len} bytes at {offset}");
    }
    assert_eq!(content.end(), Some(End::Whole));
}

#[test]
fn what_is_read_long_ago_is_not_kept() {
    let text = vec![b'x'; 40 << 20];
    let mut content = open(&gzip(&text));
    for offset in (0..40u64 << 20).step_by(1 << 20) {
        assert_eq!(read(&mut content, offset, 1 << 20).len(), 1 << 20);
        let Content::Gzip(gunzip) = &content else { unreachable!() };
        assert!(gunzip.kept.len() <= 2 << 20, "{} bytes", gunzip.kept.len());
    }
}

#[test]
fn a_read_larger_than_what_is_kept_is_whole() {
    let text: Vec<u8> = (0..20_000_000u32).map(|n| (n / 7 % 251) as u8).collect();
    let mut content = open(&gzip(&text));
    for (offset, len) in [(0, 100), (3, 9 << 20), (5, 12 << 20), (19_000_000, 2 << 20)] {
        let mut buffer = vec![0; len];
        let read = content.read_at(&mut buffer, offset, offset.saturating_sub(7)).unwrap();
        let offset = offset as usize;
        assert!(buffer[..read] == text[offset..(offset + len).min(text.len())], "{len} bytes at {offset}");
    }
}

#[test]
fn all_that_stands_before_a_damage_is_read() {
    let text: Vec<u8> = (0..300_000u32).map(|n| (n / 7 % 251) as u8).collect();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(&text).unwrap();
    let whole = encoder.finish().unwrap();
    // Blocks of bytes as they are: one byte, their length, and the same with all bits turned.
    let (mut at, mut before) = (10, 0);
    while before < text.len() {
        let mut damaged = whole.clone();
        damaged[at + 3] ^= 0xff;
        let mut content = open(&damaged);
        assert!(read(&mut content, 0, text.len()) == text[..before], "{before} bytes");
        assert_eq!(content.end(), Some(End::Broken));
        let length = usize::from(u16::from_le_bytes([whole[at + 1], whole[at + 2]]));
        (at, before) = (at + 5 + length, before + length);
    }
}

#[test]
fn zeros_behind_a_member_are_no_damage_and_other_bytes_are() {
    let (one, two) = (gzip(b"one\n"), gzip(b"two\n"));
    let zeros = vec![0; 200_000];
    for (bytes, want, end) in [
        ([&one[..], &zeros[..]].concat(), "one\n", End::Whole),
        ([&one[..], &zeros[..], &two[..], &[0]].concat(), "one\ntwo\n", End::Whole),
        ([&one[..], &zeros[..], &two[..5]].concat(), "one\n", End::Short),
        ([&one[..], b"text behind"].concat(), "one\n", End::Broken),
        ([&zeros[..], &one[..]].concat(), "", End::Broken),
    ] {
        let mut content = open(&bytes);
        assert_eq!(read(&mut content, 0, 100), want.as_bytes());
        assert_eq!(content.end(), Some(end), "{} bytes", bytes.len());
    }
}

#[test]
fn a_head_may_hold_what_gzip_can_put_there() {
    let text = b"one\n";
    let plain = gzip(text);
    let head = |flags: u8| [&[0x1f, 0x8b, 8, flags], &plain[4..10]].concat();
    let all = [&head(0x1f)[..], &[3, 0, 1, 2, 3], b"name\0", b"comment\0", &[9, 9], &plain[10..]].concat();
    let mut content = open(&all);
    assert_eq!(read(&mut content, 0, 100), text);
    assert_eq!(content.end(), Some(End::Whole));
    for length in 1..all.len() {
        let mut content = open(&all[..length]);
        read(&mut content, 0, 100);
        assert_eq!(content.end(), Some(End::Short), "{length} bytes");
    }
}

#[test]
fn a_file_that_stops_in_the_middle_is_told_from_one_that_is_damaged() {
    let whole = gzip(b"one\ntwo\n");
    let mut content = open(&whole[..whole.len() - 8]);
    assert_eq!(read(&mut content, 0, 100), b"one\ntwo\n");
    assert_eq!(content.end(), Some(End::Short));
    let mut damaged = gzip(&[b'a'; 1000]);
    let at = damaged.len() - 6;
    damaged[at] ^= 0xff;
    let mut content = open(&damaged);
    assert_eq!(read(&mut content, 0, 2000).len(), 1000);
    assert_eq!(content.end(), Some(End::Broken));
    let mut content = open(b"no gzip at all");
    assert_eq!(read(&mut content, 0, 100), b"");
    assert_eq!(content.end(), Some(End::Broken));
}
