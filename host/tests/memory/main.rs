//! What strangers can make the process hold: with an allocator that counts, bodies and messages that mean harm are sent
//! to real sources, and answers that mean harm are given by a real guest; what is held at the peak stays within eight
//! times what came, and a constant. And what a batch costs on the good path, in allocations.

mod allocator;
mod delivery;
mod forward;
mod guests;
mod http;
mod rig;
mod swaps;

/// What may be held whatever comes, in bytes: buffers of connections, the room for bodies that expand, the buffer of
/// the output, a batch for each processor, and what a guest may answer to no more than a line.
const CONSTANT: usize = 48 << 20;

/// Runs one case, and holds it against the bound. `came` is what was sent, in bytes.
#[track_caller]
fn hold(what: &str, came: usize, run: impl FnOnce()) {
    let peak = allocator::peak(run);
    let most = 8 * came + CONSTANT;
    assert!(peak <= most, "{what}: {came} bytes made the process hold {peak}, more than {most}");
}
