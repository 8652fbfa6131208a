//! The file of a state: a line of JSON that says what it is, and behind it the states of the workers, one after the other.
//! It is replaced as a whole, so that one that is there was written to its end.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::guest::sha256;
use flitch_core::batch::time;
use flitch_core::private;

/// The number of this format.
const FORMAT: u32 = 1;
/// Most bytes of the first line: 1,024 workers take some 40 KB.
const MAX_HEAD: u64 = 64 << 10;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    flitch_state: u32,
    pipeline: String,
    filter: String,
    saved: String,
    /// The number of each worker, and the bytes of its state.
    states: Vec<(usize, usize)>,
    /// Of all that follows the line, in hex.
    sha256: String,
}

/// The pipeline and the filter whose state a file holds; none where it is no such file. Nothing but its first line is read.
pub fn owner(path: &Path) -> Option<(String, String)> {
    let file = private::open(OpenOptions::new().read(true), path).ok()?;
    let head = head(&mut BufReader::new(file)).ok()?.0?;
    Some((head.pipeline, head.filter))
}

/// The first line, none where it is no head, and its bytes.
fn head(file: &mut BufReader<File>) -> io::Result<(Option<Head>, u64)> {
    let mut line = Vec::new();
    file.by_ref().take(MAX_HEAD).read_until(b'\n', &mut line)?;
    Ok((serde_json::from_slice(&line).ok(), line.len() as u64))
}

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept {
    /// When the last of the states was saved, in ns since 1970.
    pub saved: i64,
    /// Each state with the number of its worker.
    pub states: Vec<(usize, Bytes)>,
}

/// Reads what [`write`] wrote; none where there is no file. Each state has `most` bytes at most.
///
/// # Errors
/// It cannot be read, is no such file, is damaged, or holds more.
pub fn read(path: &Path, most: usize) -> io::Result<Option<Kept>> {
    let file = match private::open(OpenOptions::new().read(true), path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let length = file.metadata()?.len();
    let mut file = BufReader::new(file);
    let (head, line) = head(&mut file)?;
    let head = head.ok_or_else(|| wrong("it is no state of a filter"))?;
    if head.flitch_state != FORMAT {
        return Err(wrong(&format!("its format is {}, and this flitch knows {FORMAT}", head.flitch_state)));
    }
    if head.states.iter().any(|(_, bytes)| *bytes > most) {
        return Err(wrong("it is larger than `state: max_bytes`"));
    }
    let bytes = head.states.iter().try_fold(0_usize, |sum, (_, bytes)| sum.checked_add(*bytes));
    let rest = length - line;
    let bytes = bytes.filter(|bytes| *bytes as u64 == rest).ok_or_else(|| wrong("its length is wrong"))?;
    let mut body = Vec::with_capacity(bytes);
    file.take(rest).read_to_end(&mut body)?;
    if sha256(&body) != head.sha256 {
        return Err(wrong("its content is damaged"));
    }
    let mut body = Bytes::from(body);
    let states = head.states.into_iter().map(|(worker, bytes)| (worker, body.split_to(bytes))).collect();
    let saved = time::parse(head.saved.as_bytes()).ok_or_else(|| wrong("it is no state of a filter"))?;
    Ok(Some(Kept { saved, states }))
}

/// Replaces the file; it is on disk when this returns. Only its owner can read it.
pub fn write(
    path: &Path,
    pipeline: &str,
    filter: &str,
    saved: i64,
    states: &[(usize, Bytes)],
) -> io::Result<()> {
    let body = states.iter().map(|(_, state)| &state[..]).collect::<Vec<_>>().concat();
    let head = Head {
        flitch_state: FORMAT,
        pipeline: pipeline.to_owned(),
        filter: filter.to_owned(),
        saved: time::to_text(saved),
        states: states.iter().map(|(worker, state)| (*worker, state.len())).collect(),
        sha256: sha256(&body),
    };
    private::replace(path, |out| {
        serde_json::to_writer(&mut *out, &head)?;
        out.write_all(b"\n")?;
        out.write_all(&body)
    })
}
