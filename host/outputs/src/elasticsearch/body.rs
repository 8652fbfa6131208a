//! From columns to the bodies of bulk requests: for each record a line that says what to do with it, and its document.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::settings::Op;
use crate::{Parcel, Refusal};
use flitch_core::batch::encode::Encoder;
use flitch_core::batch::json::write_string;
use flitch_core::batch::origin::Origins;
use flitch_core::batch::template::{Rendered, Template};
use flitch_core::batch::{Encoded, Records};

/// Longest id of a document, in bytes; a longer one would cost the whole request.
const LONGEST_ID: usize = 512;
/// Bytes of the line before a document, mostly less.
const LINE: usize = 100;
/// Letters of an id of 128 bits, in quotes.
const QUOTED: usize = 24;

/// What the id of a document is made of.
#[derive(Debug)]
pub(super) enum Id {
    /// Where its record comes from.
    Origin,
    /// What this gives.
    Template(Template),
    /// A hash of what this writes of the record.
    Hash(Encoder),
    /// Nothing: the node makes one.
    Auto,
}

/// The ids of the rows of a batch.
enum Ids {
    Origins(Origins),
    Texts(Rendered),
    Hashed(Arc<Encoded>),
    Auto,
}

impl Id {
    fn of(&self, records: &Records) -> Ids {
        match self {
            // Each source gives them; where none is there, it is one of a test.
            Id::Origin => {
                Ids::Origins(records.origins().cloned().unwrap_or_else(|| Origins::drawn(records.rows())))
            }
            Id::Template(template) => Ids::Texts(records.render(template)),
            Id::Hash(encoder) => Ids::Hashed(encoder.encode(records)),
            Id::Auto => Ids::Auto,
        }
    }
}

impl Ids {
    /// What stands before each id.
    fn name(&self) -> &'static [u8] {
        match self {
            Ids::Auto => b"",
            _ => b",\"_id\":",
        }
    }

    /// Appends the id of a row, in quotes.
    ///
    /// # Errors
    /// It has none, and why.
    #[inline]
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
        match self {
            Ids::Origins(origins) => write_bits(origins.id(row), out),
            Ids::Auto => {}
            Ids::Texts(texts) => match texts.row(row) {
                None => return Err("a field of the template `id` is missing"),
                Some(b"") => return Err("the template `id` gives an empty id"),
                Some(id) if id.len() > LONGEST_ID => {
                    return Err("the template `id` gives more than 512 bytes");
                }
                Some(id) if str::from_utf8(id).is_err() => {
                    return Err("the template `id` gives bytes that are not UTF-8");
                }
                Some(id) => write_string(id, out),
            },
            Ids::Hashed(texts) => match texts.value(row) {
                b"{}" => return Err("the record has none of `id_fields`"),
                text => {
                    let digest = Sha256::digest(text);
                    write_bits(u128::from_be_bytes(*digest.first_chunk().expect("a digest is longer")), out);
                }
            },
        }
        Ok(())
    }
}

/// Appends 128 bits in the 22 letters of base64 for URLs, in quotes: the nodes keep such an id as 16 bytes.
#[inline]
fn write_bits(bits: u128, out: &mut Vec<u8>) {
    let mut text = [b'"'; QUOTED];
    let written = BASE64_URL_SAFE_NO_PAD.encode_slice(bits.to_be_bytes(), &mut text[1..QUOTED - 1]);
    debug_assert_eq!(written, Ok(QUOTED - 2));
    out.extend_from_slice(&text);
}

/// How records become documents.
#[derive(Debug)]
pub(super) struct Form {
    pub op: Op,
    pub index: Template,
    pub id: Id,
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
}

/// The documents of a parcel, one behind the other.
#[derive(Debug)]
pub(super) struct Body {
    text: Bytes,
    pub docs: Vec<Doc>,
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
}

/// What is put together for one parcel.
struct Building<'a> {
    text: Vec<u8>,
    docs: Vec<Doc>,
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
        let texts: Vec<Arc<Encoded>> = parcel.members().map(|records| self.encoder.encode(records)).collect();
        let bytes = texts.iter().map(|text| text.text.len()).sum::<usize>();
        let mut building = Building {
            text: Vec::with_capacity(bytes + rows * LINE),
            docs: Vec::with_capacity(rows),
            refused,
            reasons: HashMap::new(),
        };
        let mut from = 0;
        for (records, text) in parcel.members().zip(&texts) {
            self.append(records, text, from, &mut building);
            from += records.rows() as u32;
        }
        Body { text: building.text.into(), docs: building.docs }
    }

    fn append(&self, records: &Records, encoded: &Encoded, from: u32, out: &mut Building<'_>) {
        let indices = records.render(&self.index);
        let ids = self.id.of(records);
        let extra = |name: &'static str, template: &Option<Template>| {
            Some((name, records.render(template.as_ref()?)))
        };
        let extras = [extra(",\"routing\":", &self.routing), extra(",\"pipeline\":", &self.pipeline)];
        let open = format!("{{\"{}\":{{\"_index\":", self.op.name()).into_bytes();
        let middle = ids.name();
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
            if let Err(why) = ids.write(row, &mut out.text) {
                out.text.truncate(start);
                out.refuse(number, why);
                continue;
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
            out.docs.push(Doc { row: number, end: out.text.len(), length });
        }
    }
}
