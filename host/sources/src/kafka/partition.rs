//! One partition that this member of the group reads.

use std::sync::Arc;
use std::time::Instant;

use flitch_core::batch::StreamId;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::origin::Root;
use flitch_core::receipt::Watermark;
use flitch_core::telemetry::Shown;

/// What is done with a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is read.
    Reading,
    /// Its records came back, or nobody says where it begins: it is read from the safe position, not before this time.
    GoBack(Instant),
    /// The client failed to read it: it is told again to read on behind what was sent, not before this time.
    ReadOn(Instant),
    /// It goes to another member.
    Leaving,
}

/// A partition from its assignment to its revocation. What is on its way of one that was revoked settles into a watermark
/// that nobody looks at any more, so that it moves no position.
pub(super) struct Partition {
    pub topic: Arc<str>,
    pub number: i32,
    pub state: State,
    /// The offset behind the last message up to which all are safe.
    pub mark: Watermark<i64>,
    /// The offset that comes next; those before it were taken.
    pub next: i64,
    /// The offset behind the last message that was sent.
    pub sent: i64,
    /// The offset behind all that the client has handed out, be it messages or errors.
    pub heard: i64,
    /// The position of the group, as far as this member knows.
    pub committed: Option<i64>,
    pub stream: StreamId,
    /// What its offsets are numbers in.
    pub root: Root,
    pub constants: Constants,
    /// Where the partition ended when that was asked last, as it is while nothing is fetched.
    pub end: i64,
    pub lag: Option<Arc<Shown>>,
}

impl Partition {
    /// Whether records of it are on their way by which its position may yet move.
    pub fn is_waiting(&self) -> bool {
        self.mark.may_move()
    }

    /// Whether it is read and its next message, at this offset, lies below its position.
    #[inline]
    pub fn is_above(&self, offset: Option<i64>) -> bool {
        self.state == State::Reading && offset.is_some_and(|offset| offset < self.next)
    }

    /// The position to commit, if it has moved.
    pub fn moved(&self) -> Option<i64> {
        self.mark.safe().filter(|safe| self.committed != Some(*safe))
    }
}
