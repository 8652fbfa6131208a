//! Records as chunks: messages in the mode PackedForward, straight from the columns. Records with one tag are one chunk.
//!
//! The id of a chunk is a digest of its tag, its entries, and where its records come from: a chunk that is sent again has
//! the id that it had, whatever became of the process meanwhile, and one of other records has another, though they are equal.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use ahash::RandomState;
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use parking_lot::Mutex;

use super::settings::{Compression, ForwardSettings};
use crate::gather::groups;
use crate::staging::Press;
use crate::{OutputContext, Refusal};
use flitch_core::batch::encode::msgpack::{Packer, Unfit, packed};
use flitch_core::batch::encode::{Encoding, Naming};
use flitch_core::batch::origin::Origins;
use flitch_core::batch::template::{Rendered, Template};
use flitch_core::batch::{Kind, Records, TIMESTAMP};
use flitch_core::clock::Clock;
use flitch_core::net::forward::write::{begin_entry, begin_packed, end_packed, event_time};
use flitch_core::tasks::{self, Undone};

/// Records of one tag.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The message.
    pub message: Bytes,
    /// The id that its acknowledgement has.
    pub id: String,
    /// The rows that are in it, ascending.
    pub rows: Vec<u32>,
    /// Bytes of the entries before they were compressed.
    pub bytes: u64,
}

/// How records become chunks.
pub(super) struct Packing {
    tag: Template,
    encoding: Encoding,
    metadata: Option<Metadata>,
    require_ack: bool,
    compression: Compression,
    press: Mutex<Press>,
    clock: Clock,
}

/// The field that is sent as metadata.
struct Metadata {
    /// Writes that field alone.
    only: Encoding,
    /// Writes all fields, where the field is no object.
    all: Encoding,
}

/// Writes the entries of rows.
struct Entries<'p, 'a, 'b, 'c> {
    records: &'p mut Packer<'a>,
    /// For the metadata, and for records in which the field is none.
    metadata: Option<(&'p mut Packer<'b>, &'p mut Packer<'c>)>,
    scratch: Vec<u8>,
}

impl Packing {
    pub fn new(settings: &ForwardSettings, cx: &OutputContext) -> anyhow::Result<Packing> {
        // The time and the tag are the event's, and fields only under names of their own.
        let outside = |naming: &Naming| match naming {
            Naming::Own(_) => Naming::Own(false),
            named => named.clone(),
        };
        let own = cx.encoder.encoding();
        let all = Encoding { timestamp: outside(&own.timestamp), tag: outside(&own.tag), ..own.clone() };
        let mut encoding = all.clone();
        let metadata = settings.metadata_field.as_ref().map(|name| {
            encoding.except.push(name.clone());
            let only = vec![name.clone()];
            Metadata {
                only: Encoding {
                    only,
                    timestamp: Naming::Own(false),
                    tag: Naming::Own(false),
                    ..Encoding::default()
                },
                all,
            }
        });
        let compression = match settings.compression {
            Compression::None => crate::staging::Compression::None,
            Compression::Gzip => crate::staging::Compression::Gzip,
            Compression::Zstd => crate::staging::Compression::Zstd,
        };
        Ok(Packing {
            tag: settings.tag.clone(),
            encoding,
            metadata,
            require_ack: settings.require_ack,
            compression: settings.compression,
            press: Mutex::new(Press::new(compression)?),
            clock: cx.clock.clone(),
        })
    }

    /// Whether making chunks takes long enough to be done elsewhere than among other tasks.
    pub fn is_slow(&self) -> bool {
        self.compression != Compression::None
    }

    /// The records as chunks, and those that can be in none.
    pub fn chunks(&self, records: &Records) -> (Vec<Chunk>, Vec<Refusal>) {
        let tags = records.render(&self.tag);
        let mut refused =
            Refusal::all(tags.missing(), || format!("a field of the tag `{}` is missing", self.tag));
        let mut chunks = Vec::new();
        packed(records, &self.encoding, |packer| match &self.metadata {
            None => {
                let mut entries = Entries { records: packer, metadata: None, scratch: Vec::new() };
                self.all(records, &tags, &mut entries, &mut chunks, &mut refused);
            }
            Some(Metadata { only, all }) => packed(records, only, |only| {
                packed(records, all, |all| {
                    let mut entries =
                        Entries { records: packer, metadata: Some((only, all)), scratch: Vec::new() };
                    self.all(records, &tags, &mut entries, &mut chunks, &mut refused);
                });
            }),
        });
        refused.sort_unstable_by_key(|refusal| refusal.row);
        (chunks, refused)
    }

    fn all(
        &self,
        records: &Records,
        tags: &Rendered,
        entries: &mut Entries<'_, '_, '_, '_>,
        chunks: &mut Vec<Chunk>,
        refused: &mut Vec<Refusal>,
    ) {
        let groups = match tags {
            Rendered::Same(tag) => vec![(tag.as_slice(), (0..records.rows() as u32).collect())],
            Rendered::Rows(_) => groups(tags, records.rows()),
        };
        for (tag, rows) in groups {
            if tag.is_empty() {
                refused.extend(Refusal::all(&rows, || format!("the tag `{}` is empty for it", self.tag)));
                continue;
            }
            let tag = String::from_utf8_lossy(tag);
            chunks.extend(self.chunk(records, &tag, rows, entries, refused));
        }
    }

    /// A chunk of rows; none where none of them can be in it.
    fn chunk(
        &self,
        records: &Records,
        tag: &str,
        mut rows: Vec<u32>,
        entries: &mut Entries<'_, '_, '_, '_>,
        refused: &mut Vec<Refusal>,
    ) -> Option<Chunk> {
        let times =
            records.column(TIMESTAMP).filter(|column| Kind::of(column.field()) == Some(Kind::Timestamp));
        let times = times.map(|column| (column, column.array().as_primitive::<TimestampNanosecondType>()));
        let room = entries.records.room(records.rows()) * rows.len() / records.rows().max(1);
        let mut out = Vec::with_capacity(room + 14 * rows.len() + tag.len() + 128);
        let start = begin_packed(tag, &mut out);
        // Where entries stand whose records have no time: they get that of now, which is no part of the id.
        let mut timeless = Vec::new();
        rows.retain(|&row| {
            let before = out.len();
            let time = times.and_then(|(column, array)| {
                let place = column.place(row as usize);
                array.is_valid(place).then(|| array.value(place))
            });
            match entries.put(row as usize, time, &mut out) {
                Ok(()) => {
                    if time.is_none() {
                        timeless.push(before);
                    }
                    true
                }
                Err(unfit) => {
                    out.truncate(before);
                    refused
                        .extend(Refusal::all(&[row], || format!("it has no form in MessagePack: {unfit}")));
                    false
                }
            }
        });
        if rows.is_empty() {
            return None;
        }
        let id = id(tag, &out[start..], records.origins(), &rows);
        if !timeless.is_empty() {
            let now = event_time(self.clock.now()).unwrap_or_default();
            for at in timeless {
                let time = at + time_in(&out[at..]);
                out[time..time + 8].copy_from_slice(&now);
            }
        }
        let bytes = (out.len() - start) as u64;
        let (from, compressed) = match self.compression {
            Compression::None => (start, None),
            Compression::Gzip => (press(&mut self.press.lock(), tag, start, &mut out), Some("gzip")),
            Compression::Zstd => (press(&mut self.press.lock(), tag, start, &mut out), Some("zstd")),
        };
        end_packed(from, rows.len() as u32, compressed, self.require_ack.then_some(&id), &mut out);
        Some(Chunk { message: out.into(), id, rows, bytes })
    }
}

/// Puts compressed entries in the place of those that begin at `start`.
fn press(press: &mut Press, tag: &str, start: usize, out: &mut Vec<u8>) -> usize {
    let pressed = press.press(&out[start..], |pressed| {
        let mut message = Vec::with_capacity(pressed.len() + tag.len() + 128);
        let from = begin_packed(tag, &mut message);
        message.extend_from_slice(pressed);
        Ok((message, from))
    });
    let (message, from) = pressed.expect("memory is written to, and nothing else");
    *out = message;
    from
}

impl Entries<'_, '_, '_, '_> {
    /// Appends the entry of a row.
    fn put(&mut self, row: usize, time: Option<i64>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let ns = time.unwrap_or(0);
        // A time that an EventTime cannot hold stands in the record.
        let field = time.filter(|ns| event_time(*ns).is_none());
        let Some((only, all)) = &mut self.metadata else {
            begin_entry(ns, out);
            return self.records.row(row, field, out);
        };
        self.scratch.clear();
        only.row(row, None, &mut self.scratch)?;
        let Some(metadata) = only_object(&self.scratch) else {
            begin_entry(ns, out);
            return all.row(row, field, out);
        };
        // [[time, metadata], record]
        out.push(0x92);
        begin_entry(ns, out);
        out.extend_from_slice(metadata);
        self.records.row(row, field, out)
    }
}

/// The one member of a map, if it is an object with members.
fn only_object(map: &[u8]) -> Option<&[u8]> {
    use flitch_core::net::forward::wire::{Cursor, Token};
    let mut cursor = Cursor::new(map, 0);
    let (Ok(Token::Map(1)), Ok(Token::Text(_))) = (cursor.token(), cursor.token()) else { return None };
    let value = &map[cursor.at()..];
    matches!(cursor.token(), Ok(Token::Map(1..))).then_some(value)
}

/// Where the eight bytes of the time stand in an entry.
fn time_in(entry: &[u8]) -> usize {
    // [time, record] or [[time, metadata], record]; two bytes are the head of the time.
    if entry[1] == 0x92 { 4 } else { 3 }
}

/// An id of 128 bits, as text. It holds against accidents, and against nobody who makes up content for it: who could
/// would lose a chunk of his own, where its connection breaks.
fn id(tag: &str, entries: &[u8], origins: Option<&Origins>, rows: &[u32]) -> String {
    let origins = |row: &u32| origins.map_or(0, |origins| origins.id(*row as usize));
    let mut bytes = [0; 16];
    for (half, seed) in bytes.chunks_exact_mut(8).zip([0x666c_6974_6368, 0x6368_756e_6b73]) {
        let mut hasher = RandomState::with_seeds(seed, seed + 1, seed + 2, seed + 3).build_hasher();
        tag.hash(&mut hasher);
        entries.hash(&mut hasher);
        rows.iter().for_each(|row| origins(row).hash(&mut hasher));
        half.copy_from_slice(&hasher.finish().to_be_bytes());
    }
    BASE64_STANDARD.encode(bytes)
}

/// Makes chunks, on a thread of its own where that takes long.
pub(super) async fn chunks(
    packing: &Arc<Packing>,
    records: &Arc<Records>,
) -> Result<(Vec<Chunk>, Vec<Refusal>), Undone> {
    if !packing.is_slow() {
        return Ok(packing.chunks(records));
    }
    let (packing, records) = (packing.clone(), records.clone());
    tasks::aside(move || packing.chunks(&records)).await
}
