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
