//! Whatever stands in a file.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::tailer::{Next, Tailer};
use super::{Charset, Codec, Compression, FileSettings, MultilineSettings, Pattern};
use crate::bell::Bell;
use crate::testing;
use flitch_core::fuzzing::{Bytes, check_lines, value};
use flitch_core::units::Bytes as Size;

const CODECS: [Codec; 4] = [Codec::Lines, Codec::Json, Codec::Cri, Codec::DockerJson];
const CHARSETS: [&str; 4] = ["auto", "utf-8", "utf-16le", "latin1"];
const PATTERNS: [&str; 3] = ["^[^ ]", "^$", "a|b"];

/// Reads a file whose content is written at once and in two pieces: what is read of it settles, reading it ends, and it
/// is the same. The first bytes choose the settings.
pub fn files(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let settings = settings(&mut bytes);
    let Some(settings) = settings else { return };
    let split = bytes.byte() as usize * bytes.0.len() / 256;
    let content = bytes.0;
    let whole = read(&settings, &[content]);
    // Of a compressed file the head must be there when it is first seen, so that it is known as one.
    let split = if content.starts_with(&[0x1f, 0x8b]) { split.max(content.len().min(64)) } else { split };
    let pieces = read(&settings, &[&content[..split], &content[split..]]);
    assert_eq!(whole, pieces, "the records do not depend on when they were written");
}

fn settings(bytes: &mut Bytes<'_>) -> Option<FileSettings> {
    let codec = CODECS[bytes.below(CODECS.len())];
    let charset = Charset::try_from(CHARSETS[bytes.below(CHARSETS.len())].to_owned()).ok()?;
    let multiline = match bytes.below(8) {
        n @ 0..3 => {
            let pattern = Some(Pattern::try_from(PATTERNS[n].to_owned()).ok()?);
            let (start, r#continue) = if bytes.below(2) == 0 { (pattern, None) } else { (None, pattern) };
            let max_lines = 1 + bytes.below(5);
            Some(MultilineSettings { start, r#continue, max_lines, ..MultilineSettings::default() })
        }
        _ => None,
    };
    let max_line = Size(1 + u64::from(bytes.byte()) * 4);
    let compression = Compression::Auto;
    let include = vec![super::Glob::try_from("*.log".to_owned()).ok()?];
    let settings =
        FileSettings { include, codec, charset, multiline, max_line, compression, ..FileSettings::default() };
    crate::SourceKind::check(&settings).is_ok().then_some(settings)
}

/// The records of a file that is written piece by piece, as JSON.
fn read(settings: &FileSettings, pieces: &[&[u8]]) -> Vec<serde_json::Value> {
    let (cx, buffer, folder) = testing::context("fuzz");
    let path = folder.path().join("fuzz.log");
    let include = vec![path.display().to_string().try_into().expect("a glob")];
    let settings = FileSettings { include, file_field: String::new(), ..settings.clone() };
    let (bell, mut now) = (Arc::<Bell>::default(), Instant::now());
    let mut tailer = Tailer::new(settings, cx.clone(), bell.clone(), now).expect("settings that make sense");
    let mut file = std::fs::File::create(&path).expect("a file");
    let mut out = Vec::new();
    let mut until_quiet = |now: &mut Instant| {
        loop {
            let next = tailer.turn(*now).expect("open pipelines");
            while let Some(batch) = buffer.try_lease() {
                let text = batch.records.ndjson();
                check_lines(&text);
                out.extend((0..text.ends.len()).map(|row| value(text.row(row))));
                batch.receipt.delivered();
            }
            let told = bell.take();
            if told.settled {
                tailer.settled();
            }
            if told.first {
                tailer.save_soon(*now);
            }
            match next {
                Next::At(at) if at > *now && !told.room => return at,
                _ => {}
            }
        }
    };
    for piece in pieces {
        file.write_all(piece).expect("written");
        let next = until_quiet(&mut now);
        now = next.min(now + Duration::from_millis(500));
        until_quiet(&mut now);
    }
    // Long enough for a line that is not finished.
    let end = now + Duration::from_secs(60);
    while now < end {
        now = until_quiet(&mut now).max(now + Duration::from_millis(1));
    }
    let accounts = cx.intake.ledger().read();
    assert_eq!(accounts.in_flight(), 0, "{accounts:?}");
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_of_the_corpus_holds_in_memory_of_its_size() {
        crate::memory::run_corpus("files", super::files);
    }
}
