use super::*;

fn client(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[tokio::test(start_paused = true)]
async fn a_client_has_an_answer_to_each_heartbeat() {
    let mut beats = Beats::new(5170);
    for _ in 0..10 {
        assert!(beats.is_heartbeat(&[0], client(40_000)));
        assert!(beats.is_heartbeat(&[0], client(40_001)), "another client");
        tokio::time::advance(Duration::from_millis(500)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_client_sends_has_no_answer() {
    let mut beats = Beats::new(5170);
    for (packet, port) in [
        (&[][..], 40_000),
        (&[0, 0], 40_000),
        (&[1], 40_000),
        // From our own port, from another server of the protocol, and from an echo service.
        (&[0], 5170),
        (&[0], 24_224),
        (&[0], 7),
    ] {
        assert!(!beats.is_heartbeat(packet, client(port)), "{packet:?} from port {port}");
    }
}

#[tokio::test]
async fn two_listeners_do_not_answer_each_other_for_ever() {
    let bind = || UdpSocket::bind("127.0.0.1:0");
    let (one, two) = (bind().await.unwrap(), bind().await.unwrap());
    let (at, forged) = (one.local_addr().unwrap(), two.local_addr().unwrap());
    // What a forged packet is to `one`: it comes from `two`.
    two.send_to(&[0], at).await.unwrap();
    let mut beats = [Beats::new(at.port()), Beats::new(forged.port())];
    let (mut from, mut to) = (&two, &one);
    let mut answers = 0;
    for turn in 0..100 {
        let mut packet = [0; 2];
        let (length, sender) = to.recv_from(&mut packet).await.unwrap();
        assert_eq!(sender, from.local_addr().unwrap());
        if !beats[turn % 2].is_heartbeat(&packet[..length], sender) {
            break;
        }
        to.send_to(&[0], sender).await.unwrap();
        answers += 1;
        std::mem::swap(&mut from, &mut to);
    }
    assert_eq!(answers, 2);
}
