use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::telemetry::log::Fields;

/// Takes so many bytes, and fails then.
#[derive(Default)]
struct Disk {
    text: Vec<u8>,
    room: usize,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(self.room)];
        if bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.text.extend_from_slice(bytes);
        self.room -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Make(Arc<Queue>);

impl<'a> MakeWriter<'a> for Make {
    type Writer = Sink;

    fn make_writer(&'a self) -> Sink {
        Sink::Queued(self.0.clone())
    }
}

/// A queue, and what its thread would write to.
struct Bench {
    queue: Arc<Queue>,
    disk: Disk,
    half: bool,
}

impl Bench {
    fn new(most: usize, room: usize) -> Bench {
        let queue = Arc::new(Queue::new(most));
        Bench { queue, disk: Disk { room, ..Disk::default() }, half: false }
    }

    /// What the log's thread does once there are lines; it says what it has to say to the same log.
    fn round(&mut self) {
        let Bench { queue, disk, half } = self;
        let subscriber = tracing_subscriber::fmt().with_writer(Make(queue.clone())).fmt_fields(Fields);
        let subscriber = subscriber.with_ansi(false).without_time().with_level(false).with_target(false);
        queue.state.lock().thread = Some(thread::current().id());
        let mut pen = Pen { stream: disk, half: *half };
        tracing::subscriber::with_default(subscriber.finish(), || {
            queue.round(&mut pen, &mut Lines::default())
        });
        *half = pen.half;
        queue.state.lock().thread = None;
    }

    fn text(&self) -> String {
        String::from_utf8(self.disk.text.clone()).unwrap()
    }

    fn lost(&self) -> u64 {
        self.queue.lost.load(Ordering::Relaxed)
    }
}

const TOLD: &str = "lines of the log were lost: stderr took none for a while, or too slowly";

#[test]
fn what_finds_no_room_is_lost_and_told_behind_what_waited() {
    let mut bench = Bench::new(8, 1 << 10);
    for line in ["one\n", "two\n", "three\n", "four\n"] {
        bench.queue.put(line.as_bytes());
    }
    assert_eq!(bench.lost(), 2);
    bench.round();
    assert_eq!(bench.text(), format!("one\ntwo\n{TOLD} lines=2\n"));
    bench.queue.put(b"five\n");
    bench.round();
    assert_eq!(bench.text(), format!("one\ntwo\n{TOLD} lines=2\nfive\n"));
    assert_eq!(bench.lost(), 2);
}

#[test]
fn a_full_disk_costs_lines_and_nothing_else() {
    let mut bench = Bench::new(1 << 10, 6);
    for line in ["one\n", "two\n", "three\n"] {
        bench.queue.put(line.as_bytes());
    }
    bench.round();
    assert_eq!((bench.text().as_str(), bench.lost()), ("one\ntw", 2));
    // Room for the end of the half line and one more, and none for telling.
    bench.disk.room = 6;
    bench.queue.put(b"four\n");
    bench.round();
    assert_eq!((bench.text().as_str(), bench.lost()), ("one\ntw\nfour\n", 3));
    bench.disk.room = 1 << 10;
    bench.queue.put(b"five\n");
    bench.round();
    assert_eq!(bench.text(), format!("one\ntw\nfour\nfive\n{TOLD} lines=3\n"));
}

#[test]
fn a_line_longer_than_all_the_room_is_taken_when_nothing_waits() {
    let mut bench = Bench::new(4, 1 << 10);
    bench.queue.put(b"a long line\n");
    bench.queue.put(b"b\n");
    bench.round();
    assert_eq!(bench.text(), format!("a long line\n{TOLD} lines=1\n"));
}

#[test]
fn a_stream_that_takes_nothing_holds_up_neither_who_writes_nor_the_end() {
    /// Takes a line when it is told to.
    struct Pipe(crossbeam_channel::Receiver<()>, Arc<Mutex<Vec<u8>>>);
    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(io::Error::other)?;
            self.1.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (reads, read) = crossbeam_channel::bounded(16);
    let text = Arc::new(Mutex::new(Vec::new()));
    let queue = Arc::new(Queue::new(8));
    let (work, mut pipe) = (queue.clone(), Pipe(read, text.clone()));
    let part = Part::new(&Arc::default(), "log", "stderr");
    kept_thread(part, crossbeam_channel::never(), move || work.work(&mut pipe)).unwrap();
    for _ in 0..1000 {
        queue.put(b"line\n");
    }
    assert!(queue.lost.load(Ordering::Relaxed) >= 998);
    queue.settle(Duration::from_millis(1));
    assert!(text.lock().is_empty(), "it did not wait for a reader");
    for _ in 0..16 {
        reads.send(()).unwrap();
    }
    queue.settle(Duration::from_secs(600));
    assert!(text.lock().starts_with(b"line\n"), "what was taken is written before the end");
}
