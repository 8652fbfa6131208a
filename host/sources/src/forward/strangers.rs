//! Connections that have not proved themselves: their handshake is not over, or they have sent no record yet.
//!
//! Anybody can open as many as a source takes and say nothing. A client that is new then takes the place of the one
//! that has said nothing longest, so that nobody is shut out by the silent ones. One that has sent a record stays,
//! however long it is silent then: Docker's connections are, while their containers say nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use flitch_core::net::connections::{LetGo, Slot};

const STRANGER: u8 = 0;
const KNOWN: u8 = 1;
const SENT_AWAY: u8 = 2;

/// The slot of a connection, and whether it has proved itself.
pub struct Place {
    slot: Slot,
    state: AtomicU8,
}

impl Place {
    /// The place of a new connection.
    pub fn new(slot: Slot) -> Arc<Place> {
        slot.rest();
        Arc::new(Place { slot, state: AtomicU8::new(STRANGER) })
    }

    /// Says that the connection has proved itself. Answers false where it was sent away before.
    #[inline]
    pub fn is_known(&self) -> bool {
        self.state.load(Ordering::Acquire) == KNOWN || self.becomes_known()
    }

    #[cold]
    fn becomes_known(&self) -> bool {
        self.slot.work();
        self.becomes(KNOWN)
    }

    /// Waits until the connection has to give way to another, and counts it; one that has proved itself never has to.
    pub async fn sent_away(&self) {
        loop {
            self.slot.leave().await;
            if self.becomes(SENT_AWAY) {
                return self.slot.let_go(LetGo::Room);
            }
        }
    }

    fn becomes(&self, state: u8) -> bool {
        self.state.compare_exchange(STRANGER, state, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flitch_core::net::connections::Connections;

    #[tokio::test(start_paused = true)]
    async fn the_oldest_stranger_gives_way_and_one_that_has_proved_itself_never_does() {
        let connections = Connections::new("test", 3);
        let place = async || Place::new(connections.slot().await);
        let (known, oldest, newest) = (place().await, place().await, place().await);
        assert!(known.is_known());
        let next = async { Place::new(connections.slot().await) };
        let gives_way = async {
            oldest.sent_away().await;
            assert!(!oldest.is_known(), "it was sent away before it said anything");
            drop(oldest);
        };
        let (next, ()) = tokio::join!(next, gives_way);
        assert!(newest.is_known() && next.is_known());
        let waits = tokio::time::timeout(std::time::Duration::from_secs(60), connections.slot()).await;
        assert!(waits.is_err(), "all have proved themselves");
        let sent_away = tokio::time::timeout(std::time::Duration::from_secs(60), known.sent_away()).await;
        assert!(sent_away.is_err());
    }
}
