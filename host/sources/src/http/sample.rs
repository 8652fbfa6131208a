//! The records of bodies, as if clients had posted them without a content type.

use anyhow::anyhow;
use hyper::HeaderMap;

use super::HttpSettings;
use super::content::Form;
use super::decode::{Batches, Reading};
use crate::sample::{Sample, WHOLE};
use flitch_core::batch::constants::Constants;

/// What the source makes of the bodies of requests.
///
/// # Errors
/// What a client is told whose request is refused.
pub(super) fn sample(
    settings: &HttpSettings,
    bodies: &[&[u8]],
    beside: &Constants,
) -> anyhow::Result<Sample> {
    let mut sample = Sample::default();
    for body in bodies {
        let reading = Reading { settings, cut: WHOLE, now: 0, tag: "", changed: None };
        let read = Batches::new(Form::Text, &HeaderMap::new(), body, reading, beside.clone());
        let refused = |answer: super::Answer| anyhow!("a request is refused: {}", answer.reason());
        let mut batches = read.map_err(refused)?;
        while let Some(records) = batches.next().map_err(refused)? {
            sample.records.push(records);
        }
    }
    Ok(sample)
}
