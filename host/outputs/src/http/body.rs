//! Records as the body of a request.

use std::sync::Arc;

use bytes::Bytes;

use super::settings;
use crate::{Parcel, Refusal};
use flitch_core::batch::Encoded;
use flitch_core::batch::encode::Encoder;

/// The body, before it is compressed, and the records that are not in it.
#[derive(Debug)]
pub(super) struct Body {
    pub text: Bytes,
    /// Bytes of records in it.
    pub bytes: u64,
    pub refused: Vec<Refusal>,
    /// Whether there is a record in it.
    pub has_any: bool,
}

/// Makes a body of a parcel.
pub(super) fn body(parcel: &Parcel, encoder: &Encoder, form: settings::Body) -> Body {
    let texts: Vec<Arc<Encoded>> = parcel.members().map(|records| encoder.encode(records)).collect();
    let (mut refused, mut before) = (Vec::new(), 0);
    for text in &texts {
        let own =
            text.refused.iter().map(|(row, reason)| Refusal { row: before + row, reason: reason.clone() });
        refused.extend(own);
        before += text.ends.len() as u32;
    }
    let bytes = texts.iter().map(|text| text.text.len() as u64).sum();
    let has_any = refused.len() < before as usize;
    let text = match form {
        settings::Body::Array => array(&texts),
        settings::Body::Lines => lines(&texts, encoder.header()),
    };
    Body { text, bytes, refused, has_any }
}

fn lines(texts: &[Arc<Encoded>], header: Option<Bytes>) -> Bytes {
    if let ([one], None) = (texts, &header) {
        return one.text.clone();
    }
    let length = texts.iter().map(|text| text.text.len()).sum::<usize>();
    let mut all = Vec::with_capacity(length + header.as_ref().map_or(0, Bytes::len));
    all.extend_from_slice(&header.unwrap_or_default());
    texts.iter().for_each(|text| all.extend_from_slice(&text.text));
    all.into()
}

/// The lines as elements: a comma in the place of what ends a line, and a bracket for the last.
fn array(texts: &[Arc<Encoded>]) -> Bytes {
    let length = texts.iter().map(|text| text.text.len()).sum::<usize>();
    let mut all = Vec::with_capacity(length + 2);
    all.push(b'[');
    for text in texts {
        let begin = all.len();
        all.extend_from_slice(&text.text);
        text.ends.iter().for_each(|end| all[begin + *end as usize - 1] = b',');
    }
    match all.len() {
        1 => all.push(b']'),
        last => all[last - 1] = b']',
    }
    all.into()
}
