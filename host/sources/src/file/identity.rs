//! Which file it is, for good: what its records are numbered in, whatever it is called and whoever reads it again.

use flitch_core::batch::origin::Root;
use flitch_core::machine::hostname;

use super::discover::FileId;
use super::fingerprint::HEAD;

/// The first line of content that begins with `head`, as far as it is looked at. None while it may go on, which it does not
/// where what there is counts for `whole`.
pub(super) fn first_line(head: &[u8], whole: bool) -> Option<&[u8]> {
    match memchr::memchr(b'\n', head) {
        Some(end) => Some(&head[..=end]),
        None => (whole || head.len() >= HEAD).then_some(head),
    }
}

/// The root of the records that a source has from a file. Machine and file system say which file it is; that they know it
/// by the same number once more, for other content, shows in the first line. Content that is known to come after other
/// content of the file (it was cut, or written anew) has a root of its own also where it begins alike: nothing in the file
/// tells then.
pub(super) fn root(source: &str, id: FileId, first_line: &[u8], before: Option<Root>) -> Root {
    let before = before.map(Root::to_bytes);
    let born = id.born.map(u64::to_be_bytes);
    Root::of(
        "file",
        &[
            source.as_bytes(),
            hostname().as_bytes(),
            &id.device.to_be_bytes(),
            &id.inode.to_be_bytes(),
            born.as_ref().map_or(&[], |born| born.as_slice()),
            first_line,
            before.as_ref().map_or(&[], |root| root.as_slice()),
        ],
    )
}

#[cfg(test)]
mod tests;
