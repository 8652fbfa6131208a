//! The servers of an output that has several: which of them takes the next write, and which rests after a failure.
//!
//! Writes go to the servers by their weights. One that failed rests, longer each time; when it has rested one write tries
//! it while all others go elsewhere. Standby servers take the place of as much weight as rests. Where all rest, the one
//! that may be tried first is asked all the same: how often is for the delivery loop to say, as with one server.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use flitch_core::backoff::{Backoff, scattered};
use flitch_core::telemetry::{Metric, Shown};

/// How long one rests that does not say for how long it wants to be left alone.
const RESTS: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is called in logs and metrics: its address.
    pub name: String,
    /// Its share of the writes, beside the weights of the others; at least 1.
    pub weight: u32,
    /// Whether it is asked only in the place of others that rest.
    pub standby: bool,
}

/// All servers of an output.
pub struct Nodes {
    output: String,
    nodes: Vec<Node>,
    states: Mutex<Vec<State>>,
    up: Vec<Shown>,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// Failures in a row.
    failures: u32,
    /// When it has rested.
    resume: Option<Instant>,
    /// A write tries it.
    on_trial: bool,
    /// What it is owed of the writes: smooth weighted round robin, as nginx has it.
    credit: i64,
}

impl State {
    fn is_well(&self) -> bool {
        self.failures == 0
    }

    /// Whether the next write may try it.
    fn is_due(&self, now: Instant) -> bool {
        !self.is_well() && !self.on_trial && self.resume.is_none_or(|resume| resume <= now)
    }
}

/// Leave to write to one server. Whoever has it says how that went; dropped, it says nothing.
#[must_use]
pub struct Turn<'a> {
    nodes: &'a Nodes,
    place: usize,
    trial: bool,
}

impl Nodes {
    /// The servers of the output of this name.
    pub fn new(output: &str, nodes: Vec<Node>) -> Nodes {
        let gauge = |node: &Node| {
            let up = Metric::OutputServerUp.shown_most(&[("output", output), ("server", &node.name)]);
            up.set(1.0);
            up
        };
        let up = nodes.iter().map(gauge).collect();
        let states = Mutex::new(vec![State::default(); nodes.len()]);
        Nodes { output: output.to_owned(), nodes, states, up }
    }

    /// All of them, by their places.
    pub fn all(&self) -> &[Node] {
        &self.nodes
    }

    /// The server for the next write, which is none of `tried`; none where all of them are.
    pub fn pick(&self, tried: &[usize]) -> Option<Turn<'_>> {
        let now = Instant::now();
        let mut states = self.states.lock();
        let is_open = |place: &usize| !tried.contains(place);
        let turn = |place: usize, trial: bool| Turn { nodes: self, place, trial };
        let is_missed =
            (0..self.nodes.len()).any(|place| !self.nodes[place].standby && !states[place].is_well());
        let due = (0..self.nodes.len())
            .filter(|place| is_missed || !self.nodes[*place].standby)
            .filter(is_open)
            .find(|place| states[*place].is_due(now));
        if let Some(place) = due {
            states[place].on_trial = true;
            return Some(turn(place, true));
        }
        let candidates = self.candidates(&states, tried);
        if candidates.is_empty() {
            let soonest = (0..self.nodes.len()).filter(is_open).min_by_key(|place| states[*place].resume)?;
            return Some(turn(soonest, false));
        }
        let mut total = 0;
        for &place in &candidates {
            let weight = i64::from(self.nodes[place].weight.max(1));
            states[place].credit += weight;
            total += weight;
        }
        // Of equals the first, so that one server goes on where no other has more of a claim.
        let place = candidates.into_iter().rev().max_by_key(|place| states[*place].credit)?;
        states[place].credit -= total;
        Some(turn(place, false))
    }

    /// The servers that are well, with standby ones for as much weight as rests.
    fn candidates(&self, states: &[State], tried: &[usize]) -> Vec<usize> {
        let is_usable = |place: &usize| states[*place].is_well() && !tried.contains(place);
        let (mut candidates, mut lost) = (Vec::new(), 0u64);
        for (place, node) in self.nodes.iter().enumerate().filter(|(_, node)| !node.standby) {
            match is_usable(&place) {
                true => candidates.push(place),
                false => lost += u64::from(node.weight.max(1)),
            }
        }
        for (place, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.standby) {
            if lost == 0 {
                break;
            }
            if is_usable(&place) {
                candidates.push(place);
                lost = lost.saturating_sub(u64::from(node.weight.max(1)));
            }
        }
        candidates
    }

    /// Whether there is but one, of which the delivery loop tells all there is to tell.
    fn is_single(&self) -> bool {
        self.nodes.len() == 1
    }
}

impl Turn<'_> {
    /// The place of the server among [`Nodes::all`].
    pub fn place(&self) -> usize {
        self.place
    }

    /// The write went through, or the server was not to blame.
    pub fn succeeded(self) {
        let mut states = self.nodes.states.lock();
        let state = &mut states[self.place];
        if !state.is_well() {
            (state.failures, state.resume) = (0, None);
            self.nodes.up[self.place].set(1.0);
            if !self.nodes.is_single() {
                let (output, server) = (&self.nodes.output, &self.nodes.nodes[self.place].name);
                tracing::info!(output = %output, server = %server, "the server takes writes again");
            }
        }
    }

    /// The server failed, and rests; for `after` where it asked for that.
    pub fn failed(self, reason: &str, after: Option<Duration>) {
        let now = Instant::now();
        let mut states = self.nodes.states.lock();
        let state = &mut states[self.place];
        // Of writes that were under way together only one counts.
        if state.resume.is_some_and(|resume| resume > now) && !self.trial {
            return;
        }
        state.failures = state.failures.saturating_add(1);
        let own = || scattered(RESTS.after(state.failures), fastrand::f64());
        let rest = after.filter(|after| *after >= RESTS.first / 2).unwrap_or_else(own);
        state.resume = Some(now + rest);
        state.credit = 0;
        self.nodes.up[self.place].set(0.0);
        if state.failures == 1 && !self.nodes.is_single() {
            let (output, server) = (&self.nodes.output, &self.nodes.nodes[self.place].name);
            tracing::warn!(output = %output, server = %server, "the server rests, others take its place: {reason}");
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.trial {
            self.nodes.states.lock()[self.place].on_trial = false;
        }
    }
}

#[cfg(test)]
mod tests;
