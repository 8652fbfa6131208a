//! The bounds on what objects that are open take of memory.

use super::Yard;

/// Most of their content. Where more comes it is written in smaller pieces.
const CONTENT: usize = 32 << 20;
/// Where the content of the others is less, an object may have some that cannot be written at any time.
pub(super) const DIRECT: usize = CONTENT / 4;
/// Most of what they take beside it: each some 2.5 KiB, and for each part of a batch that went into one what settles it.
const BESIDE: usize = 64 << 20;

impl Yard {
    /// Keeps memory below its bounds: of what is more than the mean the content is written, and what takes memory all the
    /// same is closed.
    pub(super) fn relieve(&mut self) {
        if self.memory.content <= CONTENT && self.memory.beside <= BESIDE || self.rest.is_some() {
            return;
        }
        if self.memory.content > CONTENT {
            self.write_most();
        }
        let is_over = |yard: &Yard| yard.memory.content > CONTENT || yard.memory.beside > BESIDE;
        let open = self.open.len();
        while is_over(self) && self.rest.is_none() && !self.open.is_empty() {
            self.close_idle();
        }
        if self.open.len() < open && self.said_many.may_say() {
            let closed = open - self.open.len();
            tracing::warn!(output = %self.plan.output, open, closed, "so many objects are open that they take more memory than they may; those to which nothing came for the longest time are closed before their time");
        }
    }

    fn write_most(&mut self) {
        let mean = self.memory.content / self.open.len().max(1);
        let mut broken = None;
        for (key, open) in self.open.iter_mut().filter(|(_, open)| open.memory.content >= mean) {
            let wrote = open.relieve(&mut self.press);
            open.count(&mut self.memory);
            if let Err(error) = wrote {
                broken = Some((key.clone(), error));
                break;
            }
        }
        if let Some((key, broken)) = broken {
            self.broken(&key, broken);
        }
    }
}
