//! Finds out whether a pattern has one way to go on at every byte, and which.
//!
//! A run, an optional part and a repeated one end where the next byte cannot belong to them. If that byte could also
//! begin what comes behind, the crate `regex` would try both; such a pattern is none for us. So the parts of a sequence
//! are looked at from its end, each with what may come [`After`] it.

use super::{Direct, Is, Set, Step, Stop};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

/// A run without an upper bound.
const ANY: usize = usize::MAX;

impl Set {
    fn none() -> Self {
        Self([Is::No; 256])
    }

    fn of(byte: u8) -> Self {
        let mut set = Self::none();
        set.0[byte as usize] = Is::Yes;
        set
    }

    /// What belongs to one of the two.
    fn or(mut self, other: &Self) -> Self {
        for (one, other) in self.0.iter_mut().zip(other.0) {
            *one = match (*one, other) {
                (Is::Yes, _) | (_, Is::Yes) => Is::Yes,
                (Is::No, Is::No) => Is::No,
                _ => Is::Unclear,
            };
        }
        self
    }

    /// Whether a byte that surely belongs to it may belong to `other` as well.
    fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).any(|(one, other)| *one == Is::Yes && other != Is::No)
    }

    /// The one or two bytes that do not belong to it, where all others do.
    fn all_but(&self) -> Option<Stop> {
        let mut others = (0..=255u8).filter(|byte| self.is(*byte) != Is::Yes);
        if self.0.contains(&Is::Unclear) {
            return None;
        }
        match (others.next(), others.next(), others.next()) {
            (Some(byte), None, _) => Some(Stop::Byte(byte)),
            (Some(one), Some(other), None) => Some(Stop::Bytes([one, other])),
            _ => None,
        }
    }
}

/// What may come behind a part.
#[derive(Clone)]
struct After {
    first: Set,
    /// The match may end here, with any text behind it.
    open: bool,
}

/// The steps of a part.
struct Block {
    steps: Vec<Step>,
    /// What it may begin with.
    first: Set,
    /// Whether it may match nothing.
    empty: bool,
}

/// The pattern, if it has one way to go on at every byte.
pub(super) fn compile(pattern: &str) -> Option<Direct> {
    let hir = ParserBuilder::new().utf8(false).build().parse(pattern).ok()?;
    let (mut characters, mut bytes) = (false, false);
    look_for(&hir, &mut characters, &mut bytes);
    // Bytes may end within a character, where no class of characters matches anything.
    if characters && bytes {
        return None;
    }
    let mut parts = match hir.kind() {
        HirKind::Concat(parts) => parts.as_slice(),
        _ => std::slice::from_ref(&hir),
    };
    let is = |part: &Hir, look: Look| matches!(part.kind(), HirKind::Look(is) if *is == look);
    let anchored = parts.first().is_some_and(|part| is(part, Look::Start));
    parts = &parts[usize::from(anchored)..];
    let closed = parts.last().is_some_and(|part| is(part, Look::End));
    parts = &parts[..parts.len() - usize::from(closed)];
    let mut steps = sequence(parts, &After { first: Set::none(), open: !closed })?.steps;
    if closed {
        steps.push(Step::End);
    }
    Some(Direct { steps, anchored })
}

/// Looks for classes of characters and of bytes that hold something beyond ASCII.
fn look_for(hir: &Hir, characters: &mut bool, bytes: &mut bool) {
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            *characters |= class.ranges().last().is_some_and(|range| !range.end().is_ascii());
        }
        HirKind::Class(Class::Bytes(class)) => {
            *bytes |= class.ranges().last().is_some_and(|range| !range.end().is_ascii());
        }
        HirKind::Literal(literal) => *bytes |= std::str::from_utf8(&literal.0).is_err(),
        kind => kind.subs().iter().for_each(|sub| look_for(sub, characters, bytes)),
    }
}

fn block(hir: &Hir, after: &After) -> Option<Block> {
    if let Some(set) = single(hir) {
        return run(set, (1, 1), true, after);
    }
    match hir.kind() {
        HirKind::Empty => Some(Block { steps: Vec::new(), first: Set::none(), empty: true }),
        HirKind::Literal(literal) => {
            let first = Set::of(*literal.0.first()?);
            Some(Block { steps: vec![Step::Text(literal.0.to_vec())], first, empty: false })
        }
        HirKind::Capture(capture) => {
            let mut inside = block(&capture.sub, after)?;
            let place = capture.index as usize * 2;
            inside.steps.insert(0, Step::Mark(place));
            inside.steps.push(Step::Mark(place + 1));
            Some(inside)
        }
        HirKind::Repetition(repetition) => match single(&repetition.sub) {
            Some(set) => {
                let most = repetition.max.map_or(ANY, |max| max as usize);
                run(set, (repetition.min as usize, most), repetition.greedy, after)
            }
            None => repeated(repetition, after),
        },
        HirKind::Concat(parts) => sequence(parts, after),
        HirKind::Alternation(ways) => one_of(ways, |way| block(way, after)),
        HirKind::Class(_) | HirKind::Look(_) => None,
    }
}

/// What a part is that takes one character, or one byte.
fn single(hir: &Hir) -> Option<Set> {
    let mut set = Set::none();
    match hir.kind() {
        HirKind::Literal(literal) => match *literal.0 {
            [byte] => return Some(Set::of(byte)),
            _ => return None,
        },
        HirKind::Class(Class::Bytes(class)) => {
            for range in class.ranges() {
                set.0[range.start() as usize..=range.end() as usize].fill(Is::Yes);
            }
        }
        HirKind::Class(Class::Unicode(class)) => {
            for range in class.ranges() {
                let (start, end) = (range.start() as usize, range.end() as usize);
                set.0[start.min(0x80)..(end + 1).min(0x80)].fill(Is::Yes);
                if end >= 0x80 && set.0[0x80] != Is::Yes {
                    let all = start <= 0x80 && range.end() == char::MAX;
                    set.0[0x80..].fill(if all { Is::Yes } else { Is::Unclear });
                }
            }
            // Not every byte begins a character, but in a text each stands in one.
        }
        _ => return None,
    }
    Some(set)
}

/// A run of what belongs to `set`, `least` to `most` characters or bytes of it.
fn run(set: Set, (least, most): (usize, usize), greedy: bool, after: &After) -> Option<Block> {
    let mut set = set;
    if least > 1 || most != ANY {
        // Of those with characters of several bytes it is not known how many they are; nor what they are where they are
        // of some.
        for is in set.0[0x80..].iter_mut().filter(|is| **is == Is::Yes) {
            *is = Is::Unclear;
        }
    }
    if least != most && (set.meets(&after.first) || after.open && !greedy) {
        return None;
    }
    let stop = match most {
        ANY => set.all_but(),
        _ => None,
    };
    let first = set.clone();
    let stop = stop.unwrap_or_else(|| Stop::Other(Box::new(set)));
    Some(Block { steps: vec![Step::Run { stop, least, most }], first, empty: least == 0 })
}

fn sequence(parts: &[Hir], after: &After) -> Option<Block> {
    let mut whole = Block { steps: Vec::new(), first: Set::none(), empty: true };
    for part in parts.iter().rev() {
        let after = match whole.empty {
            true => After { first: whole.first.clone().or(&after.first), open: after.open },
            false => After { first: whole.first.clone(), open: false },
        };
        let mut part = block(part, &after)?;
        part.steps.append(&mut whole.steps);
        let first = if part.empty { part.first.or(&whole.first) } else { part.first };
        whole = Block { steps: part.steps, first, empty: part.empty && whole.empty };
    }
    Some(whole)
}

/// One of several ways, each with bytes of its own to begin with.
fn one_of(ways: &[Hir], way: impl Fn(&Hir) -> Option<Block>) -> Option<Block> {
    let mut steps = Vec::new();
    let mut first = Set::none();
    for (place, hir) in ways.iter().enumerate().rev() {
        let Block { steps: mut own, first: begins, empty } = way(hir)?;
        if empty || begins.meets(&first) || first.meets(&begins) {
            return None;
        }
        if place + 1 < ways.len() {
            own.push(Step::Skip(steps.len()));
            own.insert(0, Step::Fork { set: Box::new(begins.clone()), skip: own.len() });
        }
        own.append(&mut steps);
        steps = own;
        first = begins.or(&first);
    }
    Some(Block { steps, first, empty: false })
}

/// A part of several steps that may be missing or stand several times.
fn repeated(repetition: &Repetition, after: &After) -> Option<Block> {
    let Repetition { min, max, sub, .. } = repetition;
    // Where it breaks off in the middle, what may come behind it need not have been begun.
    if after.open || sub.properties().minimum_len() == Some(0) {
        return None;
    }
    if (*min, *max) == (0, Some(1)) {
        let Block { mut steps, first, .. } = block(sub, after)?;
        if first.meets(&after.first) {
            return None;
        }
        steps.insert(0, Step::Fork { set: Box::new(first.clone()), skip: steps.len() });
        return Some(Block { steps, first, empty: true });
    }
    if *min > 1 || max.is_some() || sub.properties().explicit_captures_len() > 0 {
        return None;
    }
    // What it begins with does not depend on what comes behind.
    let first = one_pass(sub, &After { first: Set::none(), open: false })?.first;
    let Block { steps: mut body, .. } =
        one_pass(sub, &After { first: first.clone().or(&after.first), open: false })?;
    if first.meets(&after.first) {
        return None;
    }
    let length = body.len();
    let mut steps = Vec::new();
    if *min == 0 {
        steps.push(Step::Fork { set: Box::new(first.clone()), skip: length + 2 });
    }
    steps.append(&mut body);
    steps.push(Step::Fork { set: Box::new(first.clone()), skip: 1 });
    steps.push(Step::Back(length + 2));
    Some(Block { steps, first, empty: *min == 0 })
}

/// One time around of a part that is repeated. Where one of several ways is a single character, as many as there are go
/// in one step: around again it would be the same.
fn one_pass(sub: &Hir, after: &After) -> Option<Block> {
    let HirKind::Alternation(ways) = sub.kind() else { return block(sub, after) };
    let calm = After { first: Set::none(), open: false };
    one_of(ways, |way| match single(way) {
        Some(set) => run(set, (1, ANY), true, &calm),
        None => block(way, after),
    })
}
