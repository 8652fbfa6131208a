//! Cuts an object in parts, so that the records which a destination will not take stand alone in the end.

use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use blake3::Hasher;
use parking_lot::Mutex;

use super::content::id;
use super::growing::Growing;
use super::keep::{Keep, Uncut, expanded};
use super::open::OBJECT;
use super::press::Press;
use super::trace;
use super::{Compression, Held, Object, Plan, Sealed, table};
use flitch_core::batch::encode::Format;
use flitch_core::receipt::Receipt;

/// In how many parts an object is cut. In two would be fewer writes for one bad record, but a destination that takes minutes
/// to decide is asked four times as often, one after the other.
const PARTS: u64 = 16;
/// Text that is compressed at once.
const PIECE: usize = 1 << 20;

/// The rows of an object, in parts of as many rows each, in order, each as an object of its own. There are two rows at least.
///
/// # Errors
/// The disk's; then the shares are gone, and the sources send again what they stand for.
pub(crate) fn cut(sealed: Sealed, plan: &Plan) -> io::Result<Vec<Sealed>> {
    let Sealed { object, mut shares } = sealed;
    let mut parts = Vec::new();
    if let Err(error) = write(&object, plan, &mut parts) {
        parts.iter_mut().for_each(Part::remove);
        return Err(error);
    }
    shares.reverse();
    let sealed = |(number, part): (usize, Part)| {
        let mut held = Held::new(&object._held.all);
        let kept = part.keep.as_ref().map_or(0, Keep::bytes);
        held.set(OBJECT + part.file.length() + kept);
        let object = Object {
            name: format!(
                "{}{}{}",
                object.key(),
                trace::part(&object.name, number, &id(&part.digest)),
                plan.extension
            ),
            key: object.key,
            rows: part.rows,
            text: part.length,
            path: part.file.path().to_owned(),
            length: part.file.length(),
            progress: Mutex::default(),
            kept: part.keep.map(|keep| keep.into_kept(plan.compression)),
            outlasting: None,
            _held: held,
        };
        Sealed { shares: first(&mut shares, object.rows), object }
    };
    Ok(parts.into_iter().enumerate().map(sealed).collect())
}

/// Writes the parts, each behind those that are there.
fn write(object: &Object, plan: &Plan, parts: &mut Vec<Part>) -> io::Result<()> {
    let mut rest = Rest::open(object, plan)?;
    let mut kept = object.kept.as_ref().map(Uncut::of).transpose()?;
    let count = object.rows.min(PARTS);
    for number in 0..count {
        let rows = object.rows * (number + 1) / count - object.rows * number / count;
        let mut name = object.path.as_os_str().to_owned();
        name.push(format!("-{number}"));
        let mut part = Part::new(name.into(), rows, plan.compression)?;
        part.keep = object.kept.is_some().then(|| Keep::of(part.file.path()));
        parts.push(part);
        let Some(part) = parts.last_mut() else { continue };
        match &mut rest {
            Rest::Text { text, header, format } => {
                part.text.extend_from_slice(header);
                for _ in 0..rows {
                    row(text, *format, &mut part.text)?;
                    if part.text.len() >= PIECE {
                        part.write()?;
                    }
                }
                part.write()?;
                part.length -= header.len() as u64;
            }
            Rest::Table(table) => {
                table.split(rows, plan.compression, |bytes| {
                    part.digest.update(bytes);
                    part.file.append(bytes)
                })?;
                // Of values there is no telling where those of a row end.
                part.length = object.text * rows / object.rows;
            }
        }
        if let (Some(keep), Some(kept)) = (&mut part.keep, &mut kept) {
            kept.split(rows, keep, &mut part.press)?;
        }
    }
    Ok(())
}

/// What is not in a part yet.
enum Rest {
    Text { text: Lines, header: Vec<u8>, format: Format },
    Table(Box<table::Uncut>),
}

type Lines = BufReader<Box<dyn Read + Send>>;

impl Rest {
    fn open(object: &Object, plan: &Plan) -> io::Result<Rest> {
        if plan.table.is_some() {
            return Ok(Rest::Table(Box::new(table::Uncut::open(&object.path)?)));
        }
        let mut text = BufReader::new(expanded(&object.path, plan.compression)?);
        let mut header = vec![0; plan.encoder.header().map_or(0, |header| header.len())];
        text.read_exact(&mut header)?;
        Ok(Rest::Text { text, header, format: plan.encoder.encoding().format })
    }
}

/// A part that is written.
struct Part {
    file: Growing,
    press: Press,
    rows: u64,
    /// What is not in the file yet.
    text: Vec<u8>,
    digest: Hasher,
    /// Bytes of all text that is.
    length: u64,
    keep: Option<Keep>,
}

impl Part {
    fn new(path: PathBuf, rows: u64, compression: Compression) -> io::Result<Part> {
        Ok(Part {
            file: Growing::new(path),
            press: Press::new(compression)?,
            rows,
            text: Vec::new(),
            digest: Hasher::new(),
            length: 0,
            keep: None,
        })
    }

    fn write(&mut self) -> io::Result<()> {
        let Part { file, press, text, digest, length, .. } = self;
        if text.is_empty() {
            return Ok(());
        }
        press.press(text, |bytes| file.append(bytes))?;
        digest.update(text);
        *length += text.len() as u64;
        text.clear();
        Ok(())
    }

    fn remove(&mut self) {
        self.file.remove();
        self.keep.iter_mut().for_each(Keep::remove);
    }
}

/// Reads a row: a line, but in CSV, where a value between quotes may have line feeds in it.
fn row(from: &mut Lines, format: Format, to: &mut Vec<u8>) -> io::Result<()> {
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

/// Takes the shares of the first so many records; `shares` has the first one last.
fn first(shares: &mut Vec<Receipt>, mut records: u64) -> Vec<Receipt> {
    let mut taken = Vec::new();
    while records > 0
        && let Some(mut share) = shares.pop()
    {
        if share.records() > records {
            taken.push(share.split(records as usize));
            shares.push(share);
            break;
        }
        records -= share.records();
        taken.push(share);
    }
    taken
}

#[cfg(test)]
mod tests;
