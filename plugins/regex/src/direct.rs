//! Patterns that have one way to go on at every byte, such as `^(?<host>[^ ]*) (?<code>[0-9]+)$`: run straight through the
//! text, without a search.
//!
//! Most patterns of log lines are of this kind. A machine that follows all ways at once looks at each byte by itself; here
//! a run up to a delimiter is found 16 bytes at a time. What [`compile`] does not know for sure to have one way is left to
//! the crate `regex`, and so is a text of which it does not know which way to go: one with letters beyond ASCII where the
//! pattern asks for some of them alone (`\w`).

mod compile;

use flitch_sdk::scan;

/// Whether a byte belongs to a set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Is {
    #[default]
    No,
    Yes,
    /// It begins a character of which only some belong to it.
    Unclear,
}

/// For each byte whether what begins with it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Set([Is; 256]);

impl Set {
    #[inline(always)]
    fn is(&self, byte: u8) -> Is {
        self.0[byte as usize]
    }
}

/// What ends a run.
#[derive(Debug)]
enum Stop {
    /// This byte.
    Byte(u8),
    /// One of two bytes.
    Bytes([u8; 2]),
    /// A byte that is none of these.
    Other(Box<Set>),
}

#[derive(Debug)]
enum Step {
    /// This text stands here.
    Text(Vec<u8>),
    /// As many bytes as there are up to what ends the run, and so many at least and at most.
    Run { stop: Stop, least: usize, most: usize },
    /// A group begins or ends here.
    Mark(usize),
    /// With one of these bytes it goes on, with another one behind so many steps.
    Fork { set: Box<Set>, skip: usize },
    /// It goes on behind so many steps.
    Skip(usize),
    /// It goes on so many steps before.
    Back(usize),
    /// The text ends here.
    End,
}

/// A pattern that has one way to go on at every byte.
#[derive(Debug)]
pub struct Direct {
    steps: Vec<Step>,
    /// Whether it matches from the start of a text or nowhere.
    anchored: bool,
}

/// What comes of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It matches, and the groups are where they are.
    Match,
    /// It does not match.
    Nothing,
    /// Whether it does is for others to say.
    Unclear,
}

impl Direct {
    /// The pattern, if it is of this kind, as the crate `regex` reads it for texts that are UTF-8.
    pub fn new(pattern: &str) -> Option<Self> {
        compile::compile(pattern)
    }

    /// Matches the text `data[from..to]`. Where group `i` begins and ends in `data` is in `places[2 * i..]`, and
    /// `usize::MAX` for one that took no part; the whole match, group 0, is left out.
    #[inline]
    pub fn find(&self, data: &str, from: usize, to: usize, places: &mut [usize]) -> Found {
        places.fill(usize::MAX);
        match self.run(data.as_bytes(), from, to, places) {
            Found::Nothing if !self.anchored => Found::Unclear,
            found => found,
        }
    }

    fn run(&self, data: &[u8], from: usize, to: usize, places: &mut [usize]) -> Found {
        let (mut at, mut next) = (from, 0);
        while let Some(step) = self.steps.get(next) {
            next += 1;
            match step {
                Step::Text(text) => {
                    let stands = to - at >= text.len() && data[at..to].iter().zip(text).all(|(a, b)| a == b);
                    if !stands {
                        return Found::Nothing;
                    }
                    at += text.len();
                }
                Step::Run { stop, least, most } => {
                    let end = match stop {
                        Stop::Byte(byte) => scan::find(data, at, to, *byte),
                        Stop::Bytes(bytes) => scan::find_either(data, at, to, *bytes),
                        Stop::Other(set) => {
                            let to = to.min(at.saturating_add(*most));
                            let run = &data[at..to];
                            let length = run.iter().position(|byte| set.is(*byte) != Is::Yes);
                            let end = length.map_or(to, |length| at + length);
                            if end < to && set.is(data[end]) == Is::Unclear {
                                return Found::Unclear;
                            }
                            end
                        }
                    };
                    if end - at < *least {
                        return Found::Nothing;
                    }
                    at = end;
                }
                Step::Mark(place) => places[*place] = at,
                Step::Fork { set, skip } => match data[..to].get(at).map_or(Is::No, |byte| set.is(*byte)) {
                    Is::Yes => {}
                    Is::No => next += skip,
                    Is::Unclear => return Found::Unclear,
                },
                Step::Skip(steps) => next += steps,
                Step::Back(steps) => next -= steps,
                Step::End if at == to => {}
                Step::End => return Found::Nothing,
            }
        }
        Found::Match
    }
}

#[cfg(test)]
mod tests;
