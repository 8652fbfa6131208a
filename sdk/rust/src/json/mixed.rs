//! Times and bytes among the values of a json column, which JSON does not know: see [`super::decode`].

use crate::time;

/// The time behind one space, in nanoseconds since 1970.
pub(super) fn time(text: &str) -> Option<i64> {
    time::parse_rfc3339(text.strip_prefix(" \"")?.strip_suffix('"')?.as_bytes())
}

/// The bytes behind two spaces.
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    let mut rest = text.strip_prefix("  \"")?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let code = |prefix: &str| {
            let digits = escape.strip_prefix(prefix)?.get(..2)?;
            u8::from_str_radix(digits, 16).ok()
        };
        let (byte, length) = match escape.as_bytes().first()? {
            b'u' => (code("udc").or_else(|| code("u00"))?, 5),
            b'n' => (b'\n', 1),
            b'r' => (b'\r', 1),
            b't' => (b'\t', 1),
            b'b' => (0x08, 1),
            b'f' => (0x0c, 1),
            other => (*other, 1),
        };
        bytes.push(byte);
        rest = &escape[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

/// The text that [`bytes`] reads.
pub(super) fn text_of_bytes(bytes: &[u8]) -> String {
    let mut text = String::from("  \"");
    for chunk in bytes.utf8_chunks() {
        let quoted = super::quote(chunk.valid());
        text.push_str(&quoted[1..quoted.len() - 1]);
        for byte in chunk.invalid() {
            text.push_str(&format!("\\udc{byte:02x}"));
        }
    }
    text.push('"');
    text
}
