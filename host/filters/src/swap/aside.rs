//! Work that must not slow down what runs.

use std::thread::available_parallelism;

/// How much nicer such threads are (`man 2 nice`): beside a thread of the usual priority such a thread gets a thirtieth of a core. With the lowest one a
/// thread that holds what all others of the process need, such as the kernel's lock of its memory, may be kept from its core
/// for long.
const NICE: i32 = 15;

/// Does work, on threads of a low priority: what is compiled, instantiated and tried meanwhile takes little more
/// than what the workers leave of the cores. The compiler's own threads are among them. Blocks.
pub fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let lower = |_| {
        if let Err(error) = rustix::process::nice(NICE) {
            tracing::debug!(%error, "a thread that builds filters keeps its priority");
        }
    };
    let threads = rayon_core::ThreadPoolBuilder::new()
        .num_threads(available_parallelism().map_or(1, |cores| cores.get()))
        .thread_name(|number| format!("aside-{number}"))
        .start_handler(lower)
        .build();
    match threads {
        Ok(threads) => threads.install(work),
        Err(error) => {
            tracing::warn!(%error, "no threads of low priority can be had: filters are built at the usual one");
            work()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_aside_and_what_it_starts_has_a_low_priority_and_nothing_else_has() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let (own, below) = aside(|| (nice(), rayon_core::join(nice, nice).0));
        let lower = (before + NICE).min(19);
        assert_eq!((own, below, nice()), (lower, lower, before));
        let of_a_thread = aside(|| std::thread::scope(|scope| scope.spawn(nice).join().unwrap()));
        assert_eq!(of_a_thread, lower);
    }
}
