//! What a destination does not take for the moment while it takes others: a document for an index that is throttled, or over
//! which a node stumbles. It is tried by itself, with pauses of its own, and holds up no other.

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Courier;
use crate::WriteError;
use crate::parcel::Piece;
use flitch_core::telemetry::Quiet;

/// Most parcels that wait beside those that an output allows, and most bytes of their records. What is more takes the place
/// of others.
const PARCELS: usize = 64;
const BYTES: usize = 8 << 20;

/// All that wait by themselves.
pub(super) struct Bench {
    state: Mutex<State>,
    said: Quiet,
}

#[derive(Default)]
struct State {
    parcels: usize,
    /// Those of them that take no other's place, and the bytes of their records.
    seated: usize,
    bytes: usize,
}

impl Bench {
    pub fn new() -> Bench {
        Bench { state: Mutex::default(), said: Quiet::a_minute() }
    }

    /// How many parcels take no other's place.
    pub fn seated(&self) -> usize {
        self.state.lock().seated
    }
}

/// The state of one parcel.
pub(super) struct Beside<'a> {
    courier: &'a Courier,
    is_on: bool,
    /// What it is charged with, where it has a seat.
    seat: Option<usize>,
}

impl<'a> Beside<'a> {
    pub fn new(courier: &'a Courier) -> Beside<'a> {
        Beside { courier, is_on: false, seat: None }
    }

    /// Whether something of the parcel waits by itself.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Until when it waits after so many attempts.
    pub fn until(&mut self, error: &WriteError, attempts: u32) -> Instant {
        let Courier { name, breaker, bench, .. } = self.courier;
        if !self.is_on {
            self.is_on = true;
            bench.state.lock().parcels += 1;
        }
        let what = format!("{error}; others are tried meanwhile");
        if bench.said.may_say() {
            match error {
                WriteError::Denied { .. } => tracing::error!(output = %name, "{what}; an operator must act"),
                _ => tracing::warn!(output = %name, "{what}; trying again"),
            }
        }
        breaker.refused(Some(what));
        Instant::now() + breaker.pause(error, attempts)
    }

    /// Charges what is left of it, so that it takes no other's place while there is room for that.
    pub fn sit(&mut self, left: &Piece) {
        if !self.is_on {
            return;
        }
        let bytes = left.parcel.members().map(|records| records.memory()).sum();
        let mut state = self.courier.bench.state.lock();
        state.leave(self.seat.take());
        if state.seated < PARCELS && state.bytes.saturating_add(bytes) <= BYTES {
            state.seated += 1;
            state.bytes += bytes;
            self.seat = Some(bytes);
        }
    }
}

impl State {
    fn leave(&mut self, seat: Option<usize>) {
        if let Some(bytes) = seat {
            self.seated -= 1;
            self.bytes -= bytes;
        }
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        if !self.is_on {
            return;
        }
        let mut state = self.courier.bench.state.lock();
        state.leave(self.seat.take());
        state.parcels -= 1;
        if state.parcels == 0 {
            self.courier.breaker.refused(None);
        }
    }
}
