//! What a process costs: CPU, time and memory.

use std::cmp::Ordering;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use flitch_tests::flitch::Flitch;
use flitch_tests::servers::kusto::Kusto;
use flitch_tests::servers::mock_kafka::MockKafka;
use flitch_tests::servers::s3::S3;
use flitch_tests::{ports, wait};

use crate::cases::Case;
use crate::{bulk, kafka};

/// Longest time that one run may take.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// What a number of records cost.
pub struct Cost {
    pub records: u64,
    pub bytes: u64,
    pub cpu: Duration,
    pub wall: Duration,
    pub peak_bytes: u64,
}

impl Cost {
    pub fn cheaper(a: &Cost, b: &Cost) -> Ordering {
        a.cpu_micros_per_record().total_cmp(&b.cpu_micros_per_record())
    }

    pub fn cpu_micros_per_record(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.records as f64
    }

    pub fn records_per_cpu_second(&self) -> f64 {
        self.records as f64 / self.cpu.as_secs_f64()
    }

    pub fn megabytes_per_cpu_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.cpu.as_secs_f64()
    }

    pub fn cores(&self) -> f64 {
        self.cpu.as_secs_f64() / self.wall.as_secs_f64()
    }
}

/// CPU time, user and system, that a process has used, to the nanosecond: `/proc/PID/stat` counts in ticks of 10 ms, which
/// are 5 % of what the cheapest pipelines take.
pub fn cpu_of(pid: u32) -> Duration {
    let (mut clock, mut time) = (0, libc::timespec { tv_sec: 0, tv_nsec: 0 });
    // SAFETY: both write to what they are given, which lives longer than the calls.
    let failed = unsafe {
        libc::clock_getcpuclockid(pid as libc::pid_t, &mut clock) != 0
            || libc::clock_gettime(clock, &mut time) != 0
    };
    assert!(!failed, "the process runs");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A line of `/proc/PID/status`, in bytes.
pub fn memory_of(pid: u32, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let value = status.lines().find_map(|l| l.strip_prefix(line)).expect("the kernel shows memory");
    value.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// A flitch that runs one case.
pub struct Run {
    pub flitch: Flitch,
    /// Holds the broker that the case writes to, if it does.
    _kafka: Option<MockKafka>,
    /// The same for a store.
    _s3: Option<S3>,
    _adx: Option<Kusto>,
    cpu: Duration,
    begun: Instant,
}

impl Run {
    pub fn start(case: &Case, lines: &Path) -> Run {
        let kafka =
            case.config.contains("{kafka}").then(|| MockKafka::start(1).expect("a mock broker starts"));
        let brokers = kafka.as_ref().map(MockKafka::bootstrap).unwrap_or_default();
        let s3 = case.config.contains("{s3}").then(|| S3::start(&["bench"]).expect("an S3 server starts"));
        let endpoint = s3.as_ref().map(S3::endpoint).unwrap_or_default();
        let mut config = case.config.replace("{kafka}", &brokers).replace("{s3}", &endpoint);
        let adx = config.contains("{adx}").then(|| Kusto::start().expect("a cluster starts"));
        if let Some(adx) = &adx {
            adx.state().forgets = true;
            config = config.replace("{adx}", &adx.settings());
        }
        if config.contains("{bulk}") {
            config = config.replace("{bulk}", &bulk::start().to_string());
        }
        config = config.replace("{port}", &ports::free().to_string());
        if config.contains("{topics}") {
            let group = ports::free().to_string();
            config = config.replace("{topics}", &kafka::topics(lines).0).replace("{group}", &group);
        }
        let flitch = Flitch::start(env!("CARGO_BIN_EXE_flitch"), &config);
        let cpu = cpu_of(flitch.pid());
        Run { flitch, _kafka: kafka, _s3: s3, _adx: adx, cpu, begun: Instant::now() }
    }

    /// Waits until all records have ended, and says what they cost.
    pub fn finish(mut self, records: u64) -> Cost {
        let ended = || {
            let accounts = &self.flitch.status()["sources"];
            let sum = |key: &str| -> u64 {
                let sources = accounts.as_object().expect("the status lists sources");
                sources.values().map(|source| source[key].as_u64().unwrap_or(0)).sum()
            };
            sum("received") >= records && sum("in_flight") == 0
        };
        wait::poll(PATIENCE, ended).expect("all records arrive");
        let wall = self.begun.elapsed();
        let pid = self.flitch.pid();
        let cpu = cpu_of(pid) - self.cpu;
        let peak_bytes = memory_of(pid, "VmHWM");
        self.flitch.terminate(PATIENCE);
        Cost { records, bytes: records * 241, cpu, wall, peak_bytes }
    }
}

/// How long a start takes with a warm cache, and how much memory an idle daemon holds.
pub fn start_and_idle() {
    let mut flitch = Flitch::new(env!("CARGO_BIN_EXE_flitch"), crate::cases::DISSECT_TO_BLACKHOLE);
    flitch.run();
    flitch.terminate(PATIENCE);
    let mut best = Duration::MAX;
    let mut idle = 0;
    for _ in 0..5 {
        let begun = Instant::now();
        flitch.run();
        best = best.min(begun.elapsed());
        idle = memory_of(flitch.pid(), "VmRSS");
        flitch.terminate(PATIENCE);
    }
    println!("\nstart with a warm cache until ready: {best:?}; idle memory: {:.0} MB", idle as f64 / 1e6);
}
