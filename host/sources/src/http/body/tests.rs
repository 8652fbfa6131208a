use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Frame, SizeHint};
use tokio::time::Sleep;

use super::*;

const MIB: usize = 1 << 20;
const PACE: Pace = Pace { wait: Duration::from_secs(30), rate: 1 << 10 };

/// A body of `pieces` pieces of `piece` bytes, one each `every`, that says it is `declared` bytes long.
struct Drip {
    declared: u64,
    piece: usize,
    pieces: usize,
    every: Duration,
    wait: Pin<Box<Sleep>>,
}

fn drip(declared: u64, piece: usize, pieces: usize, every: Duration) -> Drip {
    Drip { declared, piece, pieces, every, wait: Box::pin(tokio::time::sleep(every)) }
}

impl Body for Drip {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.pieces == 0 {
            return Poll::Ready(None);
        }
        std::task::ready!(self.wait.as_mut().poll(cx));
        self.pieces -= 1;
        let next = Instant::now() + self.every;
        self.wait.as_mut().reset(next);
        Poll::Ready(Some(Ok(Frame::data(vec![b'x'; self.piece].into()))))
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.declared);
        hint
    }
}

fn pending(bytes: usize) -> Budget {
    Budget::new(bytes, 1)
}

#[tokio::test(start_paused = true)]
async fn a_body_takes_no_room_for_what_has_not_come() {
    let pending = pending(64 * MIB);
    let mut room = Room::of(&pending);
    let mut slow = drip(16 * MIB as u64, 1024, usize::MAX, Duration::from_secs(1));
    let read = read(&mut slow, 16 * MIB, PACE, &mut room);
    assert!(timeout(Duration::from_secs(20), read).await.is_err(), "it comes at the pace that is asked for");
    assert!(64 * MIB - pending.free() <= 64 << 10, "{}", pending.free());
    drop(room);
    assert_eq!(pending.free(), 64 * MIB);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_slower_than_the_lowest_rate_is_given_up() {
    for (piece, every, allowed) in
        [(1, 1, false), (1, 29, false), (4000, 4, false), (4200, 4, true), (4 * MIB, 29, true)]
    {
        let pending = pending(64 * MIB);
        let mut room = Room::of(&pending);
        let pieces = (4 * MIB).div_ceil(piece);
        let mut body = drip(0, piece, pieces, Duration::from_secs(every));
        let read = read(&mut body, 8 * MIB, PACE, &mut room).await;
        match allowed {
            true => assert_eq!(read.map(|body| body.len()), Ok(pieces * piece), "{piece} {every}"),
            false => assert_eq!(read, Err(Answer::TooSlow), "{piece} {every}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_is_not_given_up_for_the_time_in_which_the_process_could_not_run() {
    let pending = pending(64 * MIB);
    let mut room = Room::of(&pending);
    let mut body = drip(0, 10, 3, Duration::from_millis(500));
    let mut reading = Box::pin(read(&mut body, MIB, PACE, &mut room));
    assert!(timeout(Duration::ZERO, &mut reading).await.is_err());
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!(reading.await.map(|body| body.len()), Ok(30));
}

#[tokio::test(start_paused = true)]
async fn a_body_whose_next_piece_does_not_come_is_given_up() {
    let (begun, pending) = (Instant::now(), pending(MIB));
    let mut body = drip(0, 1 << 19, 2, Duration::from_secs(40));
    let read = read(&mut body, MIB, PACE, &mut Room::of(&pending)).await;
    assert_eq!((read, begun.elapsed()), (Err(Answer::TooSlow), PACE.wait));
}

#[tokio::test(start_paused = true)]
async fn slow_bodies_are_given_up_soon_while_memory_is_short() {
    let (begun, pending) = (Instant::now(), pending(4 * MIB));
    let mut room = Room::of(&pending);
    let mut others = pending.share();
    assert!(others.try_take(3 * MIB));
    let mut body = drip(0, 2048, 1000, Duration::from_secs(1));
    assert_eq!(read(&mut body, 4 * MIB, PACE, &mut room).await, Err(Answer::TooSlow));
    assert!(begun.elapsed() <= Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_halfway_holds_its_memory_no_longer_than_others_can_spare_it() {
    let (begun, pending) = (Instant::now(), pending(4 * MIB));
    let mut body = drip(0, 3 * MIB, 2, Duration::from_secs(20));
    body.wait = Box::pin(tokio::time::sleep(Duration::ZERO));
    let read = read(&mut body, 8 * MIB, PACE, &mut Room::of(&pending)).await;
    assert_eq!((read, begun.elapsed()), (Err(Answer::TooSlow), PRESSED.wait));
}

#[tokio::test]
async fn a_body_expands_into_no_more_than_there_is_room_for() {
    let bomb: Bytes = zstd::encode_all(&vec![b' '; 32 * MIB][..], 1).unwrap().into();
    let pending = pending(64 * MIB);
    let mut first = Room::of(&pending);
    expand(&[Coding::Zstd], bomb.clone(), 64 * MIB, &mut first).unwrap();
    let mut second = Room::of(&pending);
    assert_eq!(expand(&[Coding::Zstd], bomb.clone(), 64 * MIB, &mut second), Err(Answer::Full));
    drop(first);
    drop(second);
    let mut alone = Room::of(&pending);
    assert_eq!(expand(&[Coding::Zstd], bomb, 64 * MIB, &mut alone).unwrap().len(), 32 * MIB);
}

#[test]
fn text_of_another_charset_grows_within_its_room_and_its_limit() {
    let pending = pending(MIB);
    let raw = vec![0xe4; 100_000];
    let mut room = Room::of(&pending);
    room.reach(raw.len()).unwrap();
    let text = recode(encoding_rs::WINDOWS_1252, &raw, MIB, &mut room).unwrap();
    assert_eq!(text, "ä".repeat(100_000).as_bytes());
    assert!(room.bytes() >= raw.len() + text.len(), "{} bytes", room.bytes());
    drop(room);
    let mut room = Room::of(&pending);
    let past = recode(encoding_rs::WINDOWS_1252, &raw, 150_000, &mut room);
    assert!(matches!(past, Err(Answer::TooLarge(text)) if text.contains("max_expanded")));
    drop(room);
    let mut others = pending.share();
    assert!(others.try_take(MIB - 50_000));
    let full = recode(encoding_rs::WINDOWS_1252, &raw, MIB, &mut Room::of(&pending));
    assert_eq!(full, Err(Answer::Full));
}

#[test]
fn what_a_charset_does_not_know_is_one_byte_that_is_no_utf_8_wherever_it_stands() {
    let pending = pending(MIB);
    for length in [0, 1, FIRST - 1, FIRST, FIRST + 1] {
        let mut raw = vec![b'a'; length];
        raw.extend_from_slice(b"\x93");
        let text = recode(encoding_rs::SHIFT_JIS, &raw, MIB, &mut Room::of(&pending)).unwrap();
        assert_eq!(text.len(), length + 1);
        assert_eq!(text[length], crate::recode::MALFORMED, "{length}");
    }
}
