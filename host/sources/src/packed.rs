//! What compresses, by how that begins which it has compressed.

/// How that begins which one of these has compressed; `?` is a digit.
const BEGINNINGS: [(&str, &[u8]); 6] = [
    (GZIP, &[0x1f, 0x8b]),
    ("xz", b"\xfd7zXZ\0"),
    ("zstd", b"\x28\xb5\x2f\xfd"),
    ("bzip2", b"BZh?1AY&SY"),
    ("lz4", b"\x04\x22\x4d\x18"),
    ("zip", b"PK\x03\x04"),
];
/// The name of gzip here.
pub const GZIP: &str = "gzip";

/// What may have compressed that which begins with `head`, and whether `head` is long enough to say so.
pub fn alike(head: &[u8]) -> Option<(&'static str, bool)> {
    let is_alike = |magic: &[u8]| {
        let mut both = magic.iter().zip(head);
        both.all(|(magic, byte)| magic == byte || (*magic == b'?' && byte.is_ascii_digit()))
    };
    let (name, magic) = BEGINNINGS.into_iter().find(|(_, magic)| is_alike(magic))?;
    Some((name, head.len() >= magic.len()))
}

/// What has compressed that which begins with `head`.
pub fn by(head: &[u8]) -> Option<&'static str> {
    alike(head).and_then(|(name, is_certain)| is_certain.then_some(name))
}
