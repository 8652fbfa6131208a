//! The records of lines, as if they stood in a file.

use std::time::Instant;

use flitch_core::batch::constants::Constants;

use super::FileSettings;
use super::charset::Coding;
use super::container::At;
use super::gather::Gather;
use crate::sample::{Sample, WHOLE};

/// What the source makes of `lines`, which are text by now whatever its `charset` is.
///
/// # Errors
/// The settings contradict one another.
pub(super) fn sample(settings: &FileSettings, lines: &[&[u8]], beside: &Constants) -> anyhow::Result<Sample> {
    let mut gather = Gather::new(settings)?;
    gather.offsets.is_exact = true;
    let mut sample = Sample::default();
    let text: Vec<u8> = lines.iter().flat_map(|line| [line, &b"\n"[..]]).flatten().copied().collect();
    let (mut at, mut streams, now) = (0, None, Instant::now());
    while at < text.len() {
        let begin = at;
        let mut rest = &text[at..];
        let place = At { base: at as u64, now, streams: &mut streams };
        at += gather.append(rest, &WHOLE, true, place);
        rest = &text[at..];
        if !gather.full(&WHOLE) && !rest.is_empty() {
            at += Coding::UTF_8.nuls(rest);
            let line = &text[at..];
            let end = memchr::memchr(b'\n', line);
            if let Some(end) = end.filter(|end| *end > gather.limit) {
                gather.push_cut(&line[..end], At { base: at as u64, now, streams: &mut streams });
                at += end + 1;
            }
            if (begin + 1..text.len()).contains(&at) && !gather.full(&WHOLE) {
                continue;
            }
        }
        if at == text.len() {
            gather.end_open(&mut streams, true, now);
        }
        anyhow::ensure!(at > begin || gather.taken() > 0, "nothing of it is a record or a line that is none");
        let (finished, bad) = gather.finish(settings.invalid_utf8, beside, None);
        if finished.records.rows() > 0 {
            sample.records.push(finished.records);
        }
        sample.bad.extend(bad.into_iter().map(|bad| (bad.reason, bad.line)));
    }
    Ok(sample)
}

#[cfg(test)]
mod tests;
