//! Attacks on a flitch, beside a client that must not notice them.
//!
//! A test starts an [`Attacked`] with the configuration that is attacked and a client that behaves, attacks, and asks
//! as often as it likes whether the client [goes on](Attacked::goes_on). At the [end](Attacked::end) the sums hold, all
//! that the client was told is safe was taken, and the process never held more than [`MEMORY`].

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;

use crate::flitch::Flitch;
use crate::wait;

/// Bytes of memory that a flitch under attack may hold.
pub const MEMORY: u64 = 512 << 20;

/// How long the client may wait for what it needs: generous, for the attack takes the machine's time as well.
const DEADLINE: Duration = Duration::from_secs(60);

/// Time between two records of the client.
const STEP: Duration = Duration::from_millis(2);

/// Records that must be acknowledged while an attack is under way.
const MORE: u64 = 50;

/// A flitch under attack, held to [`MEMORY`], and the client that must not notice it.
pub struct Attacked {
    /// The flitch.
    pub flitch: Flitch,
    good: Good,
}

/// A client that sends one record after the other, each when the one before is acknowledged.
struct Good {
    acknowledged: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    sending: Option<JoinHandle<Result<()>>>,
}

impl Attacked {
    /// A flitch with this configuration. `connect` makes the client's way to send a record: called with 0, 1, 2, it
    /// returns when the record is acknowledged, and an error where it never is.
    #[track_caller]
    pub fn start<S>(
        binary: impl AsRef<Path>,
        config: &str,
        connect: impl FnOnce(&Flitch) -> Result<S>,
    ) -> Attacked
    where
        S: FnMut(usize) -> Result<()> + Send + 'static,
    {
        let mut flitch = Flitch::new(binary, config).held_to(MEMORY);
        flitch.run();
        let send = connect(&flitch).unwrap_or_else(|error| panic!("{error:#}\n{}", flitch.log()));
        let attacked = Attacked { flitch, good: Good::start(send) };
        attacked.goes_on("before the attack");
        attacked
    }

    /// The client's records are acknowledged now as well.
    #[track_caller]
    pub fn goes_on(&self, when: &str) {
        let wanted = self.good.count() + MORE;
        let went_on = wait::poll(DEADLINE, || self.good.ended() || self.good.count() >= wanted);
        let log = || self.flitch.log();
        assert!(went_on.is_some(), "{when}: {MORE} records are not acknowledged in time\n{}", log());
        assert!(!self.good.ended(), "{when}: the client that behaves is not served any more\n{}", log());
        let peak = self.flitch.memory_peak();
        assert!(peak < MEMORY, "{when}: it held {peak} bytes");
    }

    /// The attack is over: the client ends, what it was told is true, and flitch stops in order. Answers the flitch
    /// and the most memory that it held, in bytes.
    #[track_caller]
    pub fn end(mut self) -> (Flitch, u64) {
        self.goes_on("after the attack");
        let acknowledged =
            self.good.finish().unwrap_or_else(|error| panic!("{error:#}\n{}", self.flitch.log()));
        let sums = self.flitch.settled(DEADLINE);
        assert!(sums.delivered >= acknowledged, "{acknowledged} records were acknowledged: {sums}");
        let peak = self.flitch.memory_peak();
        assert!(self.flitch.terminate(DEADLINE).success(), "{}", self.flitch.log());
        eprintln!("the most memory that it held: {} MB", peak >> 20);
        (self.flitch, peak)
    }
}

impl Good {
    fn start(mut send: impl FnMut(usize) -> Result<()> + Send + 'static) -> Good {
        let (acknowledged, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stopped) = (acknowledged.clone(), stop.clone());
        let sending = crate::beside(move || {
            for n in 0.. {
                if stopped.load(Ordering::Acquire) {
                    break;
                }
                send(n)?;
                count.fetch_add(1, Ordering::AcqRel);
                wait::pause(STEP);
            }
            Ok(())
        });
        Good { acknowledged, stop, sending: Some(sending) }
    }

    fn count(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }

    /// Whether it has given up.
    fn ended(&self) -> bool {
        self.sending.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends it. Answers how many records were acknowledged, or why it could not go on.
    fn finish(&mut self) -> Result<u64> {
        self.stop.store(true, Ordering::Release);
        if let Some(sending) = self.sending.take() {
            sending.join().map_err(|_| anyhow::anyhow!("the client panicked"))??;
        }
        Ok(self.count())
    }
}
