//! What a table may come to. A server may have it, and of few bytes much memory could be made.

use std::io::{self, Read};

use anyhow::bail;

use flitch_core::batch::builder::Builder;

/// Most rows of a table: row numbers are 32 bits, and a batch holds no more.
const MAX_ROWS: usize = 1 << 28;
/// Most bytes of all values.
const MAX_BYTES: usize = 1 << 30;
/// Most names in the first line of a CSV file.
const MAX_NAMES: usize = 10_000;
/// Places, rows by columns, that a table may have beside one for each byte of its values: each takes memory, also an empty one.
const FREE_PLACES: usize = 1 << 25;
/// Longest line of a CSV file: a comma in it takes eight bytes.
const LINE: usize = 4 << 20;

/// Whether the names of a CSV file are few enough.
///
/// # Errors
/// They are not.
pub fn check_names(count: usize) -> anyhow::Result<()> {
    if count > MAX_NAMES {
        bail!("its first line has {count} names, and a table has {MAX_NAMES} at most");
    }
    Ok(())
}

/// Whether what has been read so far is no more than a table may be.
///
/// # Errors
/// It is.
pub fn check(builder: &Builder) -> anyhow::Result<()> {
    let (rows, columns, bytes) = (builder.rows(), builder.columns(), builder.bytes());
    if rows > MAX_ROWS || bytes > MAX_BYTES {
        bail!("it is too large: a table holds 2^28 rows and 1 GiB");
    }
    if rows * columns > FREE_PLACES + bytes {
        bail!("it is too sparse: {rows} rows have {columns} columns together, and few of them each");
    }
    Ok(())
}

/// Reads on as long as lines end.
pub struct Lines<R> {
    from: R,
    /// Bytes of the line that has not ended.
    open: usize,
}

impl<R> Lines<R> {
    /// What stands in `from`.
    pub fn new(from: R) -> Lines<R> {
        Lines { from, open: 0 }
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.open = match into[..read].iter().rposition(|byte| *byte == b'\n') {
            Some(end) => read - end - 1,
            None => self.open + read,
        };
        if self.open > LINE {
            return Err(io::Error::other(format!("a line of it has more than {} MiB", LINE >> 20)));
        }
        Ok(read)
    }
}
