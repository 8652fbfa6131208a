//! The columns of an HTTP request line.

use super::{Dash, NOWHERE, Span, below, set_if_present};
use crate::copy::Stretches;
use crate::scan::find;
use crate::{Changes, TextBuilder};
use std::mem::take;

/// Methods that nearly all lines begin with.
const USUAL: [&[u8]; 5] = [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS "];

/// The columns.
#[derive(Debug, Default)]
pub(super) struct Request {
    method: TextBuilder,
    path: TextBuilder,
    protocol: TextBuilder,
    /// Lines that are none, as scanners and broken clients send them.
    other: TextBuilder,
}

impl Request {
    /// Places that it needs for each row, for where the three parts lie.
    pub(super) const PLACES: usize = 3;

    /// Room for `rows` rows with so many bytes of methods, paths and protocols.
    pub(super) fn reserve(&mut self, rows: usize, [method, path, protocol]: [usize; 3]) {
        self.method = TextBuilder::with_capacity(rows, method);
        self.path = TextBuilder::with_capacity(rows, path);
        self.protocol = TextBuilder::with_capacity(rows, protocol);
    }

    /// Bytes of methods, paths and protocols.
    pub(super) fn bytes(&self) -> [usize; 3] {
        [&self.method, &self.path, &self.protocol].map(TextBuilder::bytes)
    }

    /// Adds the lines that lie at each `step`th of `spans` from `line` on, and notes from `first` on where their parts lie. One that
    /// is only `-` is nothing where this is `dash`.
    pub(super) fn push(
        &mut self,
        data: &str,
        spans: &mut [Span],
        (line, first, step): (usize, usize, usize),
        dash: Dash,
    ) {
        for (row, spans) in spans.chunks_exact_mut(step).enumerate() {
            let (from, to) = spans[line];
            let mut parts = [NOWHERE; 3];
            if (from, to) != NOWHERE && !(dash == Dash::Absent && &data[from..to] == "-") {
                match split(data.as_bytes(), from, to) {
                    Some(found) => parts = found,
                    None => self.push_other(row, &data[from..to]),
                }
            }
            (spans[first], spans[first + 1], spans[first + 2]) = (parts[0], parts[1], parts[2]);
        }
        self.method.gather(data, Stretches { spans, first, step }, Dash::Keep);
        self.path.gather(data, Stretches { spans, first: first + 1, step }, Dash::Keep);
        self.protocol.gather(data, Stretches { spans, first: first + 2, step }, Dash::Keep);
    }

    /// Adds a line that is none, `ahead` rows behind those that are in the columns.
    #[cold]
    fn push_other(&mut self, ahead: usize, line: &str) {
        while self.other.len() < self.method.len() + ahead {
            self.other.push_absent();
        }
        self.other.push(line);
    }

    /// Writes the columns below `prefix`, lines that are none under the name `name`.
    pub(super) fn finish(&mut self, prefix: &str, name: &str, changes: &mut Changes) {
        if !self.other.is_empty() {
            while self.other.len() < self.method.len() {
                self.other.push_absent();
            }
            changes.set(take(&mut self.other).finish(below(prefix, name)));
        }
        for (name, builder) in
            [("method", &mut self.method), ("path", &mut self.path), ("protocol", &mut self.protocol)]
        {
            set_if_present(changes, take(builder).finish(below(prefix, name)));
        }
    }
}

/// Where the three parts of a line such as `GET /index.html HTTP/1.1` lie. The path goes up to the last space, for there are
/// clients that send spaces in it.
#[inline]
fn split(data: &[u8], from: usize, to: usize) -> Option<[Span; 3]> {
    let line = &data[from..to];
    let method = match USUAL.iter().find(|usual| line.starts_with(usual)) {
        Some(usual) => usual.len() - 1,
        None => unusual(data, from, to)?,
    };
    let path = match line {
        [.., b' ', b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => line.len() - 9,
        _ => memchr::memrchr(b' ', line)?,
    };
    let valid = path > method + 1 && line[path + 1..].starts_with(b"HTTP/");
    valid.then_some([(from, from + method), (from + method + 1, from + path), (from + path + 1, to)])
}

/// The length of a method that is none of the usual ones.
#[cold]
fn unusual(data: &[u8], from: usize, to: usize) -> Option<usize> {
    let end = find(data, from, to.min(from + 32), b' ');
    let is_method = |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_');
    (end < to.min(from + 32) && end > from && data[from..end].iter().all(is_method)).then_some(end - from)
}
