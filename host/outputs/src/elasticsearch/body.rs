//! From columns to the bodies of bulk requests: for each record a line that says what to do with it, and its document.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::settings::Op;
use crate::{Parcel, Refusal};
use flitch_core::batch::Records;
use flitch_core::batch::encode::Encoder;
use flitch_core::batch::json::write_string;
use flitch_core::batch::template::{Rendered, Template};

/// Longest id of a document, in bytes; a longer one would cost the whole request.
const LONGEST_ID: usize = 512;
/// Bytes of a hash that make an id.
const HASH: usize = 16;

/// How records become documents.
#[derive(Debug)]
pub(super) struct Form {
    pub op: Op,
    pub index: Template,
    pub id: Option<Template>,
    /// Writes what the id is a hash of, where there is no template for it.
    pub identity: Encoder,
    pub routing: Option<Template>,
    pub pipeline: Option<Template>,
    pub encoder: Encoder,
}

/// A document in a [`Body`].
#[derive(Debug)]
pub(super) struct Doc {
    /// The record's row in the parcel.
    pub row: u32,
    /// Where it ends.
    end: usize,
    /// Bytes of the document alone.
    pub length: u32,
    /// The record's hash, where that is its id.
    hash: u128,
}

/// The documents of a parcel, one behind the other.
#[derive(Debug)]
pub(super) struct Body {
    text: Bytes,
    pub docs: Vec<Doc>,
    /// Whether records of the parcel are equal.
    has_twins: bool,
}

impl Body {
    /// Pieces of `most` bytes each or of one document, in order.
    pub fn cut(&self, most: usize) -> VecDeque<Range<usize>> {
        let mut pieces = VecDeque::new();
        let (mut first, mut begin) = (0, 0);
        for (place, doc) in self.docs.iter().enumerate() {
            if doc.end - begin > most && place > first {
                pieces.push_back(first..place);
                (first, begin) = (place, self.docs[place - 1].end);
            }
        }
        if first < self.docs.len() {
            pieces.push_back(first..self.docs.len());
        }
        pieces
    }

    /// The text of a piece.
    pub fn text(&self, piece: &Range<usize>) -> Bytes {
        let begin = piece.start.checked_sub(1).map_or(0, |before| self.docs[before].end);
        self.text.slice(begin..self.docs[piece.end - 1].end)
    }

    /// Adds to rows that are to be written again those of equal records: only together do they get the ids again that they
    /// have. What is there already is not written twice.
    pub fn with_twins(&self, again: &mut Vec<u32>, refused: &[Refusal]) {
        if !self.has_twins || again.is_empty() {
            return;
        }
        let rows: HashSet<u32> = again.iter().copied().collect();
        let refused: HashSet<u32> = refused.iter().map(|refusal| refusal.row).collect();
        let hashes: HashSet<u128> =
            self.docs.iter().filter(|doc| rows.contains(&doc.row)).map(|doc| doc.hash).collect();
        let twins = self.docs.iter().filter(|doc| hashes.contains(&doc.hash)).map(|doc| doc.row);
        again.extend(twins.filter(|row| !rows.contains(row) && !refused.contains(row)));
    }
}

/// What is put together for one parcel.
struct Building<'a> {
    text: Vec<u8>,
    docs: Vec<Doc>,
    /// How often each hash was there.
    seen: HashMap<u128, u32, ahash::RandomState>,
    has_twins: bool,
    refused: &'a mut Vec<Refusal>,
    /// Reasons that rows share.
    reasons: HashMap<&'static str, Arc<str>>,
}

impl Building<'_> {
    fn refuse(&mut self, row: u32, why: &'static str) {
        let reason = self.reasons.entry(why).or_insert_with(|| why.into()).clone();
        self.refused.push(Refusal { row, reason });
    }
}

impl Form {
    /// The documents of all records, but for those that can have none.
    pub fn body(&self, parcel: &Parcel, refused: &mut Vec<Refusal>) -> Body {
        let rows = parcel.rows();
        let mut building = Building {
            text: Vec::new(),
            docs: Vec::with_capacity(rows),
            seen: HashMap::default(),
            has_twins: false,
            refused,
            reasons: HashMap::new(),
        };
        if self.id.is_none() {
            building.seen.reserve(rows);
        }
        let mut from = 0;
        for records in parcel.members() {
            self.append(records, from, &mut building);
            from += records.rows() as u32;
        }
        Body { text: building.text.into(), docs: building.docs, has_twins: building.has_twins }
    }

    fn append(&self, records: &Records, from: u32, out: &mut Building<'_>) {
        let encoded = self.encoder.encode(records);
        let indices = records.render(&self.index);
        let ids = self.id.as_ref().map(|id| records.render(id));
        let by_fields = !self.identity.encoding().only.is_empty();
        let whole = ids.is_none().then(|| self.identity.encode(records));
        let extra = |name: &'static str, template: &Option<Template>| {
            Some((name, records.render(template.as_ref()?)))
        };
        let extras = [extra(",\"routing\":", &self.routing), extra(",\"pipeline\":", &self.pipeline)];
        let open = format!("{{\"{}\":{{\"_index\":", self.op.name()).into_bytes();
        let middle = b",\"_id\":";
        // Where all go to one index the lines begin alike.
        let same = match &indices {
            Rendered::Same(index) => {
                let mut same = open.clone();
                write_string(index, &mut same);
                same.extend_from_slice(middle);
                Some(same)
            }
            Rendered::Rows(_) => None,
        };
        let line = same.as_ref().map_or(open.len() + 40, Vec::len) + 32;
        out.text.reserve(encoded.text.len() + records.rows() * line);
        for row in 0..records.rows() {
            let number = from + row as u32;
            let index = match indices.row(row) {
                None => {
                    out.refuse(number, "a field of the template `index` is missing");
                    continue;
                }
                Some(b"") => {
                    out.refuse(number, "the template `index` gives an empty name");
                    continue;
                }
                Some(index) if same.is_none() && str::from_utf8(index).is_err() => {
                    out.refuse(number, "the template `index` gives bytes that are not UTF-8");
                    continue;
                }
                Some(index) => index,
            };
            let start = out.text.len();
            match &same {
                Some(begin) => out.text.extend_from_slice(begin),
                None => {
                    out.text.extend_from_slice(&open);
                    write_string(index, &mut out.text);
                    out.text.extend_from_slice(middle);
                }
            }
            let mut hash = 0;
            match (&ids, &whole) {
                (Some(ids), _) => {
                    let wrong = match ids.row(row) {
                        None => "a field of the template `id` is missing",
                        Some(b"") => "the template `id` gives an empty id",
                        Some(id) if id.len() > LONGEST_ID => "the template `id` gives more than 512 bytes",
                        Some(id) if str::from_utf8(id).is_err() => {
                            "the template `id` gives bytes that are not UTF-8"
                        }
                        Some(id) => {
                            write_string(id, &mut out.text);
                            ""
                        }
                    };
                    if !wrong.is_empty() {
                        out.text.truncate(start);
                        out.refuse(number, wrong);
                        continue;
                    }
                }
                (None, Some(whole)) if by_fields && whole.value(row) == b"{}" => {
                    out.text.truncate(start);
                    out.refuse(number, "the record has none of `id_fields`");
                    continue;
                }
                (None, Some(whole)) => hash = write_hash(whole.value(row), out),
                (None, None) => {}
            }
            for (name, texts) in extras.iter().flatten() {
                if let Some(text) = texts.row(row).filter(|text| !text.is_empty()) {
                    out.text.extend_from_slice(name.as_bytes());
                    write_string(String::from_utf8_lossy(text).as_bytes(), &mut out.text);
                }
            }
            out.text.extend_from_slice(b"}}\n");
            let document = encoded.row(row);
            out.text.extend_from_slice(document);
            let length = (document.len() - encoded.frame) as u32;
            out.docs.push(Doc { row: number, end: out.text.len(), length, hash });
        }
    }
}

/// Appends the id of a record that has none of its own: 128 bits of SHA-256, and for the second, third … of equal records
/// their number, so that each is a document. Answers the hash.
fn write_hash(record: &[u8], out: &mut Building<'_>) -> u128 {
    let digest = Sha256::digest(record);
    let hash: [u8; HASH] = digest[..HASH].try_into().expect("a digest is longer");
    let mut text = [0; 22];
    let written = BASE64_URL_SAFE_NO_PAD.encode_slice(hash, &mut text).expect("16 bytes are 22 letters");
    out.text.push(b'"');
    out.text.extend_from_slice(&text[..written]);
    let hash = u128::from_be_bytes(hash);
    let before = out.seen.entry(hash).or_insert(0);
    if *before > 0 {
        out.text.extend_from_slice(format!("-{before}").as_bytes());
        out.has_twins = true;
    }
    *before += 1;
    out.text.push(b'"');
    hash
}
