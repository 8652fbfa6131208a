//! The members of a gzip file (RFC 1952), one after the other, up to where it ends or is damaged.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::End;

/// Of the flags of a head: what stands between it and what is compressed.
const HAS_SUM: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;

/// Reads what the members hold. All that can be decompressed before a damage comes out of it.
pub(super) struct Members {
    from: BufReader<File>,
    inflate: Decompress,
    sum: Crc,
    next: Part,
}

/// What comes next in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The head of the first member.
    Head,
    Body,
    Trailer,
    /// The next member, or the end of the file.
    Behind,
    Nothing(End),
}

impl Members {
    /// Reads `file` from its beginning.
    pub fn new(mut file: File) -> io::Result<Members> {
        file.seek(SeekFrom::Start(0))?;
        Ok(Members {
            from: BufReader::with_capacity(64 << 10, file),
            inflate: Decompress::new(false),
            sum: Crc::new(),
            next: Part::Head,
        })
    }

    pub fn file(&self) -> &File {
        self.from.get_ref()
    }

    pub fn into_file(self) -> File {
        self.from.into_inner()
    }

    /// How the file has ended, once it has.
    pub fn end(&self) -> Option<End> {
        match self.next {
            Part::Nothing(end) => Some(end),
            _ => None,
        }
    }

    /// Fills some of `out`; answers how many bytes that are. It may be none before the end too.
    ///
    /// # Errors
    /// The system's. It is to begin anew then.
    pub fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let next = match self.next {
            Part::Head => self.head(),
            Part::Body => return self.body(out),
            Part::Trailer => self.trailer(),
            Part::Behind => self.behind(),
            Part::Nothing(_) => return Ok(0),
        };
        self.next = match next {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Part::Nothing(End::Short),
            next => next?,
        };
        Ok(0)
    }

    fn head(&mut self) -> io::Result<Part> {
        let mut head = [0; 10];
        self.from.read_exact(&mut head)?;
        let [0x1f, 0x8b, 8, flags, ..] = head else { return Ok(Part::Nothing(End::Broken)) };
        if flags & HAS_EXTRA != 0 {
            let mut length = [0; 2];
            self.from.read_exact(&mut length)?;
            self.skip(u64::from(u16::from_le_bytes(length)))?;
        }
        for text in [HAS_NAME, HAS_COMMENT] {
            if flags & text != 0 {
                self.from.skip_until(0)?;
            }
        }
        if flags & HAS_SUM != 0 {
            self.skip(2)?;
        }
        self.inflate.reset(false);
        self.sum.reset();
        Ok(Part::Body)
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.from.by_ref().take(bytes), &mut io::sink())?;
        if skipped < bytes { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn body(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let packed = fill(&mut self.from)?;
        let is_end = packed.is_empty();
        let before = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(packed, out, FlushDecompress::None);
        let used = (self.inflate.total_in() - before.0) as usize;
        let made = (self.inflate.total_out() - before.1) as usize;
        self.from.consume(used);
        self.sum.update(&out[..made]);
        self.next = match status {
            Ok(Status::StreamEnd) => Part::Trailer,
            Ok(_) if used + made > 0 => Part::Body,
            Ok(_) if is_end => Part::Nothing(End::Short),
            Ok(_) | Err(_) => Part::Nothing(End::Broken),
        };
        Ok(made)
    }

    fn trailer(&mut self) -> io::Result<Part> {
        let mut trailer = [0; 8];
        self.from.read_exact(&mut trailer)?;
        let want = [self.sum.sum().to_le_bytes(), self.sum.amount().to_le_bytes()].concat();
        Ok(if trailer[..] == want { Part::Behind } else { Part::Nothing(End::Broken) })
    }

    /// Passes over zeros, with which some fill up the last block of a file.
    fn behind(&mut self) -> io::Result<Part> {
        loop {
            let there = fill(&mut self.from)?;
            if there.is_empty() {
                return Ok(Part::Nothing(End::Whole));
            }
            let zeros = there.iter().position(|byte| *byte != 0).unwrap_or(there.len());
            if zeros == 0 {
                return self.head();
            }
            self.from.consume(zeros);
        }
    }
}

/// What is read of a file and not used; nothing at its end.
fn fill(from: &mut BufReader<File>) -> io::Result<&[u8]> {
    while let Err(error) = from.fill_buf() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    from.fill_buf()
}
