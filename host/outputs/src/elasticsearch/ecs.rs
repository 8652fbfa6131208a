//! Names of the Elastic Common Schema.

use flitch_core::batch::TIMESTAMP;
use flitch_core::batch::encode::{Encoder, Encoding, Framing, Naming};

/// Fields of flitch's sources and their names there (ECS 8; `stream` is Filebeat's).
const NAMES: [(&str, &str); 7] = [
    ("host", "host.name"),
    ("file", "log.file.path"),
    ("level", "log.level"),
    ("container_id", "container.id"),
    ("container_name", "container.name"),
    ("source", "stream"),
    ("log", "message"),
];
const TAG: &str = "event.dataset";

/// The encoding with these names where it says nothing else of a field.
///
/// # Errors
/// As of [`Encoder::new`].
pub(super) fn named(encoding: &Encoding) -> anyhow::Result<Encoder> {
    let mut encoding = encoding.clone();
    if encoding.tag == Naming::default() {
        encoding.tag = Naming::As(TAG.to_owned());
    }
    for (own, name) in NAMES {
        encoding.rename.entry(own.to_owned()).or_insert_with(|| name.to_owned());
    }
    Encoder::new(encoding, Framing::Messages)
}

/// Whether records are written with their `@timestamp`.
pub(super) fn has_time(encoding: &Encoding) -> bool {
    match &encoding.timestamp {
        Naming::Own(own) => *own,
        Naming::As(name) => name == TIMESTAMP,
    }
}
