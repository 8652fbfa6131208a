use super::*;

fn channel() -> (Replies, mpsc::UnboundedReceiver<Reply>) {
    mpsc::unbounded_channel()
}

fn new(claim: Claim) -> Share {
    match claim {
        Claim::New(share) => share,
        Claim::Duplicate => panic!("the chunk is known"),
    }
}

#[test]
fn a_chunk_is_answered_when_its_last_share_is_safe() {
    let (replies, mut heard) = channel();
    let chunks = Chunks::new(8);
    let first = new(chunks.claim(b"t", b"\xa1c", &replies));
    let second = first.branch();
    first.settle(Verdict::Safe);
    assert!(heard.try_recv().is_err());
    second.settle(Verdict::Safe);
    assert_eq!(heard.try_recv(), Ok(Reply::Ack(b"\x81\xa3ack\xa1c"[..].into())));
}

#[test]
fn a_share_that_falls_means_send_again() {
    let (replies, mut heard) = channel();
    let chunks = Chunks::new(8);
    let first = new(chunks.claim(b"t", b"\xa1c", &replies));
    drop(first.branch());
    first.settle(Verdict::Safe);
    assert_eq!(heard.try_recv(), Ok(Reply::Again));
    new(chunks.claim(b"t", b"\xa1c", &replies)).settle(Verdict::Safe);
    assert!(matches!(chunks.claim(b"t", b"\xa1c", &replies), Claim::Duplicate));
}

#[test]
fn the_same_id_under_another_tag_is_another_chunk() {
    let (replies, _heard) = channel();
    let chunks = Chunks::new(8);
    new(chunks.claim(b"t", b"\xa1c", &replies)).settle(Verdict::Safe);
    new(chunks.claim(b"u", b"\xa1c", &replies)).settle(Verdict::Safe);
}

#[test]
fn only_the_last_chunks_are_remembered() {
    let (replies, mut heard) = channel();
    let chunks = Chunks::new(2);
    let forgotten = new(chunks.claim(b"t", b"\x00", &replies));
    for chunk in [b"\x01", b"\x02"] {
        new(chunks.claim(b"t", chunk, &replies)).settle(Verdict::Safe);
        heard.try_recv().unwrap();
    }
    forgotten.settle(Verdict::Safe);
    assert_eq!(
        heard.try_recv(),
        Ok(Reply::Ack(b"\x81\xa3ack\x00"[..].into())),
        "it is answered all the same"
    );
    new(chunks.claim(b"t", b"\x00", &replies)).settle(Verdict::Safe);
    let nothing = Chunks::new(0);
    new(nothing.claim(b"t", b"\x00", &replies)).settle(Verdict::Safe);
    new(nothing.claim(b"t", b"\x00", &replies)).settle(Verdict::Safe);
}

#[test]
fn an_id_of_bytes_is_answered_as_bytes() {
    assert_eq!(*answer(b"\xc4\x01c"), *b"\x81\xa3ack\xc4\x01c");
}
