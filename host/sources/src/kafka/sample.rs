//! The records of values, as if they were those of messages that have nothing beside them.

use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::decode_line;

use super::settings::{Codec, KafkaSettings};
use crate::sample::{Sample, WHOLE};

/// What the source makes of the values of messages.
///
/// # Errors
/// None.
pub(super) fn sample(
    settings: &KafkaSettings,
    values: &[&[u8]],
    beside: &Constants,
) -> anyhow::Result<Sample> {
    let mut sample = Sample::default();
    let mut builder = Builder::new();
    let message = builder.raw_column(&settings.message_field);
    for value in values {
        match settings.codec {
            Codec::Lines => {
                for line in value.strip_suffix(b"\n").unwrap_or(value).split(|byte| *byte == b'\n') {
                    builder.begin_record();
                    builder.at(message).text(line.strip_suffix(b"\r").unwrap_or(line));
                    builder.end_record();
                }
            }
            Codec::Json => {
                if let Err(error) = decode_line(&mut builder, value) {
                    sample.bad.push((error.to_string(), value.to_vec()));
                }
            }
            Codec::Raw => {
                builder.begin_record();
                builder.at(message).bytes_value(value);
                builder.end_record();
            }
        }
        if builder.full(&WHOLE) {
            sample.records.push(builder.finish(settings.invalid_utf8, beside).records);
        }
    }
    if builder.rows() > 0 {
        sample.records.push(builder.finish(settings.invalid_utf8, beside).records);
    }
    Ok(sample)
}
