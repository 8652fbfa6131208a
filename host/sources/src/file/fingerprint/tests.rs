use super::*;

#[test]
fn a_file_that_has_grown_fits_its_fingerprint_and_another_does_not() {
    let short = Fingerprint::of(b"abc").unwrap();
    assert!(short.fits(b"abc") && short.fits(b"abcdef"));
    assert!(!short.fits(b"ab") && !short.fits(b"abd") && !short.fits(b""));
    assert_eq!(Fingerprint::of(b""), None);
}

#[test]
fn only_the_first_bytes_count() {
    let one = [b'x'; HEAD + 10];
    let mut two = one;
    two[HEAD] = b'y';
    assert_eq!(Fingerprint::of(&one), Fingerprint::of(&two));
    two[HEAD - 1] = b'y';
    assert_ne!(Fingerprint::of(&one), Fingerprint::of(&two));
}

#[test]
fn a_trail_is_that_of_the_bytes_just_before_a_position() {
    let text = [b'x'; HEAD + 10];
    let trail = |text: &[u8], position| {
        Trail::read(position, |buffer, offset| {
            let there = text.get(offset as usize..).unwrap_or_default();
            let len = there.len().min(buffer.len());
            buffer[..len].copy_from_slice(&there[..len]);
            Ok(len)
        })
        .unwrap()
    };
    let end = text.len() as u64;
    let mut other = text;
    other[9] = b'y';
    assert_eq!(trail(&text, end), trail(&other, end), "what lies further back does not count");
    other[10] = b'y';
    assert_ne!(trail(&text, end), trail(&other, end));
    assert_eq!(trail(&text, end + 1), None, "it ends before");
    assert_eq!(trail(&text, 0), Some(Trail { position: 0, before: None }));
    assert_eq!(trail(b"ab", 2).unwrap().before, Fingerprint::of(b"ab"));
}
