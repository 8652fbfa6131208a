//! By which number a server knows this flitch.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::store;

/// The file in the agent's folder.
const FILE: &str = "identity.json";

/// A number of 128 bits: a UUID of version 7 (RFC 9562), or what a server gave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Uid(pub [u8; 16]);

impl Uid {
    /// A new one; `now` is the time of day in ns since 1970.
    fn new(now: i64) -> Uid {
        let mut bytes = [0; 16];
        fastrand::fill(&mut bytes);
        let milliseconds = u64::try_from(now / 1_000_000).unwrap_or(0).to_be_bytes();
        bytes[..6].copy_from_slice(&milliseconds[2..]);
        bytes[6] = 0x70 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        Uid(bytes)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let dash = if matches!(place, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The number of this flitch, kept over restarts.
#[derive(Debug)]
pub struct Identity {
    path: PathBuf,
    machine: String,
    uid: Uid,
}

#[derive(Serialize, Deserialize)]
struct Written {
    uid: String,
    /// The machine whose number it is.
    machine: String,
}

impl Identity {
    /// The number in this folder, where it was made on this `machine`; else a new one: a machine that was cloned with its
    /// disk, or a folder that was copied, would go by the number of another.
    ///
    /// # Errors
    /// It cannot be kept.
    pub fn open(folder: &Path, machine: &str, now: i64) -> io::Result<Identity> {
        let path = folder.join(FILE);
        let written = std::fs::read(&path).ok();
        let written = written.and_then(|bytes| serde_json::from_slice::<Written>(&bytes).ok());
        let known = written.as_ref().and_then(|written| Some((parse(&written.uid)?, &written.machine)));
        let mut identity = Identity { path, machine: machine.to_owned(), uid: Uid::new(now) };
        match known {
            Some((uid, of)) if of == machine => identity.uid = uid,
            Some((uid, _)) => {
                tracing::warn!(
                    before = %uid,
                    now = %identity.uid,
                    "the number by which servers know this flitch is that of another machine; it has a new one"
                );
                identity.write()?;
            }
            None => identity.write()?,
        }
        Ok(identity)
    }

    /// The number.
    pub fn uid(&self) -> Uid {
        self.uid
    }

    /// Takes the number that a server gives.
    ///
    /// # Errors
    /// It cannot be kept; until the end of the process it counts all the same.
    pub fn renew(&mut self, uid: Uid) -> io::Result<()> {
        self.uid = uid;
        self.write()
    }

    fn write(&self) -> io::Result<()> {
        let written = Written { uid: self.uid.to_string(), machine: self.machine.clone() };
        store::replace(&self.path, &serde_json::to_vec(&written)?)
    }
}

fn parse(text: &str) -> Option<Uid> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
    let digits = std::str::from_utf8(&digits).ok().filter(|digits| digits.len() == 32)?;
    u128::from_str_radix(digits, 16).ok().map(|number| Uid(number.to_be_bytes()))
}

#[cfg(test)]
mod tests;
