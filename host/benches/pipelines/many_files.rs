//! What it costs to follow very many files of which hardly one grows.

use std::fs;
use std::io::Write;
use std::thread::sleep;
use std::time::{Duration, Instant};

use flitch_tests::flitch::Flitch;
use flitch_tests::wait;

use crate::measure::{PATIENCE, cpu_of, memory_of};

/// Files in one folder.
const FILES: usize = 100_000;
/// Files are looked at more rarely once they were quiet for so long, and a bit.
const CALM: Duration = Duration::from_secs(15);
/// How long each state is watched.
const WATCHED: Duration = Duration::from_secs(10);
/// How often the one file grows.
const PAUSE: Duration = Duration::from_millis(20);

const CONFIG: &str = "sources: { lines: { type: file, include: [\"{dir}/in/*.log\"] } }\n\
                      outputs: { out: { type: blackhole } }\n\
                      pipelines: { p: { from: [lines], to: [{ output: out }] } }\n";

/// Follows 100,000 files, and prints the CPU time of finding them, of waiting, and of following one that grows.
#[expect(clippy::disallowed_methods, reason = "what passes while nothing happens is what is measured")]
pub fn follow() {
    let mut flitch = Flitch::new(env!("CARGO_BIN_EXE_flitch"), CONFIG);
    let folder = flitch.dir().join("in");
    fs::create_dir(&folder).expect("a folder can be made");
    for number in 0..FILES {
        fs::write(folder.join(format!("{number:06}.log")), "a line of a file that is quiet from now on\n")
            .expect("the disk has room");
    }
    flitch.run();
    let received = |flitch: &Flitch| flitch.status()["sources"]["lines"]["received"].as_u64().unwrap_or(0);
    let begun = Instant::now();
    wait::poll(PATIENCE, || received(&flitch) >= FILES as u64).expect("all records arrive");
    let (found, wall) = (cpu_of(flitch.pid()), begun.elapsed());
    sleep(CALM);
    let before = cpu_of(flitch.pid());
    sleep(WATCHED);
    let idle = cpu_of(flitch.pid()) - before;
    let mut file = fs::File::options().append(true).open(folder.join("050000.log")).expect("it is there");
    let (before, begun, mut lines) = (cpu_of(flitch.pid()), Instant::now(), 0);
    while begun.elapsed() < WATCHED {
        file.write_all(b"a line that comes while 99,999 files are quiet\n").expect("the disk has room");
        lines += 1;
        sleep(PAUSE);
    }
    wait::poll(PATIENCE, || received(&flitch) >= FILES as u64 + lines).expect("all lines arrive");
    let lively = cpu_of(flitch.pid()) - before;
    let share = |cpu: Duration| 100.0 * cpu.as_secs_f64() / WATCHED.as_secs_f64();
    println!(
        "\n100,000 files in one folder: all read after {wall:.1?} and {found:.1?} of CPU; quiet {:.1} % of a core; \
         one grows every {PAUSE:?} {:.1} %; peak {:.0} MB",
        share(idle),
        share(lively),
        memory_of(flitch.pid(), "VmHWM") as f64 / 1e6
    );
    flitch.terminate(PATIENCE);
}
