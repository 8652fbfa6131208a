use tokio::sync::mpsc;

use super::*;
use crate::forward::link::Peer;

const ID: &[u8] = b"\xa1c";

/// A connection and what it is to send.
struct Connection {
    link: Arc<Link>,
    replies: mpsc::Receiver<Reply>,
}

impl Connection {
    fn of(host: &str, chunks: &Arc<Chunks>) -> Connection {
        let (link, replies) = Link::new(&Peer::new(host.to_owned(), host), chunks.clone());
        // It waits for its client.
        link.is_read();
        Connection { link, replies }
    }

    fn new(chunks: &Arc<Chunks>) -> Connection {
        Connection::of("a", chunks)
    }

    fn try_claim(&self, tag: &[u8], id: &[u8]) -> Result<Claim, Undecided> {
        let room = self.link.try_room(id).expect("it owes little");
        self.link.chunks().claim(&self.link, room, tag, id)
    }

    #[track_caller]
    fn claim(&self, id: &[u8]) -> Claim {
        self.try_claim(b"t", id).expect("it can be said")
    }

    #[track_caller]
    fn takes(&self, id: &[u8]) -> Share {
        match self.claim(id) {
            Claim::New(share) => share,
            Claim::Duplicate => panic!("the chunk is known"),
        }
    }

    #[track_caller]
    fn knows(&self, id: &[u8]) {
        assert!(matches!(self.claim(id), Claim::Duplicate), "the chunk is new");
    }

    /// Takes a chunk that is safe.
    #[track_caller]
    fn takes_safe(&self, id: &[u8]) {
        self.takes(id).settle(Verdict::Safe);
    }

    /// Writes the next answer.
    #[track_caller]
    fn writes(&mut self) -> Vec<u8> {
        match self.replies.try_recv() {
            Ok(Reply::Ack(owed)) => {
                let bytes = owed.bytes().to_vec();
                owed.written();
                bytes
            }
            other => panic!("no answer but {other:?}"),
        }
    }

    /// The client is gone, and the connection with it.
    fn breaks(self) {
        self.link.close();
    }
}

#[test]
fn a_chunk_is_answered_when_its_last_share_is_safe() {
    let chunks = Chunks::new(8);
    let mut one = Connection::new(&chunks);
    let first = one.takes(ID);
    let second = first.branch();
    first.settle(Verdict::Safe);
    assert!(one.replies.try_recv().is_err());
    second.settle(Verdict::Safe);
    assert_eq!(one.writes(), b"\x81\xa3ack\xa1c");
    assert_eq!(chunks.known(), (0, 0), "nothing is remembered of what was answered");
}

#[test]
fn a_share_that_falls_means_send_again() {
    let chunks = Chunks::new(8);
    let mut one = Connection::new(&chunks);
    let first = one.takes(ID);
    drop(first.branch());
    first.settle(Verdict::Safe);
    assert!(matches!(one.replies.try_recv(), Ok(Reply::Again(_))));
    assert_eq!(chunks.known(), (0, 0));
    one.takes_safe(ID);
}

#[test]
fn what_has_the_same_id_is_another_chunk_unless_a_connection_was_lost() {
    let chunks = Chunks::new(8);
    let (mut one, other_host) = (Connection::new(&chunks), Connection::of("b", &chunks));
    let first = one.takes(ID);
    let elsewhere = other_host.takes(ID);
    let again = one.takes(ID);
    let other_tag = one.try_claim(b"u", ID).unwrap();
    assert!(matches!(other_tag, Claim::New(_)));
    first.settle(Verdict::Safe);
    one.writes();
    one.takes_safe(ID);
    drop((elsewhere, again, other_tag));
}

#[test]
fn a_chunk_whose_answer_was_lost_is_answered_when_it_comes_again_and_not_taken_again() {
    let chunks = Chunks::new(8);
    let one = Connection::new(&chunks);
    one.takes_safe(ID);
    one.breaks();
    assert_eq!(chunks.known(), (0, 1));
    assert!(matches!(Connection::of("b", &chunks).claim(ID), Claim::New(_)), "another host's");
    let mut again = Connection::new(&chunks);
    again.knows(ID);
    assert_eq!(again.writes(), b"\x81\xa3ack\xa1c");
    again.takes_safe(ID);
    again.writes();
    assert_eq!(chunks.known().1, 0, "it was answered in the end");
}

#[test]
fn a_chunk_on_its_way_whose_connection_is_lost_is_answered_on_the_next_one() {
    let chunks = Chunks::new(8);
    let one = Connection::new(&chunks);
    let share = one.takes(ID);
    one.breaks();
    let lost_as_well = Connection::new(&chunks);
    lost_as_well.knows(ID);
    lost_as_well.breaks();
    let mut third = Connection::new(&chunks);
    third.knows(ID);
    share.settle(Verdict::Safe);
    assert_eq!(third.writes(), b"\x81\xa3ack\xa1c");
    assert_eq!(chunks.known(), (0, 0));
}

#[test]
fn an_answer_that_was_written_when_the_client_was_gone_already_is_lost() {
    let chunks = Chunks::new(8);
    let mut one = Connection::new(&chunks);
    // Something has come, which may be the client's end.
    one.link.is_unread();
    one.takes_safe(ID);
    one.writes();
    assert_eq!(chunks.known(), (1, 0));
    one.breaks();
    assert_eq!(chunks.known(), (0, 1));
    let mut two = Connection::new(&chunks);
    two.knows(ID);
    two.link.is_unread();
    two.writes();
    two.link.is_read();
    assert_eq!(chunks.known(), (0, 0), "it was no end");
}

#[tokio::test]
async fn an_id_that_another_connection_of_the_same_host_has_open_waits_until_that_one_is_answered_or_lost() {
    for is_lost in [false, true] {
        let chunks = Chunks::new(8);
        let (mut one, two) = (Connection::new(&chunks), Connection::new(&chunks));
        let share = one.takes(ID);
        let undecided = two.try_claim(b"t", ID).expect_err("it may be either");
        let waits = flitch_core::tasks::joined(undecided.decided());
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        if is_lost {
            one.link.close();
        } else {
            share.settle(Verdict::Safe);
            one.writes();
        }
        let room = waits.await.unwrap();
        let claim = chunks.claim(&two.link, room, b"t", ID).expect("it can be said now");
        assert_eq!(matches!(claim, Claim::Duplicate), is_lost);
    }
}

#[test]
fn only_the_last_lost_chunks_are_remembered() {
    let chunks = Chunks::new(2);
    for id in [b"\x00", b"\x01", b"\x02"] {
        let one = Connection::new(&chunks);
        one.takes_safe(id);
        one.breaks();
    }
    assert_eq!(chunks.known(), (0, 2));
    let next = Connection::new(&chunks);
    next.takes_safe(b"\x00");
    next.knows(b"\x02");
    let nothing = Chunks::new(0);
    let one = Connection::new(&nothing);
    one.takes_safe(ID);
    one.breaks();
    assert_eq!(nothing.known(), (0, 0));
}

#[test]
fn a_connection_owes_a_bounded_number_of_answers() {
    let chunks = Chunks::new(8);
    let mut one = Connection::new(&chunks);
    let mut taken = 0_u32;
    while let Some(room) = one.link.try_room(&[0; 100]) {
        let claim = chunks.claim(&one.link, room, b"t", &taken.to_be_bytes()).unwrap();
        let Claim::New(share) = claim else { panic!("it is new") };
        share.settle(Verdict::Safe);
        taken += 1;
    }
    assert!((100..1000).contains(&taken), "{taken}");
    for _ in 0..taken {
        one.writes();
    }
    assert!(one.link.try_room(&[0; 4096]).is_some(), "what is written makes room");
}

#[test]
fn an_id_of_bytes_is_answered_as_bytes() {
    assert_eq!(*answer(b"\xc4\x01c"), *b"\x81\xa3ack\xc4\x01c");
}

#[test]
fn records_are_numbered_in_their_chunk_and_not_in_another_of_its_id() {
    let chunks = Chunks::new(8);
    let (one, other_host) = (Connection::new(&chunks), Connection::of("b", &chunks));
    let take = |connection: &Connection, verdict| {
        let share = connection.takes(ID);
        let root = share.root();
        share.settle(verdict);
        root
    };
    let first = take(&one, Verdict::Safe);
    let second = take(&one, Verdict::Again);
    assert_ne!(first, second, "the content is the same, and its records are others");
    assert_eq!(take(&one, Verdict::Safe), second, "it was to come again");
    assert_ne!(take(&one, Verdict::Safe), second);
    assert_ne!(take(&other_host, Verdict::Safe), first);
    // To a source that began anew.
    assert_eq!(take(&Connection::new(&Chunks::new(8)), Verdict::Safe), first);
}
