//! Sends what a file ended with before it was cut.

use std::time::Instant;

use flitch_core::buffers::Closed;

use super::super::container::At;
use super::super::sender::Sender;
use super::super::tail::{Owed, Tail};

/// Sends what is owed of the content that a file had before. Answers whether all of it is sent: where the pipelines are full the
/// rest waits for room. It is nowhere else any more, so that what comes back is gone.
pub(in super::super) fn send(tail: &mut Tail, out: &mut Sender, now: Instant) -> Result<bool, Closed> {
    let Some(mut owed) = tail.unsent.owed.take() else { return Ok(true) };
    out.gather.offsets.is_exact = owed.is_exact;
    loop {
        let Owed { kept, sent, streams, root, .. } = &mut *owed;
        let (text, base) = kept.as_ref().map_or((&[][..], 0), |kept| kept.rest(*sent));
        let taken = out.gather.append(text, &out.cut, true, At { base, now, streams: &mut *streams });
        let is_whole = taken == text.len();
        *sent += taken;
        if is_whole {
            out.gather.end_open(streams, true, now);
        }
        if out.gather.taken() > 0 {
            let root_now = std::mem::replace(&mut tail.root, *root);
            let handed = out.send(tail, tail.position(), taken);
            tail.root = root_now;
            handed?;
        }
        if is_whole || taken == 0 {
            return Ok(true);
        }
        if out.is_blocked() {
            tail.unsent.owed = Some(owed);
            return Ok(false);
        }
    }
}
