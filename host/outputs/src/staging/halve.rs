//! Cuts an object in two, so that the records which a destination will not take stand alone in the end.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::content::{ID, ID_LENGTH, hex};
use super::growing::Growing;
use super::keep::{expanded, split_kept};
use super::open::OBJECT;
use super::press::Press;
use super::{Compression, Held, Object, Plan, Sealed};
use flitch_core::batch::encode::Format;
use flitch_core::receipt::Receipt;

/// Text that is compressed at once.
const PIECE: usize = 1 << 20;

/// The first half of the rows and the rest, each as an object of its own. There are two rows at least.
///
/// # Errors
/// The disk's; then the shares are gone, and the sources send again what they stand for.
pub(crate) fn halve(sealed: Sealed, plan: &Plan) -> io::Result<[Sealed; 2]> {
    let Sealed { object, shares } = sealed;
    let first = object.rows / 2;
    let mut text = BufReader::new(expanded(&object.path, plan.compression)?);
    let format = plan.encoder.encoding().format;
    let mut part = |number: u32, rows: u64| -> io::Result<Part> {
        let mut part = Part::new(&object.path, number, plan.compression)?;
        for _ in 0..rows {
            row(&mut text, format, &mut part.text)?;
            if part.text.len() >= PIECE {
                part.write()?;
            }
        }
        part.write()?;
        Ok(part)
    };
    let parts = [part(1, first)?, part(2, object.rows - first)?];
    let kept = split_kept(&object, first, parts.each_ref().map(|part| part.file.path()))?;
    let shares = split_shares(shares, first);
    let rows = [first, object.rows - first];
    let begin = &object.name[..object.name.len() - plan.extension.len() - ID_LENGTH];
    let mut halves =
        parts.into_iter().zip(kept).zip(shares).zip(rows).map(|(((part, kept), shares), rows)| {
            let mut held = Held::new(&object._held.all);
            held.set(OBJECT + part.file.length());
            let name = format!("{begin}{}{}", hex(&part.digest.finalize()[..ID]), plan.extension);
            let object = Object {
                name,
                rows,
                text: part.length,
                path: part.file.path().to_owned(),
                length: part.file.length(),
                progress: Mutex::default(),
                kept,
                _held: held,
            };
            Sealed { object, shares }
        });
    match (halves.next(), halves.next()) {
        (Some(one), Some(other)) => Ok([one, other]),
        _ => Err(io::Error::other("an object has no halves")),
    }
}

/// A half that is written.
struct Part {
    file: Growing,
    press: Press,
    /// What is not in the file yet.
    text: Vec<u8>,
    digest: Sha256,
    /// Bytes of all text that is.
    length: u64,
}

impl Part {
    fn new(of: &Path, number: u32, compression: Compression) -> io::Result<Part> {
        let mut name = of.as_os_str().to_owned();
        name.push(format!("-{number}"));
        Ok(Part {
            file: Growing::new(name.into()),
            press: Press::new(compression)?,
            text: Vec::new(),
            digest: Sha256::new(),
            length: 0,
        })
    }

    fn write(&mut self) -> io::Result<()> {
        let Part { file, press, text, digest, length } = self;
        if text.is_empty() {
            return Ok(());
        }
        press.press(text, |bytes| file.append(bytes))?;
        digest.update(&*text);
        *length += text.len() as u64;
        text.clear();
        Ok(())
    }
}

/// Reads a row: a line, but in CSV, where a value between quotes may have line feeds in it.
fn row(from: &mut BufReader<Box<dyn Read + Send>>, format: Format, to: &mut Vec<u8>) -> io::Result<()> {
    let begin = to.len();
    loop {
        if from.read_until(b'\n', to)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let quotes = || to[begin..].iter().filter(|byte| **byte == b'"').count();
        if format != Format::Csv || quotes() % 2 == 0 {
            return Ok(());
        }
    }
}

/// The shares of the first so many records, and the others.
fn split_shares(shares: Vec<Receipt>, mut first: u64) -> [Vec<Receipt>; 2] {
    let mut halves = [Vec::new(), Vec::new()];
    for mut share in shares {
        let taken = share.records().min(first);
        first -= taken;
        if taken == share.records() {
            halves[0].push(share);
            continue;
        }
        if taken > 0 {
            halves[0].push(share.split(taken as usize));
        }
        halves[1].push(share);
    }
    halves
}
